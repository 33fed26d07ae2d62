"""Reconstruction filters, built from their kernels in space so that zero frequency is right.

Sampling |s| in the frequency domain sets the response at zero frequency to zero, which shifts
every reconstructed value (a bias of tens of HU in a body). The band-limited kernel sampled in
space has the small positive response there that a finite detector needs.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spinemar.errors import InputError

Kernel = Literal["ram-lak", "shepp-logan", "hann"]


def padded_length(n_bins: int) -> int:
    """Length of the transform for which a linear convolution does not wrap around."""
    return int(scipy.fft.next_fast_len(2 * n_bins - 1))


def filter_response(kernel: Kernel, n_bins: int, bin_mm: float) -> NDArray[np.float32]:
    """Frequency response of a reconstruction filter.

    Parameters
    ----------
    kernel : {"ram-lak", "shepp-logan", "hann"}
    n_bins : int
        Detector bins.
    bin_mm : float
        Bin width in mm.

    Returns
    -------
    ndarray of float32, shape (padded_length(n_bins),)
        Real response per mm in FFT order; times the transform of a zero-padded view it gives
        the transform of the filtered view.

    Raises
    ------
    InputError
        If there is no such kernel.
    """
    length = padded_length(n_bins)
    lag = np.rint(np.fft.fftfreq(length, 1.0 / length))
    if kernel == "shepp-logan":
        taps = -2.0 / (np.pi**2 * (4.0 * lag**2 - 1.0))
    elif kernel in ("ram-lak", "hann"):
        odd = lag % 2 != 0
        taps = np.where(odd, -1.0 / (np.pi**2 * np.where(odd, lag, 1.0) ** 2), 0.0)
        taps[0] = 0.25
    else:
        raise InputError(
            f"There is no reconstruction kernel '{kernel}'.",
            "Use ram-lak, shepp-logan or hann.",
        )
    response = np.fft.fft(taps).real / bin_mm
    if kernel == "hann":
        response *= 0.5 * (1.0 + np.cos(2.0 * np.pi * np.fft.fftfreq(length)))
    return response.astype(np.float32)
