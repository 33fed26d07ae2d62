"""`spinemar dataset` from the command line, and the contact sheets."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from spinemar.cli.main import main
from spinemar.dataset.storage.reader import PairStore
from spinemar.dataset.storage.sheets import draw_sheets, tiles


def run(capsys, *arguments):
    code = main(["dataset", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_make_inspect_split_verify(ct_folder, tmp_path, capsys):
    store = tmp_path / "pairs.zarr"
    made = (
        "make", ct_folder / "cts.json", "-o", store, "--pairs", 3, "--placement", "realistic",
        "--domain", "raw", "--settings", ct_folder / "small.json", "--block", 2, "--json",
    )  # fmt: skip
    code, out, _ = run(capsys, *made)
    facts = json.loads(out)
    assert code == 0
    assert (facts["pairs"], facts["made_now"]) == (3, 3)
    assert facts["bytes_per_pair"] > 1000
    code, out, _ = run(capsys, "inspect", store, "-o", tmp_path / "sheets", "--json")
    facts = json.loads(out)
    assert facts["placement"] == {"realistic": 3}
    assert facts["domain"] == {"raw": 3}
    assert len(facts["sheets"]) == 1
    code, out, _ = run(capsys, "split", store, "--shares", "0.5,0.5,0", "--json")
    assert json.loads(out)["patients"] == {"p1": "training", "p2": "validation"}
    assert run(capsys, "verify", store, "--deep")[0] == 0


def test_verify_ends_with_one_sentence_and_one(finished, tmp_path, capsys):
    store = shutil.copytree(finished, tmp_path / "pairs.zarr")
    (store / "nmar/c/0/0/0/0").write_bytes(b"?")
    code, out, err = run(capsys, "verify", store, "--discard", "--json")
    assert code == 1
    assert "nmar/c/0/0/0/0" in err
    assert json.loads(out)["status"] == "error"
    assert not (store / "blocks/000000.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("make", "cts.json", "-o", "s", "--pairs", 2, "--placement", "mix:2"),
        ("make", "cts.json", "-o", "s", "--pairs", 0),
        ("make", "cts.json", "-o", "s", "--pairs", 2, "--settings", "none.json"),
        ("make", "none.json", "-o", "s", "--pairs", 2),
        ("split", "cts.json", "--shares", "0.5,x,0"),
        ("verify", "nowhere"),
        ("inspect", "nowhere"),
    ],
)
def test_bad_input_ends_with_two_and_leaves_nothing(
    ct_folder, tmp_path, capsys, monkeypatch, arguments
):
    monkeypatch.chdir(ct_folder)
    changed = [tmp_path / "s" if a == "s" else a for a in arguments]
    code, _, err = run(capsys, *changed)
    assert code == 2
    assert err.startswith("Error:")
    assert not (tmp_path / "s" / "dataset.json").exists()


def test_sheets_show_every_pair(finished, tmp_path):
    from PIL import Image

    (path, second) = draw_sheets(finished, tmp_path / "sheets", count=8)
    with Image.open(path) as sheet:
        assert sheet.width > 2000
        assert sheet.height > 6 * 256
        assert np.asarray(sheet).std() > 20
    assert second.name == "sheet-02.png"


def test_tiles_mark_metal_and_traces(finished):
    pair = PairStore(finished)[2]
    shown = tiles(pair)
    assert {tile.shape for tile in shown} == {(256, 256, 3)}
    coloured = [bool((tile.max(axis=-1) != tile.min(axis=-1)).any()) for tile in shown]
    assert coloured == [False, True, True, False, False, True, False, False]
