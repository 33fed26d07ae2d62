"""Cement, hooks and wires in vertebrae of boxes whose body, lamina and canal are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.construct_mesh import construct_meshes, export_stl
from spinemar.implants.placement import Cement, Hook, Wire
from spinemar.implants.shapes.laminar import hook_parts, wire_parts
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.constructs.automatic import without_screws
from spinemar.planning.constructs.others import (
    cement_in_body,
    hook_at_lamina,
    lamina_of,
    wire_at_lamina,
    with_implants,
)
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.findings import findings
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.planning.plans.relevel import shift_plan_levels
from spinemar.planning.report.tables import summary_line
from spinemar.volume import GridGeometry
from Testing.core.planning.conftest import BODY, LAMINA

CATALOGUE = load_catalogue()
CEMENT, HOOK, WIRE = CATALOGUE.cement("generic-cement"), CATALOGUE.hook("generic-laminar-hook"), (
    CATALOGUE.wire("generic-sublaminar-wire")
)  # fmt: skip


def every(spine):
    """One of each kind."""
    return [
        cement_in_body(spine, "L1", CEMENT, 3.0),
        hook_at_lamina(spine, "L1", "left", "up", replace(HOOK, throats_mm=(6.0, 10.0))),
        wire_at_lamina(spine, "L1", "right", WIRE),
    ]


@pytest.fixture(scope="module")
def plan(column):
    return with_implants(Plan(levels=("L1",)), every(column))


def local(column, points):
    return column.vertebra("L1").to_local(np.asarray(points, float))


@pytest.mark.parametrize("volume", [1.0, 3.0, 6.0])
def test_cement_lies_in_the_body_and_has_its_volume(column, volume):
    item = cement_in_body(column, "L1", CEMENT, volume)
    assert item.volume_ml == pytest.approx(volume)
    radii = np.array(item.radii_mm)
    low, high = np.array(BODY)
    middle = local(column, item.centre)
    assert (middle - radii > low).all()
    assert (middle + radii < high).all()
    grid = GridGeometry(column.labels.labels.shape, column.labels.ijk_to_ras)
    (name, share), = voxelize_plan(Plan(cements=(item,)), grid, CATALOGUE).items()  # fmt: skip
    assert name == "PMMA-BaSO4"
    assert share.sum() * float(np.prod(grid.spacing_mm)) / 1000 == pytest.approx(volume, rel=0.01)


def test_more_cement_than_the_body_holds_is_refused_with_what_it_holds(column):
    with pytest.raises(InputError, match="60 ml of cement do not fit into L1") as refused:
        cement_in_body(column, "L1", CEMENT, 60.0)
    assert "holds 6 ml" in refused.value.remedy


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_lamina_is_found(column, side):
    found = lamina_of(bone_field(column.labels, column.vertebra("L1")), side)
    low, high = np.array(LAMINA)
    np.testing.assert_allclose(found.axes, np.eye(3), atol=0.05)
    bottom, top = found.local(found.back, found.low), found.local(found.front, found.high)
    assert bottom[0] == top[0] == (7.0 if side == "right" else -7.0)
    np.testing.assert_allclose(bottom[1:], low[1:], atol=1.2)
    np.testing.assert_allclose(top[1:], high[1:], atol=1.2)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_hook_grasps_the_edge_of_the_lamina(column, side, way):
    item = hook_at_lamina(column, "L1", side, way, replace(HOOK, throats_mm=(6.0, 10.0)))
    assert item.throat_mm == 10.0  # the lamina of boxes is 9 mm thick
    sign = 1.0 if way == "up" else -1.0
    throat = local(column, item.throat)
    assert throat[2] == pytest.approx(LAMINA[0][2] if way == "up" else LAMINA[1][2], abs=1.2)
    np.testing.assert_allclose(item.blade, sign * column.vertebra("L1").superior, atol=0.05)
    (part,) = hook_parts(item, HOOK)
    # Steel under the lamina and behind it, none in it.
    x, y = throat[0], throat[1]
    inwards = throat[2] + sign * 4.0
    places = {
        "under": (x, LAMINA[1][1] + 1.0, inwards),
        "in": (x, -38.0, inwards),
        "behind": (x, y - item.throat_mm / 2 - 1.0, inwards),
        "before": (x, y, throat[2] - sign * 1.0),
    }
    inside = {
        name: float(part.solid.distance(column.vertebra("L1").to_ras(np.array([place])))[0]) < 0
        for name, place in places.items()
    }
    assert inside == {"under": True, "in": False, "behind": True, "before": True}


def test_a_lamina_too_thick_for_every_throat_is_refused(column):
    with pytest.raises(InputError, match="thick there") as refused:
        hook_at_lamina(column, "L1", "left", "up", replace(HOOK, throats_mm=(3.0, 4.0)))
    assert "larger hook" in refused.value.remedy


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_wire_goes_around_the_lamina_through_the_canal(column, side):
    item = wire_at_lamina(column, "L1", side, WIRE)
    curve = local(column, rod_curve(item.points, 0.2))
    field = bone_field(column.labels, column.vertebra("L1"))
    # Nowhere in bone by more than its labels' staircase, and on all four sides of the lamina.
    assert field.distance_local_mm(curve).min() > -0.6
    assert LAMINA[1][1] < curve[:, 1].max() < LAMINA[1][1] + 3.0
    assert curve[:, 1].min() < LAMINA[0][1] - 5.0
    assert curve[:, 2].min() < LAMINA[0][2]
    assert curve[:, 2].max() > LAMINA[1][2]
    (part,) = wire_parts(item)
    assert part.material == "316L"


def test_they_are_kept_counted_renamed_and_made_surfaces(column, plan, tmp_path):
    assert plan_from_json(plan_to_json(plan)) == plan
    assert summary_line(plan) == "0 screws (none), 1 cements, 1 hooks, 1 wires."
    moved = shift_plan_levels(plan, 1)
    assert [item.id for item in moved.items()] == ["cement-L2", "L2-hook-left-up", "L2-wire-right"]
    meshes = list(construct_meshes(plan, CATALOGUE))
    assert {m.material for m in meshes} == {"PMMA-BaSO4", "Ti-6Al-4V", "316L"}
    assert len(export_stl(tmp_path / "stl", plan, CATALOGUE)) == 3
    grid = GridGeometry(column.labels.labels.shape, column.labels.ijk_to_ras)
    filled = voxelize_plan(plan, grid, CATALOGUE)
    volumes = {
        name: float(share.sum()) * float(np.prod(grid.spacing_mm)) for name, share in filled.items()
    }
    for mesh in meshes:
        assert volumes[mesh.material] == pytest.approx(mesh.mesh.volume_mm3(), rel=0.08)


def test_they_are_said_not_to_be_graded(column, plan):
    said = "\n".join(findings(plan, column, CATALOGUE))
    assert "cement-L1: not graded" in said
    assert "L1-hook-left-up, L1-wire-right: not graded. It lies in the spinal canal" in said


def test_placed_again_they_take_the_place_of_the_old_ones(column, plan):
    again = with_implants(plan, [cement_in_body(column, "L1", CEMENT, 1.0)])
    assert [item.volume_ml for item in again.cements] == [pytest.approx(1.0)]
    assert again.hooks == plan.hooks


def test_a_plan_without_screws(column):
    assert without_screws(column, "T12-L1").plan == Plan(levels=("T12", "L1"))
    with pytest.raises(InputError, match="C5"):
        without_screws(column, "C5")


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (Cement, {"radii_mm": (0.1, 5.0, 5.0)}, "half axis"),
        (Cement, {"anterior": (1.0, 0.0, 0.0)}, "perpendicular"),
        (Cement, {"material": "wax"}, "wax"),
        (Hook, {"side": "middle"}, "middle"),
        (Hook, {"throat_mm": float("nan")}, "throat"),
        (Wire, {"points": ((0.0, 0.0, 0.0),)}, "at least two"),
        (Wire, {"diameter_mm": 40.0}, "diameter"),
    ],
)
def test_wrong_ones_are_refused(plan, kind, changes, words):
    item = next(item for item in plan.items() if isinstance(item, kind))
    with pytest.raises(InputError, match=words):
        replace(item, **changes)


def test_plans_before_them_are_read(plan):
    raw = json.loads(plan_to_json(replace(plan, cements=(), hooks=(), wires=())))
    for name in ("cements", "hooks", "wires"):
        del raw[name]
    raw["version"] = 6
    assert plan_from_json(json.dumps(raw)) == Plan(levels=("L1",))
