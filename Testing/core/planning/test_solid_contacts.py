"""Implants that run into each other, and rods that run through hooks, in vertebrae of boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import Rod, Wire
from spinemar.implants.shapes.laminar import rod_seat
from spinemar.implants.shapes.rod import rod_curve
from spinemar.planning.constructs.assemble import with_rods
from spinemar.planning.constructs.others import (
    cement_in_body,
    hook_at_lamina,
    wire_at_lamina,
    with_implants,
)
from spinemar.planning.constructs.rods import contour_rod
from spinemar.planning.grades.contacts.collisions import find_collisions
from spinemar.planning.grades.findings import findings
from spinemar.planning.plans.plan import Plan
from spinemar.planning.report.tables import rod_facts

CATALOGUE = load_catalogue()
CEMENT, HOOK, WIRE = CATALOGUE.cement("generic-cement"), CATALOGUE.hook("generic-laminar-hook"), (
    CATALOGUE.wire("generic-sublaminar-wire")
)  # fmt: skip
# The lamina of boxes is 9 mm thick.
WIDE = replace(HOOK, throats_mm=(10.0,))


def hooked(column, *levels, side="left"):
    items = [hook_at_lamina(column, level, side, "up", WIDE) for level in levels]
    return with_implants(Plan(levels=levels), items)


def contacts(plan):
    return {(c.first, c.second): (c.kind, c.overlap_mm) for c in find_collisions(plan, CATALOGUE)}


def straight(name, start, end, side=""):
    return Rod(name, side, (tuple(map(float, start)), tuple(map(float, end))))


def test_a_rod_in_the_slot_of_its_hook_is_no_contact(column):
    plan = with_rods(hooked(column, "T12", "L1", "L2"), CATALOGUE)
    (rod,) = plan.rods
    assert (rod.side, rod.screw_ids) == ("left", ())
    curve = rod_curve(rod.control_points, 0.1)
    for hook in plan.hooks:
        gap = np.linalg.norm(curve - rod_seat(hook, HOOK), axis=1).min()
        assert gap < 0.1
    assert contacts(plan) == {}
    assert "gap to the slots of hooks in mm: T12-hook-left-up 0.0" in rod_facts(
        rod, plan, CATALOGUE
    )
    assert not any("beside the middle of its slot" in t for t in findings(plan, column, CATALOGUE))


@pytest.mark.parametrize("aside", [1.0, 2.0])
def test_a_rod_beside_the_slot_runs_into_the_hook_and_is_told(column, aside):
    plan = hooked(column, "L1")
    seat = rod_seat(plan.hooks[0], HOOK) + aside * column.vertebra("L1").right
    up = 30.0 * column.vertebra("L1").superior
    plan = replace(plan, rods=(straight("rod-left", seat - up, seat + up, "left"),))
    kind, overlap = contacts(plan)["rod-left", "L1-hook-left-up"]
    assert kind == "rod-hook"
    # The slot is 0.2 mm wider than the rod.
    assert overlap == pytest.approx(aside - 0.2, abs=0.7)
    said = "\n".join(findings(plan, column, CATALOGUE))
    assert f"rod-left runs {aside:.1f} mm beside the middle of its slot" in said
    assert "rod-left and L1-hook-left-up: they overlap by" in said


def test_rods_run_through_screws_and_hooks(column, screw_in):
    """A hook a level above the screws: the rod bends to it, and the screws' heads to the rod."""
    screws = tuple(screw_in(column.vertebra(level), "left") for level in ("L1", "L2"))
    plan = replace(hooked(column, "T11"), screws=screws)
    plan = with_rods(plan, CATALOGUE)
    (rod,) = plan.rods
    assert rod.screw_ids == ("L1-left", "L2-left")
    curve = rod_curve(rod.control_points, 0.1)
    heights = curve[[0, -1], 2]
    assert heights[0] > rod_seat(plan.hooks[0], HOOK)[2] > heights[1]
    assert all(screw.head_axis is not None for screw in plan.screws)


