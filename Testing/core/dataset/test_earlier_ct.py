"""The earlier CT beside a pair: the same patient, elsewhere by as much as was drawn, changed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from spinemar.cli.main import main
from spinemar.dataset.make import make_store
from spinemar.dataset.pairs.domains import ALL_FIELDS, FIELDS
from spinemar.dataset.pairs.earlier import with_earlier_ct
from spinemar.dataset.pairs.pair import make_pair
from spinemar.dataset.storage.reader import PairStore
from spinemar.dataset.storage.verify import verify_store
from spinemar.errors import FaultError, InputError

COUNT = 5


@pytest.fixture(scope="module")
def settings(small):
    return small(raw_share=0.5, earlier_ct_share=1.0, earlier_changed_share=0.0)


@pytest.fixture(scope="module")
def pairs(patients, settings):
    return [make_pair(patients, settings, 6, n) for n in range(COUNT)]


def bone(pair):
    """The spine as the scan without metal shows it, a pixel more around it."""
    from scipy import ndimage

    found = pair.arrays["truth"] > 150
    return ndimage.binary_dilation(found, np.ones((1, 3, 3)))


def off_by_hu(pair, earlier):
    where = bone(pair)
    gap = (earlier.astype(float) - pair.arrays["truth"])[where]
    return float(np.sqrt(np.mean((gap - gap.mean()) ** 2)))


def test_the_pair_is_the_same_with_and_without_it(pairs, patients, settings):
    for pair in pairs:
        both = with_earlier_ct(pair, patients, settings)
        assert set(both.arrays) == {*pair.arrays, "earlier_ct"}
        assert all(both.arrays[name] is pair.arrays[name] for name in pair.arrays)
        assert {k: v for k, v in both.row.items() if k != "earlier_ct"} == pair.row
        assert both.arrays["earlier_ct"].shape == pair.arrays["truth"].shape
        assert both.arrays["earlier_ct"].dtype == np.int16


def test_it_shows_the_patient_of_the_pair_and_no_metal(pairs, patients, settings):
    near = replace(settings, earlier_off_mm=(0.05, 0.05))
    for n, pair in enumerate(pairs):
        own = with_earlier_ct(pair, patients, near).arrays["earlier_ct"]
        other = with_earlier_ct(pairs[n - 1], patients, near).arrays["earlier_ct"]
        assert off_by_hu(pair, own) < 0.7 * off_by_hu(pair, other)
        assert own.max() < 1500


def test_the_farther_a_registration_is_off_the_less_it_agrees(pairs, patients, settings):
    agreement = []
    for off in (0.05, 2.0, 8.0):
        far = replace(settings, earlier_off_mm=(off, off))
        made = [with_earlier_ct(pair, patients, far) for pair in pairs]
        assert all(one.row["earlier_ct"]["off_mm"] == pytest.approx(off) for one in made)
        agreement.append(
            np.mean(
                [off_by_hu(p, m.arrays["earlier_ct"]) for p, m in zip(pairs, made, strict=True)]
            )
        )
    assert agreement[0] < agreement[1] < agreement[2]


def test_what_is_gone_since_is_bone_there_and_what_has_grown_is_not(pairs, patients, settings):
    changing = replace(settings, earlier_changed_share=1.0, earlier_off_mm=(0.05, 0.05))
    kinds = set()
    for pair in pairs:
        plain = with_earlier_ct(pair, patients, replace(changing, earlier_changed_share=0.0))
        made = with_earlier_ct(pair, patients, changing)
        changes = made.row["earlier_ct"]["changes"]
        assert 1 <= len(changes) <= 3
        assert plain.row["earlier_ct"]["changes"] == []
        kinds |= {change["kind"] for change in changes}
        # Nearest to the middle slice, its middle has the HU that the row says.
        change = changes[-1]
        x, y, z = change["centre_ras"]
        if abs(z - pair.row["z_mm"]) > 0.25 * change["radii_mm"][2]:
            continue
        pixel, matrix = pair.row["pixel_mm"], pair.arrays["truth"].shape[-1]
        centre = np.array(pair.row["image_centre_ras"])
        column, row = np.rint((centre - (x, y)) / pixel + (matrix - 1) / 2).astype(int)
        if 0 <= row < matrix and 0 <= column < matrix:
            shown = made.arrays["earlier_ct"][1, row, column]
            assert shown == pytest.approx(change["hu"], abs=130)
    assert "gone" in kinds


def test_pairs_without_one_hold_air(pairs, patients, settings):
    none = replace(settings, earlier_ct_share=0.0)
    for pair in pairs[:2]:
        made = with_earlier_ct(pair, patients, none)
        assert (made.arrays["earlier_ct"] == -1024).all()
        assert made.row["earlier_ct"] is None


def test_a_pair_of_others_is_refused(pairs, patients, settings):
    with pytest.raises(FaultError, match="not of these CTs"):
        with_earlier_ct(pairs[0], patients[1:2], settings)


@pytest.fixture(scope="module")
def store(inputs, small, tmp_path_factory):
    path = tmp_path_factory.mktemp("earlier") / "pairs.zarr"
    chosen = small(raw_share=0.0, earlier_ct_share=0.5)
    make_store(path, inputs, 6, settings=chosen, seed=3, block_pairs=2, fields=ALL_FIELDS)
    return path


def test_a_store_holds_it_only_where_it_is_asked_for(store, finished):
    assert PairStore(finished).fields == FIELDS
    with pytest.raises(InputError, match="holds no earlier_ct"):
        PairStore(finished, ("earlier_ct",))
    pairs = PairStore(store)
    assert pairs.fields == ALL_FIELDS
    empty = [bool((pair["earlier_ct"] == -1024).all()) for pair in pairs]
    assert pairs[0]["earlier_ct"].dtype == np.float32
    assert 0 < sum(empty) < len(empty)
    rows = [json.loads(line) for line in (store / "pairs.jsonl").read_text().splitlines()]
    assert [row["earlier_ct"] is None for row in rows] == empty
    assert "`earlier_ct`" in (store / "README.md").read_text()
    assert verify_store(store, deep=True).problems == ()


def test_its_bytes_do_not_depend_on_how_the_store_came_about(store, inputs, small, tmp_path, tree):
    again = tmp_path / "pairs.zarr"
    chosen = small(raw_share=0.0, earlier_ct_share=0.5)
    for pairs in (3, 6):
        make_store(again, inputs, pairs, settings=chosen, seed=3, block_pairs=2, fields=ALL_FIELDS)
    assert tree(again) == {**tree(store), "README.md": tree(again)["README.md"]}


@pytest.mark.parametrize("layout", ["nifti", "npz"])
def test_exports_carry_it(store, tmp_path, layout):
    code = main(["dataset", "export", str(store), "-o", str(tmp_path / "out"), "--format", layout])
    assert code == 0
    files = list((tmp_path / "out").rglob("*earlier_ct.nii.gz" if layout == "nifti" else "*.npz"))
    assert len(files) == 6
    if layout == "npz":
        with np.load(files[0]) as pair:
            assert pair["earlier_ct"].shape == pair["truth"].shape


def test_the_command_asks_for_a_share(ct_folder, tmp_path, capsys):
    options = ["--pairs", "2", "--settings", str(ct_folder / "small.json"), "--domain", "post"]
    command = ["dataset", "make", str(ct_folder / "cts.json"), "-o", str(tmp_path / "a.zarr")]
    assert main([*command, *options, "--earlier-ct", "1"]) == 0
    pairs = PairStore(tmp_path / "a.zarr")
    assert "earlier_ct" in pairs.fields
    assert pairs.spec.settings.earlier_ct_share == 1.0
    assert all((pair["earlier_ct"] > -200).any() for pair in pairs)
    capsys.readouterr()
    command[-1] = str(tmp_path / "b.zarr")
    assert main([*command, *options, "--earlier-ct", "1.5"]) == 2
    assert "earlier_ct_share cannot be 1.5" in capsys.readouterr().err
    assert not (tmp_path / "b.zarr").exists()
