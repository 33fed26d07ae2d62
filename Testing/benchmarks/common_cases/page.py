"""The table of Docs/benchmark.md and the rows behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spinemar_study.statistics import bootstrap

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from Testing.benchmarks.common_cases.cases import ROOT
from Testing.benchmarks.marked_page import fill_between

PAGE = ROOT / "Docs" / "benchmark.md"
RESULTS = ROOT / "Docs" / "results" / "common-cases.json"
_FIRST, _LAST = "<!-- table: begin -->", "<!-- table: end -->"
_FIGURES = ("rmse_hu", "rmse_near_hu")
_TITLES = {"li": "linear interpolation", "nmar": "NMAR", "generator": "prior and generator"}


def write_page(rows: Path, *, only_print: bool = False) -> str:
    """Write the rows into the repository and the table into the page; returns the table.

    Raises
    ------
    InputError
        If nothing is scored, or a method not on all cases of a group.
    """
    if not rows.is_file():
        raise InputError(f"There is no {rows}.", "Score the cases first.")
    found = json.loads(rows.read_text(encoding="utf-8"))
    text = table(found)
    if not only_print:
        with atomic_path(RESULTS) as path:
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        fill_page(text)
    return text


def fill_page(text: str, page: Path = PAGE) -> None:
    """Put the table between its marks."""
    fill_between(page, _FIRST, _LAST, f"\n\n{text}\n\n")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the means with their intervals as Markdown, by scanner and patient.

    An interval is over the cases of one patient: it says nothing about other people.
    """
    methods = list(dict.fromkeys(row["method"] for row in rows))
    groups = list(dict.fromkeys((row["scanner"], row["patient"], row["set"]) for row in rows))
    heads = []
    for scanner, patient, split in groups:
        count = len({r["case"] for r in rows if (r["scanner"], r["patient"]) == (scanner, patient)})
        heads.append(f"{scanner}, {patient} ({split}), {count} cases")
    lines = ["| method | " + " | ".join(heads) + " |", "|---" * (len(groups) + 1) + "|"]
    for method in methods:
        cells = []
        for scanner, patient, _ in groups:
            all_of = [r for r in rows if (r["scanner"], r["patient"]) == (scanner, patient)]
            own = [r for r in all_of if r["method"] == method]
            if len(own) != len({r["case"] for r in all_of}):
                raise InputError(
                    f"{method} is not scored on all cases of {scanner}, {patient}.",
                    "Score it on all of them.",
                )
            cells.append(" / ".join(_cell([r[name] for r in own]) for name in _FIGURES))
        lines.append(f"| {_TITLES.get(method, method)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    found = bootstrap(np.asarray(values))
    return f"{found.mean:.0f} ({found.low:.0f} to {found.high:.0f})"
