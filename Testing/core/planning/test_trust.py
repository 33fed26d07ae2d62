"""When a screw has no grade, and what a plan says is to be checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.constructs.automatic import PlanSettings, plan_construct
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.findings import CHECK, findings, with_findings
from spinemar.planning.grades.gertzbein_robbins import grade_plan, graded_screw
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.planning.report.tables import summary_line
from spinemar.planning.trajectories.sites import MIDLINE_GAP_MM
from spinemar.spine.model import Agreement

LEVEL = "T12"


@pytest.fixture(scope="module")
def field(column):
    return bone_field(column.labels, column.vertebra(LEVEL))


def on(field, **changes):
    """The field of the same bone, its frame changed."""
    return replace(field, frame=replace(field.frame, **changes))


def pedicles(field, **changes):
    return {s: replace(p, **changes) for s, p in field.frame.pedicles.items()}


def test_a_good_screw_is_graded(field, screw_in):
    screw = graded_screw(screw_in(field.frame), field)
    assert screw.grade.letter == "A"
    assert screw.not_graded == ""


@pytest.mark.parametrize(("outwards", "up"), [(0.0, -8.5), (0.0, 8.5), (3.0, -5.0), (3.0, 5.0)])
def test_a_tall_pedicle_is_crossed_above_and_below_its_middle(field, screw_in, outwards, up):
    # The oval of the isthmus is 8 mm wide and 14 mm high, the screw 5 mm thick.
    screw = graded_screw(screw_in(field.frame, shift=(outwards, 0, up)), field)
    assert screw.grade is not None
    assert screw.not_graded == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agreement": Agreement(doubts=("Its labels lie 3 mm off.",))}, "3 mm off"),
        ({"level_doubt": "By its ribs this is L1."}, "ribs"),
        ({"cut_off": True}, "cut off"),
        ({"confidence": 0.49}, "0.49"),
        ({"pedicles": {}}, "not found"),
    ],
)
@pytest.mark.parametrize("outwards", [0.0, 3.0, 30.0])
def test_no_letter_on_unsafe_ground(field, screw_in, changes, words, outwards):
    screw = graded_screw(screw_in(field.frame, shift=(outwards, 0, 0)), on(field, **changes))
    assert screw.grade is None
    assert words in screw.not_graded


def test_no_letter_in_a_doubtful_pedicle_or_an_unknown_vertebra(field, screw_in):
    screw = screw_in(field.frame)
    doubtful = on(field, pedicles=pedicles(field, confidence=0.3))
    assert "0.30" in graded_screw(screw, doubtful).not_graded
    assert graded_screw(screw, None).not_graded == f"{LEVEL} is not among the segmented vertebrae."


@pytest.mark.parametrize("way", [(1, 0, 0), (-1, 0, 0), (0, 0, 1), (0, 0, -1)])
def test_bone_beside_the_pedicle_gives_no_good_letter(field, screw_in, way):
    """The frame's pedicle is elsewhere: the bone that the screw lies in is no pedicle."""
    gap = 14.0 * np.array(way, float) @ field.frame.axes_ras
    elsewhere = {
        side: replace(p, isthmus_ras=p.isthmus_ras + gap)
        for side, p in field.frame.pedicles.items()
    }
    screw = graded_screw(screw_in(field.frame), on(field, pedicles=elsewhere))
    assert screw.grade is None
    assert "14 mm from the middle of the isthmus" in screw.not_graded


def test_a_head_in_the_foramen_gives_no_good_letter(field, screw_in):
    # It starts 3 mm behind the isthmus, in the middle of the bone.
    screw = graded_screw(screw_in(field.frame, shift=(0, 17.0, 0), length=30.0), field)
    assert screw.grade is None
    assert "behind the lamina" in screw.not_graded


def test_a_bad_letter_stands(field, screw_in):
    screw = graded_screw(screw_in(field.frame, shift=(30.0, 0, 0)), field)
    assert screw.grade.letter == "E"
    assert screw.not_graded == ""


def test_the_reason_is_kept_in_the_file_and_forgotten_when_graded(column, screw_in):
    screw = replace(screw_in(column.vertebra(LEVEL)), not_graded="Of an earlier state.")
    assert plan_from_json(plan_to_json(Plan(screws=(screw,)))).screws[0] == screw
    assert grade_plan(Plan(screws=(screw,)), column).screws[0].not_graded == ""


