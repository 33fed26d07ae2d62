"""The eight quantities of one slice, before they become scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.evaluation import metrics
from spinemar.evaluation.aapm.proton import beam_ranges_mm
from spinemar.evaluation.aapm.regions import CardRegions, Image, Region

BONE_HU = 150.0
_METAL_MARGIN_HU = 250.0
_EDGE_PERCENTILE = 90.0
_STREAK_SHARE = 0.05


@dataclass(frozen=True)
class Measures:
    """Quantities of one picture of a slice; NaN where a region is empty.

    Parameters
    ----------
    rmse_hu : float
        In the body outside the true metal.
    noise_hu : float
        Standard deviation in the noise circle.
    bone_edge, fat_edge : float
        90th percentile of the Sobel gradient where soft tissue meets bone, and fat; HU.
    streak_hu : float
        Mean of the 5 % highest errors less that of the 5 % lowest.
    ssim : float
        In the body outside the true metal, range 5000 HU.
    bone_change, metal_change : float
        |volume - true volume| / true volume of bone (above 150 HU) and of metal (above the
        brightest tissue near the metal and 250 HU more).
    bone_dice, metal_dice : float
    range_shift_mm, range_shift : float
        Mean difference of proton ranges, and its share of the largest range.
    """

    rmse_hu: float
    noise_hu: float
    bone_edge: float
    fat_edge: float
    streak_hu: float
    ssim: float
    bone_change: float
    bone_dice: float
    metal_change: float
    metal_dice: float
    range_shift_mm: float
    range_shift: float


def measure(
    truth: Image, picture: Image, regions: CardRegions, pixel_mm: tuple[float, float]
) -> Measures:
    """Measure one picture of a slice against the truth; arrays (rows, columns), HU."""
    patient, metal = regions.patient, regions.metal
    similarity = metrics.ssim_map(truth, picture, ~metal)
    bone = overlap(truth > BONE_HU, picture > BONE_HU, patient)
    drawn = picture > metal_threshold_hu(truth, regions)
    # The truth holds no metal: what is metal in it is known otherwise.
    metal_scores = overlap(metal, drawn, regions.around_metal | metal)
    shift, share = _range_shift(truth, picture, regions, pixel_mm)
    return Measures(
        rmse_hu=metrics.rmse_hu(truth, picture, patient),
        noise_hu=float(np.std(picture[regions.noise])) if regions.noise.any() else float("nan"),
        bone_edge=edge(picture, regions.bone_edges),
        fat_edge=edge(picture, regions.fat_edges),
        streak_hu=streaks(truth, picture, regions.streaks),
        ssim=float(similarity[patient].mean(dtype=np.float64)) if patient.any() else float("nan"),
        bone_change=bone[0],
        bone_dice=bone[1],
        metal_change=metal_scores[0],
        metal_dice=metal_scores[1],
        range_shift_mm=shift,
        range_shift=share,
    )


def edge(picture: NDArray[np.floating], region: Region) -> float:
    """90th percentile of the Sobel gradient over a region of a picture (rows, columns), HU."""
    if not region.any():
        return float("nan")
    steep = np.hypot(*(ndimage.sobel(picture.astype(np.float64), axis) for axis in (0, 1)))
    return float(np.percentile(steep[region], _EDGE_PERCENTILE))


def streaks(truth: Image, picture: Image, region: Region) -> float:
    """Mean of the 5 % highest errors less the mean of the 5 % lowest; (rows, columns), HU."""
    errors = np.sort(np.subtract(picture[region], truth[region], dtype=np.float64))
    if not errors.size:
        return float("nan")
    count = max(1, round(_STREAK_SHARE * errors.size))
    return float(errors[-count:].mean() - errors[:count].mean())


def overlap(true: Region, found: Region, where: Region) -> tuple[float, float]:
    """Relative change of volume, and Dice, of `found` against `true` (rows, columns)."""
    wanted, got = np.count_nonzero(true & where), np.count_nonzero(found & where)
    if not wanted:
        return float("nan"), float("nan")
    common = np.count_nonzero(true & found & where)
    return abs(got - wanted) / wanted, 2.0 * common / (wanted + got)


def metal_threshold_hu(truth: Image, regions: CardRegions) -> float:
    """Brightest tissue near the metal and 250 HU more; `truth` is (rows, columns), HU."""
    tissue = regions.around_metal & ~regions.metal
    return float(truth[tissue].max() if tissue.any() else 0.0) + _METAL_MARGIN_HU


def _range_shift(
    truth: Image, picture: Image, regions: CardRegions, pixel_mm: tuple[float, float]
) -> tuple[float, float]:
    metal = regions.metal
    if not metal.any():
        return float("nan"), float("nan")
    body = regions.patient | metal
    around = np.where(metal, truth, picture)
    wanted, found = (beam_ranges_mm(hu, body, metal, pixel_mm) for hu in (truth, around))
    shift = float(np.mean(np.abs(found - wanted)))
    return shift, shift / float(wanted.max()) if wanted.max() > 0 else float("nan")
