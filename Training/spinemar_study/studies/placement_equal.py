"""Arms of the placement study that differ in where the metal was and in nothing of how much.

Constructs bring more metal into a slice than random bodies do, and more lost rays. For as many
realistic pairs as can be a random one is sought with as much metal in its slice, as many lost rays
and the same main alloy; the pairs of pairs that are most alike make the two arms. What has no
equal in the other arm, as the largest constructs, is in neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.storage.reader import PairStore
from spinemar_study.scenes.scenes import MIDDLE

Arms = dict[str, list[int]]
"""Positions of the training pairs of each arm in a store."""

_AREA_STEP = 0.15
"""Natural logarithm of the ratio of two areas that counts as one step of difference."""
_LOST_STEP = 0.01
"""Share of all rays that counts as one."""
_OTHER_ALLOY = 2.0
_NEVER = 1e6
_MOST_UNLIKE = 4.0
"""Squared steps: what differs more is no pair of pairs."""
_LEAST_MM2 = 1.0
"""Added to areas, so that a slice that just misses its metal has a logarithm."""


def equal_metal_arms(
    store: PairStore, by: Mapping[str, Sequence[int]], count: int, work: Path
) -> Arms:
    """Choose `count` realistic and as many random pairs that are alike in their metal.

    Parameters
    ----------
    store : PairStore
    by : mapping of str to sequence of int
        Positions of the "realistic" and the "random" pairs.
    count : int
    work : Path
        What was measured of a pair is kept here.

    Raises
    ------
    ValueError
        If the store has too few pairs that are alike.
    """
    amounts = {
        kind: [_amount(store, n, work / "amounts") for n in positions]
        for kind, positions in by.items()
    }
    unlike = difference(amounts["realistic"], amounts["random"])
    # As many within the limit as can be; among those the most alike.
    rows, columns = linear_sum_assignment(np.where(unlike <= _MOST_UNLIKE, unlike, _NEVER))
    found = unlike[rows, columns]
    alike = int((found <= _MOST_UNLIKE).sum())
    if alike < count:
        raise ValueError(f"The store has {alike} pairs of pairs with equal metal, not {count}.")
    best = np.argsort(found, kind="stable")[:count]
    return {
        "realistic": [by["realistic"][rows[n]] for n in best],
        "random": [by["random"][columns[n]] for n in best],
    }


def difference(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> NDArray[np.float64]:
    """How unlike each of `first` is to each of `second`, squared steps, (first, second)."""
    areas, lost, alloy = (
        [np.array([one[key] for one in side]) for side in (first, second)]
        for key in ("metal_mm2", "lost_share", "alloy")
    )
    by_area = np.subtract.outer(np.log(areas[0]), np.log(areas[1])) / _AREA_STEP
    by_lost = np.subtract.outer(lost[0], lost[1]) / _LOST_STEP
    other = np.not_equal.outer(alloy[0], alloy[1])
    unlike: NDArray[np.float64] = by_area**2 + by_lost**2 + _OTHER_ALLOY * other
    return unlike


def true_metal_mm2(row: Mapping[str, Any]) -> dict[str, float]:
    """Area of each alloy in a pair's middle slice, as its row in the store tells it."""
    return {name: areas[MIDDLE] for name, areas in row["metal_mm2"].items() if areas[MIDDLE] > 0}


def _amount(store: PairStore, position: int, kept: Path) -> dict[str, Any]:
    """Measure the middle slice: true metal, share of lost rays, main alloy; kept on disk."""
    row = store.rows[position]
    path = kept / f"{row['index']:06d}.json"
    if not path.exists():
        areas = true_metal_mm2(row)
        made = {
            "metal_mm2": sum(areas.values()) + _LEAST_MM2,
            "lost_share": float(store.read("lost_ray_trace", row["index"])[MIDDLE].mean()),
            "alloy": max(areas, key=lambda name: areas[name], default=""),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(made), encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
