"""Numbers and names of other software, and the guess from anatomical signs."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.spine.labels.conventions import guess_numbering, names_vertebrae, to_verse
from spinemar.spine.labels.levels import TOTALSEGMENTATOR_IDS, TOTALSEGMENTATOR_V1_IDS, VERSE_IDS
from spinemar.spine.segmentation.level_identification import LevelSigns, guess_levels
from spinemar.volume import LabelVolume


def _stack(levels, ids, others=(), step=24.0):
    """One block a level, from head to foot, 24 mm apart."""
    labels = np.zeros((len(levels) * 8, 12, 12), np.int16)
    for n, level in enumerate(reversed(levels)):
        labels[n * 8 + 1 : n * 8 + 7, 3:9, 3:9] = ids[level]
    for n, value in enumerate(others):
        labels[0, n, 0:2] = value
    return LabelVolume(labels, np.diag([2.0, 2.0, step / 8, 1.0]))


@pytest.mark.parametrize(
    ("ids", "name"),
    [
        (VERSE_IDS, "verse"),
        (TOTALSEGMENTATOR_IDS, "totalsegmentator"),
        (TOTALSEGMENTATOR_V1_IDS, "totalsegmentator-v1"),
    ],
)
def test_numbering_is_recognised(ids, name):
    levels = ["C6", "C7", "T1", "T2", "T3"] if name == "totalsegmentator" else ["T12", "L1", "L2"]
    if name == "totalsegmentator-v1":
        levels = ["L1", "L2", "L3", "L4", "L5"]
    labels = _stack(levels, ids)
    assert guess_numbering(labels) == name
    found = set(np.unique(to_verse(labels).labels)) - {0}
    assert found == {VERSE_IDS[level] for level in levels}


def test_other_organs_are_background():
    labels = _stack(["T12", "L1"], TOTALSEGMENTATOR_IDS, others=(5, 92, 79))
    assert set(np.unique(to_verse(labels, "totalsegmentator").labels)) == {0, 19, 20}


def test_single_mask_is_no_vertebra_unless_named():
    mask = _stack(["C1"], {"C1": 1})
    assert not names_vertebrae(mask)
    assert names_vertebrae(mask, {1: "L3 vertebra"})
    assert not names_vertebrae(mask, {1: "Spine"})


def test_unknown_naming_is_refused():
    with pytest.raises(InputError):
        to_verse(_stack(["L1"], VERSE_IDS), "banana")


_NAN = float("nan")


def _signs(lengths, ribs, ala=None):
    """Signs given from head to foot."""
    ribs = np.array([[r, r] for r in ribs], float)[::-1]
    ala = np.zeros(len(lengths)) if ala is None else np.array(ala, float)[::-1]
    return LevelSigns(np.array(lengths, float)[::-1], ribs, ala)


def test_last_rib_names_the_spine():
    guess = guess_levels(_signs([_NAN, 26, 28, 31, 33, 35, _NAN], [1, 1, 1, 1, 0, 0, 0]))
    assert guess.levels[::-1] == ("T9", "T10", "T11", "T12", "L1", "L2", "L3")


def test_sacrum_names_the_spine():
    guess = guess_levels(
        _signs([_NAN, 34, 35, 36, 35, 31, _NAN], [_NAN] * 7, [0, 0, 0, 0, 0.1, 0.5, 0.6])
    )
    assert guess.levels[::-1][4] == "L5"
    assert guess.levels[0] == "S1"


def test_first_rib_names_the_spine():
    guess = guess_levels(_signs([_NAN, 17, 18, 20, 21, 22, _NAN], [0, 0, 0, 1, 1, 1, 1]))
    assert guess.levels[::-1][3] == "T1"


def test_ribs_all_along_are_an_admitted_guess():
    guess = guess_levels(_signs([_NAN, 24, 24, 25, _NAN], [1, 1, 1, 1, 1]))
    assert guess.confidence < 0.3
