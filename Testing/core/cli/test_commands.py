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
