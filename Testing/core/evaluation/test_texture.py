"""The noise power spectrum against noise fields whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from spinemar.evaluation.texture import fine_noise_ratio, noise_power, texture_distance

PIXEL = (0.6, 0.8)
SHAPE = (300, 240)
EVERYWHERE = np.ones(SHAPE, bool)


def _noise(sigma_px: float, seed: int = 0, hu: float = 20.0) -> np.ndarray:
    white = hu * np.random.default_rng(seed).standard_normal(SHAPE)
    if sigma_px:
        white = ndimage.gaussian_filter(white, sigma_px, mode="wrap", truncate=6)
    return white.astype(np.float32)


def test_white_noise_has_a_flat_spectrum_of_its_variance():
    found = noise_power(_noise(0), EVERYWHERE, PIXEL)
    assert found is not None
    np.testing.assert_allclose(found.power, 20.0**2 * PIXEL[0] * PIXEL[1], rtol=0.15)


def test_filtered_noise_has_the_spectrum_of_its_filter():
    pixel = (0.7, 0.7)
    found = noise_power(_noise(1.0), EVERYWHERE, pixel)
    assert found is not None
    # White noise through a Gaussian of s mm: |H|^2 = exp(-(2 pi f s)^2).
    wanted = 20.0**2 * 0.7**2 * np.exp(-((2 * np.pi * found.per_mm * 0.7) ** 2))
    strong = wanted > 0.05 * wanted.max()
    np.testing.assert_allclose(found.power[strong], wanted[strong], rtol=0.25)


def test_the_spectrum_does_not_see_level_slope_or_what_lies_outside():
    image = _noise(0.8)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    region = (rows > 40) & (columns > 50)
    tilted = (image + 300 + 3 * rows - 2 * columns).astype(np.float32)
    tilted[~region] = 3000
    plain, other = (noise_power(i, region, PIXEL) for i in (image, tilted))
    np.testing.assert_allclose(plain.power, other.power, rtol=1e-3)


def test_distance_is_zero_for_the_same_grain_and_ln_two_for_twice_the_power():
    truth = noise_power(_noise(0.5, seed=1), EVERYWHERE, PIXEL)
    again = noise_power(_noise(0.5, seed=2), EVERYWHERE, PIXEL)
    double = noise_power(np.sqrt(2) * _noise(0.5, seed=1), EVERYWHERE, PIXEL)
    assert texture_distance(truth, truth) == 0
    assert texture_distance(truth, again) < 0.1
    assert texture_distance(truth, double) == pytest.approx(np.log(2), rel=1e-3)


def test_smoothing_loses_fine_noise():
    truth = noise_power(_noise(0.3), EVERYWHERE, PIXEL)
    smooth = noise_power(ndimage.gaussian_filter(_noise(0.3), 1.0), EVERYWHERE, PIXEL)
    assert fine_noise_ratio(truth, smooth) < 0.5
    assert fine_noise_ratio(truth, truth) == 1


def test_too_small_a_region_has_no_spectrum():
    region = np.zeros(SHAPE, bool)
    region[:20, :20] = True
    assert noise_power(_noise(0), region, PIXEL) is None
