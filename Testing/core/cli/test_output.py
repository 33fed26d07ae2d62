"""What the commands print: text of others is shown and not obeyed, whatever takes the output."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spinemar.base.files.csv_text import csv_text
from spinemar.cli.console import stderr, stdout
from spinemar.cli.main import main
from spinemar.io import read_volume, write_volume
from Testing.core.reliability.conftest import drawn_ct

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "a\x1b[2J\x1b]0;title\x07\r\x08\x9b31m\u202eb\nWritten: lie"
OBEYED = "\x1b\x07\r\x08\x9b\u202e"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A small CT in a folder whose name a terminal would obey."""
    folder = tmp_path / HOSTILE
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk takes no such name")
    write_volume(folder / f"{HOSTILE}.nrrd", drawn_ct((3, 48, 48)))
    return folder / f"{HOSTILE}.nrrd"


def _correct(ct: Path) -> list[object]:
    return ["correct", ct, "-o", ct.with_name(f"{HOSTILE}out.nrrd"), "--method", "li",
            "--report", ct.parent / "report"]  # fmt: skip


def _batch(ct: Path) -> list[object]:
    return ["correct-batch", ct, "-o", ct.parent / "out", "--method", "li"]


def _evaluate(ct: Path) -> list[object]:
    return ["evaluate", ct, ct]


def _simulate(ct: Path) -> list[object]:
    return ["simulate", ct, "-o", ct.parent / "scan", "--slices", "2:2", "--implants", ct]


def _refused(ct: Path) -> list[object]:
    return ["correct", ct.with_name(f"none{HOSTILE}"), "-o", ct.parent / "o.nrrd"]


def _usage(ct: Path) -> list[object]:
    return ["correct", ct, ct, "-o", ct]


def _no_command(ct: Path) -> list[object]:
    return [ct]


def _no_choice(ct: Path) -> list[object]:
    return ["correct", ct, "-o", "o.nrrd", "--method", ct]


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    "command",
    [_correct, _batch, _evaluate, _simulate, _refused, _usage, _no_command, _no_choice],
)
def test_names_of_others_are_shown_and_not_obeyed(
    hostile: Path, capfd, command: Callable[[Path], list[object]], options: list[str]
) -> None:
    code = main([str(a) for a in [*command(hostile), *options]])
    said = capfd.readouterr()
    everything = said.out + said.err
    assert code in ((0,) if command in (_correct, _batch, _evaluate) else (0, 2)), everything
    assert not set(OBEYED) & set(everything), ascii(everything)
    assert "Traceback" not in everything
    # No name begins a line of its own, which would pass for one of ours.
    assert not any(line.startswith("Written: lie") for line in everything.splitlines())
    if options:
        assert json.loads(said.out)


@pytest.mark.parametrize("make", [stdout, stderr])
def test_cells_of_tables_are_filtered_and_colours_stay(make, monkeypatch) -> None:
    from rich.table import Table

    table = Table()
    table.add_column(f"head{HOSTILE}")
    table.add_row(f"cell{HOSTILE}")
    out = io.StringIO()
    console = make()
    console.file = out
    console._force_terminal = True
    console.print(table)
    console.print(f"text{HOSTILE}", style="bold red")
    said = out.getvalue()
    assert "\x1b[2J" not in said
    assert not set(OBEYED[1:]) & set(said)
    assert "cell" in said
    assert "text" in said


