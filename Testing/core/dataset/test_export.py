"""Exports of a store, read by code that is not ours and compared with the store's own values."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from skimage.transform import radon, resize

from spinemar.cli.main import main
from spinemar.dataset.exchange.export import LAYOUTS, export_store
from spinemar.dataset.exchange.fan_grid import (
    BINS,
    IMAGE_PX,
    MU_WATER_PER_CM,
    PIXEL_CM,
    RADIUS_PX,
    VIEWS,
    FanGrid,
    integral_factor,
)
from spinemar.dataset.judge import mark_as_judge
from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.storage.reader import PairStore
from spinemar.dataset.storage.split import read_splits
from spinemar.errors import CancelledError, InputError
from spinemar.progress import CancelToken
from spinemar.tomography.units import MU_WATER_PER_MM
from Testing.core.dataset.conftest import STORE_PAIRS

FOLDERS = {"training": "train", "validation": "validation"}


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """Every layout of the finished store, by name."""
    folder = tmp_path_factory.mktemp("exports")
    for layout in LAYOUTS:
        export_store(finished, folder / layout, layout)
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]


def test_pairs_stay_in_their_splits(finished, exported):
    splits = read_splits(finished)[1]
    for layout in LAYOUTS:
        found = rows(exported / layout)
        assert {row["index"] for row in found} == set(range(STORE_PAIRS))
        for row in found:
            assert row["index"] in splits[row["split"]]
            short = layout in ("syndeeplesion", "adn")
            top = FOLDERS[row["split"]] if short else row["split"]
            assert {path.split("/")[0] for path in row["files"]} == {top}
            assert all((exported / layout / path).is_file() for path in row["files"])
        patients = {}
        for row in found:
            patients.setdefault(row["patient"], set()).add(row["split"])
        assert all(len(some) == 1 for some in patients.values())
        assert "licences" in (exported / layout / "README.md").read_text()
        assert "a phantom" in (exported / layout / "CARD.md").read_text()


def test_npz_holds_the_stores_values(finished, exported):
    store = PairStore(finished)
    for n, row in enumerate(rows(exported / "npz")):
        with np.load(exported / "npz" / row["files"][0]) as found:
            for name in store.fields:
                np.testing.assert_array_equal(found[name], store[n][name])
            assert found["pixel_mm"] == row["pixel_mm"]
            assert found["spacing_mm"] == row["spacing_mm"]


def test_nifti_is_read_by_nibabel(finished, exported):
    nibabel = pytest.importorskip("nibabel")
    store = PairStore(finished)
    for n, row in enumerate(rows(exported / "nifti")[:3]):
        for path in row["files"]:
            image = nibabel.load(exported / "nifti" / path)
            name = path.split("/")[-1].removesuffix(".nii.gz")
            # nibabel's axes are (column, row, slice)
            known = store[n][name]
            if name == "metal_fraction":  # of all metals together
                known = np.clip(known.sum(axis=1), 0, 1)
            np.testing.assert_array_equal(np.asarray(image.dataobj).T, known)
            expected = (row["pixel_mm"], row["pixel_mm"], row["spacing_mm"])
            assert image.header.get_zooms() == pytest.approx(expected)
            assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
            centre = image.affine @ [*((np.array(image.shape) - 1) / 2), 1]
            assert centre[:3] == pytest.approx(0, abs=1e-3)


def read_as_indudonet_does(folder, split):
    """Follow the lists, keys and masks as the public loader does, with the pair's own number."""
    h5py = pytest.importorskip("h5py")
    kind = "train" if split == "training" else "test"
    root = folder / FOLDERS[split]
    masks = np.load(root / f"{kind}mask.npy")
    for idx, line in enumerate((root / f"{kind}_640geo_dir.txt").open()):
        data_file = line[:-6] + str(idx) + ".h5"
        with h5py.File(root / f"{kind}_640geo" / line[:-1]) as gt:
            truth = {name: gt[name][()] for name in gt}
        with h5py.File(root / f"{kind}_640geo" / data_file) as file:
            yield truth, {name: file[name][()] for name in file}, masks[:, :, idx], dict(file.attrs)


