"""Tables of the page on the earlier CT, and what it must show against what it shows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from Testing.benchmarks.earlier_ct.making.patients import ROOT
from Testing.benchmarks.earlier_ct.scoring.score import SCAN, WITH, WITHOUT

RESULT = ROOT / "Docs" / "results" / "earlier-ct.json"
PAGE = ROOT / "Docs" / "earlier-ct.md"
_PLACE = re.compile(r"(<!-- pairs -->\n).*?(<!-- end -->)", re.DOTALL)

Summary = dict[str, Any]


def write_result(document: dict[str, Any], path: Path = RESULT) -> None:
    """Write figures as JSON."""
    with atomic_path(path) as temporary:
        text = json.dumps(_plain(document), indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def fill_page(document: dict[str, Any], page: Path = PAGE) -> None:
    """Write the tables into their place in the page.

    Raises
    ------
    InputError
        If the page has no place for them.
    """
    text = page.read_text("utf-8")
    if not _PLACE.search(text):
        raise InputError(f"{page} has no place for the pairs.", "Put <!-- pairs --> into it.")
    made = "\n".join(tables(document))
    filled = _PLACE.sub(lambda found: f"{found[1]}\n{made}\n\n{found[2]}", text)
    with atomic_path(page) as path:
        path.write_text(filled, encoding="utf-8")


def tables(document: dict[str, Any]) -> list[str]:
    """All tables as Markdown."""
    figures = _plain(document)["summary"]
    return [
        *_errors(figures),
        "",
        *_registration(figures),
        "",
        *_kept(figures),
        "",
        *_refusals(document.get("refusals", [])),
    ]


def _errors(figures: Summary) -> list[str]:
    head = ["pairs", "scan", "without", "with", "ratio", "ratio near", "cortex HU",
            "bone Dice near", "worse by 2 %"]  # fmt: skip
    rows = []
    for name, one in figures.items():
        of = one["pictures"]
        rows.append(
            [
                f"{name} ({one['pairs']})",
                *(f"{_n(of[p]['rmse_hu'])} / {_n(of[p]['rmse_near_hu'])}"
                  for p in (SCAN, WITHOUT, WITH)),
                _interval(one["ratio_rmse_hu"]),
                _interval(one["ratio_rmse_near_hu"]),
                f"{_n(of[WITHOUT]['cortical_bias_hu'], '+.0f')}"
                f" → {_n(of[WITH]['cortical_bias_hu'], '+.0f')}",
                f"{_n(of[WITHOUT]['bone_dice_near'], '.3f')}"
                f" → {_n(of[WITH]['bone_dice_near'], '.3f')}",
                f"{one['worse']} (worst {_n(one['worst_ratio'], '.2f')})",
            ]
        )  # fmt: skip
    return _table(head, rows)


def _registration(figures: Summary) -> list[str]:
    head = ["pairs", "mean mm", "95th percentile mm", "within 1.5 mm", "refused", "CPU s more"]
    rows = [
        [
            f"{name} ({one['pairs']})",
            _interval(one["registration"]["mean_mm"]),
            _n(one["registration"]["p95_mm"], ".2f"),
            _interval(one["registration"]["within_1_5_mm"]),
            str(one["refused"]),
            _n(one["seconds_more"], ".0f"),
        ]
        for name, one in figures.items()
    ]
    return _table(head, rows)


def _kept(figures: Summary) -> list[str]:
    head = ["pairs", "", "old findings kept", "new findings kept", "ghosts 2-5 mm",
            "ghosts beyond 5 mm"]  # fmt: skip
    rows = []
    for name, one in figures.items():
        for picture in (SCAN, WITHOUT, WITH):
            found, ghosts = one["findings"][picture], one["ghosts"][picture]
            rows.append(
                [
                    name if picture == SCAN else "",
                    picture,
                    _interval(found["old"]),
                    _interval(found["new"]),
                    _interval(ghosts.get("2-5 mm")),
                    _interval(ghosts["beyond 5 mm"]),
                ]
            )
    return _table(head, rows)


def _refusals(tries: Sequence[dict[str, Any]]) -> list[str]:
    refused = sum(one["refused"] for one in tries)
    return [f"Another patient or another region: {refused} of {len(tries)} refused."]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _interval(value: dict[str, Any] | None, form: str = ".2f") -> str:
    if value is None or value["mean"] is None:
        return "-"
    mean, low, high = (format(value[key], form) for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def _n(value: float | None, form: str = ".1f") -> str:
    return "-" if value is None else format(value, form)


def _plain(value: Any) -> Any:
    """Rounded to five figures; None for what JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value
