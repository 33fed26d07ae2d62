"""Intervals by bootstrap; cases are drawn, never pixels, since a case's pixels go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 4000


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % bootstrap interval and the number of cases behind it."""

    mean: float
    low: float
    high: float
    cases: int

    def to_json(self) -> dict[str, Any]:
        """All figures by name."""
        return asdict(self)


def bootstrap(
    values: Sequence[float] | NDArray[np.float64],
    groups: Sequence[Any] | None = None,
    seed: int = 0,
) -> Estimate:
    """Mean and interval of paired differences, logarithms or any other figure a case.

    Parameters
    ----------
    values : sequence of float
        NaN stands for a case that cannot say anything and is left out.
    groups : sequence, optional
        Values of one group (the screws of one scan, say) are drawn together.
    seed : int
    """
    array = np.asarray(values, dtype=np.float64)
    keys = list(range(len(array))) if groups is None else list(groups)
    kept: dict[Any, list[float]] = {}
    for key, value in zip(keys, array, strict=True):
        if np.isfinite(value):
            kept.setdefault(key, []).append(float(value))
    if not kept:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    sums = np.array([sum(each) for each in kept.values()])
    counts = np.array([len(each) for each in kept.values()])
    drawn = np.random.default_rng(seed).integers(len(sums), size=(DRAWS, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(sums.sum() / counts.sum()), float(low), float(high), int(counts.sum()))


def geometric(ratios: Sequence[float]) -> Estimate:
    """Geometric mean of ratios with its interval."""
    found = bootstrap(np.log(np.asarray(ratios, dtype=np.float64)))
    mean, low, high = (float(np.exp(v)) for v in (found.mean, found.low, found.high))
    return Estimate(mean, low, high, found.cases)


def pooled_ratio(
    parts: Sequence[float], wholes: Sequence[float], groups: Sequence[Any]
) -> Estimate:
    """Sum of parts over sum of wholes, with the interval of drawing groups."""
    keys = {key: n for n, key in enumerate(dict.fromkeys(groups))}
    sums = np.zeros((2, len(keys)))
    for part, whole, key in zip(parts, wholes, groups, strict=True):
        sums[:, keys[key]] += part, whole
    counted = int(np.sum(np.asarray(wholes) > 0))
    if counted == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    drawn = np.random.default_rng(0).integers(len(keys), size=(DRAWS, len(keys)))
    top, bottom = sums[0][drawn].sum(1), sums[1][drawn].sum(1)
    ratios = top[bottom > 0] / bottom[bottom > 0]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Estimate(float(sums[0].sum() / sums[1].sum()), float(low), float(high), counted)


def area_under_curve(
    positive: Sequence[float],
    negative: Sequence[float],
    groups: Sequence[Any],
    strata: Sequence[Any],
) -> Estimate:
    """Chance that a positive case scores above a negative one of another group; ties half.

    Only cases of one stratum (kind of finding) are compared; the interval draws groups (scenes).
    A case and its own negative are never compared: they share everything but the finding.
    """
    present, absent = np.asarray(positive, float), np.asarray(negative, float)
    keys = {key: n for n, key in enumerate(dict.fromkeys(groups))}
    group = np.array([keys[key] for key in groups])
    stratum = np.array([str(key) for key in strata])
    fair = (group[:, None] != group[None]) & (stratum[:, None] == stratum[None])
    if not fair.any():
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    wins = (present[:, None] > absent[None]) + 0.5 * (present[:, None] == absent[None])
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(1000):
        times = np.bincount(rng.integers(len(keys), size=len(keys)), minlength=len(keys))[group]
        weight = fair * times[:, None] * times[None]
        if weight.any():
            areas.append((wins * weight).sum() / weight.sum())
    low, high = np.percentile(areas, [2.5, 97.5])
    mean = float((wins * fair).sum() / fair.sum())
    return Estimate(mean, float(low), float(high), len(present))
