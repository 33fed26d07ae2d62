"""The column of bodies and discs in the straightened spine: its wall, seen from its middle.

In every slice the wall is a closed curve around the column's middle, found by dynamic programming
along each direction and around each slice in turn. Where pedicles leave the bodies there is no
edge; there the wall follows its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.straightening.straight import StraightSpine

_RAYS = 48
_RADII = np.arange(6, 36, 0.5)
_EDGE_HU_PER_MM = 60.0
_STIFFNESS = 0.06
_ROUNDS = 4


@dataclass(frozen=True)
class ColumnWall:
    """The column's wall.

    Parameters
    ----------
    middle : ndarray, shape (n,)
        Anterior coordinate of the column's middle, mm (its right coordinate is 0).
    radius : ndarray, shape (n, rays)
        Distance of the wall from the middle, mm.
    angles : ndarray, shape (rays,)
        0 to the right, pi/2 to the front.
    """

    middle: NDArray[np.float64]
    radius: NDArray[np.float64]
    angles: NDArray[np.float64]

    def radius_at(
        self, s: NDArray[np.intp], front: NDArray[np.float64], right: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Radius of the wall in the direction (front, right) from the middle (broadcast)."""
        turn = np.mod(np.arctan2(front, right), 2 * np.pi) / (2 * np.pi) * len(self.angles)
        low = np.floor(turn).astype(np.intp) % len(self.angles)
        part = turn - np.floor(turn)
        high = (low + 1) % len(self.angles)
        result: NDArray[np.float64] = self.radius[s, low] * (1 - part) + self.radius[s, high] * part
        return result

    def with_margin(self, margin: int) -> ColumnWall:
        """Continue the wall straight on by `margin` at both ends."""
        ends = (margin, margin)
        middle = np.pad(self.middle, ends, mode="edge")
        return ColumnWall(middle, np.pad(self.radius, (ends, (0, 0)), mode="edge"), self.angles)

    def inside(self, spine: StraightSpine, grow_mm: float = 0.0) -> NDArray[np.bool_]:
        """Voxels of the straightened spine within the wall, grown by `grow_mm`."""
        result = np.zeros(spine.hu.shape, bool)
        right = spine.right[None, :]
        for s in range(len(spine)):
            front = (spine.anterior - self.middle[s])[:, None]
            limit = self.radius_at(np.array(s, dtype=np.intp), front, right)
            result[s] = np.hypot(front, right) < limit + grow_mm
        return result


def column_wall(
    spine: StraightSpine, posterior_mm: NDArray[np.float64], boundaries: NDArray[np.intp]
) -> ColumnWall:
    """Find the column's wall.

    Parameters
    ----------
    spine : StraightSpine
    posterior_mm : ndarray, shape (n,)
        Anterior coordinate of the bodies' posterior wall.
    boundaries : ndarray of int
        Disc centres; their distance tells how large a body to expect.
    """
    n = len(spine)
    s = np.arange(n)
    if len(boundaries) > 1:
        middles = (boundaries[:-1] + boundaries[1:]) / 2
        length = np.interp(s, middles, np.diff(boundaries).astype(np.float64))
    else:
        length = np.full(n, 27.0)
    half_depth = np.clip(0.36 * length + 3.0, 9, 17)
    middle = posterior_mm + half_depth
    angles = np.arange(_RAYS) * 2 * np.pi / _RAYS
    edge = _edges(spine, middle, angles)
    wide = 1.28 * half_depth[:, None]
    expected = 1 / np.hypot(np.cos(angles) / wide, np.sin(angles) / half_depth[:, None])
    degrees = np.degrees(angles)
    pedicles = (np.abs(degrees - 225) < 22) | (np.abs(degrees - 315) < 22)
    edge[:, pedicles] = 0
    likely = edge - 0.125 * ((_RADII - expected[..., None]) / 5.0) ** 2
    radius: NDArray[np.float64] | None = None
    for turn in range(_ROUNDS):
        pull = 0.02 * (0.5 + 0.5 * turn)
        toward = 0.0 if radius is None else pull * ((_RADII - radius[..., None]) / 0.5) ** 2
        along = _RADII[_lines(np.moveaxis(likely - toward, 1, 0))].T
        along = ndimage.gaussian_filter1d(along, 1.0, axis=0, mode="nearest")
        toward = pull * ((_RADII - along[..., None]) / 0.5) ** 2
        radius = _RADII[_lines(likely - toward, closed=True)]
        radius = ndimage.gaussian_filter1d(radius, 0.8, axis=1, mode="wrap")
        usual = ndimage.gaussian_filter(radius, (6, 1.5), mode=("nearest", "wrap"))
        likely = edge - 0.125 * ((_RADII - usual[..., None]) / 3.5) ** 2
    assert radius is not None
    return ColumnWall(middle, radius, angles)


def _edges(
    spine: StraightSpine, middle: NDArray[np.float64], angles: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fall of density outwards along each ray, 0 to 2, shape (n, rays, radii)."""
    smooth = np.clip(ndimage.gaussian_filter(spine.hu, (0.8, 0.6, 0.6)), 0, 350)
    view = StraightSpine(spine.frame, smooth, spine.anterior, spine.right)
    s = np.arange(len(spine), dtype=np.float64)[:, None, None]
    front = middle[:, None, None] + _RADII * np.sin(angles)[:, None]
    values = view.at(s, front, _RADII * np.cos(angles)[:, None] + 0 * s)
    fall = -ndimage.gaussian_filter1d(values, 1.0, axis=2, order=1) / 0.5
    result: NDArray[np.float64] = np.clip(fall / _EDGE_HU_PER_MM, 0, 2).astype(np.float64)
    return result


def _lines(score: NDArray[np.float64], closed: bool = False) -> NDArray[np.intp]:
    """Best path through each line of a score (lines, steps, levels): Viterbi, steps of 2."""
    if closed:
        lap = min(score.shape[1], 12)
        score = np.concatenate([score[:, -lap:], score, score[:, :lap]], axis=1)
    lines, steps, levels = score.shape
    total = score[:, 0].copy()
    back = np.zeros((steps, lines, levels), np.int8)
    for step in range(1, steps):
        padded = np.pad(total, ((0, 0), (2, 2)), constant_values=-np.inf)
        best = np.full((lines, levels), -np.inf)
        for jump in range(-2, 3):
            moved = padded[:, 2 + jump : 2 + jump + levels] - _STIFFNESS * jump**2
            better = moved > best
            best[better] = moved[better]
            back[step][better] = jump
        total = best + score[:, step]
    path = np.zeros((lines, steps), np.intp)
    path[:, -1] = total.argmax(axis=1)
    for step in range(steps - 1, 0, -1):
        here = path[:, step][:, None]
        path[:, step - 1] = path[:, step] + np.take_along_axis(back[step], here, axis=1)[:, 0]
    return path[:, lap:-lap] if closed else path
