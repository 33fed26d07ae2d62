"""Vertebrae under other names: all counted from one that the user knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spinemar.errors import InputError
from spinemar.spine.levels import LEVELS, VERSE_IDS
from spinemar.spine.model import SpineModel
from spinemar.volume import LabelVolume


def renamed(spine: SpineModel, level: str, trueLevel: str) -> SpineModel:
    """Return the spine with all vertebrae renamed so that `level` becomes `trueLevel`.

    Raises
    ------
    InputError
        If a vertebra would lie above C1 or below the sacrum.
    """
    steps = LEVELS.index(trueLevel) - LEVELS.index(level) if level in LEVELS else 0
    values = [int(value) for value in np.unique(spine.labels.labels) if value]
    numbers = {number: name for name, number in VERSE_IDS.items()}
    table = {name: _shifted(name, steps) for name in {numbers[v] for v in values if v in numbers}}
    table |= {name: _shifted(name, steps) for name in spine.levels}
    lookup = np.zeros(max(values) + 1, np.int16)
    for value in values:
        if value in numbers:
            lookup[value] = VERSE_IDS[table[numbers[value]]]
    labels = LabelVolume(lookup[spine.labels.labels], spine.labels.ijk_to_ras)
    frames = tuple(replace(v, level=table[v.level]) for v in spine.vertebrae)
    return SpineModel(labels, frames, spine.canal_ras)


def _shifted(level: str, steps: int) -> str:
    if level not in LEVELS:
        return level
    place = LEVELS.index(level) + steps
    if not 0 <= place < len(LEVELS):
        raise InputError(
            f"{level} would lie outside the spine then.",
            "Choose a level nearer to the present one.",
        )
    return LEVELS[place]
