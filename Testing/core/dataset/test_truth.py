"""What a store says besides inputs and targets: true metal, LI's rays, the rules of its numbers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinemar.dataset.make import make_store
from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.pairs.domains import FIELDS, image_radon
from spinemar.dataset.pairs.encoding import decode_fractions, decode_integrals, encode_fractions
from spinemar.dataset.pairs.pair import make_pair
from spinemar.dataset.pairs.true_metal import true_metal
from spinemar.dataset.sampling.deformation import draw_deformation
from spinemar.dataset.sampling.placement import draw_realistic
from spinemar.dataset.sampling.protocol import draw_protocol
from spinemar.dataset.storage.conventions import RADON_SNIPPET
from spinemar.dataset.storage.finish import finish_store
from spinemar.dataset.storage.layout import Spec, array_shape
from spinemar.dataset.storage.reader import PairStore
from spinemar.dataset.storage.sheets import draw_sheets
from spinemar.dataset.storage.verify import verify_store
from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.mar.pipeline.interpolation.linear import interpolate_linearly
from spinemar.physics.materials import STORED_METALS
from spinemar.planning.plans.plan import Plan
from spinemar.tomography.units import difference_to_hu, hu_to_mu

COUNT = 8
CATALOGUE = load_catalogue()


@pytest.fixture(scope="module")
def pairs(patients, small):
    return [make_pair(patients, small(raw_share=0.5), 21, n) for n in range(COUNT)]


def test_fractions_survive_storing():
    shares = np.linspace(0.0, 1.0, 1001, dtype=np.float32)
    stored = encode_fractions(shares)
    assert stored.dtype == np.uint8
    assert np.abs(decode_fractions(stored) - shares).max() <= 0.501 / 255
    assert encode_fractions(np.array([-0.1, 1.2])).tolist() == [0, 255]


def test_true_metal_is_of_the_materials_and_areas_that_the_row_states(pairs):
    for pair in pairs:
        share = decode_fractions(pair.arrays["metal_fraction"])
        assert share.shape[:2] == (3, len(STORED_METALS))
        assert share.sum(axis=1).max() <= 1.0 + 2 / 255
        shown = {STORED_METALS[n] for n in range(len(STORED_METALS)) if share[:, n].any()}
        assert shown <= set(pair.row["materials"])
        for name, areas in pair.row["metal_mm2"].items():
            found = share[:, STORED_METALS.index(name)].sum(axis=(1, 2)) * pair.row["pixel_mm"] ** 2
            assert found == pytest.approx(areas, rel=0.02, abs=0.5)


def test_rays_that_metal_changed_run_through_true_metal(pairs, small):
    """Whatever the field, its centre and the domain: x - y grows with the way in true metal.

    Beside metal, for the streaks of stored images reach all rays.
    """
    for pair in pairs:
        radon = image_radon(pair.row["fov_mm"], small())
        share = decode_fractions(pair.arrays["metal_fraction"]).sum(axis=1)
        way_mm = radon.forward(share)
        x, y = (decode_integrals(pair.arrays[name]) for name in ("sinogram", "target"))
        if pair.row["domain"] == "raw":
            assert pair.arrays["metal_trace"][way_mm > radon.pixel_mm[0] / 2].all()
        near = ndimage.binary_dilation(way_mm[1] > radon.pixel_mm[0] / 8, np.ones((1, 13)))
        fits = {s: np.corrcoef(np.roll(way_mm[1], s, 1)[near], (x - y)[1][near])[0, 1]
                for s in (-3, -2, -1, 0, 1, 2, 3)}  # fmt: skip
        assert max(fits, key=fits.__getitem__) == 0
        assert fits[0] > 0.8


def test_the_rays_of_li_are_the_bridged_ones_and_give_its_image(pairs, small):
    for pair in pairs:
        x, li = (decode_integrals(pair.arrays[name]) for name in ("sinogram", "li_sinogram"))
        trace = pair.arrays["metal_trace"]
        assert np.array_equal(x[~trace], li[~trace])
        if pair.row["domain"] == "post":
            again = np.stack([interpolate_linearly(a, b) for a, b in zip(x, trace, strict=True)])
            assert np.abs(again - li).max() < 0.002
        radon = image_radon(pair.row["fov_mm"], small())
        image = pair.arrays["input"] + difference_to_hu(radon.fbp(li - x))
        assert np.abs(image - pair.arrays["li"])[1].mean() < 3.0


def test_scikit_image_projects_truth_to_target_as_the_card_says(pairs):
    """The card's own code, run."""
    pytest.importorskip("skimage")
    rules: dict = {}
    exec(RADON_SNIPPET, rules)
    post = [pair for pair in pairs if pair.row["domain"] == "post"]
    for pair in post[:2]:
        truth, target = pair.arrays["truth"][1], decode_integrals(pair.arrays["target"][1])
        rays = rules["project"](
            truth.astype(float), pair.row["pixel_mm"], pair.row["bin_mm"], *target.shape
        )
        factor = float((rays * target).sum() / (rays * rays).sum())
        assert factor == pytest.approx(1.0, abs=2e-3)
        assert np.corrcoef(rays.ravel(), target.ravel())[0, 1] > 0.9995
        shifted = np.roll(target, 1, axis=1)
        assert np.abs(rays - target).mean() < 0.5 * np.abs(rays - shifted).mean()


