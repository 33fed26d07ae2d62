"""The femoral heads in a CT, as spheres: bright rims of circles with the dark joint around them.

A sphere is believed only where one radius fits clearly better than all others, and where both
sides agree. Thick slices do not show the gap above a head, so that its rim is looked for across,
slice by slice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import FemoralHead, SpineModel, VertebraFrame
from spinemar.volume import CTVolume

FloatArray = NDArray[np.float64]

#: Where heads lie from the middle of the upper endplate of S1, mm: to the side, to the front, down.
_BESIDE_MM, _BEFORE_MM, _BELOW_MM = (60.0, 113.0), (-15.0, 66.0), (60.0, 150.0)
#: Radii that are tried; heads of adults have 19 to 30 (Milner and Boldsen, J Forensic Sci 2012).
_RADII_MM = np.arange(18.0, 31.1, 1.0)
_USUAL_MM = (19.0, 30.0)
_COARSE_MM, _FINE_MM = 3.0, (1.5, 0.7, 0.35)
#: So many of the coarse places are looked at closer, so far apart at least.
_PLACES, _PLACES_APART_MM = 6, 7.0
#: Bone counts so far inside of the rim, the gap so far outside; HU between limits.
_INSIDE_MM, _OUTSIDE_MM = (-1.5, -0.5, 0.0), (1.5, 2.5, 3.5)
_COUNTED_HU, _FALL_HU = (0.0, 450.0), 100.0
#: Heights at which the rim is looked at, as shares of the radius: further down lies the neck.
_HEIGHTS = np.arange(-0.4, 0.71, 0.1)
#: Heights and number of directions, at first and closer.
_ROUGH, _CLOSE = (_HEIGHTS[::2], 12), (_HEIGHTS, 48)
_LEAST_SEEN = 0.4
#: How clear a rim has to be (1 at most), and by how much clearer than one that is another head.
_LEAST_SCORE, _LEAD = 0.7, 0.04
_OTHER_RADIUS_MM, _OTHER_PLACE_MM = 2.5, 8.0
#: Both heads agree within this; further apart they are two different things.
_UNLIKE_MM, _APART_MM = 2.5, (130.0, 220.0)
_UNEVEN_MM = 30.0
#: The field has to reach so far below the middle, as a share of the radius.
_LEAST_BELOW = 0.15


@dataclass(frozen=True, eq=False)
class _Sphere:
    centre: FloatArray
    radius_mm: float
    score: float


def femoral_heads(volume: CTVolume, sacrum: VertebraFrame) -> tuple[tuple[FemoralHead, ...], str]:
    """Return both femoral heads, left before right, or none and why, as a sentence.

    Parameters
    ----------
    volume : CTVolume
    sacrum : VertebraFrame
        Of S1: heads are looked for before and below it.
    """
    plate = sacrum.endplates["superior"].point_ras
    heads = []
    for side in ("left", "right"):
        rims = _Rims.around(volume, plate, 1.0 if side == "right" else -1.0)
        if rims is None:
            return (), f"The field does not show the {side} femoral head."
        head, doubt = _head(rims, side)
        if head is None:
            return (), doubt
        heads.append(head)
    doubt = _unlike(*heads)
    return ((), doubt) if doubt else (tuple(heads), "")


def with_femoral_heads(model: SpineModel, volume: CTVolume) -> SpineModel:
    """Return the spine with its femoral heads, or with why there are none; as it is without S1."""
    sacrum = next((v for v in model.vertebrae if v.level == SACRUM), None)
    if sacrum is None:
        return model
    heads, doubt = femoral_heads(volume, sacrum)
    return replace(model, femoral_heads=heads, heads_doubt=doubt)


def _head(rims: _Rims, side: str) -> tuple[FemoralHead | None, str]:
    found = rims.by_radius()
    best = max(found, key=lambda sphere: sphere.score)
    if best.score < _LEAST_SCORE or not _USUAL_MM[0] <= best.radius_mm <= _USUAL_MM[1]:
        return None, (
            f"No {side} femoral head can be told from what is around it, or the field cuts it off."
        )
    others = [
        sphere.score
        for sphere in found
        if abs(sphere.radius_mm - best.radius_mm) > _OTHER_RADIUS_MM
        or np.linalg.norm(sphere.centre - best.centre) > _OTHER_PLACE_MM
    ]
    if best.score - max(others, default=0.0) < _LEAD:
        return None, f"Two spheres fit the {side} femoral head as well."
    residual = rims.residual_mm(best)
    return FemoralHead(side, best.centre, best.radius_mm, residual), ""


def _unlike(left: FemoralHead, right: FemoralHead) -> str:
    """Say how the heads of both sides do not belong together; "" where they do."""
    way = right.centre_ras - left.centre_ras
    if abs(left.radius_mm - right.radius_mm) > _UNLIKE_MM:
        return (
            f"The femoral heads have unlike radii, {left.radius_mm:.0f} and "
            f"{right.radius_mm:.0f} mm."
        )
    apart = float(np.linalg.norm(way))
    if not _APART_MM[0] <= apart <= _APART_MM[1] or abs(way[1:]).max() > _UNEVEN_MM:
        return "What looks like femoral heads does not lie as a pair does."
    return ""


@dataclass(frozen=True, eq=False)
class _Rims:
    """HU where one side's head may lie, on a grid of 1 mm along the patient's axes (i, j, k)."""

    hu: NDArray[np.float32]
    first_ras: FloatArray
    low: FloatArray
    high: FloatArray
    lowest_mm: float

    @classmethod
    def around(cls, volume: CTVolume, plate: FloatArray, sign: float) -> _Rims | None:
        """Read the surroundings; None where the field does not reach so far."""
        beside = sorted(sign * mm for mm in _BESIDE_MM)
        low = plate + np.array([beside[0], _BEFORE_MM[0], -_BELOW_MM[1]])
        high = plate + np.array([beside[1], _BEFORE_MM[1], -_BELOW_MM[0]])
        room = _RADII_MM[-1] + 5.0
        axes = [np.arange(a - room, b + room, 1.0) for a, b in zip(low, high, strict=True)]
        ras = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        index = np.moveaxis(volume.geometry.to_ijk(ras)[..., ::-1], -1, 0)
        hu = ndimage.map_coordinates(
            volume.hu, index, output=np.float32, order=1, mode="constant", cval=np.nan
        )
        seen = np.isfinite(hu)
        heights = axes[2][seen.any(axis=(0, 1))]
        if seen.mean() < 0.2 or heights[0] > high[2] - _RADII_MM[0]:
            return None
        return cls(np.clip(hu, *_COUNTED_HU), ras[0, 0, 0], low, high, float(heights[0]))

    def by_radius(self) -> list[_Sphere]:
        """Return the clearest spheres of every radius, a few places each."""
        axes = [np.arange(a, b + 0.1, _COARSE_MM) for a, b in zip(self.low, self.high, strict=True)]
        centres = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        found = []
        for radius in _RADII_MM:
            scores = self._scores(centres, radius, _ROUGH)
            starts: list[FloatArray] = []
            for n in np.argsort(-scores)[:400]:
                apart = [np.linalg.norm(centres[n] - start) for start in starts]
                if min(apart, default=np.inf) > _PLACES_APART_MM:
                    starts.append(centres[n])
                if len(starts) == _PLACES:
                    break
            found += [self._refined(start, float(radius)) for start in starts]
        return found

    def _refined(self, centre: FloatArray, radius: float) -> _Sphere:
        """Move a sphere to where its rim is clearest nearby."""
        score = -1.0
        for step in _FINE_MM:
            around = np.stack(np.meshgrid(*[np.arange(-1, 2) * step] * 3), -1).reshape(-1, 3)
            near = centre + around
            scores = self._scores(near, radius, _CLOSE)
            centre, score = near[int(scores.argmax())], float(scores.max())
        return _Sphere(centre, radius, score)

    def _scores(
        self, centres: FloatArray, radius: float, look: tuple[FloatArray, int]
    ) -> FloatArray:
        """How clear the rims of spheres around centres (n, 3) are, -1 to 1."""
        inside = self._shells(centres, radius, look, _INSIDE_MM).max(axis=0)
        outside = self._shells(centres, radius, look, _OUTSIDE_MM).min(axis=0)
        fall = np.tanh((inside - outside) / _FALL_HU)
        seen = np.isfinite(fall)
        total = np.where(seen, fall, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        # What the field cuts below its middle could be as large as one likes.
        whole = centres[:, 2] - _LEAST_BELOW * radius >= self.lowest_mm
        return np.where(whole & (seen.mean(axis=1) >= _LEAST_SEEN), total, -1.0)

    def _shells(
        self,
        centres: FloatArray,
        radius: float,
        look: tuple[FloatArray, int],
        offsets: tuple[float, ...],
    ) -> NDArray[np.float32]:
        """HU around the circles that slices cut out of a sphere, (offsets, centres, points)."""
        way, ring = _circles(radius, *look)
        strides = np.array([self.hu.shape[1] * self.hu.shape[2], self.hu.shape[2], 1])
        # Whole voxels from whole voxels: sums of places in memory, many times faster.
        start = np.rint(centres - self.first_ras).astype(np.intp) @ strides
        aside = centres - self.first_ras - np.rint(centres - self.first_ras)
        alike = not aside.any()
        flat, shells = self.hu.ravel(), []
        for offset in offsets:
            points = way + offset * ring
            if alike:
                places = start[:, None] + np.rint(points).astype(np.intp) @ strides
            else:
                moved = np.rint(points + aside[:, None]).astype(np.intp)
                places = start[:, None] + moved @ strides
            shells.append(flat[places])
        return np.stack(shells)

    def residual_mm(self, sphere: _Sphere) -> float:
        """How far the steepest falls of HU lie off the sphere, the clearer half of them (RMS)."""
        offsets = tuple(np.arange(-4.0, 4.1, 0.5).tolist())
        hu = self._shells(sphere.centre[None], sphere.radius_mm, _CLOSE, offsets)[:, 0]
        fall = np.nan_to_num(hu[:-2] - hu[2:], nan=-1.0)
        place = np.array(offsets)[1:-1][fall.argmax(axis=0)]
        clear = fall.max(axis=0) >= np.median(fall.max(axis=0))
        return float(np.sqrt(np.mean(place[clear] ** 2)))


def _circles(radius: float, heights: FloatArray, angles: int) -> tuple[FloatArray, FloatArray]:
    """Points of a sphere in slices across it, from its middle, and the ways outwards in them."""
    turn = np.arange(angles) * (2 * np.pi / angles)
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros(angles)], axis=1)
    around = np.broadcast_to(ring, (len(heights), angles, 3))
    across = radius * np.sqrt(1.0 - heights**2)
    points = across[:, None, None] * around + radius * heights[:, None, None] * [0.0, 0.0, 1.0]
    return points.reshape(-1, 3), around.reshape(-1, 3)
