"""The other commands and the frame around all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spinemar import __version__
from spinemar.cli.main import COMMANDS


def test_help_of_every_command_has_examples(spinemar) -> None:
    run = spinemar("--help")
    assert run.code == 0
    for name, _ in COMMANDS:
        assert name in run.out
    for name in ("correct", "evaluate", "demo", "sample-data"):
        run = spinemar(name, "--help")
        assert run.code == 0
        assert "Examples" in run.out
        assert f"spinemar {name}" in run.out


def test_version_usage_and_unknown_command(spinemar) -> None:
    assert spinemar("--version").out.strip() == f"spinemar {__version__}"
    assert spinemar("correct").code == 2
    run = spinemar("repair")
    assert run.code == 2
    assert "repair" in run.err
    run = spinemar("correct", "--json")
    assert run.code == 2
    assert run.json["exit_code"] == 2


def test_evaluate_prints_scores_and_json(spinemar, scan) -> None:
    run = spinemar("evaluate", scan.truth, scan.scan, "--metal-mask", scan.metal)
    assert run.code == 0, run.err
    assert "RMSE, HU" in run.out
    given = spinemar("evaluate", scan.truth, scan.scan, "--metal-mask", scan.metal, "--json").json
    found = spinemar("evaluate", scan.truth, scan.scan, "--json").json
    assert given["rmse_hu"] == pytest.approx(found["rmse_hu"], rel=0.1)
    assert [s["index"] for s in given["slices"]] == [1, 2, 3]
    perfect = spinemar("evaluate", scan.truth, scan.truth, "--metal-mask", scan.metal, "--json")
    assert perfect.json["rmse_hu"] == 0
    assert perfect.json["psnr_db"] is None  # JSON knows no infinity


def test_evaluate_scores_the_scan_before_beside_the_result(spinemar, scan) -> None:
    arguments = ("evaluate", scan.truth, scan.truth, "--metal-mask", scan.metal)
    both = spinemar(*arguments, "--before", scan.scan, "--json").json
    alone = spinemar("evaluate", scan.truth, scan.scan, "--metal-mask", scan.metal, "--json").json
    assert both["rmse_hu"] == 0
    assert both["before"]["rmse_hu"] == alone["rmse_hu"] > 0
    assert both["before"]["scan"] == str(scan.scan)
    run = spinemar(*arguments, "--before", scan.scan)
    assert "before: " in run.out
    assert run.code == 0
    assert spinemar(*arguments, "--before", scan.scan.with_name("none.nrrd")).code == 2


@pytest.fixture
def metal_fraction(scan, tmp_path: Path) -> Path:
    """The scan's metal as shares of voxels, with a rim of faint metal."""
    import numpy as np
    from scipy import ndimage

    from spinemar.io import read_mask, read_volume, write_volume
    from spinemar.volume import CTVolume

    volume = read_volume(scan.truth)
    metal = read_mask(scan.metal, volume.geometry)
    rim = ndimage.binary_dilation(metal, np.ones((1, 3, 3), bool)) & ~metal
    shares = np.where(rim, 0.2, metal).astype(np.float32)
    write_volume(tmp_path / "fraction.nrrd", CTVolume(shares, volume.ijk_to_ras))
    return tmp_path / "fraction.nrrd"


def test_evaluate_against_the_true_metal(spinemar, scan, metal_fraction: Path) -> None:
    arguments = ("evaluate", scan.truth, scan.scan, "--metal-fraction", metal_fraction)
    run = spinemar(*arguments, "--metal-mask", scan.metal, "--put-back", scan.metal)
    assert run.code == 0, run.err
    for words in ("Seen RMSE, metal > 50%", "Seen RMSE ≤ 20 mm, metal > 5%", "Metal Dice"):
        assert words in run.out
    assert "Width error" not in run.out  # without a plan
    known = spinemar(*arguments, "--put-back", scan.metal, "--json").json["true_metal"]
    assert known["metal_dice"] == 1
    assert [one["metal_share"] for one in known["seen"]] == [0.5, 0.05]
    assert known["seen"][0]["rmse_hu"] > known["seen"][1]["rmse_hu"] > 0
    assert known["seen"][0]["rmse_outside_masks_hu"] is None
    assert known["widths"]["mean_mm"] is None


