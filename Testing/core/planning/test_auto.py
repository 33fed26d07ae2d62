"""Automatic plans of a spine whose best screws are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.errors import CancelledError, InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.constructs.automatic import (
    PlanSettings,
    plan_construct,
    plan_with_alternatives,
)
from spinemar.planning.constructs.rods import min_bend_radius_mm, seat_mismatch_mm
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.contacts.collisions import find_collisions
from spinemar.planning.grades.hu_profile import hu_profile
from spinemar.planning.plans.compare import compare_plans
from spinemar.planning.trajectories.targets import target_for
from spinemar.planning.vectors import angle_deg
from spinemar.progress import CancelToken
from spinemar.volume import CTVolume


@pytest.fixture(scope="module")
def automatic(column, column_ct):
    settings = PlanSettings(with_crosslink=True)
    return plan_with_alternatives(column, column_ct, "T11-L2", load_catalogue(), settings)


def test_every_pedicle_gets_a_safe_screw(automatic, column):
    plan = automatic.plan
    assert [s.id for s in plan.screws] == [
        f"{level}-{side}" for level in ("T11", "T12", "L1", "L2") for side in ("left", "right")
    ]
    for screw in plan.screws:
        assert screw.grade.letter == "A"
        # 80 % of 8 mm is 6.4; the box's wall is 1 mm from a 6 mm screw.
        assert 5.0 <= screw.diameter_mm <= 6.0
        vertebra = column.vertebra(screw.level)
        tip = vertebra.to_local(screw.tip)
        assert tip[1] <= 17.0 - 4.0 + 0.5
        assert tip[1] >= -5.0
        # It starts where the bone does.
        assert abs(bone_field(column.labels, vertebra).distance_mm(np.array(screw.entry))) < 0.6


def test_construct_is_mechanically_whole(automatic, column):
    from spinemar.implants.catalogue import load_catalogue

    plan = automatic.plan
    assert len(plan.rods) == 2
    assert len(plan.crosslinks) == 1
    for rod in plan.rods:
        assert min_bend_radius_mm(rod) >= 39.5
        gaps = seat_mismatch_mm(rod, [plan.screw(n) for n in rod.screw_ids], load_catalogue())
        assert max(gaps.values()) < 1.0
    assert not [
        c for c in find_collisions(plan, load_catalogue(), column.labels) if c.kind != "screw-facet"
    ]


def test_planning_twice_gives_the_same(automatic, column, column_ct):
    settings = PlanSettings(with_crosslink=True)
    assert plan_construct(column, column_ct, "T11-L2", load_catalogue(), settings) == automatic.plan


def test_alternatives_are_ranked_and_different(automatic):
    for offers in automatic.alternatives.values():
        scores = [t.score for t in offers]
        assert scores == sorted(scores, reverse=True)
        assert len(offers) > 1
        assert all(set(t.terms) == set(offers[0].terms) for t in offers)


def test_cortical_trajectories_go_up_and_out(column, column_ct):
    plan = plan_construct(
        column, column_ct, "L1-L2", load_catalogue(), PlanSettings(trajectory="cortical")
    )
    assert len(plan.screws) == 4
    for screw in plan.screws:
        axis = column.vertebra(screw.level).axes_ras @ np.subtract(screw.tip, screw.entry)
        outwards = axis[0] if screw.side == "right" else -axis[0]
        assert axis[2] > 0
        assert outwards > -1.0
        assert screw.model == "generic-cortical"
        assert screw.length_mm <= 40.0
    thoracic = replace(column.vertebrae[0], level="T5")
    with pytest.raises(InputError, match="cortical"):
        target_for("cortical", thoracic, thoracic.pedicles["left"])


def test_locked_screws_stay_and_the_rest_is_planned(automatic, column, column_ct, screw_in):
    own = replace(screw_in(column.vertebrae[1], "left", (0.5, 0, 1.0)), locked=True)
    plan = plan_construct(
        column, column_ct, "T11-L2", load_catalogue(), locked=automatic.plan.with_screw(own)
    )
    kept = plan.screw(own.id)
    assert (kept.entry, kept.tip, kept.locked) == (own.entry, own.tip, True)
    assert len(plan.screws) == 8


@pytest.mark.parametrize(
    ("found_mm", "said"), [(1.2, "too narrow"), (9.0, "has no way on which the thinnest screw")]
)
def test_a_pedicle_without_room_says_so(column, column_ct, found_mm, said):
    # Shave the left pedicle of L1 to 1.6 mm.
    labels = column.labels.labels.copy()
    vertebra = column.vertebra("L1")
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in labels.shape[::-1]], indexing="ij"), -1)
    local = vertebra.to_local(column.labels.geometry.to_ras(ijk)).transpose(2, 1, 0, 3)
    shaved = ((local[..., 0] < -8.8) & (local[..., 0] > -16.5) & (local[..., 1] > -34)
              & (local[..., 1] < -13) & (np.abs(local[..., 2]) < 16))  # fmt: skip
    labels[shaved] = 0
    pedicle = vertebra.pedicles["left"]
    thin = replace(pedicle, isthmus_ras=vertebra.to_ras((-8.4, -22, 4)), width_mm=found_mm)
    narrow = replace(vertebra, pedicles={**vertebra.pedicles, "left": thin})
    vertebrae = tuple(narrow if v.level == "L1" else v for v in column.vertebrae)
    spine = replace(column, vertebrae=vertebrae, labels=replace(column.labels, labels=labels))
    plan = plan_construct(spine, column_ct, "L1", load_catalogue())
    assert [s.id for s in plan.screws] == ["L1-right"]
    assert said in plan.warnings[0]


def test_a_missing_pedicle_says_so(column, column_ct):
    vertebra = column.vertebra("L1")
    one = replace(vertebra, pedicles={"left": vertebra.pedicles["left"]})
    plan = plan_construct(replace(column, vertebrae=(one,)), column_ct, "L1", load_catalogue())
    assert [s.side for s in plan.screws] == ["left"]
    assert "No right pedicle of L1" in plan.warnings[0]
    assert plan.rods == ()


def test_dense_bone_attracts_the_screw(column, column_ct):
    # The same spine, its upper half of the pedicles dense: the screw moves up.
    vertebra = column.vertebra("L1")
    shape = column_ct.hu.shape[::-1]
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    local = vertebra.to_local(column_ct.geometry.to_ras(ijk)).transpose(2, 1, 0, 3)
    hu = np.where(local[..., 2] > 5.0, 500.0, 60.0).astype(np.float32)
    dense = CTVolume(hu, column_ct.ijk_to_ras)
    weights = replace(PlanSettings().weights, density=0.5)
    heights = []
    for ct, w in ((None, PlanSettings().weights), (dense, weights)):
        plan = plan_construct(column, ct, "L1", load_catalogue(), PlanSettings(weights=w))
        heights.append(vertebra.to_local(plan.screws[0].tip)[2])
    assert heights[1] > heights[0] + 0.5


def test_unknown_levels_and_cancelling(column, column_ct):
    with pytest.raises(InputError):
        plan_construct(column, column_ct, "L5", load_catalogue())
    with pytest.raises(InputError):
        plan_construct(column, column_ct, "nonsense", load_catalogue())
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        plan_construct(column, column_ct, "T11-L2", load_catalogue(), cancel=token)


def test_hu_profile_measures_pedicle_and_body(column, column_ct, screw_in):
    vertebra = column.vertebra("L1")
    screw = screw_in(vertebra, "right", (0, 3.0, 0), 40.0)
    hu = np.full(column_ct.hu.shape, 100.0, dtype=np.float32)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in hu.shape[::-1]], indexing="ij"), -1)
    local = vertebra.to_local(column_ct.geometry.to_ras(ijk)).transpose(2, 1, 0, 3)
    hu[local[..., 1] > -15.0] = 300.0
    profile = hu_profile(screw, CTVolume(hu, column_ct.ijk_to_ras), vertebra)
    assert profile.pedicle_hu == pytest.approx(100.0, abs=8.0)
    assert profile.body_hu == pytest.approx(300.0, abs=8.0)
    assert profile.minimum_hu == pytest.approx(100.0, abs=1.0)
    # It enters at -39 and ends at 1: 24 of 40 mm lie before -15.
    assert profile.mean_hu == pytest.approx(0.6 * 100 + 0.4 * 300, abs=8.0)
    outside = replace(screw, entry=(900.0, 0.0, 0.0), tip=(900.0, 40.0, 0.0))
    assert np.isnan(hu_profile(outside, column_ct, vertebra).mean_hu)


def test_plan_is_aligned(column, column_ct):
    kinks = []
    for aligned in (False, True):
        plan = plan_construct(column, column_ct, "T11-L2", load_catalogue(),
                              PlanSettings(aligned=aligned, with_rods=False))  # fmt: skip
        entries = np.array([s.entry for s in plan.screws if s.side == "left"])
        kinks.append((np.diff(entries[:, :2], n=2, axis=0) ** 2).sum())
    assert kinks[1] <= kinks[0] + 1e-9


def test_compare_with_itself(automatic):
    assert compare_plans(automatic.plan, automatic.plan).mean_tip_mm == 0.0
    axis = np.subtract(automatic.plan.screws[0].tip, automatic.plan.screws[0].entry)
    assert angle_deg(axis, axis) == 0.0
