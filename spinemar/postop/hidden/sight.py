"""What a CT with metal shows of a vertebra, and what it hides, on the grid of its bone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.planning.grades.bone import BoneField
from spinemar.volume import GridGeometry

_OUTSIDE = 2.0  # of the CT: neither hidden (1) nor seen (0)


def seen_and_hidden(
    field: BoneField, hidden: NDArray[np.bool_], geometry: GridGeometry
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell on the grid of a bone (a, b, c) what the CT hides, and what it shows.

    Parameters
    ----------
    field : BoneField
    hidden : ndarray of bool, shape (k, j, i)
        Voxels of the CT whose HU nobody measured.
    geometry : GridGeometry
        Of that CT.

    Returns
    -------
    tuple of ndarray of bool, shape (a, b, c)
        What is hidden, and what is seen; what lies beyond the CT is neither.
    """
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
