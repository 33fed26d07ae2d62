"""A working grid along the patient's axes: index order (z up, y anterior, x right), in mm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.volume import GridGeometry


@dataclass(frozen=True)
class PatientGrid:
    """An upright grid: axis 0 to the head, axis 1 to the front, axis 2 to the patient's right.

    Parameters
    ----------
    shape : tuple of int
        (nz, ny, nx).
    origin_ras : ndarray, shape (3,)
        RAS mm of voxel (0, 0, 0).
    spacing_mm : tuple of float
        (z, y, x).
    """

    shape: tuple[int, int, int]
    origin_ras: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def around(
        cls,
        geometry: GridGeometry,
        spacing_mm: tuple[float, float, float],
        box_ras: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> PatientGrid:
        """Cover a volume (or the part of it inside a box given by its two RAS corners)."""
        k, j, i = geometry.shape
        corners = np.array([[a, b, c] for a in (0, i - 1) for b in (0, j - 1) for c in (0, k - 1)])
        ras = geometry.to_ras(corners.astype(np.float64))
        low, high = ras.min(axis=0), ras.max(axis=0)
        if box_ras is not None:
            low, high = np.maximum(low, box_ras[0]), np.minimum(high, box_ras[1])
        step = np.array(spacing_mm[::-1])
        count = np.maximum(np.floor((high - low) / step + 1e-6).astype(int) + 1, 1)
        shape = (int(count[2]), int(count[1]), int(count[0]))
        return cls(shape, low, spacing_mm)

    def to_ras(self, zyx: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map voxel coordinates (..., 3) in (z, y, x) order to RAS mm."""
        scaled: NDArray[np.float64] = np.asarray(zyx, np.float64) * np.array(self.spacing_mm)
        return self.origin_ras + scaled[..., ::-1]

    def to_zyx(self, ras: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map RAS mm (..., 3) to voxel coordinates in (z, y, x) order."""
        steps = np.array(self.spacing_mm[::-1])
        scaled: NDArray[np.float64] = (np.asarray(ras, np.float64) - self.origin_ras) / steps
        return scaled[..., ::-1]

    def sample(
        self,
        array: NDArray[Any],
        geometry: GridGeometry,
        order: int = 1,
        outside: float = 0.0,
    ) -> NDArray[np.float32]:
        """Resample an array (k, j, i) given on `geometry` to this grid, float32.

        `outside` is the value beyond it, in the array's own unit.
        """
        # output index (z, y, x) -> ras -> (i, j, k) -> input index (k, j, i)
        to_ras = np.zeros((3, 3))
        to_ras[[0, 1, 2], [2, 1, 0]] = self.spacing_mm[::-1]
        inverse = geometry.ras_to_ijk
        matrix = (inverse[:3, :3] @ to_ras)[::-1]
        offset = (inverse[:3, :3] @ self.origin_ras + inverse[:3, 3])[::-1]
        result = np.empty(self.shape, np.float32)
        # scipy's stubs know no output array of another type than the input's
        transform: Any = ndimage.affine_transform
        transform(
            array,
            matrix,
            offset,
            output_shape=self.shape,
            output=result,
            order=order,
            mode="constant",
            cval=outside,
        )
        return result

    @property
    def geometry(self) -> GridGeometry:
        """The same grid as (k, j, i) = (z, y, x) with its matrix."""
        affine = np.diag([*self.spacing_mm[::-1], 1.0])
        affine[:3, 3] = self.origin_ras
        return GridGeometry(self.shape, affine)