def test_one_place_makes_consoles_and_csv() -> None:
    owners = {"rich.console": {"console.py"}, "csv": {"csv_text.py", "manifest.py"}}
    for path in (ROOT / "spinemar").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [str(node.module)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert name not in owners or path.name in owners[name], (path, name)
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
            assert not called or path.name == "main.py", path  # there, before Rich is found


FORMULAS = [
    "=1+1", "+1 is no CT", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\ufeff=1",
    "\u200b=1", "＝1", "＠x", "=cmd|' /C calc'!A0",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_a_table_never_holds_formulas(text: str) -> None:
    header, row = csv.reader(io.StringIO(csv_text([text], [(text,)]), newline=""))
    assert header[0] == row[0] == f"'{text}".replace("\r", "\n")


@pytest.mark.parametrize("value", [-1.5, 0, -3, 2.5, "L1", "", "a=b", "T12-L1", "x\ny"])
def test_a_table_keeps_numbers_and_plain_text(value: object) -> None:
    (row,) = csv.reader(io.StringIO(csv_text([], [(value, None)]).lstrip("\n"), newline=""))
    assert row == [str(value), ""]


def test_halves_of_characters_do_not_stop_a_table() -> None:
    assert csv_text(["a"], [("ct\udcff",)]) == "a\nct?\n"


def test_screws_of_a_hostile_plan_are_no_formulas() -> None:
    from spinemar.implants.placement import Screw
    from spinemar.planning.plans.plan import Plan
    from spinemar.planning.report.tables import plan_csv

    entry = (-30.5, 20.0, 12.0)
    screw = Screw("=1+1", "L1", "left", entry, (-30.5, 60.0, 12.0), 6.0, 40.0)
    plan = Plan(screws=(replace(screw, model="@SUM(1)"),))
    cells = next(csv.DictReader(io.StringIO(plan_csv(plan))))
    assert (cells["id"], cells["model"]) == ("'=1+1", "'@SUM(1)")
    assert float(cells["entry_r"]) == -30.5


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small CT with metal whose name no old encoding has."""
    path = tmp_path / "Größe 名前 ≤.nrrd"
    write_volume(path, drawn_ct((3, 48, 48)))
    return path


ENCODINGS = ["cp1252", "ascii", "latin-1", "cp437", "utf-8", "utf-16", "shift_jis"]
WORDS = {"help": ["--help"], "help of a command": ["correct", "--help"], "refused": _refused}


def _name(value: object) -> str:
    """Name a case the same way in every process: a function's `str` holds its address."""
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(
    ("encoding", "command"),
    [
        *((encoding, words) for encoding in ENCODINGS for words in WORDS.values()),
        *((encoding, one) for encoding in ("cp1252", "ascii") for one in (_correct, _evaluate)),
    ],
    ids=_name,
)
def test_output_of_any_encoding(small: Path, monkeypatch, encoding: str, command) -> None:
    taken = {
        name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")
    }
    for name, stream in taken.items():
        monkeypatch.setattr(sys, name, stream)
    words = command if isinstance(command, list) else command(small)
    code = main([str(a) for a in words])
    said = {name: stream.buffer.getvalue().decode(encoding) for name, stream in taken.items()}  # type: ignore[attr-defined]
    assert code == (2 if command is _refused else 0), said
    assert said["stderr" if command is _refused else "stdout"]
    assert "Traceback" not in said["stderr"]
    if command is _correct:
        assert "Written: " in said["stdout"]
        assert read_volume(next(small.parent.glob("*out.nrrd"))).hu.shape == (3, 48, 48)


@pytest.fixture
def gone() -> Iterator[io.TextIOWrapper]:
    """A pipe whose reader went away."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    yield stream
    stream.close()


QUICK = [["--help"], ["--version"], _evaluate, _refused, _usage]
BOTH = ("stdout", "stderr")


@pytest.mark.parametrize(
    ("command", "streams", "json_too"),
    [
        *(
            (command, streams, options)
            for command in QUICK
            for streams in (("stdout",), ("stderr",), BOTH)
            for options in ([], ["--json"])
        ),
        (_correct, BOTH, []),
        (_batch, BOTH, ["--json"]),
    ],
)
def test_a_reader_that_went_away_is_no_fault(
    small: Path, gone, monkeypatch, command, streams, json_too
) -> None:
    """`| head`, `2>&1 | head`: the same exit code, the same files, no traceback."""
    words = command if isinstance(command, list) else [*command(small), *json_too]
    for name in streams:
        monkeypatch.setattr(sys, name, gone)
    code = main([str(a) for a in words])
    gone.flush()  # what is left to be written goes nowhere, and does not fail at the exit
    assert code == (2 if command in (_refused, _usage) else 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("json_too", [[], ["--json"]])
@pytest.mark.parametrize("command", [*QUICK, _correct], ids=_name)
def test_a_full_disk_behind_stdout_is_said(
    small: Path, monkeypatch, capfd, command, json_too
) -> None:
    words = command if isinstance(command, list) else [*command(small), *json_too]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code = main([str(a) for a in words])
    said = capfd.readouterr().err
    assert "Traceback" not in said
    if command in (_refused, _usage):
        assert code == 2
    else:
        assert code == 1
        assert "The output could not be printed (the disk is full)." in said
    if command is _correct:
        assert read_volume(next(small.parent.glob("*out.nrrd"))).hu.shape == (3, 48, 48)
