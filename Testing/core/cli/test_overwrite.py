"""No command replaces a file unless --overwrite says so, and a refused run leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spinemar.cli.main import main
from spinemar.io import write_volume
from Testing.core.reliability.conftest import drawn_ct, snapshot


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """A small CT; it is refused before it is read."""
    write_volume(tmp_path / "ct.nrrd", drawn_ct((3, 32, 32)))
    return tmp_path / "ct.nrrd"


def _correct(ct: Path, out: Path) -> list[object]:
    return ["correct", ct, "-o", out / "o.nrrd", "--metal-mask-out", out / "metal.nrrd",
            "--uncertainty-out", out / "unsure.nrrd", "--report", out / "report"]  # fmt: skip


def _segment(ct: Path, out: Path) -> list[object]:
    return ["segment", ct, "-o", out / "o.nrrd", "--frames", out / "f.json", "--sheet",
            out / "s.png", "--surfaces", out / "surfaces"]  # fmt: skip


def _plan(ct: Path, out: Path) -> list[object]:
    return ["plan", ct, "--levels", "L1", "-o", out / "plan.json", "--stl", out / "stl",
            "--report", out / "report"]  # fmt: skip


def _grade(ct: Path, out: Path) -> list[object]:
    return ["grade", out / "any.json", ct, "-o", out / "plan.json", "--report", out / "report"]


def _find_implants(ct: Path, out: Path) -> list[object]:
    return ["find-implants", ct, "-o", out / "found.json", "--report", out / "report"]


def _simulate(ct: Path, out: Path) -> list[object]:
    return ["simulate", ct, "-o", out / "scan", "--raw", out / "raw.npz"]


def _simulate_one(ct: Path, out: Path) -> list[object]:
    return ["simulate", ct, "-o", out / "scan.nrrd"]


def _voxelize(ct: Path, out: Path) -> list[object]:
    return ["voxelize", out / "any.json", ct, "-o", out / "mask.nrrd"]


def _demo(ct: Path, out: Path) -> list[object]:
    return ["demo", "-o", out / "demo"]


def _inspect(ct: Path, out: Path) -> list[object]:
    return ["dataset", "inspect", out / "store", "-o", out / "sheets"]


WRITES = [
    *((_correct, name) for name in ("o.nrrd", "metal.nrrd", "unsure.nrrd", "report/report.html")),
    *((_segment, name) for name in ("o.nrrd", "f.json", "s.png", "surfaces/L1.stl")),
    *((_plan, name) for name in ("plan.json", "stl/L1-left.stl", "report/plan.html",
                                 "report/screws.csv", "report/view-left.png")),
    *((_grade, name) for name in ("plan.json", "report/plan.html", "report/screws.csv")),
    *((_find_implants, name) for name in ("found.json", "report/plan.html", "report/screws.csv",
                                          "report/implants.csv")),
    *((_simulate, f"scan/{name}") for name in ("scan.nrrd", "truth.nrrd", "noise_free.nrrd",
                                               "metal.nrrd", "scan.json")),
    (_simulate, "raw.npz"),
    (_simulate_one, "scan.nrrd"),
    (_voxelize, "mask.nrrd"),
    *((_demo, f"demo/{name}") for name in ("report.html", "plan.json", "scan.nii.gz",
                                           "corrected_li.nii.gz")),
    (_inspect, "sheets/sheet-01.png"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "name"), WRITES)
def test_every_file_that_a_command_writes_is_kept(
    ct: Path, tmp_path: Path, capfd, command: Callable[[Path, Path], list[object]], name: str
) -> None:
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("precious")
    before = snapshot(tmp_path)
    assert main([str(a) for a in command(ct, out)]) == 2
    said = capfd.readouterr().err
    assert "exists already" in said
    assert "--overwrite" in said
    assert snapshot(tmp_path) == before
    made = {str(p.relative_to(out)) for p in out.rglob("*")}
    assert made == {name, *map(str, Path(name).parents)} - {"."}


@pytest.mark.parametrize("name", ["summary.csv", "ct_corrected.nrrd", "ct_corrected.json"])
def test_a_batch_replaces_only_what_is_its_own(ct: Path, tmp_path: Path, capfd, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("precious")
    assert main(["correct-batch", str(ct), "-o", str(out), "--method", "li"]) in (1, 2)
    assert "exists already" in "".join(capfd.readouterr())
    assert (out / name).read_text() == "precious"


def test_one_rule_for_all_commands() -> None:
    """Each command that writes has the option."""
    for name in ("correct", "segment", "plan", "grade", "find-implants", "simulate", "voxelize",
                 "demo", "sample-data"):  # fmt: skip
        assert _help(name), name


def _help(name: str) -> bool:
    import inspect

    from spinemar.cli.main import COMMANDS

    module, function = dict(COMMANDS)[name].split(":")
    command = getattr(__import__(module, fromlist=[function]), function)
    return "overwrite" in inspect.signature(command).parameters
