"""Scattered radiation as a wide convolution of what the primary beam does on its way."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from spinemar.physics.materials import REFERENCE_KEV, mu_per_mm

_FWHM_MM = 120.0
_COARSE_MM = 10.0


def _spread(source: NDArray[np.float32], bin_mm: float) -> NDArray[np.float32]:
    """Convolve each view with a Gaussian of 120 mm FWHM, on a coarse grid of bins."""
    bins = source.shape[-1]
    step = max(1, min(int(_COARSE_MM / bin_mm), bins // 4))
    groups = bins // step
    coarse = source[..., : groups * step].reshape(*source.shape[:-1], groups, step).mean(axis=-1)
    sigma = _FWHM_MM / 2.3548 / (bin_mm * step)
    wide = scipy.ndimage.gaussian_filter1d(coarse, sigma, axis=-1, mode="constant")
    position = (np.arange(bins) - (step - 1) / 2) / step
    position = np.clip(position, 0, groups - 1)
    left = np.minimum(position.astype(int), groups - 2)
    weight = (position - left).astype(np.float32)
    return np.asarray(wide[..., left] * (1 - weight) + wide[..., left + 1] * weight)


def _strength(ratio: float) -> float:
    """Scale so that scatter / primary is `ratio` in the middle of 30 cm of water."""
    r = np.arange(-400.0, 400.0, 1.0)
    water = 2.0 * np.sqrt(np.maximum(150.0**2 - r**2, 0.0)) * mu_per_mm("water", REFERENCE_KEV)
    primary = np.exp(-water)
    spread = _spread((primary * water)[None].astype(np.float32), 1.0)[0]
    middle = len(r) // 2
    return float(ratio * primary[middle] / spread[middle])


def scatter_signal(
    primary: NDArray[np.float32],
    open_beam: NDArray[np.float32],
    bin_mm: float,
    ratio: float,
) -> NDArray[np.float32]:
    """Scatter at the detector.

    Parameters
    ----------
    primary : ndarray, shape (views, bins)
        Signal without scatter, in signals of an unattenuated central ray.
    open_beam : ndarray, shape (bins,)
        Signal without patient (the bowtie's shape).
    bin_mm : float
        Bin width at the centre of rotation.
    ratio : float
        Scatter-to-primary ratio in the middle of 30 cm of water, which sets the strength.

    Returns
    -------
    ndarray of float32, shape (views, bins)
        Strength times the wide blur of I * -ln(I / I0): scatter is born where much of the
        beam still is and much of it gets lost.
    """
    share = np.maximum(primary / open_beam, 1e-12)
    source = np.maximum(-primary * np.log(share), 0.0).astype(np.float32)
    return _spread(source, bin_mm) * np.float32(_strength(ratio))
