"""Single metrics: arrays and a region in, one number out. NaN where the region is empty.

All arrays of one call share a shape; HU in, HU (or no unit) out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_DATA_RANGE_HU = 5000.0
"""From -1000 to beyond titanium; PSNR and SSIM of other papers may use another range."""
BONE_HU = 200.0
_STREAK_SMOOTHING_MM = 1.0
_STREAK_PERCENTILES = (5.0, 95.0)
_EDGE_SHARE = 0.1

Image = NDArray[np.float32]
Region = NDArray[np.bool_]


def rmse_hu(truth: Image, result: Image, region: Region) -> float:
    """Root mean square error over `region`, HU."""
    error = _errors(truth, result, region)
    return float(np.sqrt(np.mean(error**2))) if error.size else float("nan")


def psnr_db(rmse: float) -> float:
    """Peak signal-to-noise ratio in dB of an `rmse` in HU, range 5000 HU; infinite for 0.

    Examples
    --------
    >>> round(psnr_db(50.0), 1)
    40.0
    """
    return float("inf") if rmse == 0 else 20.0 * float(np.log10(_DATA_RANGE_HU / rmse))


def ssim_map(truth: Image, result: Image, scored: Region) -> Image:
    """Structural similarity of every pixel of one slice.

    Gaussian window of 1.5 px, range 5000 HU. Pixels outside `scored` are set to the truth first,
    so that the metal itself does not reach into the windows beside it.

    References
    ----------
    Wang et al., Image quality assessment: from error visibility to structural similarity, IEEE
    Transactions on Image Processing 13 (2004) 600-612.
    """
    from skimage.metrics import structural_similarity

    _, similarity = structural_similarity(
        truth,
        np.where(scored, result, truth),
        data_range=_DATA_RANGE_HU,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return np.asarray(similarity, dtype=np.float32)


def bone_dice(truth: Image, result: Image, region: Region) -> float:
    """Dice overlap of bone (200 HU and more) in `region`."""
    bone, found = truth[region] >= BONE_HU, result[region] >= BONE_HU
    total = np.count_nonzero(bone) + np.count_nonzero(found)
    return 2.0 * np.count_nonzero(bone & found) / total if total else float("nan")


def streak_amplitude_hu(
    truth: Image, result: Image, region: Region, pixel_mm: tuple[float, float]
) -> float:
    """Half the span from the 5th to the 95th percentile of the smoothed error, HU.

    Smoothing over 1 mm keeps the streaks and loses the noise; the span does not feel an offset.
    Meant for soft tissue within some centimetres of the metal; one slice.
    """
    if not region.any():
        return float("nan")
    weight = _smoothed(region.astype(np.float32), pixel_mm)
    error = np.where(region, np.subtract(result, truth, dtype=np.float32), np.float32(0))
    smooth = _smoothed(error, pixel_mm)[region] / np.maximum(weight[region], 1e-3)
    low, high = np.percentile(smooth, _STREAK_PERCENTILES)
    return 0.5 * float(high - low)


def sharpness_sums(reference: Image, result: Image, region: Region) -> tuple[float, float]:
    """Numerator and denominator of the sharpness ratio of one slice.

    See Also
    --------
    sharpness_ratio
    """
    if not region.any():
        return 0.0, 0.0
    wanted, found = np.gradient(reference), np.gradient(result)
    strength = np.hypot(*wanted)
    # Edges of the anatomy, not noise: the steepest tenth of the region.
    edges = region & (strength >= np.quantile(strength[region], 1.0 - _EDGE_SHARE))
    along = wanted[0][edges] * found[0][edges] + wanted[1][edges] * found[1][edges]
    return float(along.sum()), float((strength[edges] ** 2).sum())


def sharpness_ratio(reference: Image, result: Image, region: Region) -> float:
    """Steepness of the reference's edges in the result: 1 as sharp, below 1 blurred.

    The gradient of the result is projected on that of the reference, so that streaks and noise,
    which do not follow the anatomy, cancel.
    """
    found, wanted = sharpness_sums(reference, result, region)
    return found / wanted if wanted else float("nan")


def hu_bias(truth: Image, result: Image, region: Region) -> float:
    """Mean error over `region`, HU."""
    error = _errors(truth, result, region)
    return float(np.mean(error)) if error.size else float("nan")


def _errors(truth: Image, result: Image, region: Region) -> NDArray[np.float64]:
    return np.subtract(result[region], truth[region], dtype=np.float64)


def _smoothed(image: Image, pixel_mm: tuple[float, float]) -> Image:
    sigma = [_STREAK_SMOOTHING_MM / pixel for pixel in pixel_mm]
    return np.asarray(ndimage.gaussian_filter(image, sigma), dtype=np.float32)
