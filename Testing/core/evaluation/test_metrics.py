"""Metrics against values that can be worked out by hand, and against physical limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from spinemar.errors import GeometryError, InputError
from spinemar.evaluation import evaluate, metrics
from spinemar.evaluation.regions import slice_regions
from spinemar.volume import CTVolume

SHAPE = (96, 112)
PIXEL_MM = (0.8, 0.7)
AFFINE = np.diag([0.7, 0.8, 2.0, 1.0])
EVERYWHERE = np.ones(SHAPE, dtype=bool)


def patient(seed: int = 0) -> np.ndarray:
    """An elliptic body of muscle and fat with a vertebra of bone, in air."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    y, x = y - SHAPE[0] / 2, x - SHAPE[1] / 2
    image = np.full(SHAPE, -1000.0)
    image[(x / 48) ** 2 + (y / 40) ** 2 < 1] = -100
    image[(x / 44) ** 2 + (y / 36) ** 2 < 1] = 50
    image[np.hypot(x, y - 8) < 12] = 300
    noise = np.random.default_rng(seed).normal(0, 8, SHAPE)
    return (ndimage.gaussian_filter(image, 0.7) + noise).astype(np.float32)


def metal_mask() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[60:64, 45:50] = True
    return mask


def volume(*slices: np.ndarray) -> CTVolume:
    return CTVolume(np.stack(slices), AFFINE)


def test_equal_images_score_perfectly() -> None:
    image = patient()
    mask = metal_mask()[None]
    scores = evaluate(volume(image), volume(image), mask)
    assert scores.rmse_hu == 0
    assert scores.psnr_db == np.inf
    assert scores.ssim == pytest.approx(1)
    assert scores.bone_dice == 1
    assert scores.sharpness == pytest.approx(1)
    assert scores.streak_hu == 0
    assert all(bias == 0 or np.isnan(bias) for bias in scores.bias_hu.values())


def test_constant_offset_is_bias_and_rmse_but_no_streak_and_no_blur() -> None:
    image = patient()
    scores = evaluate(volume(image), volume(image + 25), metal_mask()[None])
    assert scores.rmse_hu == pytest.approx(25, rel=1e-4)
    assert scores.psnr_db == pytest.approx(20 * np.log10(5000 / 25), rel=1e-4)
    assert scores.bias_hu["soft tissue"] == pytest.approx(25, rel=1e-4)
    assert scores.streak_hu == pytest.approx(0, abs=1e-3)
    assert scores.sharpness == pytest.approx(1, rel=1e-4)


def test_errors_inside_the_metal_and_its_margin_do_not_count() -> None:
    image, mask = patient(), metal_mask()
    wrong = image.copy()
    wrong[58:66, 43:52] = 9000  # the metal and 2 px around it, corners included
    scores = evaluate(volume(image), volume(wrong), mask[None])
    assert scores.rmse_hu == 0
    assert scores.ssim == pytest.approx(1)
    wrong[57, 47] = 9000
    assert evaluate(volume(image), volume(wrong), mask[None]).rmse_hu > 0


def test_near_region_ends_20_mm_from_the_metal() -> None:
    image, mask = patient(), metal_mask()
    regions = slice_regions(image, mask, PIXEL_MM)
    rows = np.flatnonzero(regions.near[:, 47])
    # The metal ends at row 60: 25 rows of 0.8 mm are 20 mm.
    assert rows.min() == 60 - 25
    columns = np.flatnonzero(regions.near[62])
    assert columns.min() == 45 - 28  # 28 columns of 0.7 mm are 19.6 mm
    assert not (regions.near & regions.far).any()


def test_streak_amplitude_of_a_wave_is_its_amplitude() -> None:
    x = np.arange(SHAPE[1])
    wave = 80 * np.sign(np.sin(2 * np.pi * x / 40)) * np.ones(SHAPE)
    flat = np.zeros(SHAPE, dtype=np.float32)
    found = metrics.streak_amplitude_hu(flat, wave.astype(np.float32), EVERYWHERE, PIXEL_MM)
    assert found == pytest.approx(80, rel=0.02)


