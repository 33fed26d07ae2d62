"""The random walker against the harmonic functions that it discretises."""

from __future__ import annotations

import numpy as np

from spinemar.spine.segmentation.random_walker import walk


def _bar(length=21):
    domain = np.ones((1, 1, length), bool)
    fixed = np.zeros_like(domain)
    fixed[0, 0, [0, -1]] = True
    values = np.zeros(domain.shape, np.float32)
    values[0, 0, -1] = 1.0
    return domain, fixed, values


def test_uniform_bone_gives_a_straight_ramp():
    domain, fixed, values = _bar()
    hu = np.full(domain.shape, 500, np.float32)
    np.testing.assert_allclose(
        walk(domain, fixed, values, hu)[0, 0], np.linspace(0, 1, 21), atol=5e-3
    )


def test_a_dark_gap_takes_the_whole_step():
    domain, fixed, values = _bar()
    hu = np.full(domain.shape, 600, np.float32)
    hu[0, 0, 6:8] = 100
    found = walk(domain, fixed, values, hu)[0, 0]
    assert found[5] < 0.1
    assert found[8] > 0.9


def test_outside_stays_zero_and_islands_follow_the_prior():
    domain = np.zeros((1, 1, 12), bool)
    domain[0, 0, [0, 1, 2, 8, 9]] = True
    fixed = np.zeros_like(domain)
    fixed[0, 0, 0] = True
    values = np.where(fixed, 4.0, 0).astype(np.float32)
    hu = np.full(domain.shape, 500, np.float32)
    prior = np.full(domain.shape, 2.0, np.float32)
    found = walk(domain, fixed, values, hu, prior=(prior, 1e-3))[0, 0]
    assert (found[~domain[0, 0]] == 0).all()
    np.testing.assert_allclose(found[[8, 9]], 2.0, atol=1e-2)
    np.testing.assert_allclose(found[[1, 2]], 4.0, atol=0.05)
