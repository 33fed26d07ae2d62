"""Endplates on both sides of every disc, as smooth surfaces over the column's cross-section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.segmentation.column import ColumnWall
from spinemar.spine.straightening.straight import StraightSpine, sample

_REACH = 18
_FRONT, _RIGHT = np.meshgrid(np.arange(-14, 15, 2.0), np.arange(-18, 19, 2.0), indexing="ij")
_EDGE_HU = 40.0
_PEAK_HU = 60.0
_OFFSETS = np.arange(-9, 9.1, 0.5)
_THINNEST, _THICKEST = 1.5, 13.0
#: Surfaces are not trusted beyond the cross-section they were fitted on, mm.
_FITTED_FRONT, _FITTED_RIGHT = 16.0, 22.0


@dataclass(frozen=True)
class DiscSurfaces:
    """The two endplates that face one disc.

    Parameters
    ----------
    below, above : ndarray, shape (6,)
        s = c0 + c1 f + c2 r + c3 f^2 + c4 r^2 + c5 f r over front f and right r from the
        column's middle, mm: the top of the vertebra below and the bottom of the one above.
    score : float
        Contrast of both endplates, about 0 (not seen) to 3.
    """

    below: NDArray[np.float64]
    above: NDArray[np.float64]
    score: float

    def height(
        self, which: str, front: NDArray[np.float64], right: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Place s of the endplate "below" or "above" the disc, over (front, right)."""
        c = self.below if which == "below" else self.above
        f = np.clip(front, -_FITTED_FRONT, _FITTED_FRONT)
        r = np.clip(right, -_FITTED_RIGHT, _FITTED_RIGHT)
        result: NDArray[np.float64] = (
            c[0] + c[1] * f + c[2] * r + c[3] * f * f + c[4] * r * r + c[5] * f * r
        )
        return result


def fit_endplates(
    spine: StraightSpine,
    wall: ColumnWall,
    boundaries: NDArray[np.intp],
    disc: NDArray[np.float64],
    disc_tilt: NDArray[np.float64],
) -> list[DiscSurfaces]:
    """Fit both endplates of every disc.

    Parameters
    ----------
    spine, wall
        As found.
    boundaries : ndarray of int, shape (discs,)
        Disc centres.
    disc, disc_tilt : ndarray of float64, shape (slices,)
        From `profiles.Profiles`.
    """
    smooth = np.clip(ndimage.gaussian_filter(spine.hu, (0.6, 1.0, 1.0)), -50, 450)
    lengths = np.diff(boundaries).astype(np.float64)
    surfaces = []
    for number, centre in enumerate(boundaries):
        low, high = max(number - 1, 0), min(number, len(lengths) - 1)
        usual = float(np.clip(0.16 * (lengths[low] + lengths[high]) / 2 - 0.3, 2.5, 9))
        tilt = disc_tilt[centre] * np.clip(disc[centre], 0, 0.8)
        columns = _Columns.around(spine, smooth, wall, int(centre))
        surfaces.append(_fit_disc(columns, float(centre), usual, tilt))
    return surfaces


