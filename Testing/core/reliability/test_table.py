"""The table of Docs/reliability.md tells the truth: its tests exist and its sentences are said."""

from __future__ import annotations

import ast
import importlib.util
import math
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "Docs" / "reliability.md").read_text(encoding="utf-8")
# Every case that the page owes its readers, by a word that its row must hold.
OWED = (
    "truncated NRRD", "bits flipped", "missing slices", "mixed series", "duplicate positions",
    "gantry tilt", "JPEG lossless", "JPEG 2000", "RLE", "no rescale", "signed and unsigned",
    "multi-frame", "extended scale", "padding", "NaN", "1, 2 or 3 slices", "2,000 slices",
    "64 to 1024", "tiny or huge spacing", "exhaust memory", "gzip bomb", "hostile plan",
    "hostile catalogue", "path traversal", "foreign model", "corrupt model", "oversized model",
    "external data", "operators of its own", "wrong hash", "STL bomb", "killed", "disk full",
    "not writable", "GPU lost", "two runs", "power cut", "Dask worker", "20 corrections",
    "1,000 slices", "soak", "contradict each other", "leaning sform", "slope 0", "micrometres",
    "companions beside the CT", "DICOMDIR as input", "there twice", "MONOCHROME1",
    "image types of reformats", "reformats by geometry",
    "DICOM SEG", ".seg.nrrd", "any other format", "by number", "a single vertebra",
    "a surface in metres", "shells that overlap", "trailing bytes",
    "below 3000 HU", "in dense bone",
)  # fmt: skip


def rows() -> list[list[str]]:
    """Return the cells of all tables whose last column names tests."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


@cache
def said() -> str:
    """Return every text of the programs, pieces in braces left out, one a line."""
    texts: list[str] = []
    for folder in ("spinemar", "SpineMARLib", "MetalArtifactReduction"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return "\n".join(texts)


@cache
def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def cases_of(path: Path, name: str) -> int:
    """How many cases the parameters of a test make."""
    spec = importlib.util.spec_from_file_location(f"counted_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    marks = getattr(getattr(module, name), "pytestmark", [])
    return math.prod(len(list(m.args[1])) for m in marks if m.name == "parametrize")


@pytest.mark.parametrize("row", [row for row in rows() if " cases)" in row[0]], ids=lambda r: r[0])
def test_counts_are_those_of_the_tests(row: list[str]) -> None:
    """The counts of a row are those of its tests, in the same order."""
    told = [int(n) for n in re.findall(r"\((\d+) cases\)", row[0])]
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", row[3])[: len(told)]
    assert told == [cases_of(ROOT / "Testing" / file, test) for file, test in named]


def test_every_owed_case_has_its_row() -> None:
    told = "\n".join(row[0].lower() for row in rows())
    assert [case for case in OWED if case.lower() not in told] == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: re.sub(r"\W+", "-", row[0])[:40])
def test_row(row: list[str]) -> None:
    assert len(row) == 4, row
    _case, sees, code, proofs = row
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", proofs)
    assert named
    for file, test in named:
        path = ROOT / "Testing" / file
        assert path.exists(), file
        assert test in functions_of(path), f"{file} has no {test}"
    assert re.fullmatch(r"[0-3]( or [0-3])?|–", code), code
    for quote in re.findall(r"“([^”]+)”", sees):
        for piece in (part.strip() for part in quote.split("…")):
            if len(piece) > 3:
                assert piece in said(), f"nobody says: {piece}"
