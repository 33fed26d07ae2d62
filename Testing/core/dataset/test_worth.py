"""No pair is worthless: what constructs are whole, which levels, what is found, what is redrawn."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.pairs.case import draw_case
from spinemar.dataset.pairs.domains import MetalSearch, _find_metal
from spinemar.dataset.pairs.pair import make_pair
from spinemar.dataset.pairs.surroundings import Surroundings, surroundings
from spinemar.dataset.pairs.true_metal import true_metal
from spinemar.dataset.pairs.worth import found_facts, why_worthless
from spinemar.dataset.sampling.anatomy import scan_grid
from spinemar.dataset.sampling.anchors import LOW_LUMBAR, draw_anchor
from spinemar.errors import FaultError, InputError
from spinemar.implants.kinds import construct_parts
from spinemar.implants.voxelize import voxelize_plan
from spinemar.physics.materials import METALS
from spinemar.planning.plans.plan_json import plan_from_json

DRAWS = 150


def drawn(patients, settings, count=DRAWS, seed=3):
    cases = (draw_case(patients, settings, np.random.default_rng([seed, n])) for n in range(count))
    return [case for case in cases if case is not None]


@pytest.fixture(scope="module")
def constructs(patients, small):
    return [
        case.placed.plan
        for case in drawn(patients, small(realistic_share=1.0, mild_share=0.0, edge_share=0.0))
    ]


def test_most_draws_fit(constructs):
    assert len(constructs) > 0.8 * DRAWS


def test_constructs_span_two_levels_or_more(constructs):
    spans = [len({screw.level for screw in plan.screws}) for plan in constructs]
    assert min(spans) >= 2
    assert {2, 3, 4} <= set(spans)


def test_every_screw_is_on_a_rod_or_there_are_no_rods(constructs):
    for plan in constructs:
        held = {screw_id for rod in plan.rods for screw_id in rod.screw_ids}
        assert not plan.rods or held == {screw.id for screw in plan.screws}


@pytest.mark.parametrize("share", [0.0, 0.06, 0.5, 1.0])
def test_rods_are_missing_as_often_as_the_setting_says(patients, small, share):
    settings = small(realistic_share=1.0, mild_share=0.0, no_rods_share=share)
    cases = drawn(patients, settings)
    missing = np.mean([not case.placed.plan.rods for case in cases])
    assert abs(missing - share) <= 3.5 * np.sqrt(share * (1 - share) / len(cases))


@pytest.mark.parametrize("realistic", [0.0, 1.0])
def test_mild_is_one_screw_of_titanium_alone(patients, small, realistic):
    cases = drawn(patients, small(realistic_share=realistic, mild_share=1.0, edge_share=0.0), 60)
    assert len(cases) > 30
    for case in cases:
        parts = construct_parts(case.placed.plan, case.patient.catalogue)
        assert {part.material for part in parts} == {"Ti-6Al-4V"}
        assert len(case.placed.plan.screws) == 1
        screw = case.placed.plan.screws[0]
        length = np.linalg.norm(np.subtract(screw.tip, screw.entry))
        assert length == pytest.approx(screw.length_mm)


LOWER = dict(zip(("T11", "T12", "L1", "L2", "L3"), ("L2", "L3", "L4", "L5", "S1"), strict=True))


@pytest.fixture(scope="module")
def with_sacrum(patients):
    """The same patients, but the first one's landmarks go from L2 to S1."""
    moved = tuple(replace(site, level=LOWER[site.level]) for site in patients[0].sites)
    return [replace(patients[0], sites=moved), *patients[1:]]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_low_lumbar_levels_are_as_frequent_as_the_setting_says(with_sacrum, share):
    rng, settings = np.random.default_rng(2), PairSettings(low_lumbar_share=share)
    anchors = [draw_anchor(with_sacrum, settings, rng) for _ in range(600)]
    low = [anchor.level for anchor in anchors if anchor.level in LOW_LUMBAR]
    assert abs(len(low) / 600 - share) < 0.08
    if share:
        assert set(low) == set(LOW_LUMBAR)
    others = {anchor.patient.name for anchor in anchors if anchor.level not in LOW_LUMBAR}
    assert share == 1.0 or others == {patient.name for patient in with_sacrum}


