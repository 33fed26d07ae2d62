"""Automatic trajectories: candidates through a pedicle, refined around the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spinemar.implants.shapes.solids import FloatArray
from spinemar.planning.trajectories.scores import (
    Pedicle,
    Scores,
    Weights,
    crossings,
    directions,
    score,
)

__all__ = ["Pedicle", "Trajectory", "Weights", "apart", "best_trajectories", "by_score"]

_ROUNDS, _PER_ROUND, _PARENTS = 4, 400, 24
# First steps of the refinement: two angles in degrees, two shifts in mm.
_REACH = (2.5, 2.0, 0.4, 0.6)
# Two trajectories are alternatives of one another from this distance or angle on, mm and degrees.
_APART = (1.5, 4.0)
# Thinner screws are tried until so much bone is left beside them.
_GOOD_MARGIN_MM, _DIAMETERS = 0.5, 4


@dataclass(frozen=True)
class Trajectory:
    """One way to place a screw in a pedicle; points in RAS mm.

    `score` is at most 1, `terms` says what each goal gave to it; `margin_mm` is the
    smallest gap between the screw and the cortex in pedicle and body, negative for a
    breach.
    """

    entry: FloatArray
    tip: FloatArray
    diameter_mm: float
    length_mm: float
    score: float
    terms: Mapping[str, float]
    margin_mm: float
    convergence_deg: float
    sagittal_deg: float


def best_trajectories(pedicle: Pedicle, count: int = 8) -> tuple[Trajectory, ...]:
    """Search a pedicle for trajectories; the best first, each unlike the others, always the same.

    The diameter for the pedicle's width comes first; where bone is left too thin beside
    it, the next smaller ones are tried.

    Parameters
    ----------
    pedicle : Pedicle
    count : int
        Most alternatives to return.

    Returns
    -------
    tuple of Trajectory
        Empty if no screw of the catalogue finds a way through.
    """
    found: list[Trajectory] = []
    tried: set[float] = set()
    for step in range(_DIAMETERS):
        thinner = replace(pedicle, diameter_step=step)
        if thinner.diameter_mm in tried:
            break
        tried.add(thinner.diameter_mm)
        found += _search(thinner, count)
        if max((t.margin_mm for t in found), default=-1.0) >= _GOOD_MARGIN_MM:
            break
    return by_score(found)[:count]


def by_score(trajectories: Sequence[Trajectory]) -> tuple[Trajectory, ...]:
    """Return trajectories with the best first."""
    return tuple(sorted(trajectories, key=lambda t: -t.score))


def _search(pedicle: Pedicle, count: int) -> tuple[Trajectory, ...]:
    """Search with one diameter."""
    rng = np.random.default_rng(0)  # one seed: the same trajectories every time
    candidates = _lattice(pedicle)
    totals = score(pedicle, candidates).total
    for round_ in range(_ROUNDS):
        parents = candidates[np.argsort(-totals)[:_PARENTS]]
        chosen = parents[rng.integers(len(parents), size=_PER_ROUND)]
        children = chosen + rng.normal(size=chosen.shape) * np.array(_REACH) / 2.0**round_
        candidates = np.concatenate([candidates, children])
        totals = np.concatenate([totals, score(pedicle, children).total])
    order = np.argsort(-totals)
    order = order[np.isfinite(totals[order])][: 48 * count]
    return _distinct(pedicle, candidates[order], count) if len(order) else ()


def _lattice(pedicle: Pedicle) -> FloatArray:
    """Return first candidates (n, 4): convergence, sagittal angle, shift outwards and up."""
    own = pedicle.field.frame.axes_ras @ pedicle.pedicle.axis_ras
    own_convergence = np.degrees(np.arctan2(-pedicle.side_sign * own[0], own[1]))
    own_sagittal = np.degrees(np.arcsin(np.clip(own[2], -1.0, 1.0)))
    target = pedicle.target
    around = np.array([-8.0, -4.0, 0.0, 4.0, 8.0])
    convergence, sagittal = target.convergence_deg + around, target.sagittal_deg + around
    if target.follows_axis:
        convergence = np.append(convergence, own_convergence + np.array([-6.0, 0.0, 6.0]))
        sagittal = np.append(sagittal, own_sagittal + np.array([-4.0, 4.0]))
    outwards = np.array([-1.5, -0.75, 0.0, 0.75, 1.5])
    upwards = np.array([-3.0, -1.5, 0.0, 1.5, 3.0]) + target.up_mm
    grid = np.meshgrid(convergence, sagittal, outwards, upwards, indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 4)


def _distinct(pedicle: Pedicle, candidates: FloatArray, count: int) -> tuple[Trajectory, ...]:
    """Return the first candidates that differ enough from all before them."""
    scores = score(pedicle, candidates)
    axis = directions(pedicle, candidates)
    entries = crossings(pedicle, candidates) + scores.entry_mm[:, None] * axis
    ways = candidates, entries, axis
    return tuple(_trajectory(pedicle, scores, ways, n) for n in apart(entries, axis, count, _APART))


def apart(
    entries: FloatArray, axis: FloatArray, count: int, least: tuple[float, float]
) -> list[int]:
    """Return the first `count` ways that differ enough from all before them.

    Parameters
    ----------
    entries, axis : ndarray, shape (n, 3)
        Entries in mm and unit directions, the best way first.
    count : int
    least : (mm, degrees)
        By which entries or directions differ enough.
    """
    least_mm, least_deg = least

    def differ(n: int, other: int) -> bool:
        cosine = np.clip(axis[n] @ axis[other], -1.0, 1.0)
        far = np.linalg.norm(entries[n] - entries[other]) >= least_mm
        return bool(far or np.degrees(np.arccos(cosine)) >= least_deg)

    chosen: list[int] = []
    for n in range(len(entries)):
        if all(differ(n, other) for other in chosen):
            chosen.append(n)
        if len(chosen) == count:
            break
    return chosen


def _trajectory(
    pedicle: Pedicle, scores: Scores, ways: tuple[FloatArray, FloatArray, FloatArray], n: int
) -> Trajectory:
    candidates, entries, axis = ways
    frame = pedicle.field.frame
    length = float(scores.length_mm[n])
    return Trajectory(
        entry=frame.to_ras(entries[n]),
        tip=frame.to_ras(entries[n] + length * axis[n]),
        diameter_mm=float(scores.diameter_mm[n]),
        length_mm=length,
        score=float(scores.total[n]),
        terms={name: float(value[n]) for name, value in scores.terms.items()},
        margin_mm=float(scores.margin_mm[n]),
        convergence_deg=float(candidates[n, 0]),
        sagittal_deg=float(candidates[n, 1]),
    )
