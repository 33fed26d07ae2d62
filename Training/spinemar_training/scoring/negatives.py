"""Slices that a correction should leave alone, for fitting the gate and for showing what it does.

Each is a clean slice of a patient with a mask, or with something bright that is no source of
artifacts: what users load by mistake, what lies in patients beside metal, and metal whose
artifact somebody else has removed already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.io.hounsfield import MASK_THRESHOLD_HU
from spinemar.mar.segmentation.body import find_body
from spinemar.volume import CTVolume

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

KINDS = (
    "bone mask",
    "muscle mask",
    "gas mask",
    "cement",
    "contrast",
    "teeth",
    "no artifact",
    "mild",
)


@dataclass(frozen=True)
class Negative:
    """Three equal slices, their mask, and what they should look like afterwards.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    scan, truth : CTVolume
    metal : ndarray of bool, shape of the scan
    """

    kind: str
    scan: CTVolume
    truth: CTVolume
    metal: Mask


def make_negatives(volume: CTVolume, seed: int, per_kind: int) -> Iterator[Negative]:
    """Make `per_kind` negatives of each kind from the slices of a patient without metal.

    Parameters
    ----------
    volume : CTVolume
        Axial slices stacked along the first axis, rows and columns of one spacing.
    seed : int
    per_kind : int
    """
    rng = np.random.default_rng(seed)
    pixel = float(volume.spacing_mm[0])
    for kind in KINDS:
        made = 0
        for _ in range(50 * per_kind):
            k = int(rng.choice(len(volume.hu)))
            found = _MAKERS[kind](volume.hu[k], pixel, rng)
            if found is None:
                continue
            before, after, mask = found
            scan, truth = (np.clip(np.rint(x), -1024, 3071) for x in (before, after))
            yield Negative(
                kind,
                CTVolume(np.repeat(scan[None], 3, 0).astype(np.float32), volume.ijk_to_ras),
                CTVolume(np.repeat(truth[None], 3, 0).astype(np.float32), volume.ijk_to_ras),
                np.repeat(mask[None], 3, 0),
            )
            made += 1
            if made == per_kind:
                break


_Found = tuple[Float, Float, Mask] | None
_Maker = Callable[[Float, float, np.random.Generator], _Found]


def _shape(
    size: tuple[int, int], place: NDArray[np.intp], pixel: float, rng: np.random.Generator
) -> Mask:
    """Two bodies like the shafts of screws, about a place."""
    y, x = np.mgrid[: size[0], : size[1]]
    mask = np.zeros(size, dtype=np.bool_)
    for side in (-1, 1):
        angle = side * rng.uniform(0.2, 0.5) + np.pi / 2
        dy, dx = (y - place[0]) * pixel, (x - place[1]) * pixel - side * rng.uniform(8, 14)
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = -dx * np.sin(angle) + dy * np.cos(angle)
        mask |= (np.abs(along) < rng.uniform(8, 20)) & (np.abs(across) < rng.uniform(2, 3.2))
    return mask


def _place(where: Mask, rng: np.random.Generator) -> NDArray[np.intp] | None:
    spots = np.argwhere(where)
    if len(spots) < 50:
        return None
    return np.asarray(spots[int(rng.integers(len(spots)))])


def _inner(hu: Float, pixel: float) -> Mask:
    deep: Mask = find_body(hu, (pixel, pixel)).depth_mm > 30.0
    return deep


def _wrong_mask(low: float, high: float) -> _Maker:
    def make(hu: Float, pixel: float, rng: np.random.Generator) -> _Found:
        calm = ndimage.gaussian_filter(hu, 2.0 / pixel)
        place = _place((calm > low) & (calm < high) & _inner(hu, pixel), rng)
        return None if place is None else (hu, hu, _shape(hu.shape, place, pixel, rng))

    return make


def _blob(hu: Float, place: NDArray[np.intp], pixel: float, rng: np.random.Generator) -> Float:
    """Draw an irregular body of 8 to 25 mm, 0 to 1, soft at its edge."""
    y, x = np.mgrid[: hu.shape[0], : hu.shape[1]]
    reach = np.hypot(y - place[0], x - place[1]) * pixel
    rough = ndimage.gaussian_filter(rng.normal(size=hu.shape), 3.0 / pixel)
    rough /= max(float(np.abs(rough).max()), 1e-6)
    inside = (reach + 6.0 * rough < rng.uniform(4, 12)).astype(np.float32)
    return np.asarray(ndimage.gaussian_filter(inside, rng.uniform(0.5, 1.2) / pixel), np.float32)


def _painted(low: float, high: float, where_hu: tuple[float, float], threshold: float) -> _Maker:
    """Something dense without any artifact, taken for metal by a threshold."""

    def make(hu: Float, pixel: float, rng: np.random.Generator) -> _Found:
        calm = ndimage.gaussian_filter(hu, 2.0 / pixel)
        where = (calm > where_hu[0]) & (calm < where_hu[1]) & _inner(hu, pixel)
        place = _place(where, rng)
        if place is None:
            return None
        share = _blob(hu, place, pixel, rng)
        dense = hu + share * np.float32(rng.uniform(low, high))
        mask = (dense >= threshold) & (share > 0.3)
        return (dense, dense, mask) if mask.sum() > 20 else None

    return make


def _screws(streak_hu: float) -> _Maker:
    """Metal as another reduction leaves it: bright, with faint streaks or none."""

    def make(hu: Float, pixel: float, rng: np.random.Generator) -> _Found:
        calm = ndimage.gaussian_filter(hu, 2.0 / pixel)
        place = _place((calm > 100) & (calm < 600) & _inner(hu, pixel), rng)
        if place is None:
            return None
        metal = _shape(hu.shape, place, pixel, rng)
        share = ndimage.gaussian_filter(metal.astype(np.float32), 0.45 / pixel)
        clean = np.minimum(hu + share * np.float32(8000), 3071)
        y, x = np.mgrid[: hu.shape[0], : hu.shape[1]]
        angle = np.arctan2(y - place[0], x - place[1])
        away = np.hypot(y - place[0], x - place[1]) * pixel
        amplitude = streak_hu * rng.uniform(0.5, 1.5)
        streak = amplitude * np.cos(rng.integers(4, 12) * angle) * np.exp(-away / 40)
        return clean + streak.astype(np.float32), clean, clean >= MASK_THRESHOLD_HU

    return make


_MAKERS: dict[str, _Maker] = {
    "bone mask": _wrong_mask(200, 1500),
    "muscle mask": _wrong_mask(0, 100),
    "gas mask": _wrong_mask(-1000, -600),
    "cement": _painted(900, 2200, (100, 700), 1000),
    "contrast": _painted(800, 2600, (-150, 150), 900),
    "teeth": _painted(2000, 3000, (100, 1500), 2200),
    "no artifact": _screws(0.0),
    "mild": _screws(8.0),
}
