"""Level names: every numbering that users bring is understood, and nothing else."""

from __future__ import annotations

import pytest

from spinemar.errors import InputError
from spinemar.spine.labels import levels


def test_verse_numbers_are_the_published_ones():
    published = {"C1": 1, "C7": 7, "T1": 8, "T12": 19, "L1": 20, "L5": 24, "L6": 25, "T13": 28}
    assert {name: levels.VERSE_IDS[name] for name in published} == published
    assert levels.VERSE_IDS["S1"] == 26


def test_totalsegmentator_numbers_are_the_published_ones():
    v2 = {"L3": 29, "T12": 32, "T1": 43, "C7": 44, "L5": 27, "C1": 50, "S1": 26}
    assert {name: levels.TOTALSEGMENTATOR_IDS[name] for name in v2} == v2
    v1 = {"L5": 18, "T12": 23, "C7": 35, "C1": 41}
    assert {name: levels.TOTALSEGMENTATOR_V1_IDS[name] for name in v1} == v1


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("vertebrae_T12", "T12"),
        ("L1 vertebra", "L1"),
        ("First lumbar vertebra", "L1"),
        ("Twelfth thoracic vertebra", "T12"),
        ("t 9", "T9"),
        ("D10", "T10"),
        ("SCT^66794005^L1 vertebra", "L1"),
        ("82687006", "T9"),
        ("sacrum", "S1"),
        ("vertebra C1", "C1"),
    ],
)
def test_names_of_vertebrae(name, level):
    assert levels.level_in_name(name) == level


@pytest.mark.parametrize(
    "name", ["disc_L1_L2", "rib_left_12", "heart", "Segment_1", "T14", "L9", "C8", "spinal_cord"]
)
def test_other_names_are_no_vertebra(name):
    assert levels.level_in_name(name) is None


def test_parse_refuses_with_a_remedy():
    with pytest.raises(InputError) as caught:
        levels.parse_level("banana")
    assert caught.value.remedy


def test_shift_walks_the_spine_and_stops_at_its_ends():
    assert levels.shift_level("T12", 1) == "L1"
    assert levels.shift_level("T1", -1) == "C7"
    with pytest.raises(InputError):
        levels.shift_level("C1", -1)


@pytest.mark.parametrize("level", ["T11", "T12", "T13", "L1", "L5", "L6", "S1"])
@pytest.mark.parametrize("other", ["T10", "T12", "L1", "L4", "L5", "S1"])
def test_as_many_steps_as_are_between_two_levels_lead_there(level, other):
    steps = levels.steps_between(level, other)
    assert levels.shift_level(level, steps) == other
    assert (steps == 0) == (level == other)


@pytest.mark.parametrize("level", levels.VERSE_IDS)
def test_no_step_leads_nowhere(level):
    assert levels.shift_level(level, 0) == level


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T11-L2", ("T11", "T12", "L1", "L2")),
        ("L2-T11", ("T11", "T12", "L1", "L2")),
        ("T10, L1", ("T10", "L1")),
        ("L1", ("L1",)),
    ],
)
def test_ranges(text, expected):
    assert levels.level_range(text) == expected
