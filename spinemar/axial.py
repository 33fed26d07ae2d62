"""Find the acquired axial slices in a volume of any axis order and direction.

Rays run inside the plane of an acquired slice, so only such slices can be projected. Gantry
tilt leans the planes about the patient's left-right axis; anything else was resampled.

However a file stores them, slices are seen as a radiologist sees them: rows from front to back,
columns from the patient's right to the left, stacked from the feet to the head. Networks have
learnt the spine at the bottom of a slice, and pairs of slices share a transform, so without this
the result would depend on how a file happens to be stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.volume import GridGeometry

_MAX_TILT_DEG = 33.0
"""Gantries tilt by up to 30 degrees; three more for a patient who does not lie straight."""
_MAX_OFF_AXIAL_DEG = 8.0
_MAX_SHEAR_DEG = 1.0
_CLEARLY = 1e-6
"""So that slices turned by 45 degrees keep the order they are stored in."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class AxialSlices:
    """How the axial slices lie in an array (k, j, i).

    Parameters
    ----------
    axis : int
        Array axis along which the slices are stacked.
    plane_axes : (row axis, column axis)
        Array axes within a slice.
    reversed_axes : (stack, rows, columns)
        Which of the three run against the order named above.
    shape : (rows, columns)
        Matrix of a slice.
    pixel_mm : (row spacing, column spacing) in mm
    spacing_mm : float
        Distance between the planes of neighbouring slices.
    tilt_deg : float
        Lean about the left-right axis (gantry tilt).
    """

    axis: int
    plane_axes: tuple[int, int]
    reversed_axes: tuple[bool, bool, bool]
    shape: tuple[int, int]
    pixel_mm: tuple[float, float]
    spacing_mm: float
    tilt_deg: float

    def of(self, array: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return a view (slices, rows, columns) of an array (k, j, i)."""
        steps = tuple(slice(None, None, -1 if back else 1) for back in self.reversed_axes)
        return array.transpose(self.axis, *self.plane_axes)[steps]

    def geometry_of(self, stored: GridGeometry) -> GridGeometry:
        """Return the grid of what `of` returns for an array on a stored grid."""
        order = (self.axis, *self.plane_axes)
        steps = stored.ijk_to_ras[:3, :3].T[::-1]
        affine = np.eye(4)
        affine[:3, 3] = stored.ijk_to_ras[:3, 3]
        for column, (axis, back) in enumerate(zip(order, self.reversed_axes, strict=True)):
            step = -steps[axis] if back else steps[axis]
            affine[:3, 2 - column] = step
            if back:
                affine[:3, 3] -= (stored.shape[axis] - 1) * step
        slices, rows, columns = (stored.shape[axis] for axis in order)
        return GridGeometry((slices, rows, columns), affine)

    def stored_index(self, k: int, slices: int) -> int:
        """Return where the stored array has slice k of `slices`, along `axis`."""
        return slices - 1 - k if self.reversed_axes[0] else k

    def of_sinograms(self, sinograms: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Bring line integrals (slices, views, bins) of the stored slices to these slices.

        Rows and columns of the stored slices are the array's axes in their order. Turning an
        image over maps its rays onto each other: view v of V onto V - v, and the transposed
        image's onto V / 2 - v; a view that leaves [0, pi) comes back with its bins reversed.

        Parameters
        ----------
        sinograms : ndarray, shape (slices, views, bins)
            Views over half a turn, an even number of them.
        """
        stack, rows, columns = self.reversed_axes
        turned = sinograms[::-1] if stack else sinograms
        n = sinograms.shape[1]
        view = np.arange(n)
        backwards = np.zeros(n, dtype=np.bool_)
        # From these slices back to the stored ones: reversed axes first, then the transpose.
        if columns:
            view, backwards = _mirrored(view, backwards, n)
        if rows:
            view, backwards = _mirrored(view, ~backwards, n)
        if self.plane_axes[0] > self.plane_axes[1]:
            half = n // 2 - view
            view, backwards = half % n, backwards ^ (half < 0)
        taken = turned[:, view]
        return np.where(backwards[:, None], taken[..., ::-1], taken)


def _mirrored(
    view: NDArray[np.intp], backwards: NDArray[np.bool_], n: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Name the views of an image whose columns are reversed: p'(theta, r) = p(pi - theta, r)."""
    other = n - view
    return other % n, backwards ^ (other == n)


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
    if sideways > _MAX_OFF_AXIAL_DEG or abs(tilt) > _MAX_TILT_DEG:
        off = _angle_deg(normal, np.array([0.0, 0.0, 1.0]))
        raise GeometryError(
            f"The slices lie {off:.0f} degrees off axial, so they are not the slices that the "
            "scanner acquired.",
            "Load the original axial series instead of a reformatted one.",
        )
    first, second = [a for a in range(3) if a != axis]
    lengths = np.linalg.norm(steps, axis=1)
    # Columns run along the axis that is nearer to left-right.
    sideways_of = np.abs(steps[:, 0]) / lengths
    swapped = bool(sideways_of[first] > sideways_of[second] + _CLEARLY)
    row_axis, col_axis = (second, first) if swapped else (first, second)
    shear = abs(_angle_deg(steps[row_axis], steps[col_axis]) - 90.0)
    if shear > _MAX_SHEAR_DEG:
        raise GeometryError(
            f"The rows and columns of the slices are {shear:.1f} degrees off a right angle.",
            "Load the original axial series instead of a resampled one.",
        )
    return AxialSlices(
        axis=axis,
        plane_axes=(row_axis, col_axis),
        reversed_axes=(
            bool(steps[axis, 2] < 0),
            bool(steps[row_axis, 1] > 0),
            bool(steps[col_axis, 0] > 0),
        ),
        shape=(geometry.shape[row_axis], geometry.shape[col_axis]),
        pixel_mm=(float(lengths[row_axis]), float(lengths[col_axis])),
        spacing_mm=float(abs(steps[axis] @ normals[axis])),
        tilt_deg=tilt,
    )
