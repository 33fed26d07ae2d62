"""The surface of a vertebra that metal hides in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinemar.planning.grades.bone import BoneField, distance_to_surface
from spinemar.postop.hidden.by_shape import behind_by_shape
from spinemar.postop.hidden.other_side import lent_by_other_side
from spinemar.postop.hidden.shapes import VertebraShape
from spinemar.postop.hidden.sight import seen_and_hidden
from spinemar.volume import GridGeometry


def surface_behind_metal(
    field: BoneField,
    hidden: NDArray[np.bool_],
    geometry: GridGeometry,
    shapes: Sequence[VertebraShape],
) -> BoneField:
    """Return the bone with what metal hides as its other side has it, or else as others have it.

    Parameters
    ----------
    field : BoneField
        As it was segmented, with metal filled from beside.
    hidden : ndarray of bool, shape (k, j, i)
        Voxels of the CT whose HU nobody measured.
    geometry : GridGeometry
        Of that CT.
    shapes : sequence of VertebraShape
        Of other people; may be none.

    Returns
    -------
    BoneField
        The same where nothing is hidden, or nobody tells what is behind.
    """
    behind_metal, seen = seen_and_hidden(field, hidden, geometry)
    if not behind_metal.any():
        return field
    bone = field.values < 0.0
    lent = lent_by_other_side(behind_metal, seen)
    others = behind_by_shape(field, behind_metal, seen, shapes)
    if others is None and not lent.any():
        return field
    told = bone.copy()
    if others is not None:
        unknown, like_others = others
        told[unknown] = like_others[unknown]
    told[lent] = bone[::-1][lent]
    return replace(field, values=distance_to_surface(told, field.step_mm))