def test_evaluate_with_the_card_of_the_benchmark(spinemar, scan) -> None:
    arguments = ("evaluate", scan.truth, scan.scan, "--metal-mask", scan.metal, "--card", "aapm")
    run = spinemar(*arguments, "--before", scan.scan)
    assert run.code == 0, run.err
    for words in ("AAPM CT-MAR", "Proton range", "Sum of the eight"):
        assert words in run.out
    card = spinemar(*arguments, "--scan", scan.scan, "--nmar", scan.truth, "--json").json["aapm"]
    assert card["scores"]["streaks"] == pytest.approx(4)
    assert card["result"]["rmse_hu"] == pytest.approx(card["uncorrected"]["rmse_hu"])
    assert card["truth"]["rmse_hu"] == 0
    assert card["slices"] == [1, 2, 3]


def test_evaluate_says_what_its_options_need(spinemar, scan, metal_fraction, tmp_path) -> None:
    both = ("evaluate", scan.truth, scan.scan)
    run = spinemar(*both, "--card", "aapm")
    assert run.code == 2
    assert "--before" in run.err
    run = spinemar(*both, "--put-back", scan.metal)
    assert run.code == 2
    assert "--metal-fraction" in run.err
    run = spinemar(*both, "--metal-fraction", scan.scan)
    assert run.code == 2
    assert "shares" in run.err
    run = spinemar(*both, "--metal-fraction", tmp_path / "none.nrrd")
    assert run.code == 2
    run = spinemar(*both, "--metal-fraction", metal_fraction, "--plan", scan.scan)
    assert run.code == 2


def test_evaluate_of_unlike_volumes(spinemar, scan, tmp_path: Path) -> None:
    from spinemar.io import read_volume, write_volume
    from spinemar.volume import CTVolume

    volume = read_volume(scan.truth)
    write_volume(tmp_path / "part.nrrd", CTVolume(volume.hu[:3], volume.ijk_to_ras))
    run = spinemar("evaluate", scan.truth, tmp_path / "part.nrrd")
    assert run.code == 2
    assert "different grids" in run.err
    run = spinemar("evaluate", scan.truth, tmp_path / "none.nrrd")
    assert run.code == 2


def test_without_typer_the_remedy_is_named() -> None:
    script = (
        "import sys; sys.modules['typer'] = None; sys.modules['rich'] = None\n"
        "from spinemar.cli.main import main; sys.exit(main(['--help']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install typer rich" in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_pipe_is_no_fault(scan) -> None:
    command = f"{sys.executable} -m spinemar.cli.main evaluate {scan.truth} {scan.truth} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_sample_data_copies_what_is_cached(spinemar, tmp_path: Path, monkeypatch) -> None:
    import hashlib

    from spinemar.demo import sample_data

    cache = tmp_path / "cache"
    cache.mkdir()
    for name in sample_data.FILES:
        (cache / name).write_bytes(name.encode())
    sums = {name: hashlib.sha256(name.encode()).hexdigest() for name in sample_data.FILES}
    monkeypatch.setattr(sample_data, "FILES", sums)
    monkeypatch.setenv("SPINEMAR_CACHE", str(cache))
    monkeypatch.setattr(sample_data, "_fetched_wheel", pytest.fail)  # offline once cached
    run = spinemar("sample-data", "-o", tmp_path / "data", "--json")
    assert run.code == 0, run.err
    assert Path(run.json["ct"]) == tmp_path / "data" / "cxr.nii.gz"
    assert (tmp_path / "data" / "mask.nii.gz").read_bytes() == b"mask.nii.gz"
    (tmp_path / "file").write_text("")
    run = spinemar("sample-data", "-o", tmp_path / "file" / "x")
    assert run.code == 2
    assert "cannot be made" in run.err


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("json", ["--json", ""])
def test_closed_streams_are_no_fault(scan, tmp_path: Path, closed: str, json: str) -> None:
    """The result is written, whole, and nothing is printed into it."""
    from spinemar.io import read_volume

    command = (f"{sys.executable} -m spinemar.cli.main correct {scan.scan} -o {tmp_path}/o.nrrd "
               f"--method li {json} {closed}")  # fmt: skip
    done = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert read_volume(tmp_path / "o.nrrd").hu.shape == read_volume(scan.scan).hu.shape
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == [
        "o.json", "o.nrrd",
    ]  # fmt: skip


def test_the_page_of_all_options_is_made_from_the_program() -> None:
    import importlib.util

    place = Path(__file__).resolve().parents[3] / "scripts" / "command_line_page.py"
    spec = importlib.util.spec_from_file_location("command_line_page", place)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), f"run python {place.name}"
    for name, _ in COMMANDS:
        assert f"### spinemar {name}" in script.reference()
