"""File names that bite: brackets, control characters, bytes that are no text, endless ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spinemar.cli.console import printable
from spinemar.cli.main import main
from spinemar.io import write_volume
from spinemar.jobs.batches.items import BatchRow, write_summary
from Testing.core.reliability.conftest import drawn_ct


@pytest.mark.parametrize(
    "name",
    ["[bold]x[/red]", "a:smile:b", "Überlänge 名前", "<script>alert(1)<script>", "-x", "a b'\"c"],
)
def test_odd_names_work_and_are_shown_as_they_are(tmp_path: Path, capfd, name: str) -> None:
    source = tmp_path / f"{name}.nrrd"
    source.parent.mkdir(exist_ok=True)
    write_volume(source, drawn_ct())
    out = tmp_path / f"{name} out.nrrd"
    code = main(["correct", str(source), "-o", str(out), "--method", "li", "--report",
                 str(tmp_path / "report")])  # fmt: skip
    said = capfd.readouterr()
    assert code == 0, said.err
    assert f"Written: {out}" in said.out
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page


def test_control_characters_do_not_reach_the_terminal(not_corrected, tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\x07b\nc.nrrd"
    path.write_text("no volume")
    said = not_corrected(path)
    assert "\x1b" not in said
    assert "\x07" not in said
    assert printable("a\x1b[2Jb\u202e") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"


def test_names_that_are_no_text(refused, tmp_path: Path) -> None:
    write_volume(tmp_path / "ct.nrrd", drawn_ct())
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/ct\xff.nrrd"))
    try:
        odd.write_bytes((tmp_path / "ct.nrrd").read_bytes())
    except OSError:
        pytest.skip("this disk takes no such name")
    assert "cannot be written as text" in refused("correct", odd, "-o", tmp_path / "out.nrrd")
    odd.unlink()
    said = refused("correct", tmp_path / "ct.nrrd", "-o", os.fsdecode(b"out\xff.nrrd"))
    assert "cannot be written as text" in said


def test_endless_names(refused, tmp_path: Path) -> None:
    write_volume(tmp_path / "ct.nrrd", drawn_ct())
    said = refused("correct", tmp_path / "ct.nrrd", "-o", tmp_path / f"{'x' * 400}.nrrd")
    assert "cannot be the name of a file" in said
    assert "cannot be the name of a file" in refused(
        "correct", "y" * 5000, "-o", tmp_path / "o.nrrd"
    )


def test_output_that_is_a_folder(refused, tmp_path: Path) -> None:
    write_volume(tmp_path / "ct.nrrd", drawn_ct())
    (tmp_path / "out.nrrd").mkdir()
    (tmp_path / "out.nrrd" / "precious").write_text("x")
    said = refused("correct", tmp_path / "ct.nrrd", "-o", tmp_path / "out.nrrd", "--overwrite")
    assert "is a folder" in said


def test_a_table_never_holds_formulas(tmp_path: Path) -> None:
    """What a spreadsheet would compute is written as text."""
    row = BatchRow("=cmd|' /C calc'!A0", "@out", "failed", "+1 is no CT")
    write_summary(tmp_path / "summary.csv", BatchRow, [row])
    cells = (tmp_path / "summary.csv").read_text(encoding="utf-8").splitlines()[1]
    assert cells.startswith("'=cmd")
    assert ",'@out,failed,'+1 is no CT," in cells
