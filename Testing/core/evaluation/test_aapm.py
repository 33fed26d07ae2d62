"""The eight scores of the AAPM benchmark against closed-form truths."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from spinemar.errors import GeometryError, InputError
from spinemar.evaluation.aapm import aapm_card
from spinemar.evaluation.aapm.card import marked, sharpness
from spinemar.evaluation.aapm.measures import edge, metal_threshold_hu, overlap, streaks
from spinemar.evaluation.aapm.proton import STOPPING_POWER, beam_ranges_mm, stopping_power
from spinemar.evaluation.aapm.regions import NOISE_RADIUS_MM, card_regions
from spinemar.physics.materials import hu_at
from spinemar.volume import CTVolume

SHAPE, PIXEL_MM = (160, 200), (0.8, 0.8)
AFFINE = np.diag([-0.8, -0.8, 2.0, 1.0])
NOISE_HU = 10.0


def body_mask() -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return ((x - 100) / 90) ** 2 + ((y - 80) / 70) ** 2 < 1


def metal_mask() -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(x - 100, y - 100) < 6


def patient(noise_hu: float = NOISE_HU) -> np.ndarray:
    """Muscle, a rim of fat, a vertebra; noise with the grain of a scan."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.where(body_mask(), -100.0, -1000.0)
    image[((x - 100) / 80) ** 2 + ((y - 80) / 60) ** 2 < 1] = 50
    image[np.hypot(x - 100, y - 85) < 18] = 400
    image = ndimage.gaussian_filter(image, 0.6)
    rng = np.random.default_rng(1)
    return (image + rng.normal(0, noise_hu, SHAPE)).astype(np.float32)


