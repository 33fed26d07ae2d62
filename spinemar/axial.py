"""Find the acquired axial slices in a volume of any axis order and direction.

Rays run inside the plane of an acquired slice, so only such slices can be projected. Gantry
tilt leans the planes about the patient's left-right axis; anything else was resampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.volume import GridGeometry

MAX_TILT_DEG = 33.0
"""Gantries tilt by up to 30 degrees; three more for a patient who does not lie straight."""
MAX_OFF_AXIAL_DEG = 8.0
MAX_SHEAR_DEG = 1.0

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class AxialSlices:
    """How the axial slices lie in an array (k, j, i).

    Parameters
    ----------
    axis : int
        Array axis along which the slices are stacked.
    shape : (rows, columns)
        Matrix of a slice.
    pixel_mm : (row spacing, column spacing) in mm
    spacing_mm : float
        Distance between the planes of neighbouring slices.
    tilt_deg : float
        Lean about the left-right axis (gantry tilt).
    """

    axis: int
    shape: tuple[int, int]
    pixel_mm: tuple[float, float]
    spacing_mm: float
    tilt_deg: float

    def of(self, array: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return a view (slices, rows, columns) of an array (k, j, i)."""
        return np.moveaxis(array, self.axis, 0)


def _angle_deg(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def find_axial_slices(geometry: GridGeometry) -> AxialSlices:
    """Find the stack of axial slices.

    Raises
    ------
    GeometryError
        If no axis of the volume stacks axial slices, or the slices themselves are sheared.
    """
    # Steps in RAS mm along the array axes k, j, i.
    steps = geometry.ijk_to_ras[:3, :3].T[::-1]
    normals = np.stack([np.cross(steps[(a + 1) % 3], steps[(a + 2) % 3]) for a in range(3)])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    axis = int(np.argmax(np.abs(normals[:, 2])))
    normal = normals[axis] * np.sign(normals[axis, 2] or 1.0)
    sideways = float(np.degrees(np.arcsin(np.clip(abs(normal[0]), 0.0, 1.0))))
    tilt = float(np.degrees(np.arctan2(normal[1], normal[2])))
    if sideways > MAX_OFF_AXIAL_DEG or abs(tilt) > MAX_TILT_DEG:
        off = _angle_deg(normal, np.array([0.0, 0.0, 1.0]))
        raise GeometryError(
            f"The slices lie {off:.0f} degrees off axial, so they are not the slices that the "
            "scanner acquired.",
            "Load the original axial series instead of a reformatted one.",
        )
    row_axis, col_axis = [a for a in range(3) if a != axis]
    shear = abs(_angle_deg(steps[row_axis], steps[col_axis]) - 90.0)
    if shear > MAX_SHEAR_DEG:
        raise GeometryError(
            f"The rows and columns of the slices are {shear:.1f} degrees off a right angle.",
            "Load the original axial series instead of a resampled one.",
        )
    lengths = np.linalg.norm(steps, axis=1)
    return AxialSlices(
        axis=axis,
        shape=(geometry.shape[row_axis], geometry.shape[col_axis]),
        pixel_mm=(float(lengths[row_axis]), float(lengths[col_axis])),
        spacing_mm=float(abs(steps[axis] @ normals[axis])),
        tilt_deg=tilt,
    )
