"""Further CTs, and stores put together: what was there stays, and people stay in their splits."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from spinemar.cli.main import main
from spinemar.dataset.exchange.further import add_to_store
from spinemar.dataset.exchange.merge import merge_stores
from spinemar.dataset.judge import mark_as_judge
from spinemar.dataset.make import make_store
from spinemar.dataset.manifest import CtEntry
from spinemar.dataset.pairs.pair import make_pair
from spinemar.dataset.sampling.patients import load_patient, prepare_patient
from spinemar.dataset.storage.finish import finish_store
from spinemar.dataset.storage.layout import read_spec, record_path, shard_path
from spinemar.dataset.storage.reader import PairStore
from spinemar.dataset.storage.split import read_splits
from spinemar.dataset.storage.verify import verify_store
from spinemar.errors import CancelledError, InputError
from spinemar.io import write_volume
from spinemar.progress import CancelToken
from Testing.core.dataset.conftest import BLOCK, STORE_PAIRS, landmarks, trunk

MORE = STORE_PAIRS + 4


@pytest.fixture(scope="module")
def carl(tmp_path_factory):
    folder = tmp_path_factory.mktemp("carl")
    write_volume(folder / "carl.nii.gz", trunk(0.9))
    (folder / "carl.json").write_text(json.dumps(landmarks("test")))
    return CtEntry(folder / "carl.nii.gz", "p3", landmarks=folder / "carl.json", split="test")


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "pairs.zarr")


@pytest.fixture(scope="module")
def added(finished, carl, tmp_path_factory):
    store = shutil.copytree(finished, tmp_path_factory.mktemp("added") / "pairs.zarr")
    add_to_store(store, [carl], MORE)
    return store


@pytest.fixture(scope="module")
def other(carl, small, tmp_path_factory):
    """A store of another patient, another seed and other blocks."""
    store = tmp_path_factory.mktemp("other") / "other.zarr"
    make_store(store, [carl], 4, settings=small(raw_share=1.0), seed=8, block_pairs=4)
    return store


def same_pairs(one, n, two, m):
    a, b = one[n], two[m]
    return all(np.array_equal(a[name], b[name]) for name in one.fields)


def full_rows(store):
    return [json.loads(line) for line in (store / "pairs.jsonl").read_text().splitlines()]


def test_added_pairs_show_the_further_cts_and_the_old_ones_stay(
    finished, added, carl, small, tmp_path
):
    old, new = PairStore(finished), PairStore(added)
    assert len(new) == MORE
    assert all(same_pairs(old, n, new, n) for n in range(STORE_PAIRS))
    assert full_rows(added)[:STORE_PAIRS] == full_rows(finished)
    assert {row["ct"] for row in new.rows[STORE_PAIRS:]} == {"carl"}
    patients = [load_patient(prepare_patient(carl, tmp_path))]
    made = make_pair(patients, small(), 5, STORE_PAIRS)
    assert full_rows(added)[STORE_PAIRS] == json.loads(json.dumps(made.row))
    assert read_splits(added)[0] == {"p1": "training", "p2": "validation", "p3": "test"}
    assert read_splits(added)[1]["test"] == list(range(STORE_PAIRS, MORE))
    assert verify_store(added, deep=True).problems == ()
    assert "carl" in (added / "README.md").read_text()


def test_a_stopped_addition_goes_on_to_the_same_bytes(copy, added, carl, tree):
    token = CancelToken()

    def stop(progress):
        if progress.stage == "Making pairs" and progress.done > STORE_PAIRS:
            token.cancel()

    with pytest.raises(CancelledError):
        add_to_store(copy, [carl], MORE + BLOCK, progress=stop, cancel=token)
    assert 0 < len(PairStore(copy)) <= MORE + BLOCK
    add_to_store(copy, [carl], MORE + BLOCK)
    longer = shutil.copytree(added, copy.parent / "longer.zarr")
    add_to_store(longer, [carl], MORE + BLOCK)
    names = {"README.md", "SHA256SUMS"}  # the card names its store
    assert {k: v for k, v in tree(copy).items() if k not in names} == {
        k: v for k, v in tree(longer).items() if k not in names
    }
    before = tree(copy)
    assert add_to_store(copy, [carl], MORE + BLOCK).done == ()
    assert tree(copy) == before


def test_an_added_store_is_lengthened_by_make_with_the_ct_of_the_addition(
    added, carl, inputs, small, tmp_path
):
    store = shutil.copytree(added, tmp_path / "pairs.zarr")
    make_store(store, [carl], MORE + 1, settings=small(), seed=5, block_pairs=BLOCK)
    assert len(PairStore(store)) == MORE + 1
    with pytest.raises(InputError, match="differs in inputs"):
        make_store(store, inputs, MORE + 2, settings=small(), seed=5, block_pairs=BLOCK)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("same CT", "already"), ("same images", "same images"), ("other split", "Patient p1 is in"),
        ("few", "holds 11 pairs already"), ("unfinished", "not finished"), ("empty", "no store"),
        ("other version", "0.0.1"), ("judge", "judge"), ("no CT", "x.nii.gz"),
    ],
)  # fmt: skip
def test_what_cannot_be_added_changes_nothing(copy, carl, inputs, tree, spoil, told, tmp_path):
    entry, pairs, store = carl, MORE, copy
    if spoil == "same CT":
        entry = inputs[0]
    elif spoil == "same images":
        again = tmp_path / "again.nii.gz"
        shutil.copy(inputs[0].ct, again)
        entry = replace(inputs[0], ct=again, patient="p9")
    elif spoil == "other split":
        entry = replace(carl, patient="p1")
    elif spoil == "few":
        pairs = STORE_PAIRS
    elif spoil == "unfinished":
        record_path(copy, 1).unlink()
    elif spoil == "empty":
        store = tmp_path / "none.zarr"
    elif spoil == "other version":
        text = (copy / "dataset.json").read_text()
        version = json.loads(text)["software_version"]
        (copy / "dataset.json").write_text(text.replace(f'"{version}"', '"0.0.1"'))
    elif spoil == "judge":
        folder = tmp_path / "judged"
        folder.mkdir()
        shutil.copy(carl.ct, folder)
        mark_as_judge(folder)
        entry = replace(carl, ct=folder / carl.ct.name)
    elif spoil == "no CT":
        (tmp_path / "x.nii.gz").write_bytes(b"?")
        entry = replace(carl, ct=tmp_path / "x.nii.gz")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=told):
        add_to_store(store, [entry], pairs)
    assert tree(tmp_path) == before


def test_lost_pairs_of_earlier_cts_are_not_made_of_others(added, carl, tmp_path):
    store = shutil.copytree(added, tmp_path / "pairs.zarr")
    record_path(store, 0).unlink()
    with pytest.raises(InputError, match=r"Block 0 .* is lost"):
        add_to_store(store, [carl], MORE)


def test_a_merged_store_holds_both(finished, other, tmp_path):
    merged = tmp_path / "both.zarr"
    assert merge_stores([finished, other], merged) == STORE_PAIRS + 4
    first, second, both = PairStore(finished), PairStore(other), PairStore(merged)
    assert [row["index"] for row in both.rows] == list(range(STORE_PAIRS + 4))
    assert all(same_pairs(first, n, both, n) for n in range(STORE_PAIRS))
    assert all(same_pairs(second, n, both, STORE_PAIRS + n) for n in range(4))
    expected = [*full_rows(finished), *full_rows(other)]
    for number, (row, known) in enumerate(zip(full_rows(merged), expected, strict=True)):
        assert row == {**known, "index": number}
    assert read_splits(merged)[0] == {"p1": "training", "p2": "validation", "p3": "test"}
    assert read_splits(merged)[1]["test"] == list(range(STORE_PAIRS, STORE_PAIRS + 4))
    assert verify_store(merged, deep=True).problems == ()
    card = (merged / "README.md").read_text()
    assert "| pairs.zarr | 0 to 10 | 5 |" in card
    assert "| other.zarr | 11 to 14 | 8 |" in card
    assert not list(tmp_path.glob(".*"))
    parts = read_spec(merged).merged_from
    assert [part["dataset"]["settings"]["raw_share"] for part in parts] == [0.5, 1.0]


def test_a_merged_store_is_merged_again_but_never_lengthened(
    finished, other, carl, small, tmp_path
):
    first, twice = tmp_path / "one.zarr", tmp_path / "two.zarr"
    merge_stores([other, finished], first)
    third = tmp_path / "third.zarr"
    make_store(third, [carl], 2, settings=small(), seed=77, block_pairs=2)
    merge_stores([first, third], twice)
    assert verify_store(twice, deep=True).problems == ()
    assert len(PairStore(twice)) == STORE_PAIRS + 6
    with pytest.raises(InputError, match="was merged"):
        add_to_store(first, [carl], 40)
    with pytest.raises(InputError, match="was merged"):
        make_store(first, [carl], 40, settings=small(raw_share=1.0), seed=8, block_pairs=4)


def resplit(store, **patients):
    finish_store(store, {**read_splits(store)[0], **patients})


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("torn patient", "Patient p3 is in"), ("shapes", "shapes"), ("fields", "fields"),
        ("same pairs", "is pair 0 of"), ("damaged", "damaged"), ("unfinished", "not finished"),
        ("name", "called"), ("person", "same images"), ("there", "exists"), ("one", "two or more"),
        ("judge", "judge"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_in_a_sentence(
    finished, other, carl, small, inputs, tmp_path, spoil, told
):
    source = tmp_path / "in"
    one = shutil.copytree(other, source / "one.zarr")
    two, output = shutil.copytree(finished, source / "two.zarr"), tmp_path / "out.zarr"
    options = {"settings": small(), "seed": 9, "block_pairs": 2}
    stores = [one, two]
    if spoil == "torn patient":
        stores[1] = source / "third.zarr"
        make_store(stores[1], [replace(carl, split="training")], 1, **options)
    elif spoil == "shapes":
        stores[1] = source / "third.zarr"
        make_store(stores[1], [carl], 1, **{**options, "settings": small(n_views=50)})
    elif spoil == "fields":
        stores[1] = source / "third.zarr"
        make_store(stores[1], [carl], 1, fields=("input", "truth"), **options)
    elif spoil == "same pairs":
        stores[1] = shutil.copytree(other, source / "again.zarr")
    elif spoil == "damaged":
        shard_path(two, "truth", 1).write_bytes(b"?")
    elif spoil == "unfinished":
        (two / "SHA256SUMS").unlink()
    elif spoil in ("name", "person"):
        if spoil == "name":
            (source / "b").mkdir()
            shutil.copy(inputs[1].ct, source / "b" / "carl.nii.gz")
            entry = replace(inputs[1], ct=source / "b" / "carl.nii.gz")
        else:
            shutil.copy(carl.ct, source / "karl.nii.gz")
            entry = replace(carl, ct=source / "karl.nii.gz", patient="p4")
        stores[1] = source / "third.zarr"
        make_store(stores[1], [entry], 1, **options)
    elif spoil == "there":
        output.mkdir()
    elif spoil == "one":
        stores = [one]
    elif spoil == "judge":
        mark_as_judge(source)
    with pytest.raises(InputError, match=told):
        merge_stores(stores, output)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out.zarr"][: 1 + output.exists()]


def test_a_cancelled_merge_leaves_nothing(finished, other, tmp_path):
    token = CancelToken()
    with pytest.raises(CancelledError):
        merge_stores([finished, other], tmp_path / "m.zarr", cancel=token,
                     progress=lambda _: token.cancel())  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_add_and_merge_from_the_command_line(copy, carl, other, tmp_path, capsys):
    entry = {"ct": str(carl.ct), "patient": "p3", "split": "test", "landmarks": str(carl.landmarks)}
    (tmp_path / "further.json").write_text(json.dumps({"schema": "spinemar-cts/1", "cts": [entry]}))
    command = ["dataset", "add", str(copy), str(tmp_path / "further.json"), "--pairs", "12"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["made_now"] == BLOCK  # the last block
    assert main(["dataset", "merge", str(copy), str(other), "-o", str(tmp_path / "m.zarr")]) == 0
    assert "holds 16 pairs of 2 stores" in " ".join(capsys.readouterr().out.split())
    assert main(["dataset", "verify", str(tmp_path / "m.zarr"), "--deep"]) == 0
