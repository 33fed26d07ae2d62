"""The tables of Docs/postop.md, from the rows of `score`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from Testing.benchmarks.earlier_ct.making.patients import ROOT
from Testing.benchmarks.marked_page import fill_between
from Testing.benchmarks.postop.score import CASES, Row
from Testing.benchmarks.postop.tallies import (
    LETTERS,
    counts,
    graded,
    holds_truth,
    is_certain,
    is_exact,
    likeliest_letter,
    near_limit,
    off_mm,
    share,
    weighted_kappa,
    within_one,
)
from Testing.benchmarks.postop.targets import targets_table
from Testing.benchmarks.postop.truth import doubtful_levels, patient_of

PAGE = ROOT / "Docs" / "postop.md"
_FIRST, _LAST = "<!-- tables: begin -->", "<!-- tables: end -->"
_METALS = {"Ti-6Al-4V": "titanium", "CoCrMo": "cobalt-chrome", "316L": "steel"}
_LEAST_TO_DIVIDE = 60
_SEVERITIES = ("mild", "middle", "severe")


def write_page(home: Path, *, only_print: bool = False) -> str:
    """Fill the page's tables from the rows of a home folder; returns them."""
    text = tables(read_rows(home))
    if not only_print:
        fill_between(PAGE, _FIRST, _LAST, f"\n\n{text}\n")
    return text


def read_rows(home: Path) -> list[Row]:
    """Read all rows of a home folder; screws whose true grade is doubtful have none."""
    rows = [
        Row(**one)
        for path in sorted((home / "rows").glob("*.json"))
        for one in json.loads(path.read_text())
    ]
    doubtful = {name: doubtful_levels(name, home) for name in {patient_of(r.scan) for r in rows}}
    return [
        replace(row, true="") if row.level in doubtful[patient_of(row.scan)] else row
        for row in rows
    ]


def tables(rows: Sequence[Row]) -> str:
    """Return all tables as Markdown; those by group only of as many screws as divide."""
    groups = [
        _grades_by("metal", rows, lambda row: _METALS[row.metal]),
        _grades_by("slices", rows, lambda row: f"{row.slice_mm:g} mm"),
        _grades_by("artifacts", rows, _severity_of(rows)),
        _grades_by("scanner", rows, _scanner),
    ]
    screws = {(row.scan, row.screw) for row in rows if row.screw}
    return "\n".join(
        [
            targets_table(rows),
            _places(rows),
            _grades(rows),
            _breaches(rows),
            _with_and_without_correction(rows),
            *(groups if len(screws) >= _LEAST_TO_DIVIDE else ()),
            _refusals(rows),
            *(_confusion(rows, case) for case in CASES),
        ]
    )


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
        lines.append(f"| {_METALS.get(metal, metal)} | {scans} | {len(true)} | {len(hit)} | "
                     f"{false} | {' | '.join(cells)} |")  # fmt: skip
    return "\n".join([*lines, ""])


