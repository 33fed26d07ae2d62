"""One vertebra's mask as a smooth shape that can be sampled in any frame."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.volume import GridGeometry, LabelVolume


@dataclass(frozen=True)
class LocalGrid:
    """Equidistant coordinates (right, anterior, superior) mm in a frame."""

    right: NDArray[np.float64]
    anterior: NDArray[np.float64]
    superior: NDArray[np.float64]

    @classmethod
    def box(
        cls,
        right: tuple[float, float],
        anterior: tuple[float, float],
        superior: tuple[float, float],
        step_mm: float,
    ) -> LocalGrid:
        """Fill a box with points `step_mm` apart."""
        axes = [
            np.arange(low, high + step_mm / 2, step_mm) for low, high in (right, anterior, superior)
        ]
        return cls(*axes)

    def points(self) -> NDArray[np.float64]:
        """All points, shape (superior, anterior, right, 3), components (right, ant., sup.)."""
        s, a, r = np.meshgrid(self.superior, self.anterior, self.right, indexing="ij")
        return np.stack([r, a, s], axis=-1)


class VertebraShape:
    """Signed distance (mm, negative inside) to the surface of one vertebra's mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (k, j, i)
        A crop of a volume.
    geometry : GridGeometry
        The whole volume's grid.
    offset : sequence of int
        Index (k, j, i) of the crop's first voxel in the volume.
    """

    def __init__(
        self, mask: NDArray[np.bool_], geometry: GridGeometry, offset: Sequence[int] = (0, 0, 0)
    ) -> None:
        self._geometry = geometry
        self._pad = 3
        self._offset = np.array(offset) - self._pad
        padded = np.pad(mask, self._pad)
        spacing = geometry.spacing_mm[::-1]
        outside = ndimage.distance_transform_edt(~padded, sampling=spacing)
        inside = ndimage.distance_transform_edt(padded, sampling=spacing)
        self._distance = (outside - inside).astype(np.float32)
        k, j, i = np.nonzero(mask)
        self.points_ras = geometry.to_ras(np.stack([i, j, k], axis=1) + np.array(offset)[::-1])

    @classmethod
    def in_box(cls, labels: LabelVolume, number: int, box: tuple[slice, ...]) -> VertebraShape:
        """Return the shape of one number in a box (k, j, i) of labels that holds all of it."""
        mask = np.asarray(labels.labels[box] == number)
        return cls(mask, labels.geometry, [edge.start for edge in box])

    def part(
        self, centre: NDArray[np.float64], axes: NDArray[np.float64], reach: NDArray[np.float64]
    ) -> VertebraShape:
        """Return the same surface, of which only the points in a box count.

        Parameters
        ----------
        centre : ndarray, shape (3,)
            RAS mm.
        axes : ndarray, shape (3, 3)
            Rows: right, anterior, superior.
        reach : ndarray, shape (2, 3)
            Lower and upper limits along the axes, mm.
        """
        local = (self.points_ras - centre) @ axes.T
        found = copy(self)
        found.points_ras = self.points_ras[((local >= reach[0]) & (local <= reach[1])).all(axis=1)]
        return found

    def distance(self, ras: NDArray[np.float64]) -> NDArray[np.float32]:
        """Signed distance in mm at RAS points (..., 3); far outside it stays positive."""
        ijk = self._geometry.to_ijk(ras)
        coordinates = np.moveaxis(ijk[..., ::-1] - self._offset, -1, 0)
        result: NDArray[np.float32] = ndimage.map_coordinates(
            self._distance, coordinates, order=1, mode="nearest", output=np.float32
        )
        return result

    def on_grid(
        self, grid: LocalGrid, origin: NDArray[np.float64], axes: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Signed distance on a local grid, shape (superior, anterior, right).

        `axes` holds the unit vectors right, anterior, superior in its rows.
        """
        return self.distance(grid.points() @ axes + origin)
