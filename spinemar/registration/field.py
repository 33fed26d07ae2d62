"""From a motion for each vertebra to one smooth map of the scan into the earlier CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.registration.grids import UprightGrid
from spinemar.registration.motions import FloatArray, moved

_BODY_AT_MM = 40.0
_CLOSE_MM = 1.0


@dataclass(frozen=True, eq=False)
class DisplacementField:
    """Where points of the scan lie in the earlier CT: the body's motion and a shift in mm.

    Parameters
    ----------
    grid : UprightGrid
        In the scan.
    body : ndarray, shape (4, 4)
        Scan to earlier CT.
    shift_mm : ndarray of float32, shape (3, s, a, r)
        Added to what `body` says, R, A and S in the earlier CT; held at the rim beyond the grid.
    """

    grid: UprightGrid
    body: FloatArray
    shift_mm: NDArray[np.float32]

    def to_earlier(self, points: NDArray[np.floating]) -> FloatArray:
        """Map RAS mm (..., 3) of the scan to the earlier CT."""
        index = self.grid.index(points)
        found = moved(self.body, points)
        for axis in range(3):
            found[..., axis] += ndimage.map_coordinates(
                self.shift_mm[axis], index, order=1, mode="nearest"
            )
        return found

    def covers(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether RAS points (..., 3) of the scan lie on the grid."""
        inside = (points >= self.grid.origin) & (points <= self.grid.high)
        return np.asarray(inside.all(axis=-1), dtype=np.bool_)

    def with_drift(self, drift_mm: NDArray[np.float32]) -> DisplacementField:
        """Let points drift in the scan (3, s, a, r), before they are mapped."""
        points = self.grid.points()
        there = self.to_earlier(points + np.moveaxis(drift_mm, 0, -1))
        shift = np.moveaxis(there - moved(self.body, points), -1, 0)
        return DisplacementField(self.grid, self.body, shift.astype(np.float32))


def blended_field(
    grid: UprightGrid,
    body: FloatArray,
    regions: NDArray[np.int16],
    motions: dict[int, FloatArray],
) -> DisplacementField:
    """Blend rigid motions by distance: each holds in its vertebra, all fade into the body's.

    Parameters
    ----------
    grid : UprightGrid
    body : ndarray, shape (4, 4)
    regions : ndarray of int16, shape of `grid`
        Where each vertebra lies in the scan.
    motions : dict of int to ndarray (4, 4)
        By number in `regions`.
    """
    points = grid.points()
    base = moved(body, points)
    total = np.full(grid.shape, 1.0 / _BODY_AT_MM**2)
    shift = np.zeros((3, *grid.shape))
    for number, motion in motions.items():
        mine = regions == number
        if not mine.any():
            continue
        distance = ndimage.distance_transform_edt(~mine, sampling=grid.step_mm)
        weight = 1.0 / np.maximum(distance, _CLOSE_MM / 10) ** 2
        total += weight
        shift += weight * np.moveaxis(moved(motion, points) - base, -1, 0)
    shift /= total
    return DisplacementField(grid, body, shift.astype(np.float32))