def test_without_low_lumbar_levels_the_others_are_drawn(patients):
    rng, settings = np.random.default_rng(2), PairSettings(low_lumbar_share=1.0)
    levels = {draw_anchor(patients, settings, rng).level for _ in range(100)}
    assert levels == {"T11", "T12", "L1", "L2", "L3"}


def test_a_construct_reaches_the_sacrum_where_landmarks_have_it(with_sacrum, small):
    settings = small(realistic_share=1.0, mild_share=0.0, low_lumbar_share=1.0)
    plans = [case.placed.plan for case in drawn(with_sacrum, settings, 60)]
    with_s1 = [plan for plan in plans if any(screw.level == "S1" for screw in plan.screws)]
    assert len(with_s1) > 0.3 * len(plans)


def test_images_show_the_metal_of_their_slice(patients, small):
    """Also targeted ones of 160 mm: what lies beside an image is in no mask, but in its rays."""
    settings = small(targeted_share=1.0, raw_share=0.0, truncated_fov_mm=[100, 130], anatomy_mm=3)
    for n in range(6):
        row = make_pair(patients, settings, 8, n).row
        pair_mm2 = sum(areas[1] for areas in row["metal_mm2"].values())
        plan = plan_from_json(json.dumps(row["plan"]))
        patient = next(p for p in patients if p.name == row["ct"])
        grid = scan_grid(tuple(row["isocentre_ras"]), row["z_mm"], 400, 1.0, 1, row["slice_mm"])
        shares = voxelize_plan(plan, grid, patient.catalogue)
        total = sum(float(share.sum()) for name, share in shares.items() if name in METALS)
        assert pair_mm2 > 0.85 * total


def test_thresholds_lie_within_the_scale(patients, small):
    cases = drawn(patients, small(automatic_share=0.0, threshold_hu=[2000, 6000]))
    clipped = [c for c in cases if c.protocol.settings.hu_scale == "12-bit"]
    assert max(case.threshold_hu for case in clipped) == 3000.0
    assert max(case.threshold_hu for case in cases) > 3500.0


def disc(radius, at=(0.0, 0.0), size=96):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.hypot(x - at[0], y - at[1]) < radius


@pytest.mark.parametrize(
    ("found", "true", "false_share", "least"),
    [
        (disc(6), disc(6), 0.0, 1.0),
        (disc(8), disc(6), 0.0, 1.0),  # a generous mask is none of streaks
        (disc(6) | disc(6, (30, 0)), disc(6), 0.5, 1.0),
        (disc(6), disc(6) | disc(6, (30, 0)), 0.0, 0.0),
        (disc(6), disc(6) | disc(1, (30, 0)), 0.0, 1.0),  # a spot of 4 mm^2 may be missed
        (disc(6), np.zeros((96, 96)), 1.0, 1.0),
        (np.zeros((96, 96), bool), disc(6), 0.0, 0.0),
        (disc(6), disc(6) + 0.4 * disc(5, (30, 0)), 0.0, 0.0),  # a tulip's rim, as bright as metal
        (disc(6), disc(6) + 0.2 * disc(5, (30, 0)), 0.0, 1.0),  # too faint to be told from bone
        (disc(6, (3, 0)), disc(6), 0.0, 0.7),
    ],
)
def test_what_is_found_is_compared_with_what_is_there(found, true, false_share, least):
    facts = found_facts(found, np.asarray(true, dtype=np.float32), 1.0)
    assert facts["false_share"] == pytest.approx(false_share, abs=0.03)
    assert facts["least_found_share"] == pytest.approx(least, abs=0.03)