def test_collisions_and_odd_sizes_are_findings(column, screw_in):
    upper, lower = column.vertebra("T12"), column.vertebra("L1")
    long = screw_in(upper, "left")
    short = screw_in(upper, "right", length=25.0, diameter=7.0)
    crossing = replace(
        screw_in(lower, "left"),
        entry=long.entry,
        tip=tuple((np.array(long.entry) + 45.0 * upper.anterior).tolist()),
    )
    plan = Plan(levels=("T12", "L1"), screws=(long, short, crossing))
    said = findings(grade_plan(plan, column), column, load_catalogue())
    text = "\n".join(said)
    assert all(line.startswith(CHECK) for line in said)
    assert "T12-left and L1-left: their shanks overlap by 5.0 mm" in text
    assert "T12-right: it is only 25 mm long" in text
    assert "T12-left and T12-right: their sizes differ" in text


def test_a_pair_alike_is_no_finding(column, screw_in):
    pair = tuple(screw_in(column.vertebra(LEVEL), side) for side in ("left", "right"))
    plan = grade_plan(Plan(levels=(LEVEL,), screws=pair), column)
    assert findings(plan, column, load_catalogue()) == ()


def test_doubts_of_the_vertebrae_are_findings(column):
    doubted = replace(
        column,
        vertebrae=tuple(
            replace(f, warnings=("The levels are a guess.",)) for f in column.vertebrae
        ),
    )
    said = findings(Plan(levels=("T12", "L1")), doubted, load_catalogue())
    assert said == (f"{CHECK}T12, L1: the levels are a guess.",)


@pytest.mark.parametrize(("hu", "said"), [(80.0, True), (110.0, True), (111.0, False)])
def test_thin_bone_is_a_finding(column, hu, said):
    frames = tuple(replace(f, agreement=Agreement(core_hu=hu)) for f in column.vertebrae)
    found = findings(
        Plan(levels=("T11", "L1")), replace(column, vertebrae=frames), load_catalogue()
    )
    assert bool(found) is said
    # The cut-off is one of lumbar bodies.
    assert all("L1 (" in text and "T11" not in text and "Pickhardt" in text for text in found)


def test_findings_give_way_to_those_of_the_present_state(column, screw_in):
    screw = screw_in(column.vertebra(LEVEL), length=25.0)
    plan = Plan(levels=(LEVEL,), screws=(screw,), warnings=("The left pedicle is too narrow.",))
    once = with_findings(grade_plan(plan, column), column, load_catalogue())
    assert with_findings(once, column, load_catalogue()) == once
    longer = screw_in(column.vertebra(LEVEL))
    mended = with_findings(
        grade_plan(replace(once, screws=(longer,)), column), column, load_catalogue()
    )
    assert mended.warnings == plan.warnings


def test_the_summary_counts_grades_and_warnings(column, screw_in):
    screw = screw_in(column.vertebra(LEVEL))
    plan = grade_plan(Plan(screws=(screw, replace(screw, id="x", level="C5"))), column)
    assert summary_line(plan) == "2 screws (1 A, 1 not graded)."
    warned = replace(plan, warnings=("One.", "Two."))
    assert summary_line(warned) == "2 screws (1 A, 1 not graded). 2 warnings: read them first."


def test_wrong_labels_give_no_grade_through_a_whole_plan(column, column_ct):
    wrong = Agreement(doubts=("Its labels lie 10 mm off the bone in the CT (mostly up).",))
    spoilt = replace(column, vertebrae=tuple(replace(f, agreement=wrong) for f in column.vertebrae))
    settings = PlanSettings(with_rods=False, alternatives=1)
    plan = plan_construct(spoilt, column_ct, "L1", load_catalogue(), settings)
    assert [screw.grade for screw in plan.screws] == [None, None]
    assert "not graded" in summary_line(plan)
    assert any("10 mm off" in text for text in plan.warnings)


def test_automatic_screws_stay_on_their_side(column, column_ct):
    """Strongly converging pedicles: the screws would meet in the body."""
    turned = []
    for frame in column.vertebrae:
        inwards = {
            side: replace(
                p,
                axis_ras=unit_of(frame.anterior + (-0.7 if side == "right" else 0.7) * frame.right),
            )
            for side, p in frame.pedicles.items()
        }
        turned.append(replace(frame, pedicles=inwards))
    spine = replace(column, vertebrae=tuple(turned))
    settings = PlanSettings(with_rods=False, alternatives=1)
    plan = plan_construct(spine, column_ct, "L1", load_catalogue(), settings)
    for screw in plan.screws:
        side = 1.0 if screw.side == "right" else -1.0
        tip = spine.vertebra("L1").to_local(screw.tip)[0] * side
        assert tip >= (MIDLINE_GAP_MM + screw.diameter_mm) / 2 - 0.05
    assert not any("overlap" in text for text in plan.warnings)


def unit_of(vector):
    return vector / np.linalg.norm(vector)
