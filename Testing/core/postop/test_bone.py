"""The bone that screws are graded in, and what its uncertainty makes of a grade."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.gertzbein_robbins import letter_for
from spinemar.planning.plans.relevel import shift_plan_levels
from spinemar.postop.bone import (
    Bone,
    _registered_error_mm,
    bone_from_labels,
    compared_beside_metal,
    moved_frame,
)
from spinemar.postop.find import find_implants
from spinemar.postop.grades import grade_found, spread_mm
from spinemar.postop.hidden.filling import hidden_by, without_implants
from spinemar.postop.metal_share import MetalShare
from spinemar.postop.table import deviations_of, implants_csv, implants_facts, said
from spinemar.registration.motions import VertebraMotion, inverse, moved
from spinemar.spine.anatomy.agreement.compare import compared_with_ct
from spinemar.spine.labels.levels import GUESSED_LEVELS, shift_level
from spinemar.volume import CTVolume, GridGeometry
from Testing.core.postop import patient


@pytest.fixture(scope="module")
def spine():
    return patient.spine()


@pytest.fixture(scope="module")
def bone(spine):
    return bone_from_labels(spine)


@pytest.fixture(scope="module")
def found(bone):
    metal = patient.metal_of(patient.operated(shift_mm=4.0), patient.grid((0.8, 0.8, 2.0)))
    return find_implants(metal, bone, load_catalogue())


def _motion():
    angle = np.radians(7.0)
    motion = np.eye(4)
    motion[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    motion[:3, 3] = (4.0, -3.0, 12.0)
    return motion


def test_a_moved_vertebra_keeps_its_shape(spine):
    frame, motion = spine.vertebra("L1"), _motion()
    there = moved_frame(frame, motion)
    points = np.random.default_rng(0).normal(scale=20.0, size=(50, 3))
    assert np.allclose(there.to_local(moved(motion, points)), frame.to_local(points))
    back = moved_frame(there, inverse(motion))
    for side in ("left", "right"):
        assert np.allclose(back.pedicles[side].isthmus_ras, frame.pedicles[side].isthmus_ras)
        assert np.allclose(back.pedicles[side].axis_ras, frame.pedicles[side].axis_ras)
    field = bone_field(spine.labels, frame)
    moved_field = replace(field, frame=there)
    assert np.allclose(moved_field.distance_mm(moved(motion, points)), field.distance_mm(points))


def test_metal_is_filled_from_beside_it():
    geometry = patient.grid((0.8, 0.8, 2.0))
    x = patient.places(geometry)[..., 0]
    clean = np.where(x > 0, 400.0, 50.0).astype(np.float32)
    metal = patient.metal_of(patient.operated(), geometry)
    scan = CTVolume(np.where(metal.share >= 0.1, np.float32(3071), clean), geometry.ijk_to_ras)
    filled = without_implants(scan, hidden_by(metal)).hu
    far = np.abs(x) > 9.0  # narrower than a head, the tissue across the edge is beside it too
    assert np.abs(filled - clean)[far].max() < 120.0
    assert np.array_equal(filled[metal.share.max(axis=(1, 2)) == 0],
                          scan.hu[metal.share.max(axis=(1, 2)) == 0])  # fmt: skip


def test_labels_are_not_compared_with_what_is_guessed_beside_metal(spine):
    """The correction's smear around screws does not make right labels look too large."""
    geometry = patient.grid((0.8, 0.8, 2.0))
    labels = patient.labels_on(geometry).labels
    metal = patient.metal_of(patient.operated(), geometry)
    hu = np.where(labels > 0, 320.0, 45.0).astype(np.float32)
    near = ndimage.distance_transform_edt(metal.share < 0.1, (2.0, 0.8, 0.8)) <= 3.0
    smeared = np.where(near, ndimage.gaussian_filter(hu, (2, 5, 5)) - 60.0, hu)
    filled = without_implants(
        CTVolume(smeared.astype(np.float32), geometry.ijk_to_ras), hidden_by(metal)
    )
    believed = compared_with_ct(spine, filled)
    found = compared_beside_metal(spine, filled, metal)
    for frame in found.vertebrae:
        clean = compared_with_ct(spine, CTVolume(hu, geometry.ijk_to_ras)).vertebra(frame.level)
        smeared_mm = believed.vertebra(frame.level).agreement.growth_mm
        off = abs(frame.agreement.growth_mm - clean.agreement.growth_mm)
        assert off <= 0.1
        assert off < abs(smeared_mm - clean.agreement.growth_mm)


def test_without_metal_everything_is_compared(spine):
    geometry = patient.grid((1.0, 1.0, 2.0))
    hu = np.where(patient.labels_on(geometry).labels > 0, 320.0, 45.0).astype(np.float32)
    volume = CTVolume(hu, geometry.ijk_to_ras)
    none = MetalShare(np.zeros(geometry.shape, np.float32), geometry)
    found, plain = compared_beside_metal(spine, volume, none), compared_with_ct(spine, volume)
    for one, other in zip(found.vertebrae, plain.vertebrae, strict=True):
        assert one.agreement.growth_mm == other.agreement.growth_mm
        assert one.agreement.border_share == other.agreement.border_share


