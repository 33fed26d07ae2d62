"""Screws and rods from L4 to S1 in a sacrum of known geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.alignment.curves import alignment_of
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives
from spinemar.planning.constructs.cages import cage_for_disc
from spinemar.planning.constructs.rods import seat_mismatch_mm
from spinemar.planning.grades.contacts.collisions import FACET, find_collisions
from spinemar.planning.grades.gertzbein_robbins import grade_plan
from spinemar.planning.report.tables import alignment_rows
from spinemar.planning.trajectories.angles import screw_angles
from spinemar.spine.anatomy.frames import frames_from_labels
from Testing.core.spine.sacrum_phantom import FORAMEN, SLOPE_DEG, phantom

SIDES = {"left": -1.0, "right": 1.0}


@pytest.fixture(scope="module")
def patient():
    made = phantom()
    return made, frames_from_labels(made.labels, made.ct)


@pytest.fixture(scope="module")
def plan(patient):
    made, spine = patient
    return plan_with_alternatives(spine, made.ct, "L4-S1", load_catalogue()).plan


@pytest.fixture(scope="module")
def bicortical(patient):
    made, spine = patient
    settings = PlanSettings(bicortical_sacrum=True)
    return plan_with_alternatives(spine, made.ct, "S1", load_catalogue(), settings).plan


def surface_gap_mm(made, screw):
    """Least distance of the shank's surface from canal and first foramina, from their formulas."""
    ends = made.local([screw.entry, screw.tip])
    line = ends[0] + np.linspace(0, 1, 200)[:, None] * (ends[1] - ends[0])
    x, y, z = line.T
    canal = (np.hypot(x / 13, (y + 23) / 8) - 1) * 8
    foramen = np.hypot(np.abs(x) - FORAMEN[0], z - FORAMEN[2]) - 5.5
    return min(canal.min(), foramen.min()) - screw.diameter_mm / 2


def test_s1_screws_go_from_beside_the_facet_to_the_promontory(patient, plan):
    made, spine = patient
    assert plan.levels == ("L4", "L5", "S1")
    for side, sign in SIDES.items():
        screw = plan.screw(f"S1-{side}")
        assert screw.grade.letter == "A"
        assert surface_gap_mm(made, screw) > 0.0
        angles = screw_angles(screw, spine.vertebra("S1"))
        assert 18 < angles.convergence_deg < 36
        assert -3 < angles.cranial_deg < 22
        entry, tip = made.local(screw.entry) * [sign, 1, 1], made.local(screw.tip) * [sign, 1, 1]
        assert entry[1] < -26
        assert 20 < entry[0] < 34
        # Own side of the body, behind its front wall, below the plate.
        assert 2 < tip[0] < 16
        assert 4 < tip[1] < 14
        assert tip[2] < -4
        assert screw.length_mm >= 40
        assert screw.diameter_mm >= 6.5


def test_one_rod_a_side_reaches_from_l4_to_s1(plan):
    assert {rod.side: len(rod.screw_ids) for rod in plan.rods} == {"left": 3, "right": 3}
    for rod in plan.rods:
        screws = [plan.screw(name) for name in rod.screw_ids]
        assert max(seat_mismatch_mm(rod, screws, load_catalogue()).values()) < 1.0
    assert [c for c in find_collisions(plan, load_catalogue()) if c.kind != FACET] == []


def test_bicortical_screws_pass_the_front_and_say_so(patient, plan, bicortical):
    made, _ = patient
    for side in SIDES:
        screw = bicortical.screw(f"S1-{side}")
        assert screw.grade.letter == "B"
        assert screw.grade.direction == "anterior"
        assert 0.25 < screw.grade.breach_mm < 2.0
        assert surface_gap_mm(made, screw) > 0.0
        front = 16.0 - 0.006 * made.local(screw.tip)[0] ** 2 - 0.12 * -made.local(screw.tip)[2]
        assert made.local(screw.tip)[1] > front
        assert made.local(screw.tip)[1] > made.local(plan.screw(f"S1-{side}").tip)[1]


@pytest.mark.parametrize(
    ("shift", "said"), [((-12.0, 0, 0), "canal"), ((0, 0, -18.0), "inferior"), ((0, 0, 14.0), "")]
)
@pytest.mark.parametrize("side", SIDES)
def test_a_screw_in_canal_or_foramen_is_never_good(patient, plan, side, shift, said):
    made, spine = patient
    screw = plan.screw(f"S1-{side}")
    way = np.array(shift) * [SIDES[side], 1, 1] @ made.axes
    moved = replace(
        screw.without_grade(),
        entry=tuple((np.array(screw.entry) + way).tolist()),
        tip=tuple((np.array(screw.tip) + way).tolist()),
    )
    found = grade_plan(replace(plan, screws=(moved,)), spine).screws[0]
    assert found.grade is None or found.grade.letter in "CDE"
    if said == "canal":
        assert found.canal_intrusion_mm > 2.0
    elif said and found.grade is not None:
        assert found.grade.direction == said


def test_a_doubtful_sacrum_gets_no_letter(patient, plan):
    _, spine = patient
    *others, sacrum = spine.vertebrae
    doubtful = replace(spine, vertebrae=(*others, replace(sacrum, confidence=0.4)))
    screws = grade_plan(plan, doubtful).screws
    assert [s.grade is None for s in screws] == [False] * 4 + [True] * 2
    assert "too little confidence" in screws[-1].not_graded


def test_a_cage_fits_the_last_disc(patient):
    _, spine = patient
    cage = cage_for_disc(spine, "L5", load_catalogue().cage("generic-alif"))
    assert cage.level == "L5/S1"
    plate = spine.vertebra("S1").endplates["superior"]
    assert 2 < (np.array(cage.centre) - plate.point_ras) @ plate.normal_ras < 8


def test_there_is_no_disc_below_s1(patient):
    _, spine = patient
    with pytest.raises(InputError, match="no disc below S1"):
        cage_for_disc(spine, "S1", load_catalogue().cage("generic-alif"))


def test_the_last_disc_opens_as_the_phantom_has_it(patient):
    _, spine = patient
    # The vertebrae above lean half as much as the sacrum.
    assert abs(alignment_of(spine.vertebrae).discs["L5/S1"] - SLOPE_DEG / 2) < 3.0


def test_slope_and_the_whole_lordosis(patient):
    _, spine = patient
    assert abs(alignment_of(spine.vertebrae).sacral_slope_deg - SLOPE_DEG) < 3.0
    assert ("Sacral slope", "-") in [
        (n, after) for n, _, after in alignment_rows(spine.vertebrae, ())
    ]
    named = [replace(spine.vertebrae[0], level="L1"), *spine.vertebrae[1:]]
    lordosis = alignment_of(named).lordosis
    assert (lordosis.upper, lordosis.lower) == ("L1", "S1")
    assert abs(lordosis.degrees - SLOPE_DEG / 2) < 3.0
    *others, last = spine.vertebrae
    for doubtful in ((), (replace(last, cut_off=True),), (replace(last, confidence=0.3),)):
        assert alignment_of((*others, *doubtful)).sacral_slope_deg is None


def test_there_is_no_cortical_trajectory_in_the_sacrum(patient):
    made, spine = patient
    with pytest.raises(InputError, match="not made in S1"):
        plan_with_alternatives(
            spine, made.ct, "S1", load_catalogue(), PlanSettings(trajectory="cortical")
        )
