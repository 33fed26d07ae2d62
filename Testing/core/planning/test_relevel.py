"""Levels counted wrong: names of every kind of implant move, implants and their bonds stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.kinds import KINDS
from spinemar.implants.placement import Cement, Hook, Wire
from spinemar.planning.plans.plan import Cage, Crosslink, ImportedMesh, Plan, Rod
from spinemar.planning.plans.relevel import shift_plan_levels

AXES = {"right": (1.0, 0.0, 0.0), "anterior": (0.0, 1.0, 0.0)}


def whole_plan() -> Plan:
    """Return a plan with every kind of implant, those of discs under both ways of naming."""
    model = load_catalogue().screws[0]
    screws = tuple(
        model.placed(f"{level}-{side}", level, side, (x, 0.0, z), (0.0, 1.0, 0.0), (6.0, 40.0),
                     model.materials[0])
        for level, z in (("T12", 60.0), ("L1", 30.0))
        for side, x in (("left", -15.0), ("right", 15.0))
    )  # fmt: skip
    rods = tuple(
        Rod(f"rod-{side}", side, ((x, -10.0, 70.0), (x, -10.0, 20.0)),
            screw_ids=(f"T12-{side}", f"L1-{side}"))
        for side, x in (("left", -15.0), ("right", 15.0))
    )  # fmt: skip
    cages = tuple(
        Cage(name, level, (0.0, 20.0, z), width_mm=40.0, depth_mm=20.0, height_mm=9.0, **AXES)
        for name, level, z in (("cage-L4/L5", "L4/L5", -50.0), ("cage-L1-L2", "L1", 15.0))
    )
    link = Crosslink("crosslink-1", (-15.0, -10.0, 45.0), (15.0, -10.0, 45.0), (0.0, -1.0, 0.0),
                     rod_ids=("rod-left", "rod-right"))  # fmt: skip
    mesh = ImportedMesh("L1", "plate.stl", "0" * 64, tuple(float(n % 5 == 0) for n in range(16)))
    cement = Cement("cement-T12", "T12", (0.0, 20.0, 60.0), radii_mm=(8.0, 8.0, 6.0), **AXES)
    hook = Hook("hook-L1-left", "L1", "left", (-9.0, -22.0, 28.0), shaft=(0.0, -1.0, 0.0),
                blade=(0.0, 0.0, 1.0), throat_mm=7.0)  # fmt: skip
    wire = Wire("wire-L1-right", "L1", "right", ((9.0, -30.0, 32.0), (9.0, -20.0, 30.0)))
    return Plan(
        ("T12", "L1"), screws, rods, cages, (link,), meshes=(mesh,), cements=(cement,),
        hooks=(hook,), wires=(wire,), notes="as counted from L5",
    )  # fmt: skip


def test_every_kind_is_in_the_plan() -> None:
    assert all(getattr(whole_plan(), kind.group) for kind in KINDS)


def test_names_move_and_places_stay() -> None:
    plan = whole_plan()
    moved = shift_plan_levels(plan, 1)
    assert moved.levels == ("L1", "L2")
    assert [(s.id, s.level) for s in moved.screws] == [
        ("L1-left", "L1"), ("L1-right", "L1"), ("L2-left", "L2"), ("L2-right", "L2"),
    ]  # fmt: skip
    assert [rod.screw_ids for rod in moved.rods] == [
        ("L1-left", "L2-left"), ("L1-right", "L2-right"),
    ]  # fmt: skip
    assert [(cage.id, cage.level) for cage in moved.cages] == [
        ("cage-L5/S1", "L5/S1"), ("cage-L2-L3", "L2"),
    ]  # fmt: skip
    assert moved.crosslinks == plan.crosslinks
    assert moved.meshes == plan.meshes  # the user's own name
    assert [(cement.id, cement.level) for cement in moved.cements] == [("cement-L1", "L1")]
    assert [(hook.id, hook.level) for hook in moved.hooks] == [("hook-L2-left", "L2")]
    assert [(wire.id, wire.level) for wire in moved.wires] == [("wire-L2-right", "L2")]
    for old, new in zip(plan.items(), moved.items(), strict=True):
        names = {
            name: getattr(old, name) for name in ("id", "level", "screw_ids") if hasattr(old, name)
        }
        assert replace(new, **names) == old


@pytest.mark.parametrize("steps", [-3, -1, 1])
def test_there_and_back(steps: int) -> None:
    plan = whole_plan()
    assert shift_plan_levels(shift_plan_levels(plan, steps), -steps) == plan


def test_no_level_runs_past_the_sacrum() -> None:
    with pytest.raises(InputError):
        shift_plan_levels(whole_plan(), 9)


@pytest.mark.parametrize(("levels", "steps"), [(("L4", "L5"), 1), (("L5", "S1"), -1)])
def test_a_vertebra_never_becomes_the_sacrum_nor_the_sacrum_one(levels, steps):
    with pytest.raises(InputError, match="a sacrum is none of the vertebrae"):
        shift_plan_levels(Plan(levels=levels), steps)
    assert shift_plan_levels(Plan(levels=levels), 0).levels == levels
