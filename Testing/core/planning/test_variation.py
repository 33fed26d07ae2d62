"""Seeded variation: reproducible, as wide as asked, and mechanically whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import STANDARD_CROSSLINK
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.constructs.assemble import with_rods
from spinemar.planning.constructs.rods import min_bend_radius_mm, seat_mismatch_mm
from spinemar.planning.plans.plan import Plan, Screw
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.planning.sampling.random_plan import RandomSettings, random_plan
from spinemar.planning.sampling.variation import Spread, vary_plan
from spinemar.planning.vectors import angle_deg
from spinemar.volume import GridGeometry

GRID = GridGeometry((40, 128, 128), np.diag([1.5, 1.5, 3.0, 1.0]))


def spine_plan(levels: int = 6) -> Plan:
    screws = []
    for n in range(levels):
        for side, sign in (("left", -1.0), ("right", 1.0)):
            axis = np.array([-sign * 0.2, 1.0, 0.05]) / np.linalg.norm([0.2, 1.0, 0.05])
            entry = np.array([sign * 18.0, -40.0 + 3 * np.sin(n), -28.0 * n])
            tip = entry + 45.0 * axis
            screws.append(
                Screw(f"L{n}-{side}", f"T{n + 1}", side, tuple(entry.tolist()),
                      tuple(tip.tolist()), 6.0, 45.0)
            )  # fmt: skip
    plan = Plan(levels=tuple(f"T{n + 1}" for n in range(levels)), screws=tuple(screws))
    return with_rods(plan, load_catalogue(), crosslink=STANDARD_CROSSLINK)


def test_random_plans_are_seeded_and_valid():
    plans = [random_plan(GRID, seed, load_catalogue()) for seed in range(60)]
    assert plans == [random_plan(GRID, seed, load_catalogue()) for seed in range(60)]
    assert len({plan_to_json(plan) for plan in plans}) == 60
    assert all(plan_from_json(plan_to_json(plan)) == plan for plan in plans)
    assert {screw.material for plan in plans for screw in plan.screws} >= {"Ti-6Al-4V", "316L"}
    assert all(min_bend_radius_mm(rod) >= 40.0 for plan in plans for rod in plan.rods)


def test_random_screws_start_within_the_given_mask():
    inside = np.zeros(GRID.shape, dtype=bool)
    inside[10:20, 40:80, 50:70] = True
    settings = RandomSettings(screws=(4, 4), rods=(0, 0), cages=(0, 0), crosslinks=(0, 0))
    for seed in range(10):
        for screw in random_plan(
            GRID, seed, load_catalogue(), inside=inside, settings=settings
        ).screws:
            middle = (np.array(screw.entry) + np.array(screw.tip)) / 2
            i, j, k = np.round(GRID.to_ijk(middle)).astype(int)
            assert inside[k, j, i]


def test_no_room_for_random_implants_is_refused():
    with pytest.raises(InputError):
        random_plan(GRID, 1, load_catalogue(), inside=np.zeros(GRID.shape, dtype=bool))


def test_random_plan_voxelises():
    found = voxelize_plan(random_plan(GRID, 3, load_catalogue()), GRID, load_catalogue())
    assert any(volume.any() for volume in found.values())


def test_variation_is_seeded_and_leaves_locked_screws():
    plan = spine_plan()
    locked = plan.with_screw(Screw(**{**plan.screws[3].__dict__, "locked": True}))
    assert vary_plan(locked, load_catalogue(), seed=7) == vary_plan(
        locked, load_catalogue(), seed=7
    )
    varied = vary_plan(
        locked, load_catalogue(), Spread(unilateral_plan=1.0, skipped_level=0.5), seed=4
    )
    kept = varied.screw(plan.screws[3].id)
    assert (kept.entry, kept.tip, kept.diameter_mm) == (
        plan.screws[3].entry, plan.screws[3].tip, plan.screws[3].diameter_mm)  # fmt: skip


def test_two_surgeons_differ_by_the_spread():
    # Without rods: contouring them anew takes most of the time.
    plan = replace(spine_plan(), rods=(), crosslinks=())
    spread = Spread(other_length=0.0, skipped_level=0, missing_screw=0, unilateral_plan=0)
    entries, tips, angles = [], [], []
    for n in range(80):
        first, second = (
            vary_plan(plan, load_catalogue(), spread, seed=(n, surgeon)) for surgeon in (0, 1)
        )
        for a, b in zip(first.screws, second.screws, strict=True):
            entries.append(np.linalg.norm(np.subtract(a.entry, b.entry)))
            tips.append(np.linalg.norm(np.subtract(a.tip, b.tip)))
            angles.append(angle_deg(np.subtract(a.tip, a.entry), np.subtract(b.tip, b.entry)))
    assert np.mean(entries) == pytest.approx(4.9, rel=0.06)
    assert np.mean(tips) == pytest.approx(4.4, rel=0.06)
    assert np.mean(angles) == pytest.approx(5.3, rel=0.06)


def test_varied_constructs_keep_bend_radius_and_cone_and_ungraded_screws():
    plan, catalogue = spine_plan(), load_catalogue()
    for seed in range(20):
        varied = vary_plan(
            plan, load_catalogue(), Spread(skipped_level=0.2, misplaced=0.2), seed=seed
        )
        assert all(screw.grade is None for screw in varied.screws)
        for rod in varied.rods:
            assert min_bend_radius_mm(rod) >= 39.0
            screws = [varied.screw(name) for name in rod.screw_ids]
            gaps = seat_mismatch_mm(rod, screws, catalogue)
            assert set(gaps) == set(rod.screw_ids)
            for screw in screws:
                lean = angle_deg(screw.head_axis, np.subtract(screw.entry, screw.tip))
                assert lean <= 30.0 + 1e-6


def test_exact_fit_when_nothing_hinders():
    plan = spine_plan()
    for rod in plan.rods:
        gaps = seat_mismatch_mm(rod, [plan.screw(n) for n in rod.screw_ids], load_catalogue())
        assert max(gaps.values()) < 0.1
    assert len(plan.crosslinks) == 1
