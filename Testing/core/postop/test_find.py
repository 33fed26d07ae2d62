"""Screws and rods are found where they were put, on any grid, and nothing else is."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from spinemar.errors import CancelledError, GeometryError, InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.shapes.rod import rod_curve
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.gertzbein_robbins import grade_plan, grade_screw
from spinemar.planning.plans.commands import MoveScrew, ResizeScrew
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.planning.plans.relevel import shift_plan_levels
from spinemar.planning.report.wording import screw_line
from spinemar.planning.vectors import angle_deg
from spinemar.postop.bone import bone_from_labels
from spinemar.postop.find import find_implants
from spinemar.postop.metal_share import MetalShare
from spinemar.postop.shanks import find_shanks
from spinemar.postop.sizes import nearest_size
from spinemar.progress import CancelToken
from Testing.core.postop import patient

GRIDS = [(0.8, 0.8, 0.5), (0.7, 0.7, 1.25), (0.8, 0.8, 2.5), (0.8, 0.8, 5.0)]


@pytest.fixture(scope="module")
def spine():
    return patient.spine()


@pytest.fixture(scope="module")
def bone(spine):
    return bone_from_labels(spine)


def _sideways(point, screw):
    axis = np.subtract(screw.tip, screw.entry) / screw.length_mm
    away = np.subtract(point, screw.entry)
    return float(np.linalg.norm(away - (away @ axis) * axis))


@pytest.mark.parametrize(
    ("spacing", "turn_deg"), [*((spacing, 0.0) for spacing in GRIDS), (GRIDS[2], 20.0)]
)
def test_all_screws_are_found_where_they_lie(bone, spacing, turn_deg):
    plan = patient.operated()
    metal = patient.metal_of(plan, patient.grid(spacing, turn_deg))
    found = find_implants(metal, bone, load_catalogue())
    assert {screw.id for screw in found.plan.screws} == {screw.id for screw in plan.screws}
    for one in found.screws:
        true = plan.screw(one.screw.id)
        assert _sideways(one.screw.entry, true) < 1.0
        assert _sideways(one.screw.tip, true) < 1.0
        axes = [np.subtract(s.tip, s.entry) for s in (one.screw, true)]
        assert angle_deg(*axes) < 1.5
        assert one.screw.diameter_mm == pytest.approx(true.diameter_mm, abs=0.7)
        assert one.screw.length_mm == pytest.approx(true.length_mm, abs=2.5)
        assert one.fitted.has_head
        assert not one.fitted.cut_off
    assert found.unexplained_mm3 < 50.0


@pytest.mark.parametrize("spacing", GRIDS[1:])
def test_rods_run_through_the_heads(bone, spacing):
    plan = patient.operated()
    found = find_implants(patient.metal_of(plan, patient.grid(spacing)), bone, load_catalogue())
    assert [rod.side for rod in found.plan.rods] == ["left", "right"]
    for rod, true in zip(found.plan.rods, plan.rods, strict=True):
        assert rod.screw_ids == true.screw_ids
        assert rod.diameter_mm == pytest.approx(true.diameter_mm, abs=0.6)
        curve, real = rod_curve(rod.control_points), rod_curve(true.control_points)
        gaps = np.linalg.norm(curve[:, None] - real[None], axis=-1).min(axis=1)
        assert np.median(gaps) < 1.0
        ends = [np.linalg.norm(curve[n] - real[n]) for n in (0, -1)]
        assert max(ends) < 6.0


def test_without_rods_there_are_none(bone):
    metal = patient.metal_of(patient.operated(rods=False), patient.grid((0.8, 0.8, 2.0)))
    found = find_implants(metal, bone, load_catalogue())
    assert len(found.screws) == 6
    assert not found.plan.rods


@pytest.mark.parametrize(("diameter", "length"), [(4.5, 30.0), (5.5, 45.0), (7.5, 40.0)])
def test_sizes_are_told_apart(bone, diameter, length):
    plan = patient.operated(diameter_mm=diameter, length_mm=length)
    found = find_implants(
        patient.metal_of(plan, patient.grid((0.7, 0.7, 1.25))), bone, load_catalogue()
    )
    assert len(found.screws) == 6
    for one in found.screws:
        assert one.screw.diameter_mm == pytest.approx(diameter, abs=0.7)
        assert one.nearest.length_mm == length
        assert 0.0 < one.nearest.likelihood <= 1.0


@pytest.mark.parametrize("shift", [0.0, 3.0, 6.0])
def test_grades_are_those_of_the_screws_that_lie_there(spine, bone, shift):
    plan = patient.operated(shift_mm=shift)
    found = find_implants(
        patient.metal_of(plan, patient.grid((0.7, 0.7, 1.25))), bone, load_catalogue()
    )
    field = bone_field(spine.labels, spine.vertebra("L1"))
    for side in ("left", "right"):
        one = next(x for x in found.screws if x.screw.id == f"L1-{side}")
        true = grade_screw(plan.screw(f"L1-{side}"), field)
        assert one.screw.grade == one.graded.grade
        assert one.graded.grade.margin_mm == pytest.approx(true.margin_mm, abs=0.8)
        low, high = one.graded.breach_mm
        assert low <= -true.margin_mm <= high
        assert one.graded.best <= true.letter <= one.graded.worst
        if shift:
            assert one.graded.grade.direction == "medial"


@pytest.mark.parametrize("spacing", [GRIDS[1], GRIDS[3]])
@pytest.mark.parametrize(("lost_mm", "from_entry_mm"), [(6, 12), (10, 8), (10, 16), (15, 10)])
def test_a_screw_that_is_not_seen_in_the_middle_is_one_screw(bone, spacing, lost_mm, from_entry_mm):
    """Thin shanks vanish from the metal's outline where most rays are lost, between the others."""
    plan = patient.operated(diameter_mm=4.5)
    metal = patient.metal_of(plan, patient.grid(spacing))
    share, points = metal.share.copy(), patient.places(metal.geometry)
    first = plan.screws[0].entry[1] + from_entry_mm
    share[(points[..., 1] > first) & (points[..., 1] < first + lost_mm)] = 0.0
    found = find_implants(MetalShare(share, metal.geometry), bone, load_catalogue())
    assert {screw.id for screw in found.plan.screws} == {screw.id for screw in plan.screws}
    for one in found.screws:
        true = plan.screw(one.screw.id)
        assert _sideways(one.screw.entry, true) < 1.0
        assert _sideways(one.screw.tip, true) < 1.0
        assert one.screw.length_mm == pytest.approx(true.length_mm, abs=2.5)
        assert one.screw.diameter_mm == pytest.approx(true.diameter_mm, abs=0.8)