def test_the_rules_stand_in_the_attributes_and_on_the_card(finished):
    import zarr

    group = zarr.open_group(finished, mode="r")
    rule, water = group.attrs["hu_rule"], group.attrs["mu_water_per_mm"]
    assert hu_to_mu(np.array([0.0]))[0] == pytest.approx(water)
    assert "mu = mu_water * (1 + HU / 1000)" in rule
    assert group["metal_fraction"].attrs["metals"] == list(STORED_METALS)
    assert group["metal_fraction"].dtype == np.uint8
    card = (finished / "README.md").read_text()
    for phrase in (rule, f"mu_water = {water} per mm", "skimage.transform", "odl.tomo", "r = (b -"):
        assert phrase in card


def test_odl_puts_views_and_bins_where_pairs_have_them():
    """ODL's cells are as wide as its partition's share, and its points lie in their middles."""
    views, bins, bin_mm = 60, 138, 2.5
    half, width = np.pi / (2 * views), bins * bin_mm / 2
    angles = -half + (np.arange(views) + 0.5) * (np.pi / views)
    places = -width + (np.arange(bins) + 0.5) * (2 * width / bins)
    from spinemar.tomography.geometry import SinogramGeometry

    geometry = SinogramGeometry(views, bins, bin_mm)
    assert np.allclose(angles, geometry.angles_rad)
    assert np.allclose(places, geometry.bins_mm)


KEPT = ("input", "metal_fraction", "target")


@pytest.fixture(scope="module")
def few(inputs, small, tmp_path_factory):
    store = tmp_path_factory.mktemp("few") / "pairs.zarr"
    make_store(store, inputs, 2, settings=small(), seed=5, block_pairs=3, fields=KEPT[::-1])
    return store


def test_fields_can_be_left_out(few, finished):
    pairs, whole = PairStore(few), PairStore(finished)
    assert set(pairs[0]) == {*KEPT, "index", "pixel_mm", "bin_mm"}
    assert all(np.array_equal(pairs[1][name], whole[1][name]) for name in KEPT)
    assert {path.parent.name for path in few.glob("*/zarr.json")} == set(KEPT)
    assert verify_store(few, deep=True).problems == ()
    assert "`nmar`" not in (few / "README.md").read_text()


@pytest.mark.parametrize("field", [n for n in FIELDS if n not in KEPT])
def test_a_field_that_was_left_out_is_named(few, field):
    with pytest.raises(InputError, match=f"no {field}: they were left out"):
        PairStore(few, (field,))


def test_sheets_need_fields_that_are_there(few, tmp_path):
    with pytest.raises(InputError, match="left out"):
        draw_sheets(few, tmp_path / "sheets")
    assert not (tmp_path / "sheets").exists()


@pytest.mark.parametrize("wrong", [(), ("inputs",), ("input", "truht")])
def test_unknown_fields_are_refused_before_anything_is_made(tmp_path, inputs, small, wrong):
    with pytest.raises(InputError, match=r"No field|Pairs have no"):
        make_store(tmp_path / "pairs.zarr", inputs, 2, settings=small(), fields=wrong)
    assert not list(tmp_path.iterdir())