def _grades(rows: Sequence[Row]) -> str:
    heads = ("bone from", "scans", "screws", "not found", "false", "truth doubtful",
             "not gradable", "exact", "within one", "breach of 4 mm or more called A or B",
             "true letter inside the interval", "certain", "of them exact", "kappa")  # fmt: skip
    lines = ["Grades:", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for case in CASES:
        own = [r for r in rows if r.case == case]
        if own:
            lines.append(_grade_line(case, own))
    return "\n".join([*lines, ""])


def _grade_line(case: str, own: Sequence[Row]) -> str:
    true, lettered = [r for r in own if r.screw], graded(own)
    certain = [r for r in lettered if is_certain(r)]
    large = [r for r in lettered if r.true_breach >= 4.0]
    cells = [
        len({r.scan for r in own}),
        len(true),
        sum(not r.found for r in true),
        sum(not r.screw for r in own),
        sum(not r.true for r in true),
        sum(r.letter == "-" for r in true if r.true),
        _percent(lettered, is_exact),
        _percent(lettered, within_one),
        f"{sum(r.letter in 'AB' for r in large)} of {len(large)}",
        _percent(lettered, holds_truth),
        len(certain),
        _percent(certain, is_exact),
        f"{weighted_kappa(lettered):.2f}" if lettered else "-",
    ]
    return f"| {case} | {' | '.join(map(str, cells))} |"


def _breaches(rows: Sequence[Row]) -> str:
    """Say how far breaches are off, and what other letters the same ones could be given."""
    heads = ("bone from", "graded", "breach too low by, mm", "standard deviation, mm",
             "wrong letters", "of them 0.5 mm or less from a limit",
             "letters that would change to the likeliest", "exact then")  # fmt: skip
    lines = ["How far breaches are off:", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for case in CASES:
        own = graded([r for r in rows if r.case == case])
        if not own:
            continue
        off, wrong = off_mm(own), [r for r in own if not is_exact(r)]
        likeliest = [replace(r, letter=likeliest_letter(r)) for r in own]
        cells = [
            len(own),
            f"{off.mean():.2f}",
            f"{off.std():.2f}",
            len(wrong),
            sum(map(near_limit, wrong)),
            sum(a.letter != b.letter for a, b in zip(own, likeliest, strict=True)),
            _percent(likeliest, is_exact),
        ]
        lines.append(f"| {case} | {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, ""])


def _with_and_without_correction(rows: Sequence[Row]) -> str:
    """Compare both on the same scans, and count of all screws, so that no refusal helps."""
    cases = CASES[3:]
    both = set.intersection(*({r.scan for r in rows if r.case == case} for case in cases))
    if not both:
        return ""
    lines = ["With and without the correction, on the same scans, of all screws whose grade is "
             "known:", "", "| bone from | scans | screws | found | graded | exact | within one |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for case in cases:
        true = [r for r in rows if r.case == case and r.scan in both and r.true]
        if true:
            lettered = graded(true)
            cells = [
                len(both),
                len(true),
                sum(bool(r.found) for r in true),
                len(lettered),
                sum(map(is_exact, lettered)),
                sum(map(within_one, lettered)),
            ]
            lines.append(f"| {case} | {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, ""])


def _grades_by(name: str, rows: Sequence[Row], group_of: Callable[[Row], str]) -> str:
    lines = [f"Grades by {name}:", "", f"| bone from | {name} | screws | found | not gradable | "
             "exact | within one |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for case in CASES:
        own = [r for r in rows if r.case == case and r.screw]
        for group in sorted({group_of(r) for r in own}):
            some = [r for r in own if group_of(r) == group]
            lettered = graded(some)
            cells = [
                len(some),
                sum(bool(r.found) for r in some),
                sum(r.letter == "-" for r in some if r.true),
                _percent(lettered, is_exact),
                _percent(lettered, within_one),
            ]
            lines.append(f"| {case} | {group} | {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, ""])


def _severity_of(rows: Sequence[Row]) -> Callable[[Row], str]:
    """Put scans into thirds by how much their correction changed beside the metal."""
    by_scan = {row.scan: row.severity_hu for row in rows if np.isfinite(row.severity_hu)}
    edges = np.percentile(list(by_scan.values()), [100 / 3, 200 / 3]) if by_scan else [0.0, 0.0]

    def severity(row: Row) -> str:
        value = by_scan.get(row.scan)
        if value is None:
            return "not known"
        third = int(np.searchsorted(edges, value))
        ends = (f"below {edges[0]:.0f} HU", f"to {edges[1]:.0f} HU", f"above {edges[1]:.0f} HU")
        return f"{third + 1}: {_SEVERITIES[third]}, {ends[third]}"

    return severity


def _scanner(row: Row) -> str:
    kinds = {"xcist": "XCIST", "own": "own, fan beam"}
    return kinds.get(row.scan.split("-")[0], "own, parallel beam")


def _refusals(rows: Sequence[Row]) -> str:
    lines = ["Why screws are not gradable:", "", "| bone from | reason | screws |", "|---|---|---|"]
    for case in CASES:
        reasons = Counter(
            _kind_of(r.reason) for r in rows if r.case == case and r.true and r.letter == "-"
        )
        lines += [f"| {case} | {reason} | {n} |" for reason, n in reasons.most_common()]
    return "\n".join([*lines, ""])


def _kind_of(reason: str) -> str:
    """Return a reason without names and numbers."""
    for words, kind in (
        ("cannot be right", "labels do not agree with the CT"),  # "lies on an edge of bone"
        ("edge", "cut off by the volume's edge"),
        ("leaves the volume", "cut off by the volume's edge"),
        ("was not found", "pedicle not found, or with little confidence"),
        ("pedicle of", "pedicle not found, or with little confidence"),
        ("does not pass", "misses the pedicle of the bone"),
        ("does not lie behind", "no head found behind it"),
        ("No head", "no head found behind it"),
        ("not among", "vertebra not found"),
        ("Lost rays", "lost rays hide the bone"),
        ("too roughly", "known too roughly"),
    ):
        if words in reason:
            return kind
    return "the level is in doubt"


def _confusion(rows: Sequence[Row], case: str) -> str:
    own = graded([r for r in rows if r.case == case])
    if not own:
        return ""
    lines = [f"Bone from the {case}: true letter down, found across:", "",
             "| | A | B | C | D | E |", "|---|---|---|---|---|---|"]  # fmt: skip
    for letter, row in zip(LETTERS, counts(own), strict=True):
        lines.append(f"| {letter} | {' | '.join(str(int(n)) for n in row)} |")
    return "\n".join([*lines, ""])


def _percent(rows: Sequence[Row], right: Callable[[Row], bool]) -> str:
    return f"{share(rows, right):.0f} %" if rows else "-"


def _spread(rows: Sequence[Row], value: Callable[[Row], float]) -> str:
    values = [value(r) for r in rows]
    if not values:
        return "-"
    return f"{np.median(values):.1f} ({np.percentile(values, 95):.1f})"