def test_a_hook_beside_a_screw_does_not_bend_the_rod_and_is_told(column, screw_in):
    screws = tuple(screw_in(column.vertebra(level), "left") for level in ("T12", "L1", "L2"))
    bare = with_rods(Plan(levels=("L1",), screws=screws), CATALOGUE)
    plan = with_rods(with_implants(bare, hooked(column, "L1").hooks), CATALOGUE)
    assert plan.rods == bare.rods
    said = "\n".join(findings(plan, column, CATALOGUE))
    assert "L1-hook-left-up: rod-left runs" in said
    assert "mm beside the middle of its slot. Leave a level between hook and screw" in said


def test_one_hook_and_one_screw_hold_a_rod_and_one_of_them_does_not(column, screw_in):
    screw = screw_in(column.vertebra("L1"), "left")
    both = replace(hooked(column, "T11"), screws=(screw,))
    assert [rod.side for rod in with_rods(both, CATALOGUE).rods] == ["left"]
    assert with_rods(hooked(column, "T11"), CATALOGUE).rods == ()
    with pytest.raises(InputError, match="two screws"):
        contour_rod([], CATALOGUE, hooks=both.hooks)


def test_a_locked_rod_stays_where_it_is(column):
    plan = with_rods(hooked(column, "T12", "L1"), CATALOGUE)
    locked = replace(plan, rods=(replace(plan.rods[0], locked=True),))
    more = with_implants(locked, hooked(column, "L2").hooks)
    assert with_rods(more, CATALOGUE).rods == locked.rods


def test_a_hook_in_the_way_of_a_screw_is_told(column, screw_in):
    plan = hooked(column, "L1")
    where = column.vertebra("L1").to_local(np.array(plan.hooks[0].throat))
    screw = screw_in(column.vertebra("L1"), "left", shift=(-5.0, 0.0, where[2] - 4.0))
    (found,) = contacts(replace(plan, screws=(screw,))).values()
    assert found[0] == "screw-hook"
    assert found[1] > 1.0


def test_wires_run_into_screws_and_rods(column):
    """By a bar through the wire whose overlap is known: all of the thinner one."""
    wire = wire_at_lamina(column, "L1", "right", WIRE)
    middle = np.array(wire.points[len(wire.points) // 2])
    across = 30.0 * column.vertebra("L1").right
    plan = Plan(levels=("L1",), wires=(wire,), rods=(straight("bar", middle - across,
                                                              middle + across),))  # fmt: skip
    kind, overlap = contacts(plan)["bar", "L1-wire-right"]
    assert kind == "rod-wire"
    assert overlap == pytest.approx(wire.diameter_mm, abs=0.5)
    apart = np.array([0.0, 60.0, 0.0])
    far = straight("bar", middle - across + apart, middle + across + apart)
    assert contacts(replace(plan, rods=(far,))) == {}


def test_cement_is_meant_around_screws_and_nothing_else(column, screw_in):
    cement = cement_in_body(column, "L1", CEMENT, 4.0)
    screw = screw_in(column.vertebra("L1"), "left", shift=(-8.0, 0.0, -4.0))
    plan = with_implants(Plan(levels=("L1",), screws=(screw,)), [cement])
    assert contacts(plan) == {}
    centre = np.array(cement.centre)
    points = tuple((float(centre[0] + x), *map(float, centre[1:])) for x in (-30.0, 0.0, 30.0))
    wire = Wire("stray", "L1", "left", points)
    assert contacts(replace(plan, wires=(wire,)))["cement-L1", "stray"][0] == "cement-wire"


def test_hooks_of_both_sides_and_ways_do_not_touch(column):
    items = [
        hook_at_lamina(column, level, side, way, WIDE)
        for level, way in (("T12", "up"), ("L1", "down"))
        for side in ("left", "right")
    ]
    assert contacts(with_implants(Plan(), items)) == {}
    same = replace(items[0], id="again")
    found = contacts(with_implants(Plan(), [items[0], same]))
    assert found[items[0].id, "again"][0] == "hook-hook"