@pytest.mark.parametrize(("head", "there"), [(True, True), (False, False)])
def test_a_short_piece_is_a_screw_only_with_a_head_behind_it(spine, bone, head, there):
    geometry = patient.grid(GRIDS[2])
    plan = patient.operated(rods=False)
    metal = patient.metal_of(plan, geometry)
    screw = plan.screw("L1-left")
    share = metal.share.copy()
    short = replace(plan, screws=tuple(s for s in plan.screws if s.id == screw.id))
    share[patient.metal_of(short, geometry).share == 0.0] = 0.0
    points = patient.places(geometry)
    axis = np.subtract(screw.tip, screw.entry) / screw.length_mm
    depth = (points - screw.entry) @ axis
    share[(depth > (2.0 if head else -30.0)) & (depth < 16.0)] = 0.0
    share[depth > 26.0] = 0.0
    found = find_shanks(MetalShare(share, geometry), spine)
    assert bool(found) == there


def test_a_screw_without_its_head_is_found_and_not_graded(bone):
    """What is behind the last metal that is seen is not known: it may have been longer."""
    plan = patient.operated()
    metal = patient.metal_of(plan, patient.grid((0.8, 0.8, 2.0)))
    points, share = patient.places(metal.geometry), metal.share.copy()
    share[points[..., 1] < plan.screws[0].entry[1] + 8.0] = 0.0
    found = find_implants(MetalShare(share, metal.geometry), bone, load_catalogue())
    assert {screw.id for screw in found.plan.screws} == {screw.id for screw in plan.screws}
    for one in found.screws:
        assert not one.fitted.has_head
        assert one.screw.grade is None
        assert "No head was found" in one.graded.reason


def _scene(spacing=(0.8, 0.8, 2.0)):
    geometry = patient.grid(spacing)
    return geometry, patient.places(geometry), np.zeros(geometry.shape, np.float32)


def _nothing(geometry, points, share):
    return share


def _wires(geometry, points, share):
    """Loops of wire in front of the spine and a port under the skin."""
    ring = np.hypot(points[..., 0], points[..., 2] - 10.0)
    share[(np.abs(ring - 12.0) < 1.5) & (np.abs(points[..., 1] - 30.0) < 1.5)] = 1.0
    share[np.linalg.norm(points - [30.0, 35.0, 0.0], axis=-1) < 8.0] = 1.0
    return share


def _cage(geometry, points, share):
    """A block of metal between two bodies."""
    share[(np.abs(points - [0.0, 3.0, 17.5]) < [12.0, 9.0, 4.5]).all(axis=-1)] = 1.0
    return share


def _fixed_behind(geometry, points, share):
    """Rods and wires on the laminae alone."""
    share[np.hypot(np.abs(points[..., 0]) - 15.0, points[..., 1] + 45.0) < 2.75] = 1.0
    return share


def _marker(geometry, points, share):
    """A ball in a body, as of cement or a coil."""
    share[np.linalg.norm(points - [5.0, 3.0, 0.0], axis=-1) < 7.0] = 1.0
    return share


@pytest.mark.parametrize("drawn", [_nothing, _wires, _cage, _fixed_behind, _marker])
def test_what_is_no_screw_becomes_none(bone, drawn):
    geometry, points, share = _scene()
    metal = MetalShare(drawn(geometry, points, share), geometry)
    found = find_implants(metal, bone, load_catalogue())
    assert not found.screws
    assert not found.plan.rods


