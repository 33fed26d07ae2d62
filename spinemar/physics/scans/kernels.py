"""Reconstruction kernels of a scanner as windows on the detector's frequencies."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spinemar.physics.scanner_settings import ScanKernel

_HALF_PER_MM = {"soft": 0.36, "standard": 0.45, "bone": 1.05}
_ORDER = {"soft": 2.0, "standard": 2.4, "bone": 4.0}
_FADE_FROM = 0.65
_BOOST = {"soft": 0.0, "standard": 0.0, "bone": 0.30}


def kernel_window(kernel: ScanKernel, per_mm: NDArray[np.floating]) -> NDArray[np.float32]:
    """Modulation of a kernel at spatial frequencies.

    Parameters
    ----------
    kernel : {"soft", "standard", "bone"}
        Half of the contrast is left at 0.36, 0.45 and about 1.1 line pairs per mm; bone
        raises the middle frequencies by up to 30 %.
    per_mm : ndarray, any shape
        Line pairs per mm.

    Returns
    -------
    ndarray of float32, same shape
        1 at zero frequency.
    """
    frequency = np.abs(np.asarray(per_mm, dtype=np.float64))
    fall = np.exp(-np.log(2.0) * (frequency / _HALF_PER_MM[kernel]) ** _ORDER[kernel])
    lift = _BOOST[kernel] * np.sin(np.pi * np.clip(frequency / 1.0, 0.0, 1.0)) ** 2
    return np.asarray(fall * (1.0 + lift), dtype=np.float32)


def apply_kernel(
    projections: NDArray[np.float32], bin_mm: float, kernel: ScanKernel
) -> NDArray[np.float32]:
    """Filter each view with the kernel's window (the ramp comes with the backprojection).

    The window also fades to nothing from 65 % of the detector's Nyquist frequency on: an abrupt
    end there rings around metal across the whole image.

    `projections` are line integrals (..., views, bins); so is the result.
    """
    bins = projections.shape[-1]
    length = scipy.fft.next_fast_len(bins + 64, real=True)
    frequency = np.fft.rfftfreq(length, bin_mm)
    share = np.clip((frequency * 2.0 * bin_mm - _FADE_FROM) / (1.0 - _FADE_FROM), 0.0, 1.0)
    fade = np.cos(0.5 * np.pi * share) ** 2
    spectrum = scipy.fft.rfft(projections, n=length, axis=-1)
    spectrum *= kernel_window(kernel, frequency) * fade.astype(np.float32)
    filtered = scipy.fft.irfft(spectrum, n=length, axis=-1, overwrite_x=True)
    return np.asarray(filtered[..., :bins], dtype=np.float32)
