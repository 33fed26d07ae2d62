"""What holds of every pair, whatever was drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spinemar.dataset.pair_settings import parse_domain, parse_placement
from spinemar.dataset.pairs.domains import image_radon
from spinemar.dataset.pairs.encoding import INTEGRALS_PER_UNIT, decode_integrals, encode_integrals
from spinemar.dataset.pairs.pair import FIELDS, make_pair
from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.mar.segmentation.trace import ADDED_SHARE_CAP, trace_of
from spinemar.planning.plans.plan_json import plan_from_json
from spinemar.tomography.units import hu_to_mu

STEP = 1.0 / INTEGRALS_PER_UNIT
COUNT = 12


@pytest.fixture(scope="module")
def pairs(patients, small):
    return [make_pair(patients, small(raw_share=0.5), 6, n) for n in range(COUNT)]


def of(pairs, domain):
    found = [pair for pair in pairs if pair.row["domain"] == domain]
    assert len(found) >= 3
    return found


def test_raw_pairs_are_equal_outside_the_trace_to_the_last_bit(pairs):
    for pair in of(pairs, "raw"):
        x, y, trace = (pair.arrays[n] for n in ("sinogram", "target", "metal_trace"))
        assert np.array_equal(x[~trace], y[~trace])
        assert np.abs(x[1] - y[1])[trace[1]].max() > 100
        # What was made equal differed by far less than the noise of a ray.
        assert pair.row["outside_rms"] < 0.02


def test_post_acquisition_difference_outside_is_what_the_row_says(pairs):
    for pair in of(pairs, "post"):
        x, y = (decode_integrals(pair.arrays[n]) for n in ("sinogram", "target"))
        outside = ~pair.arrays["lost_ray_trace"]
        rms = np.sqrt(np.mean((x - y)[outside].astype(float) ** 2))
        assert rms == pytest.approx(pair.row["outside_rms"], abs=STEP)
        assert rms > 0


def test_post_acquisition_sinograms_are_projections_of_the_stored_images(pairs, small):
    for pair in of(pairs, "post")[:3]:
        radon = image_radon(pair.row["fov_mm"], small())
        for image, sinogram in (("input", "sinogram"), ("truth", "target")):
            again = radon.forward(hu_to_mu(pair.arrays[image].astype(np.float32)))
            assert np.abs(again - decode_integrals(pair.arrays[sinogram])).max() < 0.6 * STEP


def test_raw_targets_reconstruct_to_the_true_image(pairs, small):
    from spinemar.tomography.units import mu_to_hu

    for pair in of(pairs, "raw")[:3]:
        radon = image_radon(pair.row["fov_mm"], small())
        image = mu_to_hu(radon.fbp(decode_integrals(pair.arrays["target"])))
        error = image - pair.arrays["truth"]
        inside = np.abs(error)[1][24:-24, 24:-24]
        # But for what was made equal outside the trace, of which the row tells.
        assert np.sqrt(np.mean(inside**2)) < 4000.0 * pair.row["outside_rms"] < 60.0


def test_traces_are_the_rays_through_metal_and_saturated_pixels(pairs, small):
    for pair in pairs:
        radon = image_radon(pair.row["fov_mm"], small())
        metal, lost = pair.arrays["metal_trace"], pair.arrays["lost_ray_trace"]
        crossed = trace_of(radon.forward(pair.arrays["metal"].astype(np.float32)), radon.pixel_mm)
        assert (metal | ~crossed).all()
        if pair.row["domain"] == "post":
            assert np.array_equal(metal, crossed)
        assert (lost | ~metal).all()
        added = (lost & ~metal).mean(axis=(1, 2))
        assert added.max() <= ADDED_SHARE_CAP
        through = radon.forward(pair.arrays["saturated"].astype(np.float32))
        assert (through[lost & ~metal] > 0.4 * radon.pixel_mm[0]).all()
        assert pair.row["lost_ray_share"] == pytest.approx(lost.mean(axis=(1, 2)).tolist())


def test_gas_is_not_saturation(pairs):
    """Bowel gas as dark as the clip level stays out, unless a streak really crosses it."""
    marked = clipped = 0
    for pair in pairs:
        where = pair.arrays["truth"] < -900
        where &= pair.row["scanner"]["hu_scale"] == "12-bit"
        dark = where & (pair.arrays["input"] <= -1000)
        clipped += int(dark.sum())
        marked += int((pair.arrays["saturated"] & where).sum())
    assert clipped > 1000
    assert marked < 0.01 * clipped


def test_targets_hold_no_metal(pairs):
    for pair in pairs:
        assert pair.arrays["truth"].max() < 1500
        assert pair.arrays["metal"][1].any()
        assert pair.arrays["input"][1][pair.arrays["metal"][1]].min() >= 1500


def test_some_neighbours_are_free_of_metal(patients, small):
    settings = small(edge_share=1.0, mild_share=0.0, raw_share=0.0)
    found = [make_pair(patients, settings, 2, n).row["metal_pixels"] for n in range(5)]
    free = [0 in (below, above) for below, _, above in found]
    assert sum(free) >= 2
    assert all(middle > 0 for _, middle, _ in found)


def test_mild_cases_have_one_implant_and_little_artifact(patients, small):
    mild = small(edge_share=0.0, mild_share=1.0, realistic_share=1.0)
    usual = small(edge_share=0.0, mild_share=0.0, realistic_share=1.0)
    rows = [[make_pair(patients, s, 8, n).row for n in range(4)] for s in (mild, usual)]
    assert all(row["n_screws"] == 1 and row["n_rods"] == 0 for row in rows[0])
    spoiled = [np.median([row["rmse_hu"]["input"][0] for row in some]) for some in rows]
    assert spoiled[0] < 0.7 * spoiled[1]


def test_realistic_screws_lie_in_pedicles_and_random_ones_do_not(patients, small):
    """Distance of shafts from the nearest isthmus, where the deformation took it."""
    distances = {}
    for share in (1.0, 0.0):
        settings = small(
            realistic_share=share, mild_share=0.0, zoom=[1, 1], body_size=[1, 1], warp_mm=0,
            rotation_deg=0, tilt_deg=0, mirror=False,
        )  # fmt: skip
        found = []
        for n in range(4):
            row = make_pair(patients, settings, 4, n).row
            patient = next(p for p in patients if p.name == row["ct"])
            depth = row["anatomy"]["depth_zoom"]
            pivot = np.array(row["anatomy"]["pivot_ras"])
            at = [pivot + (s.isthmus - pivot) * (1, depth, 1) for s in patient.sites]
            for screw in plan_from_json(json.dumps(row["plan"])).screws:
                entry, tip = np.array(screw.entry), np.array(screw.tip)
                way = (tip - entry) / np.linalg.norm(tip - entry)
                off = [np.linalg.norm(np.cross(p - entry, way)) for p in at]
                found.append(min(off))
        distances[share] = np.median(found)
    assert distances[1.0] < 4.0
    assert distances[0.0] > 2.5 * distances[1.0]


def test_a_pair_depends_on_seed_and_number_alone(patients, small):
    first, again = (make_pair(patients, small(), 5, 3) for _ in range(2))
    assert all(np.array_equal(first.arrays[n], again.arrays[n]) for n in FIELDS)
    assert json.dumps(first.row) == json.dumps(again.row)
    other = make_pair(patients, small(), 6, 3)
    assert not np.array_equal(first.arrays["sinogram"], other.arrays["sinogram"])


def test_ratios_of_placement_and_domain_are_kept(pairs, patients, small):
    rows = [pair.row for pair in pairs]
    assert {row["domain"] for row in rows} == {"raw", "post"}
    assert {row["placement"] for row in rows} == {"realistic", "random"}
    assert sum(row["placement"] == "realistic" for row in rows) > len(rows) / 2
    random = make_pair(patients, small(realistic_share=0.0, raw_share=1.0), 1, 0).row
    assert (random["placement"], random["domain"]) == ("random", "raw")


def test_mixes_are_read_as_written():
    assert parse_placement("realistic") == 1.0
    assert parse_placement("random") == 0.0
    assert parse_placement("mix:0.7") == 0.7
    assert parse_domain("raw") == 1.0
    for wrong in ("mix:1.2", "mix", "mix:nan", "often", ""):
        with pytest.raises(InputError):
            parse_placement(wrong)


def test_line_integrals_survive_storing():
    values = np.linspace(-2.0, 31.0, 4001, dtype=np.float32)
    assert np.abs(decode_integrals(encode_integrals(values)) - values).max() <= 0.51 * STEP
    assert encode_integrals(np.array([1e6, -1e6])).tolist() == [32767, -32767]


def test_a_patients_own_plan_goes_along(ct_folder, inputs, patients, small, tmp_path):
    """Without landmarks: the plan's screws, moved with the anatomy, sold lengths kept."""
    from spinemar.dataset.manifest import CtEntry
    from spinemar.dataset.sampling.deformation import draw_deformation
    from spinemar.dataset.sampling.patients import load_patient, prepare_patient
    from spinemar.dataset.sampling.placement import moved_plan
    from spinemar.planning.constructs.assemble import construct_from_pedicles
    from spinemar.planning.plans.plan_json import write_plan

    plan = construct_from_pedicles(patients[0].sites, load_catalogue())
    write_plan(tmp_path / "plan.json", plan)
    entry = CtEntry(inputs[0].ct, "p1", plan=tmp_path / "plan.json")
    patient = load_patient(prepare_patient(entry, tmp_path))
    row = make_pair([patient], small(realistic_share=1.0, edge_share=0, mild_share=0), 3, 0).row
    assert row["placement"] == "realistic"
    assert row["n_screws"] >= 5
    change = draw_deformation(patients[0].sites[4].body_centre, small(), np.random.default_rng(1))
    moved = moved_plan(plan, change, load_catalogue())
    entries = change.to_new(np.array([screw.entry for screw in plan.screws]))
    for old, new, at in zip(plan.screws, moved.screws, entries, strict=True):
        assert new.entry == pytest.approx(at.tolist())
        assert new.length_mm == old.length_mm
        assert (new.side == old.side) != change.mirrored
    assert len(moved.rods) == len(plan.rods)