def test_a_screw_beside_other_metal_is_found(bone):
    geometry = patient.grid((0.8, 0.8, 2.0))
    share = patient.metal_of(patient.operated(), geometry).share.copy()
    share = _wires(geometry, patient.places(geometry), share)
    found = find_implants(MetalShare(share, geometry), bone, load_catalogue())
    assert len(found.screws) == 6
    assert found.unexplained_mm3 > 100.0


def _cut(metal):
    """The front of the screws outside the volume."""
    first = int(np.ceil(metal.geometry.to_ijk(np.array([0.0, -5.0, 0.0]))[1]))
    affine = metal.geometry.ijk_to_ras.copy()
    affine[:3, 3] += affine[:3, 1] * first
    share = metal.share[:, first:]
    return MetalShare(share, replace(metal.geometry, shape=share.shape, ijk_to_ras=affine))


def test_a_screw_that_leaves_the_volume_is_not_graded(cut_off):
    assert len(cut_off.screws) == 6
    assert all(one.graded.grade is None for one in cut_off.screws)
    assert all("leaves the volume" in one.graded.reason for one in cut_off.screws)
    assert any("not gradable" in text for text in cut_off.plan.warnings)


@pytest.fixture(scope="module")
def cut_off(bone):
    metal = patient.metal_of(patient.operated(), patient.grid((0.8, 0.8, 2.0)))
    return find_implants(_cut(metal), bone, load_catalogue())


@pytest.fixture(scope="module")
def found(bone):
    metal = patient.metal_of(patient.operated(), patient.grid((0.8, 0.8, 2.0)))
    return find_implants(metal, bone, load_catalogue())


@pytest.mark.parametrize("way", ["as it is", "through a file", "ungraded", "another level's name"])
def test_graded_again_a_screw_that_is_not_gradable_stays_so(cut_off, spine, way):
    """In the planner, by the command line: wherever it lies as it was found."""
    plan = cut_off.plan
    if way == "through a file":
        plan = plan_from_json(plan_to_json(plan))
    if way == "ungraded":
        plan = replace(plan, screws=tuple(screw.without_grade() for screw in plan.screws))
    if way == "another level's name":
        plan = shift_plan_levels(shift_plan_levels(plan, 1), -1)
    again = grade_plan(plan, spine)
    assert [screw.grade for screw in again.screws] == [None] * 6
    assert all("leaves the volume" in screw_line(screw) for screw in again.screws)


@pytest.mark.parametrize(
    "changed",
    [
        lambda screw: MoveScrew(screw.id, tuple(np.add(screw.entry, (0.4, 0, 0))), screw.tip),
        lambda screw: ResizeScrew(screw.id, screw.diameter_mm - 0.5, screw.length_mm),
        lambda screw: ResizeScrew(screw.id, screw.diameter_mm, screw.length_mm - 5.0),
    ],
)
def test_moved_it_is_a_screw_of_a_plan_like_any_other(found, spine, changed):
    plan = found.plan
    screw = plan.screws[0]
    hidden = replace(screw, grade=None, found=replace(screw.found, hindrance="Lost rays hide it."))
    plan = plan.with_screw(hidden)
    assert grade_plan(plan, spine).screw(screw.id).not_graded == "Lost rays hide it."
    moved = grade_plan(changed(hidden).apply(plan), spine).screw(screw.id)
    assert moved.grade is not None
    assert not re.search("between|certain", screw_line(moved))


def test_its_line_says_how_sure_a_grade_is(found):
    for one in found.screws:
        ends = one.graded.best, one.graded.worst
        sure = "certain" if one.graded.certain else "between {} and {}".format(*ends)
        assert screw_line(one.screw).endswith(f"{sure}; on the labels")


def test_what_was_found_is_a_plan(found):
    plan = found.plan
    assert plan_from_json(plan_to_json(plan)) == plan
    assert plan.levels == patient.LEVELS


def test_the_nearest_size_is_the_likeliest():
    model = load_catalogue().screw("generic-polyaxial")
    screw = patient.operated().screws[0]
    near = nearest_size(replace(screw, diameter_mm=6.1), model)
    assert (near.diameter_mm, near.length_mm) == (6.0, 40.0)
    between = nearest_size(replace(screw, diameter_mm=6.25), model)
    assert between.likelihood < near.likelihood


def test_bad_input_is_refused(bone):
    geometry, _, share = _scene()
    with pytest.raises(GeometryError):
        MetalShare(share[1:], geometry)
    with pytest.raises(InputError, match="is not made of"):
        find_implants(MetalShare(share, geometry), bone, load_catalogue(), material="PEEK")
    token = CancelToken()
    token.cancel()
    metal = patient.metal_of(patient.operated(), geometry)
    with pytest.raises(CancelledError):
        find_implants(metal, bone, load_catalogue(), cancel=token)
