"""S2-alar-iliac and iliac screws, femoral heads and pelvic incidence, in a known pelvis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import PELVIS
from spinemar.jobs.registry import function_of
from spinemar.jobs.requests.plan import read_field, save_field
from spinemar.planning.alignment.curves import alignment_of
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives
from spinemar.planning.constructs.rods import seat_mismatch_mm
from spinemar.planning.grades.contacts.collisions import FACET, find_collisions
from spinemar.planning.grades.findings import findings
from spinemar.planning.grades.gertzbein_robbins import grade_plan, graded_screw
from spinemar.planning.grades.pelvic import NO_PELVIS
from spinemar.planning.grades.pelvic_bone import HIP, OUTSIDE, pelvic_field, pelvic_fields
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.planning.report.tables import HEADINGS, alignment_rows, plan_csv, screw_row
from spinemar.planning.report.wording import screw_line, short_name
from spinemar.planning.trajectories.pelvic import pelvic_trajectories
from spinemar.progress import CancelToken, ignore_progress
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.anatomy.pelvis.femoral_heads import with_femoral_heads
from spinemar.spine.model import FemoralHead
from spinemar.spine.serial import spine_from_json, spine_to_json
from Testing.core.spine.pelvis_phantom import (
    HALF_MM,
    PLATE,
    RADIUS_MM,
    SLAB_DEG,
    in_slab,
    phantom,
)
from Testing.core.spine.sacrum_phantom import SLOPE_DEG

SIDES = {"left": -1.0, "right": 1.0}


@pytest.fixture(scope="module")
def patient():
    made = phantom()
    return made, with_femoral_heads(frames_from_labels(made.labels, made.ct), made.ct)


@pytest.fixture(scope="module")
def made(patient):
    true, spine = patient
    settings = PlanSettings(pelvic="S2AI")
    return plan_with_alternatives(spine, true.ct, "L5-S1", load_catalogue(), settings)


@pytest.fixture(scope="module")
def iliac(patient):
    true, spine = patient
    settings = PlanSettings(pelvic="iliac", with_rods=False)
    return plan_with_alternatives(spine, true.ct, "S1", load_catalogue(), settings).plan


def moved(screw, way):
    shift = np.asarray(way, float)
    return replace(
        screw.without_grade(),
        entry=tuple((np.array(screw.entry) + shift).tolist()),
        tip=tuple((np.array(screw.tip) + shift).tolist()),
    )


def test_heads_are_found_where_they_are(patient):
    true, spine = patient
    assert [head.side for head in spine.femoral_heads] == ["left", "right"]
    assert spine.heads_doubt == ""
    for head in spine.femoral_heads:
        assert np.linalg.norm(head.centre_ras - true.head(SIDES[head.side])) < 2.0
        assert abs(head.radius_mm - RADIUS_MM) <= 1.0
        assert head.residual_mm < 2.0


@pytest.mark.parametrize(("lowest", "heads"), [(-95.0, True), (-60.0, True), (-140.0, False)])
def test_heads_out_of_the_field_are_refused_in_words(lowest, heads):
    true = phantom(lowest, heads)
    spine = with_femoral_heads(frames_from_labels(true.labels, true.ct), true.ct)
    assert spine.femoral_heads == ()
    assert "femoral head" in spine.heads_doubt
    found = alignment_of(spine.vertebrae, (), spine.femoral_heads)
    assert found.pelvic_incidence_deg is None
    assert found.sacral_slope_deg is not None


def test_incidence_is_tilt_and_slope(patient):
    true, spine = patient
    found = alignment_of(spine.vertebrae, (), spine.femoral_heads)
    middle = np.mean([true.head(-1.0), true.head(1.0)], axis=0) - PLATE
    tilt = np.degrees(np.arctan2(middle[1], -middle[2]))
    assert abs(found.pelvic_tilt_deg - tilt) < 2.0
    assert abs(found.pelvic_incidence_deg - SLOPE_DEG - tilt) < 4.0
    assert found.pelvic_incidence_deg == pytest.approx(
        found.pelvic_tilt_deg + found.sacral_slope_deg
    )
    rows = {name: now for name, now, _ in alignment_rows(spine.vertebrae, (), spine.femoral_heads)}
    assert rows["Pelvic incidence"] == f"{found.pelvic_incidence_deg:.0f}"


@pytest.mark.parametrize("turn", [-25.0, 10.0, 30.0])
def test_incidence_does_not_change_when_the_pelvis_turns(patient, turn):
    _, spine = patient
    a = np.radians(turn)
    matrix = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    sacrum = replace(spine.vertebra("S1"), seen_endplates={})
    plate = sacrum.endplates["superior"]
    turned = replace(
        sacrum,
        endplates={
            "superior": replace(
                plate, point_ras=matrix @ plate.point_ras, normal_ras=matrix @ plate.normal_ras
            )
        },
    )
    heads = [
        FemoralHead(h.side, matrix @ h.centre_ras, h.radius_mm, 0.0) for h in spine.femoral_heads
    ]
    before = alignment_of((sacrum,), (), spine.femoral_heads)
    after = alignment_of((turned,), (), heads)
    assert after.pelvic_incidence_deg == pytest.approx(before.pelvic_incidence_deg)
    assert after.pelvic_tilt_deg == pytest.approx(before.pelvic_tilt_deg + turn)


def test_heads_survive_their_json(patient):
    _, spine = patient
    again = spine_from_json(spine_to_json(spine), spine.labels)
    assert [
        (h.side, h.centre_ras.tolist(), h.radius_mm, h.residual_mm) for h in again.femoral_heads
    ] == [(h.side, h.centre_ras.tolist(), h.radius_mm, h.residual_mm) for h in spine.femoral_heads]


def test_one_bone_of_sacrum_and_hips(patient, made):
    true, _ = patient
    field = made.fields[PELVIS]
    for side, sign in SIDES.items():
        notch = field.frame.to_ras(field.notches[side])
        # The roof is a line across the slab.
        assert np.linalg.norm((notch - true.notch(sign))[1:]) < 9.0
        along = np.array([np.sin(np.radians(SLAB_DEG)), np.cos(np.radians(SLAB_DEG))])
        x, y = np.array([50.0, -25.0]) + 60.0 * along
        middle = PLATE + np.array([sign * x, y, -40.0])
        across = np.array([sign * along[1], -along[0], 0.0])
        for off in (-1.0, 1.0):
            assert float(field.distance_mm(middle + off * (HALF_MM - 1.3) * across)) < 0.0
            assert float(field.distance_mm(middle + off * (HALF_MM + 1.3) * across)) > 0.0
        assert field.part_at(field.frame.to_local([middle]))[0] == HIP[side]
        assert float(field.distance_mm(true.head(sign))) > 0.0
    assert field.part_at(field.frame.to_local([PLATE - [0.0, 0.0, 200.0]]))[0] == OUTSIDE


@pytest.mark.parametrize("side", SIDES)
def test_s2ai_screws_run_through_the_joint_into_the_ilium(patient, made, side):
    true, _ = patient
    screw = made.plan.screw(f"S2AI-{side}")
    assert (screw.level, screw.course, screw.model) == ("", "S2AI", "generic-iliac")
    assert screw.grade.letter == "A"
    assert 70 <= screw.length_mm <= 100
    assert 7.5 <= screw.diameter_mm <= 9.5
    axis = np.subtract(screw.tip, screw.entry) / screw.length_mm
    assert 30 < np.degrees(np.arcsin(abs(axis[0]))) < 50
    # Within the slab from the joint on, above the notch, beside the head.
    line = np.array(screw.entry) + np.linspace(0.45, 1, 60)[:, None] * screw.length_mm * axis
    _, across = in_slab(line - PLATE)
    assert np.abs(across).max() + screw.diameter_mm / 2 < HALF_MM
    assert screw.grade.notch_mm > 5.0
    gap = np.linalg.norm(line - true.head(SIDES[side]), axis=1).min() - RADIUS_MM
    assert gap - screw.diameter_mm / 2 > 5.0
    assert abs(screw.grade.acetabulum_mm - (gap - screw.diameter_mm / 2 - 4.0)) < 3.0


@pytest.mark.parametrize("side", SIDES)
def test_iliac_screws_stay_in_the_slab(iliac, side):
    screw = iliac.screw(f"iliac-{side}")
    assert screw.grade.letter == "A"
    line = np.linspace(screw.entry, screw.tip, 80)[10:]
    along, across = in_slab(line - PLATE)
    assert np.abs(across).max() + screw.diameter_mm / 2 < HALF_MM
    assert along[0] < -15


def test_rods_reach_them_without_a_collision(made):
    plan = made.plan
    for rod in plan.rods:
        assert rod.screw_ids[-1] == f"S2AI-{rod.side}"
        held = [plan.screw(name) for name in rod.screw_ids]
        assert max(seat_mismatch_mm(rod, held, load_catalogue()).values()) < 3.0
    touching = [c for c in find_collisions(plan, load_catalogue()) if c.kind != FACET]
    assert touching == []


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("way", "letters"),
    [((0, 0, -45.0), "E"), ((9.0, 0, 0), "BCDE"), ((-9.0, 0, 0), "BCDE"), ((0, 0, 90.0), "E")],
)
def test_a_screw_out_of_bone_is_never_an_a(patient, made, side, way, letters):
    _, spine = patient
    screw = moved(made.plan.screw(f"S2AI-{side}"), np.array(way) * [SIDES[side], 1, 1])
    found = grade_plan(replace(made.plan, screws=(screw,)), spine, made.fields).screws[0]
    assert found.grade is None or found.grade.letter in letters
    if found.grade is None:
        assert found.not_graded


def test_no_letter_without_ground(patient, made):
    _, spine = patient
    plan, names = made.plan, ["S2AI-left", "S2AI-right"]
    alone = replace(plan, screws=tuple(plan.screw(n).without_grade() for n in names))
    assert [s.not_graded for s in grade_plan(alone, spine).screws] == [NO_PELVIS] * 2
    field = made.fields[PELVIS]
    doubtful = replace(field, frame=replace(field.frame, confidence=0.4))
    for screw in grade_plan(alone, spine, {PELVIS: doubtful}).screws:
        assert screw.grade is None
        assert "too little confidence" in screw.not_graded
    without = replace(field, parts=np.where(field.parts == HIP["left"], 0, field.parts))
    left, right = grade_plan(alone, spine, {PELVIS: without}).screws
    assert left.not_graded == "The left hip was not found."
    assert right.grade is not None
    short = plan.screw("S2AI-left")
    tip = np.array(short.entry) + 0.3 * np.subtract(short.tip, short.entry)
    short = replace(short.without_grade(), tip=tuple(tip.tolist()), length_mm=0.3 * short.length_mm)
    found = grade_plan(replace(alone, screws=(short,)), spine, made.fields).screws[0]
    assert "lie in the left ilium" in found.not_graded


def test_a_ct_without_hips_says_so(patient):
    true, spine = patient
    hu = np.where(true.labels.labels > 0, true.ct.hu, np.minimum(true.ct.hu, 60.0))
    bare = replace(true.ct, hu=hu.astype(np.float32))
    settings = PlanSettings(pelvic="S2AI")
    with pytest.raises(InputError, match="No hip bone"):
        plan_with_alternatives(spine, bare, "S1", load_catalogue(), settings)
    with pytest.raises(InputError, match="need the CT"):
        plan_with_alternatives(spine, None, "S1", load_catalogue(), settings)
    with pytest.raises(InputError, match="way into the pelvis"):
        plan_with_alternatives(spine, bare, "S1", load_catalogue(), PlanSettings(pelvic="S3AI"))


def test_plans_and_tables_tell_them(patient, made):
    true, spine = patient
    plan = made.plan
    assert plan_from_json(plan_to_json(plan)) == plan
    again = grade_plan(plan, spine, pelvic_fields(plan, spine, true.ct))
    assert again.screw("S2AI-left").grade == plan.screw("S2AI-left").grade
    screw = plan.screw("S2AI-right")
    assert short_name(screw) == "S2AI R"
    assert "from the greater sciatic notch" in screw_line(screw)
    assert "from the hip joint" in screw_line(screw)
    cells = dict(zip(HEADINGS, screw_row(screw, None, spine.vertebra("S1")).cells, strict=True))
    assert cells["Screw"] == "S2AI-right"
    assert cells["In pedicle"] == "-"
    header, *rows = plan_csv(plan).splitlines()
    row = next(r for r in rows if r.startswith("S2AI-right")).split(",")
    named = dict(zip(header.split(","), row, strict=True))
    assert float(named["notch_mm"]) == pytest.approx(screw.grade.notch_mm, abs=0.06)


def test_locked_ones_stay(patient, made):
    true, spine = patient
    kept = replace(moved(made.plan.screw("S2AI-left"), (0, 2.0, 0)), locked=True)
    locked = made.plan.with_screw(kept)
    settings = PlanSettings(pelvic="S2AI", with_rods=False)
    again = plan_with_alternatives(
        spine, true.ct, "S1", load_catalogue(), settings, locked=locked
    ).plan
    assert again.screw("S2AI-left").entry == kept.entry
    assert len([s for s in again.screws if s.course]) == 2


def test_the_field_survives_the_way_to_another_process(tmp_path, made):
    field = made.fields[PELVIS]
    again = read_field(save_field(tmp_path / "pelvis.npy", field), field.frame)
    screw = made.plan.screw("S2AI-left")
    assert graded_screw(screw.without_grade(), again) == screw


def test_what_is_near_or_not_known_is_to_be_checked(patient, made):
    _, spine = patient
    screw = made.plan.screw("S2AI-left")
    assert not [text for text in made.plan.warnings if "S2AI" in text]
    for change, said in (
        ({"notch_mm": 2.4}, "S2AI-left: it is only 2 mm from the greater sciatic notch."),
        ({"acetabulum_mm": -1.0}, "S2AI-left: it is only 0 mm from the joint of the hip."),
        ({"acetabulum_mm": None}, "its distance from the joint of the hip is not known."),
    ):
        near = replace(screw, grade=replace(screw.grade, **change))
        found = findings(replace(made.plan, screws=(near,), rods=()), spine, load_catalogue())
        assert any(said in text for text in found)


def test_without_femoral_heads_nothing_is_told_near_the_hips(patient):
    true, spine = patient
    field = pelvic_field(replace(spine, femoral_heads=()), true.ct)
    for sign in SIDES.values():
        assert field.part_at(field.frame.to_local([true.head(sign)]))[0] == OUTSIDE
    (way, *_) = pelvic_trajectories(field, "left", "S2AI", load_catalogue().screw("generic-iliac"))
    assert way.tip[2] > PLATE[2] - 70.0


def test_the_job_outlines_what_the_plan_did(patient, made, tmp_path):
    true, spine = patient
    arrays = {"ct": true.ct.hu, "labels": spine.labels.labels}
    for name, values in arrays.items():
        np.save(tmp_path / f"{name}.npy", values)
    grid = {"ijk_to_ras": true.ct.ijk_to_ras.tolist()}
    (tmp_path / "frames.json").write_text(spine_to_json(spine), encoding="utf-8")
    job = {
        "input": {"npy": str(tmp_path / "ct.npy"), "name": "ct", **grid},
        "labels": {"npy": str(tmp_path / "labels.npy"), **grid},
        "frames": str(tmp_path / "frames.json"),
        "fields_folder": str(tmp_path),
    }
    run = function_of("outline-pelvis")
    facts = run({"schema": "spinemar-job/1", "kind": "outline-pelvis", **job}, ignore_progress,
                CancelToken())  # fmt: skip
    field = read_field(facts["field"], spine.vertebra("S1"))
    np.testing.assert_array_equal(field.values, made.fields[PELVIS].values)
    np.testing.assert_array_equal(field.parts, made.fields[PELVIS].parts)
    screw = made.plan.screw("S2AI-left")
    assert graded_screw(screw.without_grade(), field).grade == screw.grade