def artifacts(amplitude_hu: float) -> np.ndarray:
    """Bands that fall off with the distance from the metal."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    away = np.hypot(x - 100, y - 100)
    angle = np.arctan2(y - 100, x - 100)
    return amplitude_hu * np.sin(8 * angle) * np.exp(-((away / 30) ** 2))


def with_metal(image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    return np.where(metal_mask() if mask is None else mask, 3071.0, image).astype(np.float32)


def volume(image: np.ndarray) -> CTVolume:
    return CTVolume(np.asarray(image, np.float32)[None], AFFINE)


def card(result: np.ndarray, nmar: np.ndarray | None = None):
    truth = patient()
    glow = ndimage.binary_dilation(metal_mask(), iterations=5)
    scan = with_metal(truth + artifacts(400), glow)
    middle = None if nmar is None else volume(nmar)
    return aapm_card(volume(truth), volume(result), metal_mask()[None], volume(scan), nmar=middle)


def test_the_truth_with_its_metal_scores_nothing() -> None:
    scores = card(with_metal(patient())).scores
    assert list(vars(scores).values()) == pytest.approx([0] * 8, abs=0.02)
    assert scores.total == pytest.approx(0, abs=0.1)


def test_the_scan_itself_scores_four_where_the_scan_is_the_mark() -> None:
    truth = patient()
    glow = ndimage.binary_dilation(metal_mask(), iterations=5)
    scores = card(with_metal(truth + artifacts(400), glow)).scores
    for name in ("ct_number", "streaks", "integrity", "bone", "metal", "proton_range"):
        assert getattr(scores, name) == pytest.approx(4, abs=0.35), name


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_half_of_the_artifact_is_half_of_the_score(share: float) -> None:
    result = with_metal(patient() + share * artifacts(400))
    found = card(result)
    assert found.scores.streaks == pytest.approx(4 * share * _glow_share(found), rel=0.1)
    assert found.scores.metal == pytest.approx(0, abs=0.05)


def _glow_share(found) -> float:
    """The scan's streaks are those of the bands and of its glow, the result's of the bands."""
    truth, metal = patient(), metal_mask()
    regions = card_regions(truth, truth, metal, PIXEL_MM)
    bands = streaks(truth, truth + artifacts(400).astype(np.float32), regions.streaks)
    return bands / found.uncorrected.streak_hu


def test_nmar_is_the_middle_mark() -> None:
    half = with_metal(patient() + 0.2 * artifacts(400))
    scores = card(half, nmar=half).scores
    assert scores.ct_number == pytest.approx(2, abs=1e-6)
    assert scores.streaks == pytest.approx(2, abs=1e-6)
    assert scores.integrity == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize(("factor", "score"), [(0.8, 0.0), (1.0, 0.0), (1.5, 2.0), (2.5, 4.0)])
def test_noise_scores_from_once_to_twice_the_truths(factor: float, score: float) -> None:
    grain = patient() - patient(0.0)
    noisy = with_metal(patient(0.0) + factor * grain)
    assert card(noisy).scores.noise == pytest.approx(score, abs=0.15)


@pytest.mark.parametrize(("sigma", "score"), [(0.4, 1), (0.5, 2), (0.75, 3), (1.0, 4), (2.0, 4)])
def test_sharpness_scores_a_blurred_truth_by_its_blur(sigma: float, score: float) -> None:
    truth = patient(0.0)
    region = card_regions(truth, truth, metal_mask(), PIXEL_MM).bone_edges
    blurred = edge(ndimage.gaussian_filter(truth, sigma), region)
    assert sharpness(truth, blurred, region) == pytest.approx(score, abs=0.02)
    assert sharpness(truth, 3 * blurred + 500, region) == 0


def test_streaks_of_a_square_wave_are_its_height() -> None:
    truth = np.zeros((40, 40), np.float32)
    wave = np.where(np.arange(40) % 8 < 4, 30.0, -50.0) * np.ones((40, 40))
    everywhere = np.ones((40, 40), bool)
    assert streaks(truth, wave.astype(np.float32), everywhere) == pytest.approx(80)
    assert np.isnan(streaks(truth, wave.astype(np.float32), ~everywhere))


def test_overlap_of_twice_the_volume() -> None:
    true, found = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    true[:5, :10], found[:10, :10] = True, True
    assert overlap(true, found, np.ones((20, 20), bool)) == pytest.approx((1.0, 2 / 3))
    assert all(np.isnan(overlap(~true & true, found, np.ones((20, 20), bool))))


def test_metal_is_above_the_brightest_tissue_near_it_and_250_hu() -> None:
    truth = np.full(SHAPE, 40.0, np.float32)
    truth[100, 112] = 900.0  # 4.8 mm from the metal
    truth[100, 140] = 1500.0  # too far
    regions = card_regions(truth, truth, metal_mask(), PIXEL_MM)
    assert metal_threshold_hu(truth, regions) == 1150


def test_the_noise_circle_keeps_off_artifacts_edges_and_air() -> None:
    truth = patient()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    spoiled = truth + np.where(x < 100, 300.0 * np.sin(y), 0.0).astype(np.float32)
    noise = card_regions(truth, spoiled, metal_mask(), PIXEL_MM).noise
    assert noise.sum() * 0.64 == pytest.approx(np.pi * NOISE_RADIUS_MM**2, rel=0.06)
    assert not noise[:, :100].any()
    assert np.std(truth[noise]) < 1.3 * NOISE_HU


def test_a_picture_without_metal_loses_it() -> None:
    found = card(patient())
    assert found.result.metal_dice == 0
    assert found.result.metal_change == 1
    assert found.scores.metal == 4


def test_a_slab_of_water_is_as_thick_as_it_is_and_an_offset_shifts_the_range() -> None:
    muscle = np.full((100, 100), 45.0)
    body, metal = np.ones((100, 100), bool), np.zeros((100, 100), bool)
    metal[49:51, 49:51] = True
    ranges = beam_ranges_mm(muscle, body, metal, (0.8, 0.8))
    # From the side to 25 mm beyond the middle: 40 + 25 mm less a part of a pixel.
    assert ranges == pytest.approx(np.full(ranges.shape, 65 * 1.041), rel=0.013)
    slope = (STOPPING_POWER[3][1] - STOPPING_POWER[2][1]) / (1561 - 45)
    shifted = beam_ranges_mm(muscle + 100, body, metal, (0.8, 0.8))
    assert shifted / ranges == pytest.approx(
        np.full(ranges.shape, 1 + 100 * slope / 1.041), rel=1e-6
    )


def bethe(relative_density: float, excitation_ev: float) -> float:
    """Stopping power relative to water of 75 eV, protons of 100 MeV."""
    gamma = 1 + 100 / 938.272
    speed = 1 - 1 / gamma**2

    def number(ev: float) -> float:
        return float(np.log(2 * 510998.95 * speed * gamma**2 / ev) - speed)

    return relative_density * number(excitation_ev) / number(75.0)


def test_stopping_powers_are_bethes() -> None:
    water = 0.55508
    adipose = bethe(0.95 * 0.55579 / water, 64.8)
    muscle = bethe(1.05 * 0.55000 / water, 74.7)
    bone = bethe(1.92 * 0.51478 / water, 112.0)
    assert [power for _, power in STOPPING_POWER[1:]] == pytest.approx(
        [adipose, muscle, bone], abs=0.001
    )
    assert hu_at("cortical_bone") == pytest.approx(STOPPING_POWER[3][0], abs=15)
    assert stopping_power(np.array([-1000.0]))[0] == pytest.approx(0.001)
    assert np.all(np.diff(stopping_power(np.linspace(-1000, 6000, 200))) > 0)


def test_marks() -> None:
    assert marked(5.0, 0.0, 20.0) == 1
    assert marked(5.0, 0.0, 20.0, 5.0) == 2
    assert marked(12.5, 0.0, 20.0, 5.0) == 3
    assert marked(90.0, 0.0, 20.0) == 4
    assert marked(0.9, 1.0, 0.8) == pytest.approx(2)
    # A middle mark beyond the scan is no mark, and a clean scan gives no tiny scale.
    assert marked(10.0, 0.0, 20.0, 30.0) == 2
    assert marked(1.0, 0.0, 0.1, least=20.0) == pytest.approx(0.2)
    assert np.isnan(marked(1.0, 0.0, 0.0))


def test_slices_are_averaged_and_empty_ones_left_out() -> None:
    truth, metal = patient(), np.zeros((3, *SHAPE), bool)
    metal[0] = metal[2] = metal_mask()
    worse = with_metal(truth + artifacts(200))
    stack = {
        "truth": np.stack([truth] * 3),
        "result": np.stack([with_metal(truth), 9 * truth, worse]),
        "scan": np.stack([with_metal(truth + artifacts(400))] * 3),
    }
    volumes = {name: CTVolume(image, AFFINE) for name, image in stack.items()}
    both = aapm_card(volumes["truth"], volumes["result"], metal, volumes["scan"])
    assert both.slices == (0, 2)
    one = aapm_card(volumes["truth"], volumes["result"], metal, volumes["scan"], slices=[2])
    assert both.result.rmse_hu == pytest.approx(one.result.rmse_hu / 2, rel=1e-4)
    facts = both.to_json()
    assert facts["slices"] == (0, 2)
    assert facts["total"] == pytest.approx(both.scores.total)
    gone = dataclasses.replace(both.scores, noise=float("nan"))
    assert np.isnan(gone.total)


def test_no_metal_and_other_grids_are_refused() -> None:
    truth = volume(patient())
    with pytest.raises(InputError, match="No slice"):
        aapm_card(truth, truth, np.zeros((1, *SHAPE), bool), truth)
    moved = CTVolume(truth.hu, AFFINE + 5 * np.eye(4, k=3))
    with pytest.raises(GeometryError, match="grids"):
        aapm_card(truth, moved, metal_mask()[None], truth)
    with pytest.raises(GeometryError, match="voxels"):
        aapm_card(truth, truth, metal_mask(), truth)