def test_streak_amplitude_hardly_feels_noise() -> None:
    noise = np.random.default_rng(1).normal(0, 20, SHAPE).astype(np.float32)
    flat = np.zeros(SHAPE, dtype=np.float32)
    assert metrics.streak_amplitude_hu(flat, noise, EVERYWHERE, PIXEL_MM) < 12


@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.5])
def test_blur_lowers_sharpness_and_streaks_do_not(sigma: float) -> None:
    image = patient()
    blurred = ndimage.gaussian_filter(image, sigma)
    assert metrics.sharpness_ratio(image, blurred, EVERYWHERE) < 0.95
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    streaked = (image + 60 * np.sin((x + 2 * y) / 3)).astype(np.float32)
    assert metrics.sharpness_ratio(image, streaked, EVERYWHERE) == pytest.approx(1, abs=0.03)


def test_sharpness_falls_as_blur_grows() -> None:
    image = patient()
    ratios = [
        metrics.sharpness_ratio(image, ndimage.gaussian_filter(image, s), EVERYWHERE)
        for s in (0.4, 0.8, 1.6)
    ]
    assert ratios == sorted(ratios, reverse=True)


def test_bone_dice_of_half_the_bone() -> None:
    truth = np.zeros(SHAPE, dtype=np.float32)
    truth[20:40, 20:40] = 500
    result = truth.copy()
    result[20:30, 20:40] = 0
    assert metrics.bone_dice(truth, result, EVERYWHERE) == pytest.approx(2 * 200 / (400 + 200))


def test_regions_that_are_empty_give_nan_and_json_null() -> None:
    image = patient()
    scores = evaluate(volume(image), volume(image + 1))
    assert np.isnan(scores.rmse_near_hu)
    assert scores.to_json()["rmse_near_hu"] is None
    nothing = np.zeros(SHAPE, dtype=bool)
    assert np.isnan(metrics.rmse_hu(image, image, nothing))


def test_only_slices_with_metal_are_scored_unless_asked() -> None:
    image = patient()
    mask = np.zeros((3, *SHAPE), dtype=bool)
    mask[1] = metal_mask()
    truth, result = volume(image, image, image), volume(image + 100, image + 10, image)
    assert [s.index for s in evaluate(truth, result, mask).slices] == [1]
    assert evaluate(truth, result, mask).rmse_hu == pytest.approx(10, rel=1e-4)
    assert len(evaluate(truth, result, mask, slices=range(3)).slices) == 3


def test_rmse_is_pooled_over_pixels_not_averaged_over_slices() -> None:
    image = patient()
    truth, result = volume(image, image), volume(image + 30, image + 40)
    assert evaluate(truth, result).rmse_hu == pytest.approx(np.sqrt((900 + 1600) / 2), rel=1e-4)


def test_other_grids_and_masks_are_refused() -> None:
    image = patient()
    moved = CTVolume(image[None], AFFINE + np.array([[0, 0, 0, 1.0]] + [[0] * 4] * 3))
    with pytest.raises(GeometryError, match="different grids"):
        evaluate(volume(image), moved)
    with pytest.raises(GeometryError, match="mask"):
        evaluate(volume(image), volume(image), np.zeros((2, *SHAPE), dtype=bool))
    with pytest.raises(InputError, match="no such slices"):
        evaluate(volume(image), volume(image), slices=[4])


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 10), st.integers(0, 5))
def test_rmse_scales_with_the_error(factor: float, seed: int) -> None:
    image = patient()
    error = np.random.default_rng(seed).normal(0, 20, SHAPE)
    one = metrics.rmse_hu(image, (image + error).astype(np.float32), EVERYWHERE)
    more = metrics.rmse_hu(image, (image + factor * error).astype(np.float32), EVERYWHERE)
    assert more == pytest.approx(factor * one, rel=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100))
def test_flips_change_no_score(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, mask = patient(seed), metal_mask()
    result = (truth + ndimage.gaussian_filter(rng.normal(0, 200, SHAPE), 2)).astype(np.float32)
    plain = evaluate(volume(truth), volume(result), mask[None])
    flipped = evaluate(volume(truth[::-1]), volume(result[::-1]), mask[None, ::-1])
    for name in ("rmse_hu", "rmse_near_hu", "ssim", "streak_hu", "bone_dice", "sharpness"):
        assert getattr(flipped, name) == pytest.approx(getattr(plain, name), rel=1e-3), name