@dataclass(frozen=True)
class _Columns:
    """Values and slopes along s in columns through one disc.

    Parameters
    ----------
    front, right : ndarray, shape (columns,)
    values, slopes : ndarray, shape (columns, 2 * _REACH + 1)
    """

    front: NDArray[np.float64]
    right: NDArray[np.float64]
    values: NDArray[np.float32]
    slopes: NDArray[np.float32]

    @classmethod
    def around(
        cls, spine: StraightSpine, smooth: NDArray[np.float32], wall: ColumnWall, centre: int
    ) -> _Columns:
        near = np.arange(max(centre - 3, 0), min(centre + 4, len(spine)))
        limit = wall.radius_at(near[:, None, None], _FRONT, _RIGHT).mean(axis=0)
        inside = np.hypot(_FRONT, _RIGHT) < limit - 2.0
        front, right = _FRONT[inside], _RIGHT[inside]
        s = np.clip(np.arange(centre - _REACH, centre + _REACH + 1), 0, len(spine) - 1)
        a = wall.middle[s][None] + front[:, None] - spine.anterior[0]
        r = right[:, None] - spine.right[0]
        values = sample(smooth, s[None].astype(np.float64), a, r)
        slopes = ndimage.gaussian_filter1d(values, 0.9, axis=1, order=1)
        return cls(front, right, values, np.clip(slopes, -60, 60) / _EDGE_HU)

    def read(self, array: NDArray[np.float32], offset: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of each column at offsets (columns, m) from the disc's centre, mm."""
        place = np.clip(offset + _REACH, 0, 2 * _REACH - 0.001)
        low = place.astype(np.intp)
        part = place - low
        rows = np.arange(len(self.front))[:, None]
        result: NDArray[np.float64] = array[rows, low] * (1 - part) + array[rows, low + 1] * part
        return result


def _fit_disc(
    columns: _Columns, centre: float, usual: float, tilt: NDArray[np.float64]
) -> DiscSurfaces:
    if len(columns.front) < 10:
        flat = np.array([centre, 0, 0, 0, 0, 0])
        half = np.array([usual / 2, 0, 0, 0, 0, 0])
        return DiscSurfaces(flat - half, flat + half, 0.0)
    score, forward, sideways, low, high = _best_planes(columns, usual, tilt)
    below = _refine(columns, np.array([low, forward, sideways]), -1.0)
    above = _refine(columns, np.array([high, forward, sideways]), 1.0)
    below[0] += centre
    above[0] += centre
    return DiscSurfaces(below, above, score)


def _best_planes(
    columns: _Columns, usual: float, tilt: NDArray[np.float64]
) -> tuple[float, float, float, float, float]:
    """Two parallel planes: score, their slopes to front and right, and their offsets."""
    low, high = np.meshgrid(_OFFSETS, _OFFSETS, indexing="ij")
    thickness = high - low
    likely = -0.02 * (thickness - usual) ** 2 - 0.03 * ((low + high) / 2) ** 2
    likely[(thickness < _THINNEST) | (thickness > _THICKEST)] = -np.inf
    cancellous = float(np.median(columns.values))
    best = (-np.inf, 0.0, 0.0, -usual / 2, usual / 2)
    for forward in np.tan(np.radians(np.arange(-24, 25, 3))):
        for sideways in np.tan(np.radians(np.arange(-15, 16, 3))):
            shift = (forward * columns.front + sideways * columns.right)[:, None]
            slope = columns.read(columns.slopes, _OFFSETS + shift).mean(axis=0)
            value = columns.read(columns.values, _OFFSETS + shift).mean(axis=0)
            # Bright endplates on both sides; the wrong edge has none on one side.
            outer = np.minimum(
                np.interp(_OFFSETS - 1.5, _OFFSETS, value)[:, None],
                np.interp(_OFFSETS + 1.5, _OFFSETS, value)[None],
            )
            total = slope[None] - slope[:, None] + np.tanh((outer - cancellous) / _PEAK_HU)
            total += likely - 2.0 * ((forward - tilt[0]) ** 2 + 1.5 * (sideways - tilt[1]) ** 2)
            at = int(total.argmax())
            if total.flat[at] > best[0]:
                edges = float(low.flat[at]), float(high.flat[at])
                best = (float(total.flat[at]), float(forward), float(sideways), *edges)
    return best


def _refine(columns: _Columns, plane: NDArray[np.float64], sign: float) -> NDArray[np.float64]:
    """Let a plane follow its edge as a stiff quadratic surface, shape (6,)."""
    f, r = columns.front, columns.right
    design = np.stack([np.ones_like(f), f, r, f * f, r * r, f * r], axis=1)
    surface = np.concatenate([plane, np.zeros(3)])
    start = surface.copy()
    stiff = np.diag([2.0, 480.0, 480.0, 3e4, 3e4, 3e4])
    offsets = np.arange(-2.5, 2.6, 0.5)
    for _ in range(4):
        here = design @ surface
        edge = np.clip(sign * columns.read(columns.slopes, here[:, None] + offsets), 0, None)
        weight = edge**2 * np.exp(-0.5 * (offsets / 1.5) ** 2)
        total = weight.sum(axis=1)
        target = here + (weight * offsets).sum(axis=1) / np.maximum(total, 1e-6)
        trust = np.minimum(total, 3.0)[:, None]
        normal = design.T @ (trust * design) + stiff
        right = design.T @ (trust[:, 0] * (target - design @ start))
        surface = start + np.linalg.solve(normal, right)
    return surface


def body_labels(
    spine: StraightSpine, wall: ColumnWall, discs: list[DiscSurfaces]
) -> NDArray[np.int16]:
    """Label bodies in the straightened spine (s, a, r): 1 lowest, then up, 0 elsewhere."""
    inside = wall.inside(spine)
    labels = np.zeros(inside.shape, np.int16)
    s = np.arange(len(spine), dtype=np.float64)[:, None, None]
    front = spine.anterior[None, :, None] - wall.middle[:, None, None]
    right = spine.right[None, None, :]
    # An end vertebra is no longer than its neighbour, however far the volume goes on.
    lowest = discs[0].below[0] - (discs[1].below[0] - discs[0].below[0])
    highest = discs[-1].above[0] + (discs[-1].above[0] - discs[-2].above[0])
    for number in range(len(discs) + 1):
        low, high = max(int(lowest), 0), min(int(highest), len(spine))
        if number > 0:
            low = max(int(discs[number - 1].below[0]) - 16, 0)
        if number < len(discs):
            high = min(int(discs[number].below[0]) + 17, len(spine))
        part = slice(low, max(high, low))
        mask = inside[part].copy()
        if number > 0:
            disc = discs[number - 1]
            bottom = disc.height("below", front[part], right) + _THINNEST
            mask &= s[part] >= np.maximum(disc.height("above", front[part], right), bottom)
        if number < len(discs):
            mask &= s[part] <= discs[number].height("below", front[part], right)
        labels[part][mask] = number + 1
    return labels