GOOD = {"lost_ray_share": [0.9, 0.3, 0.9], "false_share": 0.1, "least_found_share": 0.9}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"lost_ray_share": [0.1, 0.36, 0.1]}, "too many rays lost"),
        ({"false_share": 0.3}, "streaks taken for metal"),
        ({"least_found_share": 0.2}, "metal not found"),
    ],
)
def test_why_a_pair_is_drawn_anew(change, why):
    assert why_worthless({**GOOD, **change}, PairSettings()) == why


def test_pairs_keep_the_limit_and_count_what_was_drawn_anew(patients, small):
    settings = small(most_lost_share=0.06, realistic_share=1.0)
    rows = [make_pair(patients, settings, 4, n).row for n in range(5)]
    assert max(row["lost_ray_share"][1] for row in rows) <= 0.06
    assert any("too many rays lost" in row["drawn_anew"] for row in rows)
    assert all(len(row["drawn_anew"]) <= row["seeds"][2] for row in rows)


def test_settings_that_no_pair_can_keep_are_a_fault_that_says_why(patients, small, monkeypatch):
    monkeypatch.setattr("spinemar.dataset.pairs.pair._ATTEMPTS", 3)
    with pytest.raises(FaultError, match="too many rays lost"):
        make_pair(patients, small(most_lost_share=0.0, realistic_share=1.0), 4, 0)


@pytest.mark.parametrize(
    "wrong",
    [{"low_lumbar_share": 1.2}, {"no_rods_share": -0.1}, {"slab_mm": -1}, {"slab_mm": True}],
)
def test_settings_out_of_range_are_refused(small, wrong):
    with pytest.raises(InputError):
        small(**wrong)


def test_a_grazed_shank_is_found_by_its_core_in_the_slab_around(patients, small):
    """Three slices with a rim of 2600 HU about three bright voxels: metal only as part of more."""
    protocol = drawn(patients, small(raw_share=0.0, realistic_share=1.0), 5)[0].protocol
    protocol = replace(protocol, fov_mm=96.0)
    body = np.where(disc(40), 40.0, -1000.0).astype(np.float32)
    rim = np.where(disc(5), 2600.0, body).astype(np.float32)
    rim[47, 45:48] = 3071.0
    core = np.where(disc(5), 3071.0, body).astype(np.float32)
    images = np.stack([rim] * 3)
    around = Surroundings(np.stack([core] * 2), np.stack([body] * 2))
    assert _find_metal(images, protocol, MetalSearch(None, None)) is None
    found = _find_metal(images, protocol, MetalSearch(None, around))
    assert found is not None
    assert found.shape == images.shape
    assert np.array_equal(found[1], disc(5))


def test_the_slab_around_shows_the_metal_that_is_there(patients, small):
    """Beyond the pair's own slices, at their own heights, up to the reach and no farther."""
    shown = 0
    for case in drawn(patients, small(realistic_share=1.0, mild_share=0.0), 8):
        size, reach = 96, 15.0
        around = surroundings(
            case.patient, case.deformation, case.tissue, case.placed.plan, case.protocol,
            case.z_mm, size, reach,
        )  # fmt: skip
        spacing, step = case.protocol.spacing_mm, max(case.protocol.spacing_mm, 2.5)
        count = len(around.above)
        assert len(around.below) == count
        assert spacing + (count + 0.5) * step <= reach + step / 2 < spacing + (count + 1.5) * step
        thick = replace(case.protocol, slice_mm=step)
        for n, hu in enumerate(around.above):
            z = case.z_mm + spacing + step * (n + 1)
            share = true_metal(case.placed.plan, case.patient.catalogue, thick, z, size)[1].sum(0)
            shown += int((share > 0.9).sum())
            assert (hu[share > 0.9] > 2500).mean() > 0.95 if (share > 0.9).any() else True
            assert hu[share == 0].mean() < 200
    assert shown > 50
