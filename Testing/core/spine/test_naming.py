"""Levels by what the file says; numbers of other software; the guess from anatomical signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.io.segmentations.vertebra_names import level_in_name, levels_in_names
from spinemar.spine.labels.conventions import LevelNaming, find_naming, names_vertebrae, to_verse
from spinemar.spine.labels.levels import (
    TOTALSEGMENTATOR_IDS,
    TOTALSEGMENTATOR_V1_IDS,
    USUAL_LENGTHS_MM,
    VERSE_IDS,
    level_position,
    level_range,
)
from spinemar.spine.segmentation.level_identification import LevelSigns, guess_levels
from spinemar.volume import LabelVolume

TABLES = {
    "verse": VERSE_IDS,
    "totalsegmentator": TOTALSEGMENTATOR_IDS,
    "totalsegmentator-v1": TOTALSEGMENTATOR_V1_IDS,
}
MM = 2.0


def spine(levels: Sequence[str], ids: Mapping[str, int], size: float = 1.0, names=None):
    """One block a level, as far apart as in an adult times `size`."""
    ordered = sorted(levels, key=level_position)
    lengths = [USUAL_LENGTHS_MM.get(level, 33.0) * size for level in ordered]
    tops = np.concatenate([[0.0], np.cumsum(lengths)])
    labels = np.zeros((int(tops[-1] / MM) + 2, 14, 14), np.int16)
    for level, top, bottom in zip(ordered, tops[:-1], tops[1:], strict=True):
        k = slice(int((top + 3) / MM), int((bottom - 3) / MM))
        labels[k, 3:11, 3:11] = ids[level]
    return LabelVolume(labels[::-1].copy(), np.diag([3.0, 3.0, MM, 1.0]), names or {})


def with_organs(labels: LabelVolume, ids: Mapping[str, int], largest: int) -> LabelVolume:
    """Give every number that is no vertebra a lump somewhere in the trunk beside the spine."""
    k, _, _ = labels.labels.shape
    wide = np.zeros((k, 14, 60), np.int16)
    wide[:, :, :14] = labels.labels
    place = np.random.default_rng(3)
    for number in set(range(1, largest + 1)) - set(ids.values()):
        z, y, x = place.integers(0, k - 6), place.integers(0, 8), place.integers(16, 52)
        wide[z : z + 5, y : y + 5, x : x + 5] = number
    return LabelVolume(wide, labels.ijk_to_ras)


def levels_of(labels: LabelVolume) -> set[str]:
    table = {number: level for level, number in VERSE_IDS.items()}
    return {table[int(v)] for v in np.unique(labels.labels) if v}


def told(labels: LabelVolume) -> tuple[LevelNaming | None, str]:
    """What is told of the levels, or the remedy of the question about them."""
    try:
        return find_naming(labels), ""
    except InputError as question:
        return None, question.remedy


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    "field", ["L1-L5", "L2-S1", "T11-L3", "T1-T12", "C1-S1", "T4-S1", "C2-T6", "T12-S1", "C1-L5"]
)
@pytest.mark.parametrize("size", [0.6, 0.85, 1.0, 1.12])
@pytest.mark.parametrize("organs", [False, True])
def test_numbers_are_told_apart_or_asked_about(name, field, size, organs) -> None:
    """Whatever the numbering, field and patient: right, or a question; never another level."""
    ids, levels = TABLES[name], set(level_range(field))
    labels = spine(levels, ids, size)
    if organs:
        largest = {"verse": 28, "totalsegmentator": 117, "totalsegmentator-v1": 104}[name]
        labels = labels if name == "verse" else with_organs(labels, ids, largest)
    found, question = told(labels)
    if found is None:
        assert "--naming" in question
        assert name in question
        assert size != 1.0, "an adult's spine of five levels and more is never asked about"
    else:
        assert set(found.levels.values()) == levels
        assert found.confidence < 1.0
    assert levels_of(to_verse(labels, name)) == levels  # stated, it is always taken


@pytest.mark.parametrize("level", ["C2", "T4", "T10", "L1", "L5", "S1"])
@pytest.mark.parametrize("name", TABLES)
def test_a_single_vertebra_is_asked_about(level: str, name: str) -> None:
    labels = spine([level], TABLES[name])
    with pytest.raises(InputError, match="have no names, and could mean") as caught:
        to_verse(labels)
    assert level in caught.value.problem
    found = find_naming(labels, name)
    assert found is not None
    assert found.levels == {TABLES[name][level]: level}
    assert found.confidence == 1.0


@pytest.mark.parametrize("field", ["T11-L3", "L1-L5", "T5-T9", "L2-L4"])
@pytest.mark.parametrize("way", [1, -1])
def test_segments_counted_from_one_are_no_cervical_spine(field: str, way: int) -> None:
    levels = level_range(field)[::way]
    labels = spine(levels, {level: n for n, level in enumerate(levels, 1)})
    with pytest.raises(InputError, match=r"no names|no vertebra"):
        to_verse(labels)
    stated = ",".join(f"{n}={level}" for n, level in enumerate(levels, 1))
    assert levels_of(to_verse(labels, stated)) == set(levels)


@pytest.mark.parametrize(
    "gaps", [("L1", "L3", "L4"), ("T10", "T12", "L2"), ("C3", "C5", "T1"), ("L3", "L4", "S1")]
)
def test_levels_that_are_left_out_do_not_shift_the_others(gaps) -> None:
    every = level_range(f"{gaps[0]}-{gaps[-1]}")
    for name, ids in TABLES.items():
        labels = spine(every, ids)
        left = np.isin(labels.labels, [ids[level] for level in gaps])
        some = LabelVolume(np.where(left, labels.labels, 0), labels.ijk_to_ras)
        found, question = told(some)
        assert set(found.levels.values()) == set(gaps) if found else name in question


def test_variants_and_the_sacrum_beside_s1() -> None:
    levels = ["T11", "T12", "T13", "L1", "L2", "L3", "L4", "L5", "L6", "S1"]
    assert levels_of(to_verse(spine(levels, VERSE_IDS))) == set(levels)
    ids = {**TOTALSEGMENTATOR_IDS, "S1": 26}
    labels = spine(level_range("L1-S1"), ids)
    below = np.zeros((20, 14, 14), np.int16)
    below[:18, 3:11, 3:11] = 25  # the sacrum below S1
    both = LabelVolume(np.concatenate([below, labels.labels]), labels.ijk_to_ras)
    verse = to_verse(both)
    assert levels_of(verse) == set(level_range("L1-S1"))
    assert not verse.labels[:18].any()


NAMES = {3: "T12 vertebra", 7: "SCT^66794005^L1 vertebra", 9: "Aorta"}


def test_names_of_the_file_come_before_numbers() -> None:
    """Numbers that VerSe would call something else, under names."""
    levels = level_range("T11-L3")
    ids = {level: n for n, level in enumerate(levels, 19)}  # T11 under VerSe's T12
    labels = spine(levels, ids, names={n: f"{level} vertebra" for level, n in ids.items()})
    found = find_naming(labels)
    assert found is not None
    assert (found.source, found.confidence) == ("names", 1.0)
    assert found.levels == {n: level for level, n in ids.items()}
    assert levels_of(to_verse(labels)) == set(levels)
    # What the user states comes before both.
    assert levels_of(to_verse(labels, "verse")) == set(level_range("T12-L4"))


@pytest.mark.parametrize("names", [("Segment_1", "Segment_2", "Segment_3"), ("a", "b", "c")])
def test_names_that_tell_nothing_do_not_make_numbers_true(names) -> None:
    """Their numbers are an order of segments: 20, 21, 22 are then not L1, L2, L3."""
    labels = spine(level_range("L1-L3"), VERSE_IDS, names=dict(zip((20, 21, 22), names)))  # noqa: B905
    assert not names_vertebrae(labels)
    with pytest.raises(InputError, match=names[0]) as caught:
        to_verse(labels)
    assert "--naming" in caught.value.remedy
    assert levels_of(to_verse(labels, "verse")) == {"L1", "L2", "L3"}


@pytest.mark.parametrize(
    ("name", "field", "other"),
    [
        ("verse", "T12-L5", "totalsegmentator-v1"),
        ("totalsegmentator-v1", "L1-L5", "verse"),
        ("totalsegmentator-v1", "C1-L5", "verse"),
    ],
)
def test_a_stated_numbering_that_turns_the_spine_over_is_refused(name, field, other) -> None:
    labels = spine(level_range(field), TABLES[name])
    with pytest.raises(InputError, match="would lie below"):
        to_verse(labels, other)


def test_names_that_turn_the_spine_over_are_refused() -> None:
    levels = level_range("T12-L3")
    ids = dict(zip(levels, (4, 3, 2, 1), strict=True))
    names = {n: levels[n - 1] for n in ids.values()}
    with pytest.raises(InputError, match=r"By its names .* would lie below"):
        to_verse(spine(levels, ids, names=names))


def test_other_organs_are_background():
    labels = with_organs(spine(["T12", "L1"], TOTALSEGMENTATOR_IDS), TOTALSEGMENTATOR_IDS, 117)
    assert set(np.unique(to_verse(labels, "totalsegmentator").labels)) == {0, 19, 20}


def test_single_mask_is_no_vertebra_unless_named():
    mask = spine(["C1"], {"C1": 1})
    assert not names_vertebrae(mask)
    assert names_vertebrae(mask, {1: "L3 vertebra"})
    assert set(np.unique(to_verse(mask, {1: "L3 vertebra"}).labels)) == {0, VERSE_IDS["L3"]}
    named = LabelVolume(mask.labels, mask.ijk_to_ras, {1: "Spine"})
    assert not names_vertebrae(named)


@pytest.mark.parametrize("text", ["banana", "1=banana", "x=L1", "1=", "=L1", "1=L1,2"])
def test_unknown_naming_is_refused(text: str):
    with pytest.raises(InputError):
        to_verse(spine(["L1"], VERSE_IDS), text)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("vertebrae_T12", "T12"), ("L1 vertebra", "L1"), ("Th12", "T12"), ("th 1", "T1"),
        ("D10", "T10"), ("LWK 3", "L3"), ("BWK12", "T12"), ("HWK 7", "C7"), ("SWK1", "S1"),
        ("First lumbar vertebra", "L1"), ("lumbar vertebra 1", "L1"), ("lumbar_5", "L5"),
        ("12th thoracic vertebra", "T12"), ("SCT^66794005^L1 vertebra", "L1"), ("T13", "T13"),
        ("vertebraL1", "L1"), ("L1_1", "L1"), ("L01", "L1"), ("C1 (atlas)", "C1"), ("L6", "L6"),
        ("sacrum", "S1"), ("vertebrae_S1", "S1"), ("SCT^54735007^Sacrum", "S1"),
        ("L5S1", None), ("L1-2", None), ("L1-L3", None), ("L1/L2", None), ("L5-S1 disc", None),
        ("T12 L1", None), ("Segment_1", None), ("Segment 3", None), ("CT 3", None),
        ("L1 screw", None), ("L4 nerve root", None), ("S2", None), ("L7", None), ("T2w", None),
        ("Label 5", None), ("T-11511", None), ("T12710", None), ("rib_left_1", None),
        ("intervertebral_discs_L1", None), ("lumbar spine", None), ("", None),
    ],
)  # fmt: skip
def test_level_in_name(name: str, level: str | None) -> None:
    assert level_in_name(name) == level


def test_the_sacrum_gives_way_to_s1() -> None:
    assert levels_in_names({1: "sacrum", 2: "vertebrae_S1"}) == {2: "S1"}
    assert levels_in_names({1: "sacrum", 2: "vertebrae_L5"}) == {1: "S1", 2: "L5"}


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
