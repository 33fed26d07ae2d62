"""The store: whole or not at all, resumable, the same bytes however it came about."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from spinemar.base.file_locks import output_lock
from spinemar.cli.main import main
from spinemar.dataset import make as making
from spinemar.dataset.make import make_store
from spinemar.dataset.pairs.domains import FIELDS, FRACTIONS, SINOGRAMS
from spinemar.dataset.pairs.pair import make_pair
from spinemar.dataset.storage.finish import finish_store
from spinemar.dataset.storage.layout import read_record, record_path, shard_path
from spinemar.dataset.storage.reader import PairStore
from spinemar.dataset.storage.split import read_splits
from spinemar.dataset.storage.verify import discard_damaged, verify_store
from spinemar.errors import CancelledError, InputError
from spinemar.progress import CancelToken

STORE_PAIRS, BLOCK = 11, 3  # of the fixture `finished`


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "pairs.zarr")


def remake(store, inputs, small, pairs=STORE_PAIRS, **changes):
    options = {"settings": small(), "seed": 5, "block_pairs": BLOCK, **changes}
    return make_store(store, inputs, pairs, **options)


def test_a_finished_store_is_well(finished):
    found = verify_store(finished, deep=True)
    assert found.problems == ()
    assert found.pairs == STORE_PAIRS
    assert found.stored_bytes > 100_000
    assert not (finished / ".work").exists()
    assert not list(finished.rglob("*.part*"))


def test_stored_pairs_are_the_pairs(finished, patients, small):
    store = PairStore(finished)
    assert len(store) == STORE_PAIRS
    made = make_pair(patients, small(), 5, 7)
    read = store[7]
    for name in FIELDS:
        steps = 255.0 if name in FRACTIONS else 1024.0 if name in SINOGRAMS else 1.0
        assert np.allclose(read[name] * steps, made.arrays[name], rtol=0, atol=1e-3)
    row = json.loads((finished / "pairs.jsonl").read_text().splitlines()[7])
    assert row == json.loads(json.dumps(made.row))


def test_chunks_are_sharded_compressed_and_checksummed(finished):
    for name in FIELDS:
        document = json.loads((finished / name / "zarr.json").read_text())
        assert document["zarr_format"] == 3
        (sharding,) = document["codecs"]
        assert sharding["name"] == "sharding_indexed"
        assert sharding["configuration"]["chunk_shape"][0] == 1
        codecs = [codec["name"] for codec in sharding["configuration"]["codecs"]]
        assert codecs[-2:] == ["blosc", "crc32c"]


def test_splits_keep_people_together(finished):
    patients, pairs = read_splits(finished)
    assert patients == {"p1": "training", "p2": "validation"}
    people = {
        name: {row["patient"] for row in PairStore(finished, (), split=name).rows} for name in pairs
    }
    assert people["training"] == {"p1"}
    assert people["validation"] == {"p2"}
    assert sum(len(numbers) for numbers in pairs.values()) == STORE_PAIRS


def test_the_reader_chooses_fields_splits_and_domains(finished):
    raw = PairStore(finished, ("target",), domain="raw")
    post = PairStore(finished, ("input", "metal"), domain="post")
    assert len(raw) + len(post) == STORE_PAIRS
    pair = post[0]
    assert set(pair) == {"input", "metal", "index", "pixel_mm", "bin_mm"}
    assert pair["input"].dtype == np.float32
    assert pair["metal"].dtype == np.bool_
    assert [p["index"] for p in post[:2]] == [row["index"] for row in post.rows[:2]]
    with pytest.raises(InputError):
        PairStore(finished, ("sinogramm",))
    with pytest.raises(InputError):
        PairStore(finished, split="train")
    with pytest.raises(InputError):
        PairStore(finished.parent)


def test_a_block_without_its_record_is_made_again_to_the_same_bytes(
    copy, finished, inputs, small, tree
):
    record_path(copy, 1).unlink()
    shard_path(copy, "sinogram", 1).write_bytes(b"half of a sha")
    (copy / ".work/block-1-ab").mkdir(parents=True)
    (copy / ".work/block-1-ab/half").write_bytes(b"left by a killed worker")
    made = remake(copy, inputs, small)
    assert [one.block for one in made.done] == [1]
    assert tree(copy) == tree(finished)


def test_nothing_is_made_twice(copy, inputs, small, tree):
    before = tree(copy)
    assert remake(copy, inputs, small).done == ()
    assert tree(copy) == before


def test_a_longer_store_begins_with_the_same_pairs(copy, inputs, small, finished):
    more = remake(copy, inputs, small, STORE_PAIRS + 2)
    # The last block was not full: it is the only one to be written again.
    assert [one.block for one in more.done] == [STORE_PAIRS // BLOCK, STORE_PAIRS // BLOCK + 1]
    assert verify_store(copy, deep=True).problems == ()
    old, new = PairStore(finished), PairStore(copy)
    assert len(new) == STORE_PAIRS + 2
    for n in (0, STORE_PAIRS - 1):
        assert all(np.array_equal(old[n][name], new[n][name]) for name in FIELDS)
    assert len({row["index"] for row in new.rows}) == STORE_PAIRS + 2


def test_pairs_are_never_taken_away(copy, inputs, small, tree):
    before = tree(copy)
    with pytest.raises(InputError, match=f"up to number {STORE_PAIRS - 1}"):
        remake(copy, inputs, small, STORE_PAIRS - 1)
    after = {k: v for k, v in tree(copy).items() if not k.startswith(".work")}
    assert after == before


def test_a_run_that_was_to_make_more_ends_earlier(tmp_path, inputs, small, finished, tree):
    """The aim of an interrupted run may be lowered, down to what is there."""
    token, store = CancelToken(), tmp_path / "pairs.zarr"
    with pytest.raises(CancelledError):
        remake(store, inputs, small, 10 * STORE_PAIRS, progress=after_first(token), cancel=token)
    made = remake(store, inputs, small)
    assert made.pairs == STORE_PAIRS
    assert tree(store) == tree(finished)
    assert verify_store(store, deep=True).problems == ()


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"block_pairs": 2}, {"settings": {"photons": [1e5, 1e6]}}, "inputs"]
)
def test_another_data_set_is_not_mixed_in(copy, inputs, small, tree, change):
    before = tree(copy)
    chosen = inputs[:2] if change == "inputs" else inputs
    options = {} if change == "inputs" else dict(change)
    if "settings" in options:
        options["settings"] = small(**options["settings"])
    with pytest.raises(InputError, match="another data set"):
        remake(copy, chosen, small, **options)
    after = {k: v for k, v in tree(copy).items() if not k.startswith(".work")}
    assert after == before


@pytest.mark.parametrize("held", ["file", "folder", "link"])
def test_what_is_no_store_is_left_alone(tmp_path, inputs, small, tree, held):
    place = tmp_path / "home"
    if held == "file":
        place.write_text("precious")
    else:
        target = place if held == "folder" else tmp_path / "target"
        (target / ".work").mkdir(parents=True)
        (target / ".work" / "mine").write_text("precious")
        (target / "README.md").write_text("precious")
        if held == "link":
            place.symlink_to(target)
    before = tree(tmp_path)
    with pytest.raises(InputError, match="is no store of training pairs"):
        make_store(place, inputs, 2, settings=small())
    assert tree(tmp_path) == before


@pytest.mark.parametrize("cause", ["no such CT", "no CT"])
def test_a_refused_run_leaves_nothing(tmp_path, inputs, cause):
    ct = tmp_path / "none.nii.gz"
    if cause == "no CT":
        ct.write_text("no CT")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError):
        make_store(tmp_path / "a" / "b" / "pairs.zarr", [replace(inputs[0], ct=ct)], 2)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_that_is_refused_more_gains_nothing(copy, inputs, small):
    before = sorted(copy.parent.rglob("*"))
    with pytest.raises(InputError, match="holds pairs up to"):
        remake(copy, inputs, small, pairs=1)
    with pytest.raises(InputError, match="another data set"):
        remake(copy, inputs, small, seed=6)
    assert sorted(copy.parent.rglob("*")) == before


def test_of_two_runs_on_one_store_the_second_is_told(inputs, small, copy, tree):
    """While one makes pairs, another neither makes, splits nor discards any."""
    before = tree(copy)
    with output_lock(copy):
        with pytest.raises(InputError, match="Another run is writing"):
            remake(copy, inputs, small, pairs=20)
        assert main(["dataset", "split", str(copy)]) == 2
        assert main(["dataset", "verify", str(copy), "--discard"]) == 2
    assert tree(copy) == before


def after_first(token):
    """Return a listener that cancels once the first block is complete."""

    def stop(progress):
        if progress.stage == making._STAGE and progress.done:
            token.cancel()

    return stop


def test_cancelling_keeps_complete_blocks(tmp_path, inputs, small, finished, tree):
    token, store = CancelToken(), tmp_path / "pairs.zarr"
    with pytest.raises(CancelledError):
        remake(store, inputs, small, progress=after_first(token), cancel=token)
    assert read_record(store, 0) is not None
    assert read_record(store, 1) is None
    assert len(PairStore(store)) == BLOCK
    made = remake(store, inputs, small)
    assert made.found_blocks == 1
    assert tree(store) == tree(finished)


def flip(path, where=0.5):
    data = bytearray(path.read_bytes())
    data[int(where * (len(data) - 1))] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name",
    [
        "sinogram/c/2/0/0/0", "metal_trace/c/0/0/0/0", "truth/c/3/0/0/0", "blocks/000001.json",
        "pairs.jsonl", "README.md", "splits.json", "li/zarr.json", "SHA256SUMS",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", [0.02, 0.6, 1.0])
def test_one_flipped_bit_is_found(copy, name, where):
    flip(copy / name, where)
    assert verify_store(copy).problems


def test_damaged_blocks_are_given_up_and_made_again(copy, finished, inputs, small, tree):
    flip(copy / "prior/c/1/0/0/0")
    flip(copy / "blocks/000003.json")
    (copy / "input/c/0/0/0/0").unlink()
    found = verify_store(copy, deep=True)
    assert {p.block for p in found.problems if p.block is not None} == {0, 1, 3}
    assert discard_damaged(copy, found) == 3
    assert len(remake(copy, inputs, small).done) == 3
    assert tree(copy) == tree(finished)


def test_deep_looks_at_what_pairs_mean(copy):
    """A store whose digests fit but whose raw pair differs outside the trace."""
    import zarr

    from spinemar.base.files.hashes import file_sha256
    from spinemar.dataset.storage.layout import BlockRecord, write_record

    index = PairStore(copy, (), domain="raw").rows[0]["index"]
    group = zarr.open_group(copy, mode="r+")
    y = group["target"][index]
    y[~np.asarray(group["metal_trace"][index])] += 1
    group["target"][index] = y
    block = index // BLOCK
    record = read_record(copy, block)
    digests = {**record.sha256, "target": file_sha256(shard_path(copy, "target", block))}
    write_record(copy, BlockRecord(block, record.rows, digests))
    assert verify_store(copy).problems == ()
    (problem,) = verify_store(copy, deep=True).problems
    assert "outside the trace" in problem.what


def test_people_in_two_sets_are_found(copy):
    finish_store(copy, {"p1": "training", "p2": "test"})
    assert verify_store(copy).problems == ()
    document = json.loads((copy / "splits.json").read_text())
    document["pairs"]["test"].append(document["pairs"]["training"].pop())
    (copy / "splits.json").write_text(json.dumps(document))
    assert any("another set's" in problem.what for problem in verify_store(copy).problems)


def test_the_card_states_sources_counts_and_damage_free_use(finished):
    card = (finished / "README.md").read_text()
    for phrase in ("a phantom", "11 simulated training pairs", "licences", "| p2 | validation |"):
        assert phrase in card
