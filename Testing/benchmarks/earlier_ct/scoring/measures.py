"""What one picture of a pair is worth: error, bone, findings, ghosts, registration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.evaluation.metrics import bone_dice, hu_bias
from spinemar.evaluation.regions import TISSUES_HU, slice_regions, with_margin
from spinemar.evaluation.seen import METAL_SHARES, seen_scores, with_metal
from spinemar.mar.earlier import EarlierUse
from spinemar.registration.motions import moved
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import CTVolume
from Testing.benchmarks.earlier_ct.making.pair import Pair

RINGS_MM = ((2.0, 5.0), (5.0, 10.0), (10.0, 20.0))
"""Distances from the true metal, in the plane."""
BESIDE_MM = 20.0
_SURROUND_MM, _LEAST_VOXELS, _LEAST_SHARE = 4.0, 12, 0.2
_MOST_POINTS = 6000

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Places:
    """Where a pair is measured: slices with metal alone, shape (slices, rows, columns).

    Parameters
    ----------
    slices : list of int
    near, clear : ndarray of bool
        Scored pixels within 20 mm of the true metal; pixels farther than 2 px from it.
    distance_mm : ndarray
        From the true metal, in the plane.
    """

    slices: list[int]
    near: Mask
    clear: Mask
    distance_mm: NDArray[np.floating]


def places(pair: Pair) -> Places:
    """Find where a pair is measured."""
    slices = with_metal(pair.metal_fraction)
    column_mm, row_mm, _ = pair.truth.spacing_mm
    near, clear, distance = [], [], []
    for k in slices:
        metal = pair.metal_fraction[k] >= METAL_SHARES[0]
        near.append(slice_regions(pair.truth.hu[k], metal, (row_mm, column_mm)).near)
        clear.append(~with_margin(metal))
        distance.append(ndimage.distance_transform_edt(~metal, sampling=(row_mm, column_mm)))
    return Places(slices, np.stack(near), np.stack(clear), np.stack(distance))


def picture_scores(
    pair: Pair, where: Places, picture: CTVolume, mask: Mask | None, put_back: Mask | None = None
) -> dict[str, Any]:
    """Score a picture of a pair's scan; HU, shares, and sums that pool over pairs.

    Parameters
    ----------
    pair : Pair
    where : Places
        Of `places`.
    picture : CTVolume
    mask, put_back : ndarray of bool, shape of the scan, optional
        The correction's generous mask, and where it put the scan back as metal: findings and
        ghosts are looked for farther than 2 px from that, since its edge outshines them.
    """
    half, faint = seen_scores(
        pair.truth, picture, pair.metal_fraction, mask, body=pair.body, slices=where.slices
    )
    truth, shown = pair.truth.hu[where.slices], picture.hu[where.slices]
    low, high = TISSUES_HU["cortical bone"]
    cortex = where.near & (truth >= low) & (truth <= high)
    error, clear = shown - truth, where.clear
    if put_back is not None:
        clear = clear & ~np.stack([with_margin(put_back[k]) for k in where.slices])
    return {
        "rmse_hu": half.rmse_hu,
        "rmse_near_hu": half.rmse_near_hu,
        "rmse_near_faint_out_hu": faint.rmse_near_hu,
        "rmse_outside_masks_hu": half.rmse_outside_masks_hu,
        "rmse_near_outside_masks_hu": half.rmse_near_outside_masks_hu,
        "cortical_bias_hu": hu_bias(truth, shown, cortex),
        "bone_dice_near": bone_dice(truth, shown, where.near),
        "findings": _findings(pair, where, clear, error),
        "ghosts": _ghosts(pair, where, clear, error),
    }


def _findings(
    pair: Pair, where: Places, clear: Mask, error: NDArray[np.float32]
) -> list[dict[str, Any]]:
    """Share of each finding's contrast that is kept: 1 all of it, 0 none."""
    found = []
    for one in pair.findings:
        contrast = one.contrast[where.slices]
        most = float(np.abs(contrast).max())
        core = (np.abs(contrast) > _LEAST_SHARE * most) & clear
        if most == 0 or np.count_nonzero(core) < _LEAST_VOXELS:
            continue
        part, whole = _correlated(error, contrast, _around(pair, core) & clear)
        found.append(
            {
                "kind": one.kind,
                "new": one.new,
                "kept": 1.0 + part / whole,
                "distance_mm": float(np.median(where.distance_mm[core])),
            }
        )
    return found


