"""Where one vertebra ends and the next begins: dynamic programming along the spine.

A vertebra is the stretch between two disc centres. Its pedicles and foramen lie at fixed shares
of that stretch, its body is narrowest in the middle, and neighbours are of nearly equal length.
The best chain of such stretches is found as a whole; no single disc has to be visible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Pedicle profile over the share of a vertebra's length (0 lower disc, 1 upper disc), as seen
#: in the training CTs.
_SHARE = np.array(
    [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1]
)
_PEDICLES = np.array(
    [.50, .32, .22, .16, .12, .12, .18, .38, .62, .82, .92, .93, .92, .95, .95, .90, .72, .50]
)  # fmt: skip
_LENGTHS = np.arange(13, 52)
_USUAL_LENGTH, _LENGTH_SPREAD = 27.0, 0.45
#: Towards the head each vertebra is a little shorter than the one below.
_GROWTH, _GROWTH_SPREAD, _GROWTH_WEIGHT = 0.03, 0.12, 10.0
_WIDTH_WEIGHT = 0.35
#: Longest stretch at either end that no whole vertebra needs to fill, mm.
_LOOSE_END = 45
#: A disc's centre can be told this far inside the volume, mm.
_DISC_INSIDE = 3


@dataclass(frozen=True)
class Evidence:
    """Profiles (n,) that vertebrae are fitted to: pedicles, waist of the body, discs."""

    pedicles: NDArray[np.float64]
    width: NDArray[np.float64]
    disc: NDArray[np.float64]
    disc_weight: float = 15.0
    width_weight: float = _WIDTH_WEIGHT


def waist(radius: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Profile of the bodies' width, about -1 at their waists and 1 at their endplates.

    Parameters
    ----------
    radius : ndarray, shape (n, rays)
        Of the column's wall (`column.column_wall`).
    angles : ndarray, shape (rays,)
    """
    seen = (np.abs(np.cos(angles)) > 0.8) | (np.sin(angles) > 0.5)
    width = radius[:, seen].mean(axis=1)
    fine = ndimage.gaussian_filter1d(width, 1, mode="nearest")
    fine -= ndimage.gaussian_filter1d(width, 9, mode="nearest")
    power = ndimage.gaussian_filter1d(fine**2, 30, mode="nearest")
    result: NDArray[np.float64] = np.clip(fine / np.sqrt(2 * power + 0.02), -1.5, 1.5)
    return result


def find_boundaries(
    evidence: Evidence, ordinals: Mapping[int, int] | None = None
) -> NDArray[np.intp]:
    """Return the places of the disc centres, from feet to head.

    Parameters
    ----------
    evidence : Evidence
    ordinals : mapping of int to int, optional
        Known places: s of a point inside a vertebra -> its number counted from the lowest known
        one (which is 0) towards the head. Every boundary chain then fits these numbers.

    Returns
    -------
    ndarray of int, shape (discs,)
        Indices along the straightened spine.
    """
    stages = _free_stages(evidence) if not ordinals else _known_stages(evidence, ordinals)
    return _with_last_discs(evidence, _best_chain(evidence, stages))


