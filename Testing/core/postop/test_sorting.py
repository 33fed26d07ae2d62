"""Metal that is no screw and no rod: crosslinks, cages, and what is neither."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import Cage, Crosslink
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.postop.bone import bone_from_labels
from spinemar.postop.find import find_implants
from spinemar.postop.metal_share import MetalShare
from spinemar.postop.table import implants_facts
from Testing.core.postop import patient

GRIDS = ((0.7, 0.7, 1.25), (0.8, 0.8, 2.5))


@pytest.fixture(scope="module")
def bone():
    return bone_from_labels(patient.spine())


def _linked():
    """The operation with a bar between both rods, midway between two pairs of screws."""
    plan = patient.operated()
    left, right = (
        np.mean([np.asarray(s.entry) for s in plan.screws if s.side == side][:2], axis=0)
        for side in ("left", "right")
    )
    back = np.array([0.0, -12.0, 0.0])
    link = Crosslink(
        "link",
        tuple((left + back).tolist()),
        tuple((right + back).tolist()),
        (0.0, -1.0, 0.0),
        rod_ids=tuple(rod.id for rod in plan.rods),
    )
    return replace(plan, crosslinks=(link,))


def _caged(depth_mm: float = 18.0):
    cage = Cage("cage", "L1/L2", (0.0, 3.0, -17.5), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0),
                24.0, depth_mm, 9.0, material="Ti-6Al-4V", marker_material=None)  # fmt: skip
    return replace(patient.operated(), cages=(cage,))


def _found(bone, plan, spacing):
    return find_implants(patient.metal_of(plan, patient.grid(spacing)), bone, load_catalogue())


@pytest.mark.parametrize("spacing", GRIDS)
def test_a_bar_between_the_rods_is_a_crosslink(bone, spacing):
    true = _linked().crosslinks[0]
    found = _found(bone, _linked(), spacing)
    (link,) = found.plan.crosslinks
    assert set(link.rod_ids) == {rod.id for rod in found.plan.rods}
    for place, real in ((link.start, true.start), (link.end, true.end)):
        assert np.linalg.norm(np.subtract(place, real)) < 8.0
    assert link.start[0] < 0 < link.end[0]
    assert link.diameter_mm == pytest.approx(true.diameter_mm, abs=2.0)
    assert not found.plan.cages
    assert len(found.screws) == 6
    assert plan_from_json(plan_to_json(found.plan)) == found.plan


@pytest.mark.parametrize("spacing", GRIDS)
def test_metal_in_a_disc_is_a_cage(bone, spacing):
    true = _caged().cages[0]
    found = _found(bone, _caged(), spacing)
    (cage,) = found.plan.cages
    assert cage.level == "L1/L2"
    assert np.linalg.norm(np.subtract(cage.centre, true.centre)) < 4.0
    assert cage.width_mm == pytest.approx(true.width_mm, abs=5.0)
    assert cage.depth_mm == pytest.approx(true.depth_mm, abs=5.0)
    assert not found.plan.crosslinks
    assert len(found.screws) == 6
    assert found.unexplained_mm3 < 100.0
    facts = implants_facts(found)
    assert facts["cages"][0]["level"] == "L1/L2"


@pytest.mark.parametrize("spacing", GRIDS)
def test_an_operation_without_them_has_none(bone, spacing):
    found = _found(bone, patient.operated(), spacing)
    assert not found.plan.crosslinks
    assert not found.plan.cages


def _wire(points, share):
    """A loop behind the arches, on one side of the midline."""
    away = np.hypot(points[..., 0] - 30.0, points[..., 2] - 10.0)
    share[(np.abs(away - 8.0) < 1.5) & (np.abs(points[..., 1] + 50.0) < 1.5)] = 1.0


def _marker(points, share):
    """A bead in a disc, as PEEK cages have them: too little to tell a cage from."""
    share[np.linalg.norm(points - [8.0, 6.0, -17.5], axis=-1) < 1.8] = 1.0


def _pin(points, share):
    """A thin pin lengthwise in a disc."""
    off = np.hypot(points[..., 0], points[..., 2] + 17.5)
    share[(off < 2.0) & (np.abs(points[..., 1] - 3.0) < 10.0)] = 1.0


@pytest.mark.parametrize("drawn", [_wire, _marker, _pin])
def test_what_is_neither_becomes_neither(bone, drawn):
    metal = patient.metal_of(patient.operated(), patient.grid(GRIDS[1]))
    share = metal.share.copy()
    drawn(patient.places(metal.geometry), share)
    found = find_implants(MetalShare(share, metal.geometry), bone, load_catalogue())
    assert not found.plan.crosslinks
    assert not found.plan.cages
