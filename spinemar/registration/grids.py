"""Upright grids in RAS, and CTs sampled on them.

Registration works on grids of its own, whose axes run along R, A and S, so that it does not
matter how a file stores its slices. ITK is told that these millimetres are its own: no LPS here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from spinemar.io.hounsfield import MASK_THRESHOLD_HU, PADDING_BELOW_HU
from spinemar.registration.motions import FloatArray
from spinemar.volume import CTVolume, GridGeometry

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

AIR_HU = -1000.0
_FWHM = 2.3548


@dataclass(frozen=True, eq=False)
class UprightGrid:
    """Voxels along R, A and S.

    Parameters
    ----------
    origin : ndarray, shape (3,)
        RAS mm of the first voxel's centre.
    step_mm : float
    shape : (s, a, r)
    """

    origin: FloatArray
    step_mm: float
    shape: tuple[int, int, int]

    @classmethod
    def over(cls, low: ArrayLike, high: ArrayLike, step_mm: float) -> UprightGrid:
        """Cover the box between two RAS points."""
        first, last = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        count = np.maximum(np.ceil((last - first) / step_mm).astype(int) + 1, 1)
        return cls(first, step_mm, (int(count[2]), int(count[1]), int(count[0])))

    @property
    def high(self) -> FloatArray:
        """RAS mm of the last voxel's centre."""
        size = np.array(self.shape[::-1]) - 1
        return np.asarray(self.origin + self.step_mm * size, dtype=np.float64)

    def axes_mm(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Coordinates along s, a and r."""
        s, a, r = (
            self.origin[2 - axis] + self.step_mm * np.arange(self.shape[axis]) for axis in range(3)
        )
        return s, a, r

    def points(self) -> FloatArray:
        """RAS mm of every voxel, shape (s, a, r, 3)."""
        s, a, r = self.axes_mm()
        found = np.empty((*self.shape, 3))
        found[..., 0], found[..., 1], found[..., 2] = r, a[:, None], s[:, None, None]
        return found

    def index(self, ras: NDArray[np.floating]) -> FloatArray:
        """Voxel coordinates of RAS points (..., 3), in (s, a, r) order along the first axis."""
        offset = (np.asarray(ras, dtype=np.float64) - self.origin) / self.step_mm
        return np.asarray(np.moveaxis(offset, -1, 0)[::-1], dtype=np.float64)

    def to_itk(self, sitk: Any, array: NDArray[Any]) -> Any:
        """Wrap an array on this grid as an image whose coordinates are R, A, S."""
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        image.SetOrigin([float(x) for x in self.origin])
        image.SetSpacing([self.step_mm] * 3)
        return image


def corners(geometry: GridGeometry) -> FloatArray:
    """Return the centres of a volume's eight corner voxels, RAS mm, shape (8, 3)."""
    k, j, i = (n - 1 for n in geometry.shape)
    return geometry.to_ras(np.array([[a, b, c] for a in (0, i) for b in (0, j) for c in (0, k)]))


def box_of(geometry: GridGeometry) -> tuple[FloatArray, FloatArray]:
    """Return the upright box, (3,) and (3,) in RAS mm, of a volume."""
    found = corners(geometry)
    return found.min(axis=0), found.max(axis=0)


@dataclass(frozen=True, eq=False)
class Picture:
    """A CT that is ready to be sampled: padding and metal apart.

    Parameters
    ----------
    hu : ndarray of float32, shape (k, j, i)
    usable : ndarray of bool, same shape
        Neither metal (with its glow) nor padding.
    geometry : GridGeometry
    averaged_mm : float
        What is finer than this is averaged already; 0 in a CT as it is.
    """

    hu: Float
    usable: Mask
    geometry: GridGeometry
    averaged_mm: float = 0.0

    @classmethod
    def of(cls, volume: CTVolume, metal: Mask | None = None, glow_px: int = 3) -> Picture:
        """Take a CT; its metal is given, or whatever exceeds 2500 HU."""
        hu = volume.hu
        padding = ~np.isfinite(hu) | (hu < PADDING_BELOW_HU)
        bright = hu > MASK_THRESHOLD_HU if metal is None else metal
        spoilt = padding
        touched = np.flatnonzero(bright.any(axis=(1, 2)))
        if touched.size:
            part = slice(max(int(touched[0]) - 1, 0), int(touched[-1]) + 2)
            ball = ndimage.generate_binary_structure(3, 1)
            disc = ball.copy()
            disc[[0, 2]] = False
            grown = ndimage.binary_dilation(bright[part], disc, iterations=glow_px)
            spoilt = padding.copy()
            spoilt[part] |= ndimage.binary_dilation(grown, ball)
        return cls(np.where(padding, np.float32(AIR_HU), hu), ~spoilt, volume.geometry)

    def averaged(self, step_mm: float) -> Picture:
        """Return the picture ready to be sampled many times on grids of one step."""
        hu = _averaged(self.hu, self.geometry, step_mm)
        return replace(self, hu=hu, averaged_mm=step_mm)

    def on(self, grid: UprightGrid) -> tuple[Float, Mask]:
        """Sample on a grid: HU (air outside), and where they can be used.

        What is finer than the grid is averaged first.
        """
        cut, geometry = self._around(grid)
        if cut is None:
            return np.full(grid.shape, AIR_HU, np.float32), np.zeros(grid.shape, np.bool_)
        hu, usable = self.hu[cut], self.usable[cut].astype(np.float32)
        if self.averaged_mm < grid.step_mm:
            hu = _averaged(hu, geometry, grid.step_mm)
        matrix, offset = _between(grid, geometry)

        def laid(voxels: Float, outside: float) -> Float:
            return ndimage.affine_transform(
                voxels,
                matrix,
                offset,
                grid.shape,
                output=np.float32,
                order=1,
                mode="constant",
                cval=outside,
            )

        return laid(hu, AIR_HU), laid(usable, 0.0) > 0.99

    def _around(self, grid: UprightGrid) -> tuple[tuple[slice, ...] | None, GridGeometry]:
        """Cut out what a grid needs."""
        box = np.array([grid.origin, grid.high])
        ends = np.array([[r, a, s] for r in box[:, 0] for a in box[:, 1] for s in box[:, 2]])
        ijk = self.geometry.to_ijk(ends)
        margin = 2.0 + 3.0 * grid.step_mm / np.array(self.geometry.spacing_mm)
        low = np.floor(ijk.min(axis=0) - margin)[::-1]
        high = np.ceil(ijk.max(axis=0) + margin)[::-1] + 1
        shape = self.geometry.shape
        sides = [(max(0, int(low[axis])), min(shape[axis], int(high[axis]))) for axis in range(3)]
        if any(first >= stop for first, stop in sides):
            return None, self.geometry
        affine = self.geometry.ijk_to_ras.copy()
        affine[:3, 3] = self.geometry.to_ras(np.array([side[0] for side in sides[::-1]]))
        k, j, i = (stop - first for first, stop in sides)
        return tuple(slice(*side) for side in sides), GridGeometry((k, j, i), affine)


def _averaged(hu: Float, geometry: GridGeometry, step_mm: float) -> Float:
    """Average what is finer than a grid of that step."""
    spacing = np.array(geometry.spacing_mm)[::-1]
    width = np.sqrt(np.maximum(step_mm**2 - spacing**2, 0.0)) / _FWHM / spacing
    if width.max() <= 0.2:
        return hu
    return np.asarray(ndimage.gaussian_filter(hu, width, mode="nearest", truncate=2.5))


def _between(grid: UprightGrid, geometry: GridGeometry) -> tuple[FloatArray, FloatArray]:
    """Matrix and offset from a grid's (s, a, r) indices to a volume's (k, j, i)."""
    inverse = geometry.ras_to_ijk
    matrix = (inverse[:3, :3] * grid.step_mm)[::-1, ::-1]
    offset = (inverse[:3, :3] @ grid.origin + inverse[:3, 3])[::-1]
    return matrix, offset
