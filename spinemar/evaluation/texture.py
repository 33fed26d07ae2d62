"""Noise texture: the power spectrum of what varies within small tiles of a region.

A corrected image may have the right error and the wrong grain: a network trained by a squared
error smooths what it cannot know, and radiologists see it. Tiles of the region are freed of
their mean and slope, weighted by a Hann window and transformed; the squared magnitudes are
averaged over tiles and over rings of equal spatial frequency.

References
----------
J. H. Siewerdsen, I. A. Cunningham, D. A. Jaffray, "A framework for noise-power spectrum analysis
of multidimensional images", Med. Phys. 29 (2002) 2655-2671.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TILE_MM = 12.0
_RINGS_PER_MM = 0.08
_FINE_PER_MM = 0.3
_FEW_TILES = 4
_LOWEST_WAVES = 1.5


@dataclass(frozen=True)
class NoisePower:
    """A radial noise power spectrum.

    Parameters
    ----------
    per_mm : ndarray, shape (rings,)
        Middle of each ring, cycles per mm.
    power : ndarray, shape (rings,)
        HU^2 mm^2; NaN where a ring holds no sample.
    """

    per_mm: NDArray[np.float64]
    power: NDArray[np.float64]


def noise_power(
    image: NDArray[np.float32],
    region: NDArray[np.bool_],
    pixel_mm: tuple[float, float],
) -> NoisePower | None:
    """Measure the noise power spectrum of one slice in a region.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns)
        HU.
    region : ndarray of bool, same shape
        Tiles lie wholly inside it and overlap by half.
    pixel_mm : (row spacing, column spacing)

    Returns
    -------
    NoisePower or None
        None where fewer than four tiles fit.
    """
    sides = [max(4, round(_TILE_MM / pixel)) for pixel in pixel_mm]
    tiles = _tiles(image, region, sides)
    if len(tiles) < _FEW_TILES:
        return None
    window = np.outer(np.hanning(sides[0] + 2)[1:-1], np.hanning(sides[1] + 2)[1:-1])
    flat = _without_slope(tiles) * window
    scale = pixel_mm[0] * pixel_mm[1] / np.sum(window**2)
    power = np.mean(np.abs(np.fft.fft2(flat)) ** 2, axis=0) * scale
    radius = np.hypot(
        np.fft.fftfreq(sides[0], pixel_mm[0])[:, None], np.fft.fftfreq(sides[1], pixel_mm[1])
    )
    # Rings of one width for every pixel size, from where the lost slope is no longer felt to
    # the Nyquist limit, beyond which no ring is whole.
    edges = np.arange(_LOWEST_WAVES / _TILE_MM, 0.5 / max(pixel_mm), _RINGS_PER_MM)
    ring = np.digitize(radius, edges) - 1
    inside = (ring >= 0) & (ring < len(edges) - 1)
    counts = np.bincount(ring[inside], minlength=len(edges) - 1)
    sums = np.bincount(ring[inside], power[inside], minlength=len(edges) - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return NoisePower(0.5 * (edges[1:] + edges[:-1]), sums / counts)


def texture_distance(truth: NoisePower, result: NoisePower) -> float:
    """Root mean square of ln(result / truth) over the rings: 0 is the same grain.

    0.7 is a factor of two in noise power, either way, at every frequency.
    """
    known = np.isfinite(truth.power) & np.isfinite(result.power) & (truth.power > 0)
    logs = np.log(np.maximum(result.power[known], 1e-12) / truth.power[known])
    return float(np.sqrt(np.mean(logs**2))) if logs.size else float("nan")


def fine_noise_ratio(truth: NoisePower, result: NoisePower) -> float:
    """Noise power of the result at fine frequencies, as a share of the truth's."""
    fine = (truth.per_mm > _FINE_PER_MM) & np.isfinite(truth.power) & np.isfinite(result.power)
    wanted = float(truth.power[fine].sum())
    return float(result.power[fine].sum()) / wanted if wanted > 0 else float("nan")


def _tiles(
    image: NDArray[np.float32], region: NDArray[np.bool_], sides: list[int]
) -> NDArray[np.float64]:
    """Tiles wholly inside the region, (n, rows, columns)."""
    found = []
    rows, columns = sides
    for top in range(0, image.shape[0] - rows + 1, rows // 2):
        for left in range(0, image.shape[1] - columns + 1, columns // 2):
            where = slice(top, top + rows), slice(left, left + columns)
            if region[where].all():
                found.append(image[where])
    return np.array(found, dtype=np.float64).reshape(-1, rows, columns)


def _without_slope(tiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract each tile's fitted plane."""
    _, rows, columns = tiles.shape
    y = np.linspace(-1, 1, rows)[:, None]
    x = np.linspace(-1, 1, columns)[None, :]
    flat = tiles - tiles.mean((1, 2), keepdims=True)
    for basis in (y * np.ones_like(x), x * np.ones_like(y)):
        share = (flat * basis).sum((1, 2)) / np.sum(basis**2)
        flat = flat - share[:, None, None] * basis
    return np.asarray(flat)