def _ghosts(
    pair: Pair, where: Places, clear: Mask, error: NDArray[np.float32]
) -> list[dict[str, Any]]:
    """Removed bone that is painted back, ring by ring: sums whose ratio is the share of it."""
    gone = pair.removed[where.slices]
    if not gone.any():
        return []
    window = _around(pair, gone > 100.0) & clear
    rings = []
    for low, high in RINGS_MM:
        here = window & (where.distance_mm > low) & (where.distance_mm <= high)
        if np.count_nonzero(here & (gone > 100.0)) < _LEAST_VOXELS:
            continue
        part, whole = _correlated(error, gone, here)
        rings.append({"from_mm": low, "to_mm": high, "part": part, "whole": whole})
    return rings


def _around(pair: Pair, core: Mask) -> Mask:
    column_mm, row_mm, _ = pair.truth.spacing_mm
    return np.stack(
        [
            ndimage.distance_transform_edt(~one, sampling=(row_mm, column_mm)) <= _SURROUND_MM
            if one.any()
            else np.zeros(one.shape, bool)
            for one in core
        ]
    )


def _correlated(
    error: NDArray[np.float32], template: NDArray[np.float32], window: Mask
) -> tuple[float, float]:
    """Numerator and denominator of the template's share in the error, both freed of means."""
    wanted = template[window].astype(np.float64)
    wanted -= wanted.mean()
    return float(wanted @ error[window].astype(np.float64)), float(wanted @ wanted)


def registration_errors(pair: Pair, where: Places, use: EarlierUse) -> dict[str, Any]:
    """Target registration error of bone within 20 mm of metal, mm: all of it, and by vertebra."""
    labels = pair.labels[where.slices]
    beside = (labels > 0) & (where.distance_mm <= BESIDE_MM) & where.clear
    beside &= pair.removed[where.slices] == 0
    k, j, i = np.nonzero(beside)
    chosen = np.random.default_rng(0).permutation(len(k))[:_MOST_POINTS]
    k, j, i = k[chosen], j[chosen], i[chosen]
    at = np.array(where.slices)[k]
    points = pair.truth.geometry.to_ras(np.stack([i, j, at], axis=-1).astype(float))
    motions = {one.level: one.scan_to_earlier for one in use.registration.vertebrae}
    levels = {number: level for level, number in VERSE_IDS.items()}
    errors, by_level = np.zeros(len(points)), {}
    for number in np.unique(labels[beside]):
        mine = labels[k, j, i] == number
        level = _their_level(use, (at[mine], j[mine], i[mine]), levels[int(number)], levels)
        motion = motions.get(level, use.registration.scan_to_earlier)
        there = pair.posture.to_later(moved(motion, points[mine]))
        errors[mine] = np.linalg.norm(there - points[mine], axis=-1)
        found = next((m.found for m in use.registration.vertebrae if m.level == level), "body")
        by_level[levels[int(number)]] = {"mean_mm": float(errors[mine].mean()), "found": found}
    return {
        "mean_mm": float(errors.mean()),
        "p95_mm": float(np.percentile(errors, 95)),
        "within_1_5_mm": float((errors <= 1.5).mean()),
        "by_level": by_level,
        "likeness": use.registration.likeness,
        "warnings": list(use.registration.warnings),
    }


def _their_level(use: EarlierUse, at: tuple[Any, ...], true: str, levels: dict[int, str]) -> str:
    """How the correction names a vertebra: its numbering may differ by a level."""
    if use.labels is None:
        return true
    named = use.labels.labels[at]
    named = named[named > 0]
    return levels[int(np.bincount(named).argmax())] if len(named) else true
