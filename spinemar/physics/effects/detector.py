"""From counts to projections: saturation, starvation, logarithm."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

_STARVED_PHOTONS = 60.0
_WINDOW = (3, 7)  # views, bins


def smooth_starved(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average rays of few photons with their neighbours, as scanners do before the logarithm.

    Parameters
    ----------
    counts : ndarray, shape (views, bins)
        Photons; may be negative.

    Returns
    -------
    ndarray of float32
        Unchanged at `_STARVED_PHOTONS` and above, wholly averaged at 0 and below.
    """
    starved = counts < _STARVED_PHOTONS
    if not starved.any():
        return counts
    # Starved neighbours only: a ray beside an open one must not be filled from there.
    share = np.clip(1.0 - counts / np.float32(_STARVED_PHOTONS), 0.0, 1.0)
    total = scipy.ndimage.uniform_filter(counts * share, _WINDOW, mode="nearest")
    weight = scipy.ndimage.uniform_filter(share, _WINDOW, mode="nearest")
    mean = total / np.maximum(weight, 1e-6)
    return np.where(starved, counts + share * (mean - counts), counts).astype(np.float32)


def to_projection(
    counts: NDArray[np.float32],
    open_beam: NDArray[np.float32],
    photons: float,
    *,
    floor_photons: float,
    saturation: float,
) -> NDArray[np.float32]:
    """Take the negative logarithm of the measured share of the open beam.

    Parameters
    ----------
    counts : ndarray, shape (views, bins)
        Photons.
    open_beam : ndarray, shape (bins,)
        Air scan, in unattenuated central rays.
    photons : float
        Photons of the unattenuated central ray.
    floor_photons : float
        Lowest count taken: here the projection saturates.
    saturation : float
        Highest count, in unattenuated central rays.
    """
    floor = max(floor_photons, photons * 1e-30)
    limited = np.clip(counts, np.float32(floor), np.float32(min(saturation, 1e6) * photons))
    reference = np.log(open_beam.astype(np.float64) * photons).astype(np.float32)
    return np.asarray(reference - np.log(limited), dtype=np.float32)
