"""Errors that a reader sees, and the put-back metal, against pictures whose truth is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import GeometryError
from spinemar.evaluation.seen import METAL_SHARES, metal_dice, seen_scores
from spinemar.volume import CTVolume

SHAPE = (80, 100)
AFFINE = np.diag([-0.8, -0.8, 2.0, 1.0])


def volume(image: np.ndarray) -> CTVolume:
    return CTVolume(np.asarray(image, np.float32)[None], AFFINE)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A body of soft tissue in air; a rod with a rim of faint metal 3 px wide."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    truth = np.where(((x - 50) / 45) ** 2 + ((y - 40) / 35) ** 2 < 1, 40.0, -1000.0)
    away = np.hypot(x - 50, y - 40)
    fraction = np.where(away < 4, 1.0, np.where(away < 7, 0.2, 0.0)).astype(np.float32)
    return truth, fraction


def test_air_outside_the_body_does_not_count() -> None:
    truth, fraction = scene()
    wrong = np.where(truth < -500, truth + 700, truth + 30)
    for score in seen_scores(volume(truth), volume(wrong), fraction[None]):
        assert score.rmse_hu == pytest.approx(30, rel=1e-4)


def test_faint_metal_counts_as_tissue_once_and_as_metal_once() -> None:
    truth, fraction = scene()
    erased = np.where((fraction > 0) & (fraction < 0.5), truth + 400, truth)
    strict, faint = seen_scores(volume(truth), volume(erased), fraction[None])
    assert (strict.metal_share, faint.metal_share) == METAL_SHARES
    assert strict.rmse_hu > 10
    assert faint.rmse_hu == 0


def test_glow_put_back_is_seen_and_lies_inside_the_mask_that_hid_it() -> None:
    truth, fraction = scene()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    mask = np.hypot(x - 50, y - 40) < 14
    glow = np.where(mask, 3000.0, truth)
    score = seen_scores(volume(truth), volume(glow), fraction[None], mask[None])[1]
    assert score.rmse_hu > 300
    assert score.rmse_near_hu > score.rmse_hu
    assert score.rmse_outside_masks_hu == 0
    assert score.rmse_near_outside_masks_hu == 0


def test_near_ends_20_mm_from_the_true_metal() -> None:
    truth, fraction = scene()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    away = np.hypot(x - 50, y - 40)
    far = np.where((away > 3 + 26.5) & (truth > -500), truth + 100, truth)
    score = seen_scores(volume(truth), volume(far), fraction[None])[0]
    assert score.rmse_hu > 10
    assert score.rmse_near_hu == 0


def test_without_a_mask_there_is_no_figure_outside_it() -> None:
    truth, fraction = scene()
    score = seen_scores(volume(truth), volume(truth + 1), fraction[None])[0]
    assert np.isnan(score.rmse_outside_masks_hu)
    assert score.to_json()["rmse_outside_masks_hu"] is None
    assert score.metal == "metal > 50%"


def test_volumes_stored_along_another_axis_score_the_same() -> None:
    truth, fraction = scene()
    rng = np.random.default_rng(0)
    result = truth + rng.normal(0, 30, SHAPE)
    turned = AFFINE[:, [2, 0, 1, 3]]  # i is the patient's z, j x, k y

    def standing(image: np.ndarray) -> CTVolume:
        # (k, j, i) = (y, x, z)
        return CTVolume(np.asarray(image, np.float32)[:, :, None], turned)

    plain = seen_scores(volume(truth), volume(result), fraction[None])
    other = seen_scores(standing(truth), standing(result), fraction[:, :, None])
    assert [s.rmse_hu for s in plain] == pytest.approx([s.rmse_hu for s in other])
    assert [s.rmse_near_hu for s in plain] == pytest.approx([s.rmse_near_hu for s in other])


def test_arrays_of_other_grids_are_refused() -> None:
    truth, fraction = scene()
    with pytest.raises(GeometryError, match="voxels"):
        seen_scores(volume(truth), volume(truth), fraction)
    moved = CTVolume(volume(truth).hu, AFFINE + 3.0 * np.eye(4, k=3))
    with pytest.raises(GeometryError, match="different grids"):
        seen_scores(volume(truth), moved, fraction[None])


def test_dice_of_a_mask_of_twice_the_area_is_two_thirds() -> None:
    fraction = np.zeros((1, 20, 20), np.float32)
    fraction[0, 5:10, 5:10] = 0.7
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 5:10, 5:15] = True
    assert metal_dice(mask, fraction) == pytest.approx(2 / 3)
    assert np.isnan(metal_dice(np.zeros_like(mask), 0 * fraction))
