"""The arithmetic of LI and NMAR on sinograms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.pipeline.interpolation.linear import interpolate_linearly
from spinemar.tomography.units import MU_WATER_PER_MM

_FLOOR_PX = 10.0
"""Normalising by less than ten pixels of water blew a case up from 66 to 687 HU."""


def interpolate_normalized(
    sinogram: NDArray[np.float32],
    prior: NDArray[np.float32],
    trace: NDArray[np.bool_],
    pixel_mm: tuple[float, float],
) -> NDArray[np.float32]:
    """Bridge the trace after dividing by the prior (NMAR).

    Parameters
    ----------
    sinogram, prior : ndarray of float32, shape (..., views, bins)
        Line integrals of the slice and of its prior.
    trace : ndarray of bool, same shape
    pixel_mm : (row spacing, column spacing) in mm

    Returns
    -------
    ndarray of float32, same shape
    """
    pixel = float(np.sqrt(pixel_mm[0] * pixel_mm[1]))
    floored = np.maximum(prior, np.float32(_FLOOR_PX * MU_WATER_PER_MM * pixel))
    filled = interpolate_linearly(np.asarray(sinogram / floored, dtype=np.float32), trace) * floored
    return np.where(trace, filled, sinogram)


def matched_prior(
    sinogram: NDArray[np.float32],
    prior: NDArray[np.float32],
    trace: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Fill the trace with a prior, shifted to meet the measured rays beside the trace.

    The difference between data and prior is bridged by straight lines; taking the prior as it
    is costs 8 HU. Shapes as in `interpolate_normalized`.
    """
    filled = prior + interpolate_linearly(sinogram - prior, trace)
    return np.where(trace, filled, sinogram)
