"""Grades of screws whose breach is known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.gertzbein_robbins import (
    assess_screw,
    canal_intrusion_mm,
    grade_plan,
    grade_screw,
    letter_for,
)
from spinemar.planning.plans.plan import Plan

# The pedicle is 8 mm wide (4 to each side), 14 mm high, the screw 5 mm thick: so far
# must it be shifted that its surface lies just at the cortex.
TO_WALL = {"medial": (-1.5, 0, 0), "lateral": (1.5, 0, 0),
           "superior": (0, 0, 4.5), "inferior": (0, 0, -4.5)}  # fmt: skip
LETTERS = {-0.6: "A", 0.7: "B", 1.4: "B", 2.6: "C", 3.4: "C", 4.6: "D", 5.4: "D", 6.6: "E"}


@pytest.mark.parametrize(
    ("breach", "letter"),
    [(0.0, "A"), (1e-6, "B"), (1.999, "B"), (2.0, "C"), (3.999, "C"), (4.0, "D"), (5.999, "D"),
     (6.0, "E"), (25.0, "E")],
)  # fmt: skip
def test_letters_change_at_0_2_4_and_6_mm(breach, letter):
    assert letter_for(breach) == letter


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("direction", ["medial", "lateral", "superior", "inferior"])
def test_breaches_by_construction(grid_phantom, screw_in, side, direction):
    spine, spacing = grid_phantom
    vertebra = spine.vertebrae[0]
    field = bone_field(spine.labels, vertebra)
    wall = np.array(TO_WALL[direction], float)
    # Upwards and downwards the labels know the wall no better than to half a slice.
    upright = direction in ("superior", "inferior")
    tolerance = 0.25 + (0.4 if upright else 0.14) * max(spacing)
    for breach, letter in LETTERS.items():
        shift = wall * (1.0 + breach / np.linalg.norm(wall))
        assessment = assess_screw(screw_in(vertebra, side, shift), field)
        grade = assessment.grade
        expected = max(breach, 0.0)
        assert grade.breach_mm == pytest.approx(expected, abs=tolerance)
        assert grade.margin_mm == pytest.approx(-breach, abs=tolerance)
        assert grade.letter == letter_for(grade.breach_mm)
        if min(abs(breach - limit) for limit in (0, 2, 4, 6)) > tolerance:
            assert grade.letter == letter
            assert grade.direction == (direction if expected else None)


def test_a_long_screw_breaches_the_anterior_cortex(grid_phantom, screw_in):
    spine, spacing = grid_phantom
    vertebra = spine.vertebrae[0]
    field = bone_field(spine.labels, vertebra)
    # From the entry at -42 to the front at 17 the bone is 59 mm deep.
    for beyond, letter in ((-2.0, "A"), (1.0, "B"), (3.0, "C"), (5.0, "D"), (7.0, "E")):
        grade = grade_screw(screw_in(vertebra, length=59.0 + beyond), field)
        assert grade.letter == letter
        assert grade.breach_mm == pytest.approx(max(beyond, 0.0), abs=0.25 + 0.14 * max(spacing))
        assert grade.direction == ("anterior" if beyond > 0 else None)


def test_canal_intrusion(grid_phantom, screw_in):
    # The canal's contour touches the medial wall of the pedicle at x = 8.
    vertebra = grid_phantom[0].vertebrae[0]
    assert canal_intrusion_mm(screw_in(vertebra), vertebra) == 0.0
    intruding = screw_in(vertebra, shift=(-3.5, 0, 0))
    assert canal_intrusion_mm(intruding, vertebra) == pytest.approx(2.0, abs=0.1)


def test_a_canal_of_four_corners_is_entered_between_them(column, screw_in):
    from dataclasses import replace

    vertebra = column.vertebrae[1]
    corners = [(-8, -32, 4), (8, -32, 4), (8, -14, 4), (-8, -14, 4)]
    square = replace(vertebra, canal_contour_ras=vertebra.to_ras(np.array(corners, float)))
    for deep in (0.5, 2.0, 3.5):
        screw = screw_in(square, shift=(-1.5 - deep, 0, 0))
        assert canal_intrusion_mm(screw, square) == pytest.approx(deep, abs=0.05)


def test_a_screw_of_an_unknown_level_is_not_graded(column, screw_in):
    screw = screw_in(column.vertebrae[0])
    known = grade_plan(Plan(screws=(screw,)), column).screws[0]
    assert known.grade.letter == "A"
    from dataclasses import replace

    stranger = replace(known, level="C7", id="x")
    assert grade_plan(Plan(screws=(stranger,)), column).screws[0].grade is None


def test_a_screw_beside_the_spine_is_e(column, screw_in):
    vertebra = column.vertebrae[1]
    field = bone_field(column.labels, vertebra)
    assert grade_screw(screw_in(vertebra, shift=(30.0, 0, 0)), field).letter == "E"


def test_without_a_pedicle_the_grade_starts_where_the_screw_is_in_bone(column, screw_in):
    from dataclasses import replace

    vertebra = replace(column.vertebrae[1], pedicles={})
    field = bone_field(column.labels, vertebra)
    assert grade_screw(screw_in(vertebra), field).letter == "A"
    assert grade_screw(screw_in(vertebra, shift=(4.5, 0, 0)), field).letter in "CD"


def test_a_screw_that_stands_out_by_half_its_length_has_no_good_grade(column, screw_in):
    # Its tip reaches the isthmus; the middle of its shank is still 4 mm behind the lamina.
    vertebra = column.vertebrae[1]
    grade = grade_screw(
        screw_in(vertebra, shift=(0, -24.0, 0), length=40.0), bone_field(column.labels, vertebra)
    )
    assert grade.letter in "CD"
    assert grade.breach_mm == pytest.approx(4.0, abs=1.0)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("shift", "length", "name"),
    [
        ((0, 0, 0), None, "I"),
        ((3.0, 0, 0), None, "II"),
        ((0, 0, 0), 61.0, "III"),
        ((-3.0, 0, 0), None, "IV"),
        ((0, 0, -7.0), None, "IV"),
        ((0, 0, 7.0), None, ""),
    ],
)
def test_heary_says_where_a_screw_leaves_the_bone(column, screw_in, side, shift, length, name):
    vertebra = column.vertebrae[1]
    field = bone_field(column.labels, vertebra)
    size = {} if length is None else {"length": length}
    assert grade_screw(screw_in(vertebra, side, shift, **size), field).heary == name
