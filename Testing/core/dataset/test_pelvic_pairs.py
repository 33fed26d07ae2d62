"""Screws into the ilium in training pairs: in bone, on rods, moved with the anatomy, as asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.deformation import draw_deformation
from spinemar.dataset.sampling.pelvis import (
    find_pelvic_ways,
    moved_way,
    rods_reach_pelvis,
    with_pelvic_screws,
)
from spinemar.dataset.sampling.placement import draw_from_plan, draw_realistic
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.shapes.screw import shank_axis
from spinemar.planning.constructs.assemble import construct_from_pedicles
from spinemar.planning.grades.gertzbein_robbins import graded_screw
from spinemar.planning.grades.pelvic_bone import pelvic_field
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.planning.trajectories.sites import sites_from_frames
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.anatomy.pelvis.femoral_heads import with_femoral_heads
from Testing.core.spine.pelvis_phantom import phantom

CATALOGUE = load_catalogue()
ALWAYS = PairSettings(pelvic_share=1.0, cement_share=0.0, hooks_share=0.0, wires_share=0.0)


@pytest.fixture(scope="module")
def patient():
    made = phantom()
    return made, with_femoral_heads(frames_from_labels(made.labels, made.ct), made.ct)


@pytest.fixture(scope="module")
def ways(patient):
    made, spine = patient
    return find_pelvic_ways(spine, made.ct, CATALOGUE)


def construct(patient, levels=("L5", "S1")):
    sites = [s for s in sites_from_frames(patient[1].vertebrae) if s.level in levels]
    return construct_from_pedicles(sites, CATALOGUE)


def drawn(patient, ways, seed, settings=ALWAYS, mild=False):
    sites = sites_from_frames(patient[1].vertebrae)
    rng = np.random.default_rng(seed)
    return draw_realistic(sites, "S1", CATALOGUE, settings, mild, rng, ways)


def test_ways_are_found_on_both_sides_by_both_courses(ways):
    assert {(way.course, way.side) for way in ways} == {
        (course, side) for course in ("S2AI", "iliac") for side in ("left", "right")
    }
    for way in ways:
        assert 55.0 < np.linalg.norm(way.tip - way.entry) < 105.0
        outwards = (way.tip - way.entry)[0] * (1 if way.side == "right" else -1)
        assert outwards > 20.0


def test_screws_on_them_lie_in_bone(patient, ways):
    made, spine = patient
    field = pelvic_field(spine, made.ct)
    seen = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        plan = with_pelvic_screws(construct(patient), ways, CATALOGUE, ALWAYS, rng)
        added = [screw for screw in plan.screws if screw.in_pelvis]
        assert {screw.side for screw in added} == {"left", "right"}
        assert len({screw.course for screw in added}) == 1
        for screw in added:
            seen.add(screw.course)
            if screw.course == "iliac":
                # Its head is sunk into the posterior superior spine.
                depth = -field.distance_mm(np.array([screw.entry]))[0]
                assert depth > 1.0
            graded = graded_screw(screw, field, list(spine.vertebrae))
            assert graded.grade is not None
            assert graded.grade.letter == "A"
    assert seen == {"S2AI", "iliac"}


def test_drawn_constructs_have_them_on_rods(patient, ways):
    found = Counter()
    for seed in range(40):
        placed = drawn(patient, ways, seed, replace(ALWAYS, no_rods_share=0.0))
        if placed is None:
            continue
        plan = placed.plan
        own = [screw for screw in plan.screws if screw.in_pelvis]
        found["plans"] += 1
        found["with"] += bool(own)
        assert len({screw.level for screw in plan.screws} - {""}) >= 2
        held = {name for rod in plan.rods for name in rod.screw_ids}
        assert held == {screw.id for screw in plan.screws}
        assert rods_reach_pelvis(plan, CATALOGUE)
        assert plan_from_json(plan_to_json(plan)) == plan
    assert found["plans"] >= 25
    assert found["with"] > 0.6 * found["plans"]


def test_a_rod_beside_the_tulip_is_noticed(patient, ways):
    placed = next(
        found
        for seed in range(40)
        if (found := drawn(patient, ways, seed)) is not None
        and found.plan.rods
        and any(screw.in_pelvis for screw in found.plan.screws)
    )
    rods = [
        replace(rod, control_points=tuple((x + 6.0, y, z) for x, y, z in rod.control_points))
        for rod in placed.plan.rods
    ]
    assert not rods_reach_pelvis(replace(placed.plan, rods=tuple(rods)), CATALOGUE)


def test_constructs_above_the_sacrum_and_other_patients_have_none(patient, ways):
    rng = np.random.default_rng(0)
    upper = construct(patient, ("L4", "L5"))
    assert with_pelvic_screws(upper, ways, CATALOGUE, ALWAYS, rng) == upper
    lower = construct(patient)
    assert with_pelvic_screws(lower, (), CATALOGUE, ALWAYS, rng) == lower


def test_the_share_is_kept(patient, ways):
    settings, lower = replace(ALWAYS, pelvic_share=0.3), construct(patient)
    plans = [
        with_pelvic_screws(lower, ways, CATALOGUE, settings, np.random.default_rng(seed))
        for seed in range(150)
    ]
    share = np.mean([any(screw.in_pelvis for screw in plan.screws) for plan in plans])
    assert 0.18 < share < 0.42


def test_they_are_of_the_metal_of_the_others(patient, ways):
    lower = construct(patient)
    steel = tuple(replace(screw, material="316L") for screw in lower.screws)
    plan = with_pelvic_screws(
        replace(lower, screws=steel), ways, CATALOGUE, ALWAYS, np.random.default_rng(1)
    )
    assert {screw.material for screw in plan.screws} == {"316L"}


def test_ways_move_with_the_anatomy(ways):
    pivot = np.mean([way.entry for way in ways], axis=0)
    mirrored = set()
    for seed in range(6):
        change = draw_deformation(pivot, PairSettings(), np.random.default_rng(seed))
        mirrored.add(change.mirrored)
        for way in ways:
            new = moved_way(way, change)
            back = change.to_source(np.array([new.entry, new.tip]))
            assert np.abs(back - [way.entry, way.tip]).max() < 0.01
            assert (new.side == way.side) != change.mirrored
            # Out of the middle of the body on its own side, whatever was done to the patient.
            side = 1 if new.side == "right" else -1
            assert (new.tip - new.entry)[0] * side > 0
    assert mirrored == {True, False}


@pytest.mark.parametrize("what", ["doubted", "no sacrum", "cut off"])
def test_a_pelvis_in_doubt_has_no_ways(patient, what):
    made, spine = patient
    *upper, sacrum = spine.vertebrae
    changed = {
        "doubted": (*upper, replace(sacrum, agreement=None)),
        "no sacrum": tuple(upper),
        "cut off": (*upper, replace(sacrum, cut_off=True)),
    }[what]
    assert find_pelvic_ways(replace(spine, vertebrae=changed), made.ct, CATALOGUE) == ()


def test_a_ct_without_hips_has_no_ways(patient):
    made, spine = patient
    alone = np.where(spine.labels.labels > 0, made.ct.hu, 40.0).astype(np.float32)
    assert find_pelvic_ways(spine, replace(made.ct, hu=alone), CATALOGUE) == ()


def test_a_plan_of_the_patients_own_keeps_them(patient, ways):
    own = with_pelvic_screws(construct(patient), ways, CATALOGUE, ALWAYS, np.random.default_rng(3))
    change = draw_deformation(
        np.array(own.screws[0].tip), PairSettings(mirror=False), np.random.default_rng(2)
    )
    placed = draw_from_plan(own, change, CATALOGUE, False, np.random.default_rng(5))
    assert placed is not None
    for screw in placed.plan.screws:
        if screw.in_pelvis:
            old = own.screw(screw.id)
            assert screw.course == old.course
            assert shank_axis(screw) @ shank_axis(old) > 0.95
