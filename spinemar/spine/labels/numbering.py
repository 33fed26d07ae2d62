"""Which software numbered these vertebrae: told by where the numbers lie, with how sure that is.

VerSe counts from head to foot, TotalSegmentator from foot to head, version 2 nine numbers from
where version 1 is: number 27 is L5 in the one and T8 in the other. What tells them apart is how far
the centres of neighbours are from each other (35 mm in the lumbar spine, 17 in the neck), for a
patient of unknown height. Where that does not tell, nothing is guessed.

References
----------
Sekuboyina et al., VerSe: A Vertebrae Labelling and Segmentation Benchmark, Med Image Anal 2021.
Wasserthal et al., TotalSegmentator, Radiology: Artificial Intelligence 2023 (tables of classes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinemar.spine.labels.levels import (
    CERVICAL,
    SACRUM,
    TOTALSEGMENTATOR_IDS,
    TOTALSEGMENTATOR_V1_IDS,
    USUAL_LENGTHS_MM,
    VERSE_IDS,
    level_position,
)
from spinemar.volume import LabelVolume

#: Numberings that can be named by these words.
NUMBERINGS: dict[str, Mapping[str, int]] = {
    "verse": VERSE_IDS,
    "totalsegmentator": TOTALSEGMENTATOR_IDS,
    "totalsegmentator-v1": TOTALSEGMENTATOR_V1_IDS,
}

#: A recognised numbering is never surer than this: the file itself does not state it.
SUREST = 0.95
_ACCEPTED = 0.97
_FEWEST_VOXELS = 20
# Adults differ by 8 % in the length of their spine, single vertebrae by 7 % from that.
_CHAIN_SPREAD, _GAP_SPREAD, _LABEL_MM = 0.08, 0.07, 2.5
# One adult in ten of those scanned is no adult; small spines are 0.3 to 0.9 of the usual size.
_CHILDREN, _CHILD_LOG_SIZE, _CHILD_SPREAD = 0.10, -0.4, 0.3
_LOG_SIZES = np.linspace(-1.3, 0.55, 75)
#: Structures that are no neighbours lie anywhere in the trunk (mm), in any direction.
_TRUNK_MM = 100.0
_UPWARD_SHARE = 0.25
_WORST = -6.0
#: How well the centre of a sacrum is known, as a part of a vertebra: all of it or S1 alone.
_WHOLE_SACRUM, _S1_ALONE = 1 / 9, 1 / 2
# Priors: one of the three tables; plainly counted from 1; nothing that is known.
_COUNTED, _UNKNOWN = 0.05, 0.02
_LARGEST_NUMBER = {"totalsegmentator-v1": 104}
#: The sacrum below S1 has a number of its own in TotalSegmentator 2, and its centre is so far off.
_SACRUM_NUMBER, _SACRUM_BELOW_MM = {"totalsegmentator": 25}, 40.0

Centres = Mapping[int, NDArray[np.float64]]


@dataclass(frozen=True)
class Recognised:
    """What the numbers of a label map can mean.

    Parameters
    ----------
    probability : mapping of str to float
        By numbering; what is missing to 1 is some other one.
    best : str or None
        The numbering that is sure enough to be used.
    """

    probability: Mapping[str, float]
    best: str | None

    @property
    def possible(self) -> tuple[str, ...]:
        """Numberings that cannot be ruled out, the likelier first."""
        ordered = sorted(self.probability, key=lambda name: -self.probability[name])
        return tuple(name for name in ordered if self.probability[name] > 0.005)


def recognise_numbering(labels: LabelVolume) -> Recognised:
    """Return how likely each numbering is, and the one that is beyond doubt, if any."""
    centres = label_centres(labels)
    evidence = {
        name: _evidence(centres, ids, _SACRUM_NUMBER.get(name)) for name, ids in NUMBERINGS.items()
    }
    for name, largest in _LARGEST_NUMBER.items():
        if max(centres, default=0) > largest and max(centres) <= 117:
            evidence[name] += _WORST
    known = np.log((1.0 - _COUNTED - _UNKNOWN) / len(NUMBERINGS))
    logs = {name: known + value for name, value in evidence.items()}
    rivals = [np.log(_UNKNOWN), np.log(_COUNTED) + _counted_evidence(centres)]
    total = np.logaddexp.reduce([*logs.values(), *rivals])
    probability = {name: float(np.exp(value - total)) for name, value in logs.items()}
    best = max(probability, key=lambda name: probability[name])
    neighbours = evidence[best] != 0.0
    sure = neighbours and probability[best] >= _ACCEPTED
    held = {n: p for n, p in probability.items() if set(NUMBERINGS[n].values()) & set(centres)}
    return Recognised(held, best if sure else None)


def label_centres(labels: LabelVolume) -> dict[int, NDArray[np.float64]]:
    """Centre of mass (RAS mm, shape (3,)) of each label, on every second voxel of large volumes."""
    array = labels.labels
    step = 2 if array.size > 2e6 else 1
    thin = array[:, ::step, ::step]
    k, j, i = np.nonzero(thin)
    values = thin[k, j, i].astype(np.int64)
    keep = values > 0
    values, ijk = values[keep], np.stack([i * step, j * step, k], axis=1)[keep]
    count = np.bincount(values)
    sums = [np.bincount(values, weights=ijk[:, axis]) for axis in range(3)]
    return {
        int(v): labels.geometry.to_ras(np.array([sums[a][v] / count[v] for a in range(3)]))
        for v in np.flatnonzero(count >= _FEWEST_VOXELS)
    }


def reversed_pair(centres: Centres, ids: Mapping[str, int]) -> tuple[str, str] | None:
    """Return two levels of which the upper lies lower, where most neighbours do so."""
    chain = _chain(centres, ids)
    falls = [centres[ids[upper]][2] - centres[ids[lower]][2] for upper, lower in pairwise(chain)]
    wrong = [n for n, fall in enumerate(falls) if fall < -_LABEL_MM]
    if not wrong or 2 * len(wrong) <= len(falls):
        return None
    return chain[wrong[0]], chain[wrong[0] + 1]


def _chain(centres: Centres, ids: Mapping[str, int]) -> list[str]:
    return sorted((level for level, n in ids.items() if n in centres), key=level_position)


def _evidence(centres: Centres, ids: Mapping[str, int], sacrum: int | None = None) -> float:
    """Log-likelihood of the centres as vertebrae of a numbering, over structures anywhere.

    `sacrum` is the number of the sacrum where S1 has one of its own.
    """
    chain = _chain(centres, ids)
    pairs = list(pairwise(chain))
    steps = [centres[ids[upper]] - centres[ids[lower]] for upper, lower in pairs]
    usual = [_usual_gap_mm(upper, lower) for upper, lower in pairs]
    vertebrae = [max(1.0, level_position(low) - level_position(up)) for up, low in pairs]
    if vertebrae and chain[-1] == SACRUM:
        vertebrae[-1] *= _WHOLE_SACRUM if sacrum is None else _S1_ALONE
    if sacrum is not None and sacrum in centres and chain and chain[-1] == SACRUM:
        steps.append(centres[ids[SACRUM]] - centres[sacrum])
        usual.append(_SACRUM_BELOW_MM)
        vertebrae.append(_WHOLE_SACRUM)
    if not steps:
        return 0.0
    return _log_over_sizes(np.array(steps), np.array(usual), np.array(vertebrae))


def _counted_evidence(centres: Centres) -> float:
    """Return the same for a plain count 1, 2, 3 ... of any levels, from above or below."""
    numbers = sorted(centres)
    if len(numbers) < 2 or numbers != list(range(1, len(numbers) + 1)):
        return -np.inf
    order = sorted(USUAL_LENGTHS_MM, key=level_position)
    logs = []
    for first in range(len(order) - len(numbers) + 1):
        levels = order[first : first + len(numbers)]
        for way in (levels, levels[::-1]):
            if way[0] == CERVICAL[0]:
                continue  # that is VerSe
            logs.append(_evidence(centres, dict(zip(way, numbers, strict=True))))
    if not logs:
        return -np.inf
    return float(np.logaddexp.reduce(logs) - np.log(len(logs)))


def _usual_gap_mm(upper: str, lower: str) -> float:
    """Return the usual distance of two centres: half of either vertebra, and all between them."""
    first, last = level_position(upper), level_position(lower)
    lengths = [
        length * (0.5 if level in (upper, lower) else 1.0)
        for level, length in USUAL_LENGTHS_MM.items()
        if first <= level_position(level) <= last
    ]
    # A variant (T13, L6) is as long as its neighbour.
    variants = sum(level not in USUAL_LENGTHS_MM for level in (upper, lower))
    return float(sum(lengths)) + 17.0 * variants


def _log_over_sizes(
    steps: NDArray[np.float64], usual: NDArray[np.float64], count: NDArray[np.float64]
) -> float:
    """Sum the gaps' evidence for each size of patient, and average over the sizes."""
    distance = np.maximum(np.linalg.norm(steps, axis=1), 1e-3)
    upward = steps[:, 2] > 0.4 * distance
    expected = usual * np.exp(_LOG_SIZES)[:, None]
    spread = np.hypot(_GAP_SPREAD * expected / np.sqrt(count), _LABEL_MM)
    near = -0.5 * ((distance - expected) / spread) ** 2 - np.log(spread * np.sqrt(2 * np.pi))
    anywhere = (
        np.log(np.sqrt(2 / np.pi) * distance**2 / _TRUNK_MM**3 * _UPWARD_SHARE)
        - 0.5 * (distance / _TRUNK_MM) ** 2
    )
    gain = np.where(upward, np.maximum(near - anywhere, _WORST), _WORST)
    logs = gain.sum(axis=1) + np.log(_size_prior())
    return float(np.logaddexp.reduce(logs))


def _size_prior() -> NDArray[np.float64]:
    adults = np.exp(-0.5 * (_LOG_SIZES / _CHAIN_SPREAD) ** 2) / _CHAIN_SPREAD
    children = np.exp(-0.5 * ((_LOG_SIZES - _CHILD_LOG_SIZE) / _CHILD_SPREAD) ** 2) / _CHILD_SPREAD
    prior: NDArray[np.float64] = (1 - _CHILDREN) * adults + _CHILDREN * children
    prior /= prior.sum()
    return prior


def levels_of_numbers(numbers: Sequence[int], numbering: str) -> tuple[str, ...]:
    """Return the levels that numbers name in a numbering, from head to foot."""
    table = {number: level for level, number in NUMBERINGS[numbering].items()}
    return tuple(sorted((table[n] for n in numbers if n in table), key=level_position))
