"""Measures of a pair against closed forms: perfect, erased, painted back, misplaced."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.mar.earlier import EarlierUse
from spinemar.registration import Registration, VertebraMotion
from spinemar.volume import CTVolume, GridGeometry
from Testing.benchmarks.earlier_ct.making.pair import Finding, Pair
from Testing.benchmarks.earlier_ct.making.posture import Posture
from Testing.benchmarks.earlier_ct.scoring.measures import (
    picture_scores,
    places,
    registration_errors,
)

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])
SHAPE = (6, 80, 80)


@pytest.fixture(scope="module")
def pair() -> Pair:
    """Metal in the middle of bone; an old and a new finding; an arch that was removed."""
    rng = np.random.default_rng(0)
    truth = (40 + rng.normal(scale=5, size=SHAPE)).astype(np.float32)
    labels = np.zeros(SHAPE, np.int16)
    labels[:, 25:45, 25:55] = 20
    truth[labels == 20] += 600
    fraction = np.zeros(SHAPE, np.float32)
    fraction[1:5, 32:38, 38:42] = 1
    old, new, removed = (np.zeros(SHAPE, np.float32) for _ in range(3))
    old[2:4, 28:33, 46:51] = -400
    new[2:4, 46:51, 30:36] = 500
    removed[:, 45:56, 38:44] = 700
    lattice = GridGeometry((4, 30, 30), np.diag([-3.0, -3.0, 4.0, 1.0]))
    body = np.eye(4)
    body[:3, 3] = 5.0, -3.0, 20.0
    scan = truth.copy()
    scan[fraction > 0] = 3071
    return Pair(
        name="made",
        scan=CTVolume(scan, AFFINE),
        truth=CTVolume(truth, AFFINE),
        earlier=CTVolume(truth, AFFINE),
        metal_fraction=fraction,
        body=np.ones(SHAPE, bool),
        labels=labels,
        removed=removed,
        findings=(Finding("island", False, old), Finding("fragment", True, new)),
        posture=Posture(body, lattice, np.zeros((3, *lattice.shape), np.float32)),
        facts={},
    )


def _scores(pair: Pair, hu: np.ndarray) -> dict:
    return picture_scores(pair, places(pair), pair.truth.with_hu(hu), None)


def _beyond(scores: dict) -> float:
    rings = [ring for ring in scores["ghosts"] if ring["from_mm"] >= 5]
    return sum(r["part"] for r in rings) / sum(r["whole"] for r in rings)


def test_the_truth_is_perfect(pair) -> None:
    scores = _scores(pair, pair.truth.hu)
    assert scores["rmse_hu"] == scores["rmse_near_hu"] == scores["cortical_bias_hu"] == 0
    assert scores["bone_dice_near"] == 1
    assert [one["kept"] for one in scores["findings"]] == [1.0, 1.0]
    assert _beyond(scores) == 0


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_finding_that_is_erased_in_part_is_kept_by_the_rest(pair, share) -> None:
    gone = sum(one.contrast for one in pair.findings)
    kept = [one["kept"] for one in _scores(pair, pair.truth.hu - share * gone)["findings"]]
    assert kept == pytest.approx([1 - share] * 2, abs=0.02)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_removed_bone_that_is_painted_back_is_a_ghost_of_that_share(pair, share) -> None:
    scores = _scores(pair, pair.truth.hu + share * pair.removed)
    assert _beyond(scores) == pytest.approx(share, abs=0.02)


def test_a_shade_over_everything_is_neither_ghost_nor_loss(pair) -> None:
    scores = _scores(pair, pair.truth.hu - 80)
    assert scores["cortical_bias_hu"] == pytest.approx(-80, abs=1e-3)
    assert _beyond(scores) == pytest.approx(0, abs=1e-4)
    assert [one["kept"] for one in scores["findings"]] == pytest.approx([1.0, 1.0], abs=1e-4)


def test_the_edge_of_what_was_put_back_hides_no_finding(pair) -> None:
    """Glow that is put back beside metal is no part of a finding there."""
    glow = np.zeros(SHAPE, bool)
    glow[1:5, 30:40, 36:47] = True
    hu = pair.truth.hu + 900.0 * glow
    told = picture_scores(pair, places(pair), pair.truth.with_hu(hu), None, glow)
    assert told["findings"][0]["kept"] == pytest.approx(1.0, abs=1e-4)
    assert abs(_scores(pair, hu)["findings"][0]["kept"] - 1.0) > 0.05
    assert told["rmse_near_hu"] > 0  # it is an error all the same


@pytest.mark.parametrize("miss", [(0.0, 0.0, 0.0), (0.6, 0.0, 0.8), (2.0, 0.0, 0.0)])
def test_registration_errors_are_how_far_a_motion_misses(pair, miss) -> None:
    motion = np.linalg.inv(pair.posture.body)
    motion[:3, 3] += miss
    use = EarlierUse(
        Registration(np.eye(4), (VertebraMotion("L1", motion),)),
        np.zeros(SHAPE, np.int16),
        np.zeros(SHAPE, np.uint8),
    )
    found = registration_errors(pair, places(pair), use)
    distance = float(np.linalg.norm(miss))
    assert found["mean_mm"] == pytest.approx(distance, abs=1e-6)
    assert found["p95_mm"] == pytest.approx(distance, abs=1e-6)
    assert found["within_1_5_mm"] == (distance <= 1.5)
    assert found["by_level"]["L1"]["found"] == "registered"


def test_a_vertebra_without_a_motion_moves_with_the_body(pair) -> None:
    use = EarlierUse(
        Registration(np.linalg.inv(pair.posture.body)),
        np.zeros(SHAPE, np.int16),
        np.zeros(SHAPE, np.uint8),
    )
    found = registration_errors(pair, places(pair), use)
    assert found["mean_mm"] == pytest.approx(0, abs=1e-6)
    assert found["by_level"]["L1"]["found"] == "body"