def _with_last_discs(evidence: Evidence, places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Add a disc that lies where one is due between the chain's end and the volume's."""
    n = len(evidence.disc)
    if len(places) < 2:
        return places
    result = list(places)
    for top in (True, False):
        length = float(result[-1] - result[-2] if top else result[1] - result[0])
        due = result[-1] + 0.97 * length if top else result[0] - 1.03 * length
        near = np.arange(round(due) - 3, round(due) + 4)
        near = near[(near >= _DISC_INSIDE) & (near < n - _DISC_INSIDE)]
        if len(near):
            best = int(near[evidence.disc[near].argmax()])
            result = [*result, best] if top else [best, *result]
    return np.array(result, dtype=np.intp)


@dataclass(frozen=True)
class _Stage:
    """Vertebrae that may follow each other: which stretches fit, what may lie below and at ends.

    Parameters
    ----------
    fits : ndarray of bool, shape (n, lengths)
    below : tuple of int
        Stages that may end where this one begins.
    starts, ends : ndarray of bool, shape (n + 1,)
        Whether the chain may begin (end) at a place without a whole vertebra below (above) it.
    """

    fits: NDArray[np.bool_]
    below: tuple[int, ...]
    starts: NDArray[np.bool_]
    ends: NDArray[np.bool_]


def _free_stages(evidence: Evidence) -> list[_Stage]:
    n = len(evidence.pedicles)
    place = np.arange(n + 1)
    fits = np.ones((n, len(_LENGTHS)), bool)
    return [_Stage(fits, (0,), place < _LOOSE_END, n - place <= _LOOSE_END)]


def _known_stages(evidence: Evidence, ordinals: Mapping[int, int]) -> list[_Stage]:
    """Stages: free below the lowest known vertebra, one for each known number, free above."""
    n = len(evidence.pedicles)
    place = np.arange(n + 1)
    at = np.full(n, -1)
    for s, number in ordinals.items():
        at[int(np.clip(s, 0, n - 1))] = number
    top = max(ordinals.values())
    # Known numbers in [0, p) and in [p, n): smallest and largest, by place p.
    known = np.flatnonzero(at >= 0)
    before = np.concatenate([[-1], np.maximum.accumulate(np.where(at >= 0, at, -1))])
    after_low = np.array([at[known[known >= p]].min(initial=top + 1) for p in place])
    stages = []
    for number in range(-1, top + 2):
        fits = np.zeros((n, len(_LENGTHS)), bool)
        for column, length in enumerate(_LENGTHS):
            stop = np.minimum(place[:-1] + length, n)
            highest_inside = np.where(before[stop] > before[place[:-1]], before[stop], -1)
            lowest_inside = np.where(
                after_low[place[:-1]] < after_low[stop], after_low[place[:-1]], -1
            )
            empty = highest_inside < 0
            only = (highest_inside == number) & (lowest_inside == number)
            fits[:, column] = empty | only
        index = number + 1
        below = {0: (0,), top + 2: (top + 1, top + 2)}.get(index, (index - 1,))
        starts = (place < _LOOSE_END) & (before == number - 1 if number > 0 else before < 0)
        ends = (n - place <= _LOOSE_END) & (
            (after_low > top) if number >= top else (after_low == top) & (number == top - 1)
        )
        stages.append(_Stage(fits, below, starts, ends))
    return stages


def _match(evidence: Evidence) -> NDArray[np.float64]:
    """Score of a vertebra that begins at b with length L, shape (n, lengths)."""
    n = len(evidence.pedicles)
    longest = int(_LENGTHS[-1])
    pedicles = np.pad(evidence.pedicles, (0, longest), mode="edge")
    width = np.pad(evidence.width, (0, longest), mode="edge")
    score = np.full((n, len(_LENGTHS)), -np.inf)
    for column, length in enumerate(_LENGTHS):
        share = (np.arange(length) + 0.5) / length
        one = _squared_misfit(pedicles, np.interp(share, _SHARE, _PEDICLES))
        two = _squared_misfit(width, np.cos(2 * np.pi * share))
        # Constants make a stretch of no information worth nothing, whatever its length.
        own = 0.5 * length - 4 * one + evidence.width_weight * (0.9 * length - two)
        usual = -((np.log(length / _USUAL_LENGTH) / _LENGTH_SPREAD) ** 2)
        fits = n - length
        score[: max(fits, 0), column] = own[: max(fits, 0)] + usual
    return score


def _squared_misfit(
    profile: NDArray[np.float64], template: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum of squared differences of a template laid at every place."""
    power = np.correlate(profile**2, np.ones(len(template)), "valid")
    shared = np.correlate(profile, template, "valid")
    result: NDArray[np.float64] = power - 2 * shared + (template**2).sum()
    return result


def _end_score(evidence: Evidence, start: int, stop: int, length: int, top: bool) -> float:
    """Score of the part [start, stop) of a vertebra, the one that the volume's end cuts.

    `top`: what is seen is its upper part, so its upper disc lies at `stop`.
    """
    s = np.arange(start, stop)
    share = 1 - (stop - s - 0.5) / length if top else (s - start + 0.5) / length
    seen = (share >= 0) & (share <= 1)
    s, share = s[seen], share[seen]
    one = ((evidence.pedicles[s] - np.interp(share, _SHARE, _PEDICLES)) ** 2).sum()
    two = ((evidence.width[s] - np.cos(2 * np.pi * share)) ** 2).sum()
    own = 0.5 * len(s) - 4 * one + evidence.width_weight * (0.9 * len(s) - two)
    return float(own - 0.5 * max(0, stop - start - length))


def _growth_cost() -> NDArray[np.float64]:
    """Cost of a length (rows) above another (columns)."""
    ratio = np.log(_LENGTHS[:, None] / _LENGTHS[None])
    cost: NDArray[np.float64] = _GROWTH_WEIGHT * ((ratio + _GROWTH) / _GROWTH_SPREAD) ** 2
    return cost


def _best_chain(evidence: Evidence, stages: list[_Stage]) -> NDArray[np.intp]:
    n = len(evidence.pedicles)
    match, growth = _match(evidence), _growth_cost()
    disc = evidence.disc_weight * np.append(evidence.disc, 0.0)
    columns = np.arange(len(_LENGTHS))
    best = np.full((len(stages), *match.shape), -np.inf)
    # What lies below: -1 the start, else stage * lengths + column.
    below = np.full(best.shape, -1, np.intp)
    for b in range(n):
        whole = columns[b + _LENGTHS < n]
        if not len(whole):
            break
        alone = np.full(len(_LENGTHS), -np.inf)
        if b < _LOOSE_END:
            alone[whole] = [_end_score(evidence, 0, b, int(_LENGTHS[q]), True) for q in whole]
            alone += disc[b]
        starts = b - _LENGTHS
        for number, stage in enumerate(stages):
            score = np.where(stage.starts[b], alone, -np.inf)
            for under in stage.below:
                reached = np.where(
                    starts >= 0, best[under, np.clip(starts, 0, None), columns], -np.inf
                )
                chains = reached[None] - growth
                j = chains.argmax(axis=1)
                value = chains[columns, j]
                better = value > score
                score = np.where(better, value, score)
                below[number, b, better] = (under * len(_LENGTHS) + j)[better]
            score = np.where(stage.fits[b], score, -np.inf)
            ends = np.clip(b + _LENGTHS, 0, n)
            best[number, b, whole] = (score + match[b] + disc[ends])[whole]
    return _best_end(evidence, stages, best, below)


def _best_end(
    evidence: Evidence,
    stages: list[_Stage],
    best: NDArray[np.float64],
    below: NDArray[np.intp],
) -> NDArray[np.intp]:
    n = len(evidence.pedicles)
    winner, winner_score = None, -np.inf
    for number, b, q in zip(*np.nonzero(np.isfinite(best)), strict=True):
        stop = int(b + _LENGTHS[q])
        if not stages[number].ends[stop]:
            continue
        score = best[number, b, q] + _end_score(evidence, stop, n, int(_LENGTHS[q]), False)
        if score > winner_score:
            winner, winner_score = (int(number), int(b), int(q)), score
    if winner is None:
        return np.zeros(0, np.intp)
    number, b, q = winner
    places = [b + int(_LENGTHS[q])]
    while True:
        places.append(b)
        down = int(below[number, b, q])
        if down < 0:
            return np.array(places[::-1], dtype=np.intp)
        number, q = divmod(down, len(_LENGTHS))
        b -= int(_LENGTHS[q])