def test_other_fields_are_another_data_set(few, inputs, small):
    with pytest.raises(InputError, match="differs in fields"):
        make_store(few, inputs, 2, settings=small(), seed=5, block_pairs=3, fields=("input",))


@pytest.fixture
def old(finished, tmp_path):
    """The store as version 1 had it: without the new arrays, and without a word of fields."""
    store = shutil.copytree(finished, tmp_path / "old.zarr")
    spec = json.loads((store / "dataset.json").read_text())
    del spec["fields"]
    (store / "dataset.json").write_text(json.dumps({**spec, "version": 1}, indent=1) + "\n")
    from spinemar.dataset.storage.layout import BlockRecord, records, write_record

    for record in list(records(store)):
        kept = {n: d for n, d in record.sha256.items() if n not in ("li_sinogram", NEW)}
        write_record(store, BlockRecord(record.block, record.rows, kept))
    for name in ("li_sinogram", NEW):
        shutil.rmtree(store / name)
    finish_store(store)
    return store


NEW = "metal_fraction"


def test_stores_made_before_are_read_checked_and_split(old, finished):
    pairs = PairStore(old)
    assert len(pairs) == len(PairStore(finished))
    assert NEW not in pairs[0]
    assert np.array_equal(pairs[3]["nmar"], PairStore(finished)[3]["nmar"])
    assert verify_store(old, deep=True).problems == ()
    assert json.loads((old / "dataset.json").read_text())["version"] == 1
    with pytest.raises(InputError, match=f"no {NEW}: it is of version 1"):
        PairStore(old, ("input", NEW))


def test_stores_made_before_are_not_gone_on_with(old, inputs, small):
    with pytest.raises(InputError, match=r"differs in .*version"):
        make_store(old, inputs, 20, settings=small(), seed=5, block_pairs=3)


def test_a_later_version_is_refused(finished, tmp_path):
    store = shutil.copytree(finished, tmp_path / "later.zarr")
    spec = json.loads((store / "dataset.json").read_text())
    (store / "dataset.json").write_text(json.dumps({**spec, "version": 99}))
    with pytest.raises(InputError, match="no store of training pairs of version"):
        PairStore(store)


def test_stores_of_version_6_had_four_metals_and_no_screws_into_the_ilium(finished):
    spec = json.loads((finished / "dataset.json").read_text())
    del spec["settings"]["pelvic_share"]
    before = Spec.from_json({**spec, "version": 6})
    assert before.settings.pelvic_share == 0.0
    assert before.settings.cement_share > 0.0
    assert Spec.from_json({**spec, "version": 5}).settings.cement_share == 0.0
    assert array_shape(NEW, before.settings, before.version)[1] == 4
    assert Spec.from_json(spec).settings.pelvic_share == PairSettings().pelvic_share
    assert array_shape(NEW, before.settings)[1] == 5


def test_markers_of_tantalum_are_in_the_truth(patients, small):
    """Drawn, voxelised and told apart: their volume is that of the cage's four markers or so."""
    settings = small(realistic_share=1.0, mild_share=0.0)
    found = {}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        case = draw_realistic(patients[0].sites, "L1", CATALOGUE, settings, False, rng)
        for cage in case.plan.cages if case is not None else ():
            found.setdefault(cage.marker_material, case.plan)
    assert {"Ta", "Ti-6Al-4V"} <= set(found)
    only = Plan(cages=found["Ta"].cages)
    centre = only.cages[0].centre
    protocol = replace(
        draw_protocol(
            patients[0],
            draw_deformation(np.array(centre), settings, np.random.default_rng(0)),
            np.array(centre),
            settings,
            False,
            np.random.default_rng(0),
        ),
        fov_mm=100.0,
        image_centre_ras=centre[:2],
        slice_mm=1.0,
        spacing_mm=1.0,
    )
    share = true_metal(only, CATALOGUE, protocol, centre[2], 256)
    tantalum = share[1, STORED_METALS.index("Ta")].sum() * (100 / 256) ** 2
    assert 0.5 < tantalum < 20.0
    assert not share[:, [n for n, name in enumerate(STORED_METALS) if name != "Ta"]].any()
