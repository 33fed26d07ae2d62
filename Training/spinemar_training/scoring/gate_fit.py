"""Fit the gate on simulated slices whose truth is known.

For one slice the squared error is quadratic in the strength w: with artifact a = input - truth
and change d, mean((a + w d)^2) = A + 2 w B + w^2 C. So a record of a slice is its features and
three numbers, and fitting needs no images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.mar.pipeline.gate import GateFeatures, GateParameters, decide

_HARM_WEIGHT = 2.0
_STEEPNESS_WEIGHT = 0.003
_STARTS = 8
_FITTED = ("offset", "by_log_spread", "by_log_ratio", "by_log_unexplained", "by_log_change")
_NOISE_HU = 10.0
_WORTH_HU = 30.0
"""Slices with less error have nothing to gain from a correction."""


@dataclass(frozen=True)
class GateRecord:
    """One slice with a known truth.

    Parameters
    ----------
    features : GateFeatures
    artifact, product, change : float
        Means over the scored pixels of a^2, a d and d^2, HU^2.
    """

    features: GateFeatures
    artifact: float
    product: float
    change: float

    def rmse(self, strength: float) -> float:
        """Error of the slice at a strength, HU."""
        square = self.artifact + 2 * strength * self.product + strength**2 * self.change
        return float(np.sqrt(max(square, 0.0)))


def make_record(
    features: GateFeatures,
    artifact: NDArray[np.floating],
    change: NDArray[np.floating],
    scored: NDArray[np.bool_],
) -> GateRecord:
    """Reduce a slice to a record.

    Parameters
    ----------
    features : GateFeatures
    artifact, change : ndarray, shape (rows, columns)
        Input minus truth, and the correction at full strength, HU.
    scored : ndarray of bool, same shape
        Pixels that count (metal and its rim excluded).
    """
    a, d = artifact[scored].astype(np.float64), change[scored].astype(np.float64)
    n = max(1, a.size)
    return GateRecord(features, float(a @ a) / n, float(a @ d) / n, float(d @ d) / n)


def fit_gate(
    records: Sequence[GateRecord], *, start: GateParameters | None = None
) -> GateParameters:
    """Find the parameters with the least error that hardly ever do harm.

    No weight may be against sense: the stronger the fall in spread, the larger the gain and the
    greater the unrest, the more is applied.

    Parameters
    ----------
    records : sequence of GateRecord
        Of many slices: materials, doses, sizes, mild and strong artifacts, and of slices that
        should be left alone.
    start : GateParameters, optional
        Where the search begins, and what is not fitted.

    Returns
    -------
    GateParameters

    Raises
    ------
    InputError
        If the slices are too few.
    """
    from scipy.optimize import minimize

    if len(records) < 8:
        raise InputError(
            f"{len(records)} slices are too few to fit a gate.", "Simulate a few dozen."
        )
    first = start or GateParameters()
    before = np.array([_visible(record.rmse(0.0)) for record in records])

    to_gain = before > _WORTH_HU

    def loss(values: NDArray[np.float64]) -> float:
        gate = replace(_parameters(values, first), minimum=0.0)
        strengths = [decide(record.features, gate).strength for record in records]
        after = [record.rmse(w) for record, w in zip(records, strengths, strict=True)]
        ratio = np.array([_visible(rmse) for rmse in after]) / before
        gained = np.mean(np.array(after)[to_gain]) / 5 + 3 * np.mean(np.log(ratio[to_gain]))
        harm = _HARM_WEIGHT * np.maximum(ratio - 0.995, 0.0).mean()
        return float(gained + harm + _STEEPNESS_WEIGHT * np.sum(values**2))

    rng = np.random.default_rng(0)
    middle = np.array([getattr(first, name) for name in _FITTED])
    starts = [middle] + [middle + rng.normal(0.0, 0.7, len(_FITTED)) for _ in range(_STARTS)]
    found = [minimize(loss, s, method="Nelder-Mead", options={"maxiter": 4000}) for s in starts]
    return _parameters(min(found, key=lambda result: float(result.fun)).x, first)


def _visible(rmse: float) -> float:
    """Error beside the noise that every slice has: below it nobody sees a difference."""
    return float(np.hypot(rmse, _NOISE_HU))


def _parameters(values: NDArray[np.float64], start: GateParameters) -> GateParameters:
    offset, *weights = (round(float(v), 4) for v in values)
    found = {name: max(0.0, w) for name, w in zip(_FITTED[1:], weights, strict=True)}
    return replace(start, offset=offset, **found)