def test_metal_is_filled_alike_however_far_the_picture_reaches():
    """Only what lies near metal is looked at, and that is all that counts."""
    grid = patient.grid((2.0, 2.0, 30.0))
    count, around = np.array(grid.shape), 60
    affine = grid.ijk_to_ras.copy()
    affine[:3, 3] = grid.to_ras(np.array([-around, -around, 0.0]))
    wide = GridGeometry((int(count[0]), *(int(n) + 2 * around for n in count[1:])), affine)
    share = patient.metal_of(patient.operated(rods=False), wide).share
    hu = np.random.default_rng(3).normal(0, 200, wide.shape).astype(np.float32)
    whole = without_implants(CTVolume(hu, wide.ijk_to_ras), hidden_by(MetalShare(share, wide))).hu
    assert (whole != hu).any()
    inner = (slice(None), slice(around // 2, -around // 2), slice(around // 2, -around // 2))
    affine = wide.ijk_to_ras.copy()
    affine[:3, 3] = wide.to_ras(np.array([around / 2, around / 2, 0.0]))
    less = CTVolume(np.ascontiguousarray(hu[inner]), affine)
    metal = MetalShare(np.ascontiguousarray(share[inner]), less.geometry)
    np.testing.assert_allclose(without_implants(less, hidden_by(metal)).hu, whole[inner], atol=0.01)


@pytest.mark.parametrize("error", [0.05, 0.6, 1.3, 2.0])
def test_intervals_widen_with_doubt(found, bone, error):
    one = next(x for x in found.screws if x.screw.id == "L1-left")
    graded = grade_found(one.screw, one.fitted, replace(bone, error_mm={"L1": error}), True)
    low, high = graded.breach_mm
    assert high - low == pytest.approx(2 * 1.96 * spread_mm(one.fitted, error))
    assert graded.best == letter_for(max(low, 0.0) if low > 0.25 else 0.0)
    assert graded.worst == letter_for(high)
    assert graded.best <= graded.grade.letter <= graded.worst
    assert graded.certain == (graded.best == graded.worst)


def _blind(bone: Bone) -> Bone:
    return replace(bone, source="corrected CT")


@pytest.mark.parametrize(
    ("change", "said_why"),
    [
        (lambda bone: replace(bone, fields={}), "not among the segmented"),
        (lambda bone: replace(bone, error_mm={"L1": 4.0}), "too roughly"),
        (_blind, "Lost rays"),
    ],
)
def test_what_cannot_be_told_is_not_graded(found, bone, change, said_why):
    one = next(x for x in found.screws if x.screw.id == "L1-left")
    graded = grade_found(one.screw, one.fitted, change(bone), False)
    assert graded.grade is None
    assert not graded.certain
    assert said_why in graded.reason
    assert "not gradable" in said(replace(one, graded=graded))


@pytest.mark.parametrize("sees_bone", [True, False])
def test_the_canal_is_told_of_what_is_not_gradable_too(found, bone, sees_bone):
    """Whatever hides the bone: in table, notes and plan the screw in the canal is one."""
    one = next(x for x in found.screws if x.screw.id == "L1-left")
    middle = bone.fields["L1"].frame.canal_centre_ras
    to_middle = (middle - np.add(one.screw.entry, one.screw.tip) / 2) * (1, 0, 0)
    ends = [tuple((np.array(p) + to_middle).tolist()) for p in (one.screw.entry, one.screw.tip)]
    screw = replace(one.screw, entry=ends[0], tip=ends[1])
    doubtful = replace(bone, error_mm={"L1": 4.0}, source="corrected CT")
    graded = grade_found(screw, one.fitted, doubtful, sees_bone)
    assert graded.grade is None
    assert graded.canal_mm > 3.0
    told = replace(one, screw=screw.without_grade(graded.reason, graded.canal_mm), graded=graded)
    assert f"{graded.canal_mm:.1f} mm in the canal, medial" in said(told)
    row = next(csv.DictReader(io.StringIO(implants_csv(replace(found, screws=(told,))))))
    assert float(row["canal_intrusion_mm"]) == pytest.approx(graded.canal_mm, abs=0.01)


def test_deviations_follow_each_vertebra(found, bone):
    plan, motion = patient.operated(shift_mm=4.0), _motion()
    at_home = deviations_of(plan, found, bone)
    assert len(at_home.by_screw) == 6
    assert max(one.entry_mm for one in at_home.by_screw.values()) < 2.5
    assert max(one.angle_deg for one in at_home.by_screw.values()) < 1.5
    back = inverse(motion)
    before = [
        replace(s, entry=tuple(moved(back, s.entry)), tip=tuple(moved(back, s.tip)))
        for s in plan.screws
    ]
    carried = replace(bone, from_earlier=dict.fromkeys(patient.LEVELS, motion))
    moved_too = deviations_of(replace(plan, screws=tuple(before), rods=()), found, carried)
    for name, one in at_home.by_screw.items():
        assert moved_too.by_screw[name].entry_mm == pytest.approx(one.entry_mm, abs=1e-6)
    fewer = replace(plan, screws=plan.screws[:-1], rods=())
    assert deviations_of(fewer, found, bone).not_planned == (plan.screws[-1].id,)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_deviations_do_not_depend_on_what_the_plan_calls_its_levels(found, bone, steps):
    """Levels of the plan, or of the result, may be a guess: each screw is compared with its own."""
    carried = replace(bone, from_earlier=dict.fromkeys(patient.LEVELS, np.eye(4)))
    plan = replace(patient.operated(shift_mm=4.0), rods=())
    by_name = deviations_of(plan, found, carried).by_screw
    renamed = deviations_of(shift_plan_levels(plan, steps), found, carried)
    assert set(renamed.by_screw) == set(by_name)
    for name, one in by_name.items():
        assert renamed.by_screw[name].tip_mm == pytest.approx(one.tip_mm)
    assert not renamed.not_found
    assert not renamed.not_planned


def test_what_was_planned_where_nothing_was_registered_is_not_found(found, bone):
    plan = replace(patient.operated(shift_mm=4.0), rods=())
    part = replace(bone, from_earlier={"L1": np.eye(4), "L2": np.eye(4)})
    compared = deviations_of(plan, found, part)
    assert compared.not_found == ("T12-left", "T12-right")
    assert len(compared.by_screw) == 4


@pytest.mark.parametrize("steps", [-2, 0, 1])
def test_bone_whose_levels_were_a_guess_is_named(bone, steps):
    guessed = replace(
        bone,
        warnings=(f"L1: {GUESSED_LEVELS}", "L1: its outline is odd."),
        from_earlier={"L1": _motion()},
    )
    assert guessed.levels_guessed
    named = guessed.renamed(steps)
    assert not named.levels_guessed
    wanted = tuple(shift_level(level, steps) for level in patient.LEVELS)
    assert named.spine.levels == wanted
    assert tuple(named.fields) == tuple(named.error_mm) == wanted
    for was, now in zip(patient.LEVELS, wanted, strict=True):
        assert named.fields[now].values is bone.fields[was].values
        assert named.fields[now].frame.level == now
    assert tuple(named.from_earlier) == (wanted[1],)
    assert named.warnings == (f"{wanted[1]}: its outline is odd.",)
    metal = patient.metal_of(patient.operated(), patient.grid((0.8, 0.8, 2.0)))
    if steps:
        again = find_implants(metal, named, load_catalogue())
        assert again.plan.levels == wanted
        assert all(one.screw.grade is not None for one in again.screws)


@pytest.mark.parametrize(
    ("how", "likeness", "error"),
    [
        ("registered", 0.95, 0.45),
        ("registered", 0.85, 1.6),
        ("neighbours", 0.95, 2.5),
        ("given", float("nan"), 0.45),
    ],
)
def test_a_vertebra_that_is_doubtfully_registered_is_less_sure(how, likeness, error):
    motion = VertebraMotion("L1", np.eye(4), found=how, likeness=likeness)
    assert _registered_error_mm(motion, 0.45) == error


def test_tables_say_what_was_found(found, bone):
    deviations = deviations_of(patient.operated(shift_mm=4.0), found, bone)
    header, *rows = (line.split(",") for line in implants_csv(found, deviations).splitlines())
    assert len(rows) == 6
    first = dict(zip(header, rows[0], strict=True))
    assert first["id"] == found.screws[0].screw.id
    assert float(first["planned_angle_deg"]) < 1.5
    facts = implants_facts(found)
    assert [screw["id"] for screw in facts["screws"]] == [row[0] for row in rows]
    assert all(screw["planned_angle_deg"] is None for screw in facts["screws"])


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 1.25), (0.8, 0.8, 2.5), (1.0, 1.0, 5.0)])
def test_the_surface_of_labels_has_no_bias_of_half_a_voxel(spine, spacing):
    """Wherever the grid lies, walls of a pedicle are on average where they were drawn."""
    rng = np.random.default_rng(0)
    sides, walls = rng.choice([-12.0, 12.0], 400), rng.choice([-4.5, 4.5], 400)
    points = np.stack([sides + walls, rng.uniform(-28, -12, 400), rng.uniform(0, 10, 400)], 1)
    found = []
    for phase in rng.uniform(-0.5, 0.5, (4, 3)):
        grid = patient.grid(spacing)
        affine = grid.ijk_to_ras.copy()
        affine[:3, 3] += phase * spacing
        labels = patient.labels_on(replace(grid, ijk_to_ras=affine))
        found.append(bone_field(labels, spine.vertebra("L1")).distance_mm(points).mean())
    assert abs(np.mean(found)) < 0.25 * spacing[0]
