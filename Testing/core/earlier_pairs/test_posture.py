"""The true map between two scans: rigid in each vertebra, smooth, as large as it was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.volume import LabelVolume
from Testing.benchmarks.earlier_ct.making.posture import draw_posture, draw_residuals, rigidly

AFFINE = np.diag([-1.0, -1.0, 2.5, 1.0])


@pytest.fixture(scope="module")
def labels() -> LabelVolume:
    """Three blocks 30 mm high, a gap of 5 mm between them, in a body 120 x 120 x 100 mm."""
    made = np.zeros((40, 120, 120), np.int16)
    for n in range(3):
        made[2 + 13 * n : 12 + 13 * n, 45:75, 45:75] = 20 + n
    return LabelVolume(made, AFFINE)


def _points(labels: LabelVolume, number: int) -> np.ndarray:
    k, j, i = np.nonzero(labels.labels == number)
    return labels.geometry.to_ras(np.stack([i, j, k], axis=-1).astype(float))[::41]


def _earlier(posture, motion, later):
    """Where points that moved rigidly lay in the earlier CT: both motions undone."""
    return rigidly(np.linalg.inv(posture.body), rigidly(np.linalg.inv(motion), later))


@pytest.mark.parametrize("seed", range(3))
def test_each_vertebra_moves_as_one_and_as_drawn(labels, seed) -> None:
    posture, facts = draw_posture(labels, np.random.default_rng(seed))
    for number in (20, 21, 22):
        points = _points(labels, number)
        motion = np.array(facts["motions"][str(number)])
        back = posture.to_later(_earlier(posture, motion, points))
        # The lattice is 3 mm wide and neighbours pull at the rims.
        assert np.linalg.norm(back - points, axis=-1).mean() < 0.3


def test_soft_tissue_moves_by_what_was_drawn_and_bone_does_not_follow(labels) -> None:
    far, turned = [], []
    for seed in range(4):
        posture, facts = draw_posture(labels, np.random.default_rng(seed))
        assert 6.0 <= facts["soft_tissue_mm"] <= 8.0
        corner = np.array([[-10.0, -10.0, z] for z in (20.0, 50.0, 80.0)])
        at = posture.lattice.to_ijk(corner).round().astype(int)
        far.append(np.linalg.norm(posture.shift_mm[:, at[:, 2], at[:, 1], at[:, 0]], axis=0))
        turned.append(facts["motions"])
    assert 2.0 < np.mean(far) < 20.0
    assert turned[0] != turned[1]


def test_the_same_seed_is_the_same_posture(labels) -> None:
    one, two = (draw_posture(labels, np.random.default_rng(7))[0] for _ in range(2))
    np.testing.assert_array_equal(one.shift_mm, two.shift_mm)
    np.testing.assert_array_equal(one.body, two.body)


def test_vertebrae_spread_as_asked(labels) -> None:
    turns, shifts = [], []
    for seed in range(40):
        _, facts = draw_posture(labels, np.random.default_rng(seed))
        for number in (20, 21, 22):
            motion = np.array(facts["motions"][str(number)])
            centre = _points(labels, number).mean(axis=0)
            shifts.append(rigidly(motion, centre) - centre)
            turns.append(np.degrees(np.arccos(np.clip((np.trace(motion[:3, :3]) - 1) / 2, -1, 1))))
    assert np.std(shifts) == pytest.approx(2.0, abs=0.4)
    assert np.sqrt(np.mean(np.square(turns)) / 3) == pytest.approx(2.5, abs=0.4)


def test_what_a_registration_leaves_is_rigid_in_bone_and_larger_in_soft_tissue(labels) -> None:
    bone, soft = [], []
    for left in draw_residuals(labels, 12, np.random.default_rng(3)):
        middle = _points(labels, 21)
        off = left.to_later(middle) - middle
        # A turn by a degree or two moves a block's corners against its middle by half a millimetre.
        assert np.linalg.norm(off - off.mean(axis=0), axis=1).max() < 1.0
        bone.append(np.linalg.norm(off, axis=1).mean())
        far = labels.geometry.to_ras(np.array([[10.0, 10, 20], [110, 10, 20], [10, 110, 20]]))
        soft.append(np.linalg.norm(left.to_later(far) - far, axis=1).mean())
    assert 0.2 < np.median(bone) < 1.2
    assert np.median(soft) > 1.5 * np.median(bone)
    assert np.median(soft) < 6.0
