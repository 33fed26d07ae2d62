"""Labels that show behind metal the bone that is graded there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinemar.planning.grades.bone import BoneField
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import LabelVolume


def labels_behind_metal(
    labels: LabelVolume, fields: Mapping[str, BoneField], hidden: NDArray[np.bool_]
) -> LabelVolume:
    """Return labels that show behind metal what is graded there, and keep all others.

    Parameters
    ----------
    labels : LabelVolume
        VerSe numbers.
    fields : mapping of str to BoneField
        By level.
    hidden : ndarray of bool, shape (k, j, i)
        On the grid of the labels.
    """
    drawn = labels.labels.copy()
    places = np.argwhere(hidden)
    points = labels.geometry.to_ras(places[:, ::-1].astype(np.float64))
    found = drawn[hidden]
    for level, field in fields.items():
        number = VERSE_IDS[level]
        bone = field.distance_mm(points) < 0.0
        found = np.where(bone & (found == 0), number, np.where(~bone & (found == number), 0, found))
    drawn[hidden] = found
    return replace(labels, labels=drawn)
