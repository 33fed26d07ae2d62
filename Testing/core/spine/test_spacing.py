"""Boundaries of vertebrae from profiles made of known ones, with noise and without discs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from spinemar.spine.segmentation.spacing import Evidence, find_boundaries


def _evidence(boundaries, seed, disc=True, noise=0.15):
    """Pedicles fill the upper half of each stretch, a foramen the lower third."""
    n = boundaries[-1] + 12
    s = np.arange(n)
    pedicles = np.full(n, 0.5)
    width = np.zeros(n)
    discs = np.full(n, -0.2)
    for low, high in pairwise(boundaries):
        share = (s - low) / (high - low)
        inside = (share >= 0) & (share < 1)
        pedicles[inside] = np.where(share[inside] > 0.42, 0.95, 0.15)
        width[inside] = np.cos(2 * np.pi * share[inside])
    for place in boundaries:
        discs += 1.3 * np.exp(-0.5 * ((s - place) / 2.0) ** 2) * disc
    rng = np.random.default_rng(seed)
    pedicles = np.clip(pedicles + rng.normal(0, noise, n), 0, 1)
    return Evidence(pedicles, width + rng.normal(0, 2 * noise, n), discs + rng.normal(0, noise, n))


_GROWING = np.cumsum([9, 33, 32, 31, 29, 27, 26, 25])


@pytest.mark.parametrize("seed", range(4))
def test_boundaries_are_found(seed):
    found = find_boundaries(_evidence(_GROWING, seed))
    assert len(found) == len(_GROWING)
    assert np.abs(found - _GROWING).max() <= 2


@pytest.mark.parametrize("seed", range(3))
def test_pedicles_alone_suffice_roughly(seed):
    found = find_boundaries(_evidence(_GROWING, seed, disc=False))
    nearest = np.abs(found[:, None] - _GROWING[None]).min(axis=0)
    assert np.median(nearest) <= 3


def test_known_vertebrae_fix_the_count():
    evidence = _evidence(_GROWING, 0)
    middles = (_GROWING[:-1] + _GROWING[1:]) // 2
    agreeing = {int(s): n for n, s in enumerate(middles)}
    np.testing.assert_array_equal(find_boundaries(evidence, agreeing), find_boundaries(evidence))
    first_and_last = {int(middles[0]): 0, int(middles[-1]): len(middles) - 1}
    assert np.abs(find_boundaries(evidence, first_and_last) - _GROWING).max() <= 2


def test_a_seed_divides_what_the_image_would_join():
    evidence = _evidence(_GROWING, 0)
    middles = (_GROWING[:-1] + _GROWING[1:]) // 2
    # The user insists on one vertebra more between the second and third.
    seeds = {int(middles[1]): 0, int(middles[1]) + 20: 1, int(middles[3]): 3}
    found = find_boundaries(evidence, seeds)
    between = (found > middles[1]) & (found <= middles[3])
    assert between.sum() == 3
