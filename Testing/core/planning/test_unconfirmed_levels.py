"""A letter of a vertebra whose name nothing confirms says so, wherever a letter is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from spinemar.cli.plan_inputs import plan_facts
from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.grades.findings import findings
from spinemar.planning.grades.gertzbein_robbins import grade_plan
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.planning.report.colours import GRADE_COLOURS, grade_colour
from spinemar.planning.report.tables import HEADINGS, plan_csv, screw_row, summary_line
from spinemar.planning.report.wording import (
    danger_line,
    grade_counts,
    grade_line,
    head_label,
    screw_line,
)
from spinemar.spine.editing import shift_levels, with_names_of
from spinemar.spine.labels.levels import GUESSED_LEVELS, UNCONFIRMED_LEVELS

SAID = [UNCONFIRMED_LEVELS, GUESSED_LEVELS]


def named(column, text):
    frames = tuple(replace(f, warnings=(*f.warnings, text)) for f in column.vertebrae)
    return replace(column, vertebrae=frames)


def planned(spine, screw_in, **how):
    screws = tuple(screw_in(spine.vertebra("L1"), side, **how) for side in ("left", "right"))
    return grade_plan(Plan(levels=("L1",), screws=screws), spine)


@pytest.mark.parametrize("said", SAID)
def test_every_place_that_shows_the_letter(column, screw_in, said):
    plan = planned(named(column, said), screw_in)
    screw = plan.screws[0]
    assert screw.grade.letter == "A"
    assert not screw.grade.level_confirmed
    assert grade_line(screw) == "A (level not confirmed)"
    assert screw_line(screw) == "A (level not confirmed)"
    assert head_label(screw) == "L1 L · A, level?"
    assert screw_row(screw, None).cells[HEADINGS.index("Grade")] == "A, level?"
    assert summary_line(plan) == "2 screws (2 A of unconfirmed level)."
    head, row = (line.split(",") for line in plan_csv(plan).splitlines()[:2])
    assert row[head.index("level_confirmed")] == "False"
    assert row[head.index("grade")] == "A (level not confirmed)"
    facts = plan_facts(plan)
    assert [told["level_confirmed"] for told in facts["screws"]] == [False, False]
    assert [told["grade_shown"] for told in facts["screws"]] == ["A (level not confirmed)"] * 2
    assert facts["grades"] == {"A of unconfirmed level": 2}


def test_counts_keep_unconfirmed_letters_apart_and_the_worst_come_first(column, screw_in):
    doubted = planned(named(column, UNCONFIRMED_LEVELS), screw_in).screws[0]
    bad = planned(named(column, UNCONFIRMED_LEVELS), screw_in, shift=(-6.0, 0, 0)).screws[0]
    sure = planned(column, screw_in).screws[1]
    bare = replace(sure.without_grade("No CT."), id="bare")
    screws = (doubted, replace(bad, id="bad"), sure, bare)
    letter = bad.grade.letter
    assert list(grade_counts(Plan(levels=("L1",), screws=screws)).items()) == [
        (f"{letter} of unconfirmed level", 1),
        ("A", 1),
        ("A of unconfirmed level", 1),
        ("not graded", 1),
    ]
    assert grade_counts(Plan()) == {}


def test_only_a_bad_letter_keeps_its_colour(column, screw_in):
    """Green may lie in the wrong vertebra; red is bad wherever it lies."""
    doubted = planned(named(column, UNCONFIRMED_LEVELS), screw_in).screws[0]
    bad = planned(named(column, UNCONFIRMED_LEVELS), screw_in, shift=(-6.0, 0, 0)).screws[0]
    assert grade_colour(doubted) == GRADE_COLOURS[None]
    assert bad.grade.letter in "CDE"
    assert grade_colour(bad) == GRADE_COLOURS[bad.grade.letter]
    assert grade_colour(planned(column, screw_in).screws[0]) == GRADE_COLOURS["A"]


def test_a_breach_and_the_canal_keep_their_words(column, screw_in):
    plan = planned(named(column, UNCONFIRMED_LEVELS), screw_in, shift=(-6.0, 0, 0))
    screw = plan.screws[0]
    assert danger_line(screw).startswith(f"L1 L · {screw.grade.letter} (level not confirmed): ")
    assert danger_line(screw).endswith(" mm in the canal, medial")
    outwards = planned(named(column, UNCONFIRMED_LEVELS), screw_in, shift=(4.0, 0, 0)).screws[0]
    assert grade_line(outwards).startswith(f"{outwards.grade.letter} (level not confirmed): ")
    assert grade_line(outwards).endswith(" mm lateral")


def test_a_confirmed_level_is_not_mentioned(column, screw_in):
    plan = planned(column, screw_in)
    assert grade_line(plan.screws[0]) == "A"
    assert head_label(plan.screws[0]) == "L1 L · A"
    assert summary_line(plan) == "2 screws (2 A)."


def test_whoever_states_the_levels_confirms_them(column, screw_in):
    doubted = named(column, UNCONFIRMED_LEVELS)
    plan = grade_plan(planned(doubted, screw_in), shift_levels(doubted, 0))
    assert all(screw.grade.level_confirmed for screw in plan.screws)


def test_it_is_kept_in_the_file(column, screw_in):
    plan = planned(named(column, UNCONFIRMED_LEVELS), screw_in)
    assert plan_from_json(plan_to_json(plan)) == plan


@pytest.mark.parametrize("said", SAID)
def test_an_old_file_that_only_warned_is_read_with_it(column, screw_in, said):
    spine = named(column, said)
    plan = planned(spine, screw_in)
    warned = replace(plan, warnings=findings(plan, spine, load_catalogue()))
    raw = json.loads(plan_to_json(warned))
    raw["version"] = 6
    for screw in raw["screws"]:
        del screw["grade"]["level_confirmed"]
    assert plan_from_json(json.dumps(raw)) == warned
    raw["warnings"] = []
    assert all(s.grade.level_confirmed for s in plan_from_json(json.dumps(raw)).screws)


def test_levels_outside_the_planned_ones_are_warned_of_too(column, screw_in):
    spine = named(column, UNCONFIRMED_LEVELS)
    plan = replace(planned(spine, screw_in), levels=())
    said = findings(plan, spine, load_catalogue())
    assert any("neither confirm nor refute" in text for text in said)


def test_a_spine_fitted_anew_keeps_what_is_said_of_its_names(column):
    fitted = with_names_of(column, named(column, GUESSED_LEVELS))
    assert all(GUESSED_LEVELS in frame.warnings for frame in fitted.vertebrae)
    assert not any(frame.level_confirmed for frame in fitted.vertebrae)
