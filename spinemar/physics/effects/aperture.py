"""Focal spot and detector aperture: intensities, not line integrals, are averaged."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

_FWHM_PER_SIGMA = 2.3548


def focal_spot_kernel(fwhm_mm: float, ray_mm: float) -> NDArray[np.float32]:
    """Gaussian weights over neighbouring rays, shape (odd,), sum 1; [1] for no blur."""
    sigma = fwhm_mm / _FWHM_PER_SIGMA / ray_mm
    reach = int(np.ceil(3.0 * sigma)) if sigma > 0.05 else 0
    if reach == 0:
        return np.ones(1, dtype=np.float32)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def detect(
    signal: NDArray[np.float32], oversampling: int, fwhm_mm: float, ray_mm: float
) -> NDArray[np.float32]:
    """Blur by the focal spot and average the rays of each detector bin.

    Parameters
    ----------
    signal : ndarray, shape (..., bins * oversampling)
        Transmitted signal of single rays.
    oversampling : int
        Rays per bin.
    fwhm_mm, ray_mm : float
        Width of the blur and distance between rays at the centre of rotation.

    Returns
    -------
    ndarray of float32, shape (..., bins)
    """
    kernel = focal_spot_kernel(fwhm_mm, ray_mm)
    blurred = signal
    if len(kernel) > 1:
        blurred = np.asarray(scipy.ndimage.correlate1d(signal, kernel, axis=-1, mode="nearest"))
    if oversampling == 1:
        return blurred
    total = blurred[..., 0::oversampling].copy()
    for ray in range(1, oversampling):
        total += blurred[..., ray::oversampling]
    total *= np.float32(1.0 / oversampling)
    return total
