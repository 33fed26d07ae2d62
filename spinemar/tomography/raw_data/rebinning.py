"""Between fan-beam and parallel sinograms, by two one-dimensional steps.

Along the views the step is a shift of each bin by its fan angle: exact for band-limited data,
by FFT over the full turn. Along the bins it is a cubic spline at positions that are the same
in every view: one narrow matrix, since a spline is linear in the values that it goes through.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.raw_data.fan import FanGeometry, parker_weights

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_NEGLIGIBLE = 1e-9
"""Weight of a far bin in a spline's value, below which it is left out: it falls to a quarter from
one bin to the next."""


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
    return _along_bins(once, _spline_matrix(fan.offsets_mm, parallel.bins_mm))


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
    spline = _spline_matrix(parallel.bins_mm, fan.offsets_mm)
    result = np.zeros((*data.shape[:-2], *fan.shape), dtype=np.float32)
    for place in np.ndindex(data.shape[:-2]):
        if not data[place].any():  # a material that this slice lacks
            continue
        half = _along_bins(data[place], spline)
        # p(theta + pi, r) = p(theta, -r), and the fan's bins are symmetric.
        turn = np.concatenate((half, half[:, ::-1]))
        turned = _shift_views(turn, fan.fan_angles_rad, fan.views_per_turn)
        result[place] = turned[: fan.n_views]
    return result


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
    return _along_bins(data, _spline_matrix(source.bins_mm, target.bins_mm))


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


def _spline_matrix(from_mm: NDArray[np.float64], to_mm: NDArray[np.float64]) -> csr_array:
    """Return the matrix (to, from) of the cubic spline (not-a-knot) through values at some bins.

    Its rows are 0 outside the measured bins.
    """
    return _spline_matrix_of(tuple(from_mm.tolist()), tuple(to_mm.tolist()))


@functools.lru_cache(maxsize=4)  # slice after slice asks for the same few, of half a megabyte
def _spline_matrix_of(from_mm: tuple[float, ...], to_mm: tuple[float, ...]) -> csr_array:
    from scipy.interpolate import make_interp_spline
    from scipy.sparse import csr_array

    places = np.array(to_mm)
    inside = (places >= from_mm[0]) & (places <= from_mm[-1])
    weights = np.zeros((len(to_mm), len(from_mm)), dtype=np.float32)
    weights[inside] = make_interp_spline(from_mm, np.eye(len(from_mm)))(places[inside])
    weights[np.abs(weights) < _NEGLIGIBLE] = 0.0
    return csr_array(weights)


def _along_bins(sinograms: NDArray[np.float32], matrix: csr_array) -> NDArray[np.float32]:
    """Apply a matrix to the bins, the last axis."""
    rows = sinograms.reshape(-1, sinograms.shape[-1])
    result = np.ascontiguousarray((matrix @ np.ascontiguousarray(rows.T)).T, dtype=np.float32)
    return result.reshape(*sinograms.shape[:-1], matrix.shape[0])