def test_deep_lesion_layout_is_read_as_its_loaders_read_it(finished, exported):
    store = PairStore(finished)
    place = {row["index"]: n for n, row in enumerate(store.rows)}
    seen = 0
    for split in FOLDERS:
        for truth, metal, mask, facts in read_as_indudonet_does(exported / "syndeeplesion", split):
            seen += 1
            pair = store[place[int(facts["index"])]]
            assert {k: (v.shape, v.dtype) for k, v in {**truth, **metal}.items()} == {
                **dict.fromkeys(("image", "poly_CT", "ma_CT", "LI_CT"), ((416, 416), np.float32)),
                **dict.fromkeys(
                    ("poly_sinogram", "ma_sinogram", "LI_sinogram"), ((640, 641), np.float32)
                ),
                "metal_trace": ((640, 641), np.uint8),
            }
            for name, key in (("truth", "image"), ("input", "ma_CT"), ("li", "LI_CT")):
                known = resize(pair[name][1], (416, 416), order=1, preserve_range=True)
                image = {**truth, **metal}[key]
                hu = image / MU_WATER_PER_CM * 1000 - 1000
                assert np.abs(hu - known).max() < 0.1
            outside = metal["metal_trace"] == 0
            np.testing.assert_array_equal(
                metal["LI_sinogram"][outside], metal["ma_sinogram"][outside]
            )
            assert set(np.unique(metal["metal_trace"])) <= {0, 1}
            small = resize(mask.astype(float), pair["metal"][1].shape, order=0)
            assert (small > 0.5).sum() == pytest.approx(pair["metal"][1].sum(), rel=0.25)
            assert facts["per_line_integral"] == pytest.approx(
                facts["fov_mm"] / 10 / 15.36 * (10 * MU_WATER_PER_MM) / MU_WATER_PER_CM
            )
    assert seen == STORE_PAIRS


def odl_fan_projection(image):
    """Project an image along the rays of ODL's FanBeamGeometry with the layout's numbers.

    At angle 0 the source lies at (0, -R), the flat detector at (0, R) along (1, 0); x is the
    array's first axis.
    """
    from scipy import ndimage

    width = 2 * np.sqrt(2) * IMAGE_PX
    along = (np.arange(BINS) - (BINS - 1) / 2) * width / BINS
    steps = np.arange(-300, 300, 0.5)[:, None]
    rays = []
    for beta in (np.arange(VIEWS)[::40] + 0.5) / VIEWS * 2 * np.pi:
        axis = np.array([np.cos(beta), np.sin(beta)])
        source = RADIUS_PX * np.array([np.sin(beta), -np.cos(beta)])
        way = (-2 * source)[:, None] + axis[:, None] * along
        way /= np.hypot(*way)
        nearest = -(source @ way)
        places = [s + w * (nearest + steps) + (IMAGE_PX - 1) / 2
                  for s, w in zip(source, way, strict=True)]  # fmt: skip
        rays.append(ndimage.map_coordinates(image, places, order=1).sum(axis=0) * 0.5)
    return np.array(rays) * PIXEL_CM


def lopsided(size):
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    image = 0.2 * ((columns / 150) ** 2 + (rows / 110) ** 2 < 1)
    image[np.hypot(columns - 60, rows + 30) < 25] = 0.4
    image[np.hypot(columns + 80, rows - 40) < 12] = 0.0
    return image


def test_the_fan_is_that_of_the_published_geometry():
    """A phantom without symmetry, by scikit-image's radon, onto the fan of ODL's definition."""
    # radon turns about pixel n // 2, which is the middle where n is odd; its angles run backwards.
    views, odd = 720, IMAGE_PX + 1
    parallel = radon(lopsided(odd), theta=-np.arange(views) * 180 / views, circle=False).T
    found = FanGrid(views, parallel.shape[1], 1.0).of(parallel)[::40] * PIXEL_CM
    expected = odl_fan_projection(lopsided(IMAGE_PX))
    assert np.abs(found - expected).mean() < 0.004 * expected.max()


def test_truth_and_its_sinogram_are_one_scan(inputs, tmp_path):
    """The exported truth, projected by code that is not ours, is the exported sinogram."""
    h5py = pytest.importorskip("h5py")
    from spinemar.dataset.make import make_store

    settings = PairSettings.from_json(
        {"matrix": IMAGE_PX, "anatomy_mm": 2.5, "scan_bin_mm": 1.2, "scan_views": 200,
         "n_views": 360, "raw_share": 0.0}
    )  # fmt: skip
    make_store(tmp_path / "s", inputs, 1, settings=settings, seed=3)
    export_store(tmp_path / "s", tmp_path / "e", "syndeeplesion")
    with h5py.File(next((tmp_path / "e").rglob("gt.h5"))) as gt:
        image, rays = gt["image"][()], gt["poly_sinogram"][()][::40]
    again = odl_fan_projection(image)
    factor = float((again * rays).sum() / (rays * rays).sum())
    assert factor == pytest.approx(1.0, abs=0.003)
    assert np.sqrt(np.mean((again - rays) ** 2)) < 0.01 * rays.max()


