"""Cement, hooks and wires of training pairs: drawn in the asked shares, where they belong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.further import with_further
from spinemar.dataset.sampling.placement import draw_height, draw_realistic, plan_facts
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.shapes.laminar import rod_seat
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.constructs.assemble import construct_from_pedicles
from spinemar.planning.plans.plan import Plan
from spinemar.planning.trajectories.sites import sites_from_landmarks
from spinemar.volume import GridGeometry
from Testing.core.dataset.conftest import landmarks, level_centres

CATALOGUE = load_catalogue()
SITES = sites_from_landmarks(landmarks("training"))
LEVELS = list(dict.fromkeys(site.level for site in SITES))
ALL = PairSettings(cement_share=1.0, hooks_share=1.0, wires_share=1.0)


def drawn(settings, seed=1):
    rng = np.random.default_rng(seed)
    return draw_realistic(SITES, LEVELS[2], CATALOGUE, settings, False, rng)


def inner():
    """A construct of the middle levels, so that there is one above and one below."""
    sites = [site for site in SITES if site.level in LEVELS[1:3]]
    return construct_from_pedicles(sites, CATALOGUE)


def test_cement_lies_in_the_bodies_that_hold_screws():
    volumes = []
    for seed in range(10):
        plan = with_further(inner(), SITES, CATALOGUE, ALL, np.random.default_rng(seed))
        for cement in plan.cements:
            assert cement.level in LEVELS[1:3]
            gap = np.subtract(cement.centre, level_centres()[cement.level])
            assert np.abs(gap).max() < 6.0
            volumes.append(cement.volume_ml)
    assert len(volumes) > 5
    assert 1.4 < min(volumes) < max(volumes) < 5.1


def test_hooks_stand_beyond_the_screws_and_rods_run_through_them():
    seen = Counter()
    for seed in range(30):
        placed = drawn(replace(ALL, wires_share=0.0, no_rods_share=0.0), seed)
        if placed is None or not placed.plan.hooks:
            continue
        plan = placed.plan
        for hook in plan.hooks:
            assert hook.level not in {screw.level for screw in plan.screws}
            centre = level_centres()[hook.level]
            away = np.subtract(hook.throat, centre)
            # Behind the canal of the phantom, beside the middle, within the height of a vertebra.
            assert -50.0 < away[1] < -30.0
            assert (away[0] > 0) == (hook.side == "right")
            assert abs(away[2]) < 22.0
            rods = [rod for rod in plan.rods if rod.side == hook.side]
            seat = rod_seat(hook, CATALOGUE.hook(hook.model))
            for rod in rods:
                curve = rod_curve(rod.control_points, 0.2)
                seen["rods"] += 1
                # Bent no sharper than it may be: then it passes beside the slot.
                seen["through"] += np.linalg.norm(curve - seat, axis=1).min() < 6.0
    assert seen["rods"] > 5
    assert seen["through"] > 0.7 * seen["rods"]


def test_no_hook_is_left_without_its_rod():
    sides = Counter()
    for seed in range(120):
        placed = drawn(replace(ALL, wires_share=0.0, no_rods_share=0.0), seed)
        if placed is None:
            continue
        rods = {rod.side for rod in placed.plan.rods}
        sides[len(rods)] += 1
        assert {hook.side for hook in placed.plan.hooks} <= rods
    # Some surgeons' rods are on one side alone.
    assert sides[1] >= 1
    assert sides[2] > 20


def test_wires_go_around_both_laminae_of_a_level():
    plan = with_further(inner(), SITES, CATALOGUE, ALL, np.random.default_rng(4))
    assert {wire.side for wire in plan.wires} == {"left", "right"}
    (level,) = {wire.level for wire in plan.wires}
    centre = level_centres()[level]
    for wire in plan.wires:
        points = np.array(wire.points) - centre
        assert (points[:, 0] > 0).all() == (wire.side == "right")
        # From the back part of the canal to behind the lamina.
        assert points[:, 1].max() > -40.0
        assert points[:, 1].min() < -45.0


def test_their_metal_is_in_the_truth_and_cement_is_not_metal():
    plan = with_further(inner(), SITES, CATALOGUE, ALL, np.random.default_rng(4))
    steel = replace(plan, wires=tuple(replace(wire, material="316L") for wire in plan.wires))
    affine = np.eye(4)
    affine[:3, 3] = (-60.0, -90.0, -100.0)
    grid = GridGeometry((200, 140, 120), affine)
    filled = voxelize_plan(replace(steel, screws=(), rods=()), grid, CATALOGUE)
    assert {"316L", "PMMA-BaSO4"} <= set(filled)
    assert filled["316L"].sum() > 50.0
    assert plan_facts(plan)["n_wires"] == 2
    assert plan_facts(plan)["n_cements"] == len(plan.cements)
    assert plan_facts(plan)["n_hooks"] == len(plan.hooks)


@pytest.mark.parametrize("name", ["cement_share", "hooks_share", "wires_share"])
def test_shares_are_kept(name):
    group = {"cement_share": "cements", "hooks_share": "hooks", "wires_share": "wires"}[name]
    none = {"cement_share": 0.0, "hooks_share": 0.0, "wires_share": 0.0}
    settings = PairSettings(**none | {name: 0.3})
    plans = [
        with_further(inner(), SITES, CATALOGUE, settings, np.random.default_rng(seed))
        for seed in range(150)
    ]
    share = np.mean([bool(getattr(plan, group)) for plan in plans])
    assert 0.15 < share < 0.42
    others = {"cements", "hooks", "wires"} - {group}
    assert not any(getattr(plan, other) for plan in plans for other in others)


def test_the_same_seed_draws_the_same():
    one, other = (drawn(ALL, 5) for _ in range(2))
    assert one == other


def test_a_slice_may_go_through_them():
    plan = with_further(inner(), SITES, CATALOGUE, ALL, np.random.default_rng(4))
    alone = Plan(hooks=plan.hooks, wires=plan.wires)
    heights = [draw_height(alone, False, np.random.default_rng(n)) for n in range(20)]
    places = [hook.throat[2] for hook in plan.hooks] + [p[2] for w in plan.wires for p in w.points]
    assert min(places) - 7.0 <= min(heights) <= max(heights) <= max(places) + 7.0


def test_a_share_that_is_none_is_refused():
    from spinemar.errors import InputError

    with pytest.raises(InputError, match="hooks_share"):
        PairSettings(hooks_share=1.5)
