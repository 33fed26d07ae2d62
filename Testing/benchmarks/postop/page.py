"""The tables of Docs/postop.md, from the rows of `score`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from Testing.benchmarks.earlier_ct.making.patients import ROOT
from Testing.benchmarks.marked_page import fill_between
from Testing.benchmarks.postop.score import CASES, Row

PAGE = ROOT / "Docs" / "postop.md"
_FIRST, _LAST = "<!-- tables: begin -->", "<!-- tables: end -->"
_LETTERS = "ABCDE"
_METALS = ("Ti-6Al-4V", "CoCrMo", "316L")


def write_page(rows: Path, *, only_print: bool = False) -> str:
    """Fill the page's tables from a folder of rows; returns them."""
    found = [
        Row(**one) for path in sorted(rows.glob("*.json")) for one in json.loads(path.read_text())
    ]
    text = tables(found)
    if not only_print:
        fill_between(PAGE, _FIRST, _LAST, f"\n\n{text}\n")
    return text


def tables(rows: Sequence[Row]) -> str:
    """Return all tables as Markdown."""
    return "\n".join(
        [_places(rows), _grades(rows), _by_metal(rows),
         *(_confusion(rows, case) for case in CASES)]
    )  # fmt: skip


def _places(rows: Sequence[Row]) -> str:
    lines = ["Found and fitted, given the vertebrae (medians, and 95 of 100 lie below):",
             "", "| metal | scans | screws | found | false | axis at entry, mm | axis at tip, mm | "
             "angle, degrees | diameter off, mm | length off, mm |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for metal in (*_METALS, "all"):
        own = [r for r in rows if r.case == CASES[0] and metal in (r.metal, "all")]
        true = [r for r in own if r.screw]
        if not true:
            continue
        hit = [r for r in true if r.found]
        cells = [
            _spread(hit, lambda r: r.entry),
            _spread(hit, lambda r: r.tip),
            _spread(hit, lambda r: r.angle_deg),
            _spread(hit, lambda r: abs(r.diameter)),
            _spread(hit, lambda r: abs(r.length)),
        ]
        scans = len({r.scan for r in own})
        false = sum(not r.screw for r in own)
        lines.append(f"| {metal} | {scans} | {len(true)} | {len(hit)} | {false} | "
                     f"{' | '.join(cells)} |")  # fmt: skip
    return "\n".join([*lines, ""])


def _grades(rows: Sequence[Row]) -> str:
    lines = ["Grades:", "", "| bone from | screws | not found | not gradable | exact | within one "
             "| breach of 4 mm or more called A or B | certain | of them exact | kappa |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for case in CASES:
        own = [r for r in rows if r.case == case and r.screw]
        if own:
            lines.append(_grade_line(case, own))
    return "\n".join([*lines, ""])


def _by_metal(rows: Sequence[Row]) -> str:
    lines = ["Grades by metal:", "", "| bone from | metal | screws | not gradable | exact | "
             "within one |", "|---|---|---|---|---|---|"]  # fmt: skip
    for case in CASES:
        for metal in _METALS:
            own = [r for r in rows if r.case == case and r.screw and r.metal == metal]
            graded = [r for r in own if r.letter in _LETTERS and r.letter]
            if own:
                lines.append(
                    f"| {case} | {metal} | {len(own)} | {sum(r.letter == '-' for r in own)} | "
                    f"{_share(graded, lambda r: r.letter == r.true)} | "
                    f"{_share(graded, lambda r: _off(r) <= 1)} |"
                )
    return "\n".join([*lines, ""])


def _grade_line(case: str, own: Sequence[Row]) -> str:
    graded = [r for r in own if r.letter and r.letter in _LETTERS]
    certain = [r for r in graded if r.best == r.worst]
    large = [r for r in graded if r.true_breach >= 4.0]
    missed = sum(r.letter in "AB" for r in large)
    return (
        f"| {case} | {len(own)} | {sum(not r.found for r in own)} | "
        f"{sum(r.letter == '-' for r in own)} | {_share(graded, lambda r: r.letter == r.true)} | "
        f"{_share(graded, lambda r: _off(r) <= 1)} | {missed} of {len(large)} | {len(certain)} | "
        f"{_share(certain, lambda r: r.letter == r.true)} | {weighted_kappa(graded):.2f} |"
    )


def weighted_kappa(rows: Sequence[Row]) -> float:
    """Agreement of letters beyond chance, disagreement weighted by its square (Cohen, 1968)."""
    table = _counts(rows)
    if not table.sum():
        return float("nan")
    off = np.subtract.outer(np.arange(5), np.arange(5)) ** 2
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    expected = float((off * chance).sum())
    return 1.0 - float((off * table).sum()) / expected if expected else float("nan")


def _counts(rows: Sequence[Row]) -> np.ndarray:
    table = np.zeros((5, 5))
    for row in rows:
        table[_LETTERS.index(row.true), _LETTERS.index(row.letter)] += 1
    return table


def _confusion(rows: Sequence[Row], case: str) -> str:
    own = [r for r in rows if r.case == case and r.letter and r.letter in _LETTERS]
    if not own:
        return ""
    lines = [f"Bone from the {case}: true letter down, found across:", "",
             "| | A | B | C | D | E |", "|---|---|---|---|---|---|"]  # fmt: skip
    for letter, counts in zip(_LETTERS, _counts(own), strict=True):
        lines.append(f"| {letter} | {' | '.join(str(int(n)) for n in counts)} |")
    return "\n".join([*lines, ""])


def _off(row: Row) -> int:
    return abs(_LETTERS.index(row.letter) - _LETTERS.index(row.true))


def _share(rows: Sequence[Row], right: Callable[[Row], bool]) -> str:
    return f"{100 * sum(map(right, rows)) / len(rows):.0f} %" if rows else "-"


def _spread(rows: Sequence[Row], value: Callable[[Row], float]) -> str:
    values = [value(r) for r in rows]
    if not values:
        return "-"
    return f"{np.median(values):.1f} ({np.percentile(values, 95):.1f})"