def test_integrals_scale_with_the_field_of_view():
    """Water across the whole width has the integral that the layout's image of it has."""
    for fov_mm in (160.0, 400.0):
        ours = MU_WATER_PER_MM * fov_mm
        assert ours * integral_factor(fov_mm) == pytest.approx(MU_WATER_PER_CM * 15.36)


def test_a_trace_on_the_fan_covers_every_ray_that_touches_it():
    trace = np.zeros((180, 300), dtype=bool)
    trace[40, 150] = True
    grid = FanGrid(180, 300, 2.0)
    found = grid.trace_of(trace)
    weight = grid.of(trace.astype(np.float32))
    assert found.any()
    assert (found >= (weight > 0.3)).all()
    assert grid.trace_of(np.ones_like(trace)).all()


def test_adn_reads_truth_and_metal_the_same_way_round(finished, exported):
    """As ADN's loader does: the truth is turned over its diagonal when it is read."""
    from scipy.io import loadmat

    store = PairStore(finished)
    for n, row in enumerate(rows(exported / "adn")[:4]):
        truth, metal = (
            loadmat(exported / "adn" / path)["image"] for path in sorted(row["files"])[::-1]
        )
        assert truth.dtype == np.uint16
        read = (np.float32(truth) - 32768).T
        known = resize(store[n]["truth"][1], (256, 256), order=1, preserve_range=True)
        assert np.abs(read - known).max() <= 0.51
        scan = resize(store[n]["input"][1], (256, 256), order=1, preserve_range=True)
        assert np.abs(metal / 0.192 * 1000 - 1000 - scan).max() < 0.1


def test_an_export_of_one_split_and_domain(finished, tmp_path, capsys):
    held = {
        (split, domain): len(PairStore(finished, split=split, domain=domain))
        for split in ("training", "validation")
        for domain in ("post", "raw")
    }
    split, domain = min((one for one, count in held.items() if count), key=lambda one: held[one])
    command = ["dataset", "export", str(finished), "-o", str(tmp_path / "e"), "--format", "npz",
               "--split", split, "--domain", domain, "--json"]  # fmt: skip
    assert main(command) == 0
    facts = json.loads(capsys.readouterr().out)
    wanted = PairStore(finished, split=split, domain=domain)
    assert 0 < len(wanted) < sum(held.values()), "a part of the store"
    assert facts["pairs"] == {split: len(wanted)}
    assert {row["index"] for row in rows(tmp_path / "e")} == {r["index"] for r in wanted.rows}
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


@pytest.mark.parametrize("stranger", ["file", "folder", "empty"])
def test_only_an_export_is_replaced(finished, tmp_path, capsys, stranger):
    output = tmp_path / "e"
    if stranger == "file":
        output.write_text("a letter")
    else:
        output.mkdir()
    if stranger == "folder":
        (output / "letter.txt").write_text("kept")
    command = ["dataset", "export", str(finished), "-o", str(output), "--format", "npz",
               "--split", "validation", "--overwrite"]  # fmt: skip
    assert main(command) == (0 if stranger == "empty" else 2)
    if stranger == "folder":
        assert [path.name for path in output.iterdir()] == ["letter.txt"]
        assert "something else" in capsys.readouterr().err


@pytest.mark.parametrize("spoil", ["format", "split", "judge", "unfinished", "no store"])
def test_what_cannot_be_exported_leaves_nothing(finished, tmp_path, spoil):
    store = shutil.copytree(finished, tmp_path / "in" / "pairs.zarr")
    layout, split = "npz", None
    if spoil == "format":
        layout = "tfrecord"
    elif spoil == "split":
        split = "test"
    elif spoil == "judge":
        mark_as_judge(store.parent)
    elif spoil == "unfinished":
        (store / "SHA256SUMS").unlink()
    else:
        shutil.rmtree(store)
    with pytest.raises(InputError):
        export_store(store, tmp_path / "out", layout, split=split)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_cancelled_export_leaves_what_was_there(finished, tmp_path):
    export_store(finished, tmp_path / "e", "npz", split="validation")
    before = sorted(path.name for path in (tmp_path / "e").rglob("*"))
    token = CancelToken()
    with pytest.raises(CancelledError):
        export_store(finished, tmp_path / "e", "npz", progress=lambda _: token.cancel(),
                     cancel=token)  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "e").rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["e"]
