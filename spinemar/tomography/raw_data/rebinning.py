"""Between fan-beam and parallel sinograms, by two one-dimensional steps.

Along the views the step is a shift of each bin by its fan angle: exact for band-limited data,
by FFT over the full turn. Along the bins it is a cubic spline at positions that are the same
in every view.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from spinemar.errors import GeometryError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.raw_data.fan import FanGeometry, parker_weights


def fan_to_parallel(
    sinograms: NDArray[np.floating], fan: FanGeometry, parallel: SinogramGeometry
) -> NDArray[np.float32]:
    """Rebin a fan-beam sinogram, full or short scan, to parallel rays.

    Parameters
    ----------
    sinograms : ndarray, shape (..., fan.n_views, fan.n_bins)
    fan : FanGeometry
    parallel : SinogramGeometry
        Bins beyond the fan become 0.

    Returns
    -------
    ndarray of float32, shape (..., parallel.n_views, parallel.n_bins)
        Each line is the weighted mean (`parker_weights`) of its two measurements.
    """
    data = _checked(sinograms, fan.shape)
    weighted = np.zeros((*data.shape[:-2], fan.views_per_turn, fan.n_bins), dtype=np.float32)
    weighted[..., : fan.n_views, :] = data * parker_weights(fan)
    turned = _shift_views(weighted, -fan.fan_angles_rad, 2 * parallel.n_views)
    half = parallel.n_views
    once = turned[..., :half, :] + turned[..., half:, ::-1]
    return _resample_bins(once, fan.offsets_mm, parallel.bins_mm)


def parallel_to_fan(
    sinograms: NDArray[np.floating], parallel: SinogramGeometry, fan: FanGeometry
) -> NDArray[np.float32]:
    """Rebin a parallel sinogram to the rays of a fan.

    Parameters
    ----------
    sinograms : ndarray, shape (..., parallel.n_views, parallel.n_bins)
    parallel : SinogramGeometry
        Should have bins of at most half the fan's and twice the views of half a turn.
    fan : FanGeometry

    Returns
    -------
    ndarray of float32, shape (..., fan.n_views, fan.n_bins)
    """
    data = _checked(sinograms, parallel.shape)
    half = _resample_bins(data, parallel.bins_mm, fan.offsets_mm)
    # p(theta + pi, r) = p(theta, -r), and the fan's bins are symmetric.
    turn = np.concatenate((half, half[..., ::-1]), axis=-2)
    turned = _shift_views(turn, fan.fan_angles_rad, fan.views_per_turn)
    return np.ascontiguousarray(turned[..., : fan.n_views, :])


def resample_parallel(
    sinograms: NDArray[np.floating], source: SinogramGeometry, target: SinogramGeometry
) -> NDArray[np.float32]:
    """Bring a parallel sinogram to other views and bins; bins not measured become 0.

    Parameters
    ----------
    sinograms : ndarray, shape (..., source.n_views, source.n_bins)
    source, target : SinogramGeometry

    Returns
    -------
    ndarray of float32, shape (..., target.n_views, target.n_bins)
    """
    data = _checked(sinograms, source.shape)
    if source == target:
        return data
    if source.n_views != target.n_views:
        turn = np.concatenate((data, data[..., ::-1]), axis=-2)
        turn = _shift_views(turn, np.zeros(source.n_bins), 2 * target.n_views)
        data = np.ascontiguousarray(turn[..., : target.n_views, :])
    if source.bins_mm.shape == target.bins_mm.shape and source.bin_mm == target.bin_mm:
        return data
    return _resample_bins(data, source.bins_mm, target.bins_mm)


def _checked(sinograms: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.float32]:
    data = np.asarray(sinograms, dtype=np.float32)
    if data.shape[-2:] != shape:
        raise GeometryError(
            f"A sinogram of shape {data.shape[-2:]} does not fit a geometry of {shape}.",
            "Check the number of views and bins.",
        )
    return data


def _shift_views(
    turn: NDArray[np.float32], angles_rad: NDArray[np.float64], n_out: int
) -> NDArray[np.float32]:
    """Evaluate each bin's periodic function of the view angle at angle + its own shift.

    `turn` covers a full turn along axis -2; the result has `n_out` views per turn.
    """
    n_in = turn.shape[-2]
    spectrum = scipy.fft.rfft(turn, axis=-2)
    order = min(n_in, n_out) // 2 + 1
    spectrum = spectrum[..., :order, :]
    harmonics = np.arange(order)[:, None]
    spectrum = spectrum * np.exp(1j * harmonics * angles_rad[None, :]).astype(np.complex64)
    if min(n_in, n_out) % 2 == 0:
        spectrum[..., -1, :] = 0.0  # has no partner
    views = scipy.fft.irfft(spectrum, n=n_out, axis=-2)
    return np.asarray(views * np.float32(n_out / n_in), dtype=np.float32)


def _resample_bins(
    sinograms: NDArray[np.float32],
    from_mm: NDArray[np.float64],
    to_mm: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Cubic spline along the bins; 0 outside the measured bins."""
    lead = sinograms.shape[:-1]
    rows = sinograms.reshape(-1, sinograms.shape[-1])
    inside = (to_mm >= from_mm[0]) & (to_mm <= from_mm[-1])
    result = np.zeros((len(rows), len(to_mm)), dtype=np.float32)
    step = 512  # keeps the spline's double precision coefficients small
    for start in range(0, len(rows), step):
        spline = CubicSpline(from_mm, rows[start : start + step], axis=1)
        result[start : start + step, inside] = spline(to_mm[inside])
    return result.reshape(*lead, len(to_mm))
