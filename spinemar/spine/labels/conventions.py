"""Translate the label values of other software to VerSe numbers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.spine.labels.levels import (
    SACRUM,
    TOTALSEGMENTATOR_IDS,
    TOTALSEGMENTATOR_V1_IDS,
    VERSE_IDS,
    level_in_name,
    level_position,
)
from spinemar.volume import LabelVolume

#: Numberings that can be named; "auto" chooses the one that puts the levels in order.
NUMBERINGS: dict[str, Mapping[str, int]] = {
    "verse": VERSE_IDS,
    "totalsegmentator": TOTALSEGMENTATOR_IDS,
    "totalsegmentator-v1": TOTALSEGMENTATOR_V1_IDS,
}

#: Centres of neighbouring vertebrae are this far apart (small child to tall adult), mm.
_NEIGHBOURS_MM = (9.0, 60.0)
_FEWEST_VOXELS = 20


def to_verse(labels: LabelVolume, naming: str | Mapping[int, str] = "auto") -> LabelVolume:
    """Return the vertebrae of a segmentation under their VerSe numbers, the rest as background.

    Parameters
    ----------
    labels : LabelVolume
    naming : str or mapping of int to str
        "auto", "verse", "totalsegmentator" (version 2), "totalsegmentator-v1", or the segments'
        names or terminology codes by label value.

    Raises
    ------
    InputError
        If no vertebra is found under this naming.
    """
    if isinstance(naming, str):
        table = _table(labels, naming)
    else:
        named = {value: level_in_name(name) for value, name in naming.items()}
        table = {value: VERSE_IDS[level] for value, level in named.items() if level is not None}
    values = [int(value) for value in np.unique(labels.labels)]
    if not any(value in table for value in values):
        raise InputError(
            "This segmentation names no vertebra.",
            "Name its segments (for example 'L1 vertebra') or state the numbering it uses.",
        )
    low, high = min(values), max(values)
    lookup = np.zeros(high - low + 1, np.int16)
    for value, verse in table.items():
        if low <= value <= high:
            lookup[value - low] = verse
    return LabelVolume(lookup[labels.labels - low], labels.ijk_to_ras)


def names_vertebrae(labels: LabelVolume, naming: str | Mapping[int, str] = "auto") -> bool:
    """Whether a segmentation holds at least one vertebra under its own number or name.

    A mask of a single value (1, or 255) is no vertebra unless it is named.
    """
    values = [int(v) for v in np.unique(labels.labels) if v != 0]
    if isinstance(naming, Mapping):
        return any(level_in_name(naming.get(value, "")) is not None for value in values)
    if naming == "auto" and len(values) == 1 and values[0] in (1, 255):
        return False
    table = _table(labels, naming)
    return any(value in table for value in values)


def _table(labels: LabelVolume, naming: str) -> dict[int, int]:
    if naming == "auto":
        naming = guess_numbering(labels)
    if naming not in NUMBERINGS:
        raise InputError(
            f"'{naming}' is not a known numbering.", f"Use auto, {', '.join(NUMBERINGS)}."
        )
    return {number: VERSE_IDS[level] for level, number in NUMBERINGS[naming].items()}


def guess_numbering(labels: LabelVolume) -> str:
    """Return the numbering under which neighbouring levels lie next to each other, in order.

    The first of equals wins: VerSe, then TotalSegmentator 2, then 1.
    """
    centres = _centres(labels)
    scores = {name: _order_score(centres, ids) for name, ids in NUMBERINGS.items()}
    # One vertebra alone has no order; what its number can mean decides then.
    alone = {
        name: 0.1 * sum(v in ids.values() for v in centres) for name, ids in NUMBERINGS.items()
    }
    return max(NUMBERINGS, key=lambda name: (scores[name], alone[name]))


def _centres(labels: LabelVolume) -> dict[int, NDArray[np.float64]]:
    """Centre of mass (RAS mm) of each label, on every second voxel of large volumes."""
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


def _order_score(centres: Mapping[int, NDArray[np.float64]], ids: Mapping[str, int]) -> float:
    chain = sorted(
        (level for level, number in ids.items() if number in centres and level != SACRUM),
        key=level_position,
    )
    score = 0.0
    for upper, lower in pairwise(chain):
        if level_position(lower) - level_position(upper) > 1:
            continue
        gap = centres[ids[upper]] - centres[ids[lower]]
        near = _NEIGHBOURS_MM[0] <= np.linalg.norm(gap) <= _NEIGHBOURS_MM[1]
        score += 1.0 if near and gap[2] > 0 else -1.0
    return score
