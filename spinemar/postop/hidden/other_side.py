"""The surface of a vertebra behind metal, lent by its other side.

A vertebra is nearly its own mirror image. What was filled in for metal is a guess from the tissue
beside it: an outline drawn there hugs a screw, or shies away from it. Where the mirrored place can
be seen it tells more. On training and validation patients the breach of a screw was off by 1.5 mm
(standard deviation) as segmented, and is by 1.1 mm so (Docs/postop.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.planning.grades.bone import BoneField, distance_to_surface
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import GridGeometry, LabelVolume

_OUTSIDE = 2.0  # of the CT: neither hidden (1) nor seen (0)


def lent_by_other_side(
    field: BoneField, hidden: NDArray[np.bool_], geometry: GridGeometry
) -> BoneField:
    """Return the bone with what metal hides taken from the other side, where that is seen.

    Parameters
    ----------
    field : BoneField
        Its grid reaches as far to the right as to the left.
    hidden : ndarray of bool, shape (k, j, i)
        Voxels of the CT whose HU nobody measured.
    geometry : GridGeometry
        Of that CT.

    Returns
    -------
    BoneField
        The same where nothing is hidden, or the other side is hidden too or out of the field.
    """
    behind_metal, seen = _on(field, hidden, geometry)
    lent = behind_metal & seen[::-1]
    if not lent.any():
        return field
    signed = np.where(lent, field.values[::-1], field.values)
    return replace(field, values=distance_to_surface(signed < 0.0, field.step_mm))


def labels_behind_metal(
    labels: LabelVolume, fields: Mapping[str, BoneField], hidden: NDArray[np.bool_]
) -> LabelVolume:
    """Return labels that show behind metal what is graded there, and keep all others.

    Parameters
    ----------
    labels : LabelVolume
        VerSe numbers.
    fields : mapping of str to BoneField
        By level.
    hidden : ndarray of bool, shape (k, j, i)
        On the grid of the labels.
    """
    drawn = labels.labels.copy()
    places = np.argwhere(hidden)
    points = labels.geometry.to_ras(places[:, ::-1].astype(np.float64))
    found = drawn[hidden]
    for level, field in fields.items():
        number = VERSE_IDS[level]
        bone = field.distance_mm(points) < 0.0
        found = np.where(bone & (found == 0), number, np.where(~bone & (found == number), 0, found))
    drawn[hidden] = found
    return replace(labels, labels=drawn)


def _on(
    field: BoneField, hidden: NDArray[np.bool_], geometry: GridGeometry
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell on the grid of a bone (a, b, c) what the CT hides, and what it shows."""
    matrix = geometry.ras_to_ijk[:3, :3] @ field.frame.axes_ras.T * field.step_mm
    offset = geometry.to_ijk(field.frame.to_ras(field.first_local))
    found = ndimage.affine_transform(
        hidden.transpose(2, 1, 0).astype(np.float32),
        matrix,
        offset,
        output_shape=field.values.shape,
        order=1,
        mode="constant",
        cval=_OUTSIDE,
    )
    return np.asarray((found >= 0.5) & (found < _OUTSIDE)), np.asarray(found < 0.5)
