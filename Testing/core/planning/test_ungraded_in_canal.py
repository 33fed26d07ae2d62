"""A screw without a grade that runs through a known canal raises the alarm all the same."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.gertzbein_robbins import grade_plan, graded_screw
from spinemar.planning.plans.commands import MoveScrew, ResizeScrew
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.planning.report.colours import GRADE_COLOURS, grade_colour, is_thick
from spinemar.planning.report.page import write_plan_report
from spinemar.planning.report.tables import HEADINGS, plan_csv, screw_row
from spinemar.planning.report.wording import danger_line, grade_line, head_label, in_canal
from spinemar.planning.trajectories.mirror import midsagittal_plane, mirror_screw
from spinemar.spine.model import Agreement

LEVEL = "T12"
# Inwards by so much the axis of the right screw, 12 mm from the midline, is in the canal.
INWARDS_MM = -9.0
UNSAFE = {
    "labels beside the bone": {"agreement": Agreement(doubts=("Its labels lie 3 mm off.",))},
    "level in doubt": {"level_doubt": "By its ribs this is L1."},
    "cut off": {"cut_off": True},
    "little confidence": {"confidence": 0.49},
    "no pedicle": {"pedicles": {}},
}


@pytest.fixture(scope="module")
def field(column):
    return bone_field(column.labels, column.vertebra(LEVEL))


def unsafe(column, changes):
    """The spine, all of whose vertebrae nobody can grade in."""
    return replace(column, vertebrae=tuple(replace(f, **changes) for f in column.vertebrae))


def in_the_canal(field, screw_in):
    """A screw 9 mm too far inwards, without a grade."""
    screw = screw_in(field.frame, shift=(INWARDS_MM, 0, 0))
    return graded_screw(screw, replace(field, frame=replace(field.frame, cut_off=True)))


@pytest.mark.parametrize("way", UNSAFE)
@pytest.mark.parametrize("side", ["left", "right"])
def test_whatever_forbids_the_grade_the_canal_is_told(column, screw_in, field, way, side):
    """It reaches as deep as the same screw with a grade does; beside the canal nothing is said."""
    spine, frame = unsafe(column, UNSAFE[way]), field.frame
    screw = screw_in(frame, side, shift=(INWARDS_MM, 0, 0))
    found = grade_plan(Plan(screws=(screw,)), spine).screws[0]
    assert found.grade is None
    assert found.not_graded
    known = grade_plan(Plan(screws=(screw,)), column).screws[0].grade.canal_intrusion_mm
    assert known > 5.0
    assert found.canal_intrusion_mm == pytest.approx(known)
    good = grade_plan(Plan(screws=(screw_in(frame, side),)), spine).screws[0]
    assert good.grade is None
    assert good.canal_intrusion_mm == 0.0


@pytest.mark.parametrize("level", ["", "C5", "T11"])
def test_the_canal_of_a_vertebra_that_it_does_not_name(column, screw_in, field, level):
    """No level, one that was not segmented, and the next one: it lies where it lies."""
    spine = unsafe(column, {"cut_off": True})
    screw = replace(screw_in(field.frame, shift=(INWARDS_MM, 0, 0)), level=level)
    found = grade_plan(Plan(screws=(screw,)), spine).screws[0]
    assert found.grade is None
    assert found.canal_intrusion_mm > 5.0


def test_an_unknown_canal_raises_no_alarm(column, screw_in, field):
    spine = unsafe(column, {"cut_off": True, "canal_contour_ras": np.zeros((0, 3))})
    screw = screw_in(field.frame, shift=(INWARDS_MM, 0, 0))
    assert in_canal(grade_plan(Plan(screws=(screw,)), spine)) == ()


def test_a_screw_that_is_graded_or_moved_forgets_it(column, screw_in, field):
    screw = in_the_canal(field, screw_in)
    plan, good = Plan(screws=(screw,)), screw_in(field.frame)
    moved = MoveScrew(screw.id, good.entry, good.tip).apply(plan).screws[0]
    sized = ResizeScrew(screw.id, 4.5, 30.0).apply(plan).screws[0]
    mirrored = mirror_screw(screw, midsagittal_plane(field))
    for changed in (moved, sized, mirrored):
        assert (changed.not_graded, changed.canal_intrusion_mm) == ("", 0.0)
    graded = graded_screw(moved, field)
    assert (graded.grade.letter, graded.ungraded_canal_mm) == ("A", 0.0)


def test_it_is_said_first_everywhere(field, screw_in):
    """Chip, row, list of dangers, label, colours, table, CSV; the reason stands behind it."""
    screw = in_the_canal(field, screw_in)
    line = grade_line(screw)
    assert line.startswith("not graded: ")
    assert line.endswith("mm in the canal, medial")
    other = screw_in(field.frame, "left")
    assert in_canal(Plan(screws=(other, screw))) == (screw,)
    assert danger_line(screw) == f"{LEVEL} R · {line}"
    assert head_label(screw) == f"{LEVEL} R · not graded, in the canal"
    assert grade_colour(screw) == GRADE_COLOURS["E"]
    assert is_thick(screw)
    assert not is_thick(other)
    cells = dict(zip(HEADINGS, screw_row(screw, None).cells, strict=True))
    assert cells["Canal, mm"] in line
    row = next(csv.DictReader(io.StringIO(plan_csv(Plan(screws=(screw,))))))
    assert row["grade"] == "not graded"
    assert float(row["canal_intrusion_mm"]) == pytest.approx(screw.canal_intrusion_mm, abs=0.001)


def test_it_is_kept_in_the_file(field, screw_in):
    plan = Plan(screws=(in_the_canal(field, screw_in),))
    assert plan_from_json(plan_to_json(plan)) == plan


def test_it_leads_the_report(column, column_ct, field, screw_in, tmp_path):
    spine = unsafe(column, {"cut_off": True})
    screws = (screw_in(field.frame, "left"), screw_in(field.frame, shift=(INWARDS_MM, 0, 0)))
    plan = grade_plan(Plan((LEVEL,), screws), spine)
    page = write_plan_report(tmp_path / "report", plan, spine, column_ct, load_catalogue())
    html = page.read_text("utf-8")
    line = danger_line(plan.screws[1])
    assert html.index("In the spinal canal") < html.index(line) < html.index("2 screws")
    assert html.count("In the spinal canal") == 1
