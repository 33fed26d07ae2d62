"""Quantum and electronic noise with common random numbers, ray by ray.

Two scans of the same patient, with and without metal, use the same deviates: where no metal
changes a ray its noise is the same to the last bit. Draws from a Poisson generator would not
stay aligned once a rate differs, so a count is the quantile of one normal deviate.
"""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

_EXACT_BELOW = 20.0
_LARGEST_COUNT = 80  # far beyond what a rate of 20 reaches


def deviates(seed: int, slice_index: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw the normal deviates of one slice, shape (2, *shape): quantum and electronic.

    They are the same for a slice whatever other slices are scanned with it.
    """
    generator = np.random.default_rng([abs(int(seed)), int(slice_index)])
    return generator.standard_normal((2, *shape), dtype=np.float32)


def poisson_quantile(
    rate: NDArray[np.floating], deviate: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Count of a Poisson process at the quantile of a normal deviate.

    Parameters
    ----------
    rate : ndarray
        Mean counts, not negative.
    deviate : ndarray, same shape
        Standard normal deviates.

    Returns
    -------
    ndarray of float32
        Exact inverse of the distribution below a mean of 20; the Cornish-Fisher expansion
        (right mean, variance and skewness) above.
    """
    mean = np.asarray(rate, dtype=np.float32)
    z = np.asarray(deviate, dtype=np.float32)
    root = np.sqrt(mean)
    # The constant keeps the mean: E[z^2 - 1] is 0.
    counts = mean + root * z + (z * z - 1.0) / np.float32(6.0)
    np.maximum(counts, 0.0, out=counts)
    few = mean < _EXACT_BELOW
    if few.any():
        counts[few] = _exact_counts(mean[few].astype(np.float64), z[few].astype(np.float64))
    return counts


def _exact_counts(mean: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float32]:
    level = scipy.special.ndtr(z)
    term = np.exp(-mean)
    below = term.copy()
    counts = np.zeros(mean.shape, dtype=np.float32)
    for count in range(1, _LARGEST_COUNT):
        higher = below < level
        if not higher.any():
            break
        counts += higher
        term *= mean / count
        below += term
    return counts


def noisy_signal(
    signal: NDArray[np.float32],
    variance: NDArray[np.float32],
    photons: float,
    noise: NDArray[np.float32],
    *,
    quantum: bool = True,
    electronic: float = 0.0,
) -> NDArray[np.float32]:
    """Detect a finite number of photons.

    Parameters
    ----------
    signal : ndarray
        Mean signal, in signals of an unattenuated central ray.
    variance : ndarray, same shape
        Sum of squared responses of the photons in the same unit: the variance of the signal
        is variance / photons (compound Poisson statistics of an integrating detector).
    photons : float
        Photons of the unattenuated ray.
    noise : ndarray, shape (2, *signal.shape)
        From `deviates`.
    quantum : bool
        Whether photons are counted; otherwise they flow.
    electronic : float
        Standard deviation in mean photons.

    Returns
    -------
    ndarray of float32
        In photons of mean response; may be negative with electronic noise.
    """
    mean = signal * np.float32(photons)
    if quantum:
        # One photon of this ray gives `gain` mean photons; counts = mean / gain.
        gain = variance / np.maximum(signal, 1e-30)
        np.clip(gain, 1e-3, 1e3, out=gain)
        mean = poisson_quantile(mean / gain, noise[0]) * gain
    if electronic > 0:
        mean = mean + np.float32(electronic) * noise[1]
    return mean
