"""The benchmark that scales the map of uncertainty: it finds weights that are known."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.mar.correction.uncertainty import UncertaintyScale
from Testing.benchmarks.uncertainty import RINGS_MM, Errors, fitted, row, share_within


def _drawn(weights: tuple[float, float, float], seed: int, count: int = 3000) -> Errors:
    """Draw errors whose variance is a known sum of three terms."""
    rng = np.random.default_rng(seed)
    squares = np.stack([
        rng.gamma(1.0, 400.0, count), rng.gamma(1.0, 900.0, count), rng.uniform(0, 1, count) ** 2
    ])  # fmt: skip
    spread = np.sqrt(np.asarray(weights) @ squares)
    return Errors(spread * rng.standard_t(3, count), rng.uniform(0, RINGS_MM[-1], count), squares)


def _said(errors: Errors, scale: UncertaintyScale) -> Errors:
    weights = np.array([scale.beside, scale.severity, scale.lost_hu2])
    return Errors(errors.hu, errors.near_mm, (weights @ errors.squares)[None])


@pytest.mark.parametrize("weights", [(0.5, 0.2, 900.0), (2.0, 0.0, 100.0), (0.0, 1.0, 5000.0)])
def test_the_fit_holds_95_of_100_new_errors(weights) -> None:
    scale = fitted([_drawn(weights, seed) for seed in range(4)])
    new = [_said(_drawn(weights, seed), scale) for seed in range(10, 14)]
    assert np.mean(share_within(new, 0.0, RINGS_MM[-1])) == pytest.approx(0.95, abs=0.01)
    found = np.array([scale.beside, scale.severity, scale.lost_hu2])
    # Which term counts for how much, whatever they are scaled by.
    typical = np.array([400.0, 900.0, 1 / 3])
    parts, truth = found * typical, np.asarray(weights) * typical
    assert parts / parts.sum() == pytest.approx(truth / truth.sum(), abs=0.12)


def test_a_row_counts_scans_and_names_the_worst() -> None:
    near = np.linspace(0, 59, 300)
    good = Errors(np.full(300, 5.0), near, np.full((1, 300), 100.0))
    bad = Errors(np.full(300, 20.0), near, np.linspace(99, 101, 300)[None])
    cells = [cell.strip() for cell in row("two scans", "nmar", [good, bad]).strip("|").split("|")]
    assert cells[:3] == ["two scans", "nmar", "2"]
    assert cells[3:10] == ["50"] * 6 + ["0"]
