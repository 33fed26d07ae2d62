"""What was asked of the benchmark before it ran, and what it measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from Testing.benchmarks.postop.score import CASES, Row
from Testing.benchmarks.postop.tallies import graded, is_certain, is_exact, share, within_one

_USERS = _KNOWN, _PLANNED, _EARLIER, _CORRECTED = CASES[:4]


@dataclass(frozen=True)
class _Target:
    """A number that is to be at least (or at most) so large."""

    what: str
    least: float
    unit: str
    measure: Callable[[Sequence[Row]], float]
    case: str
    at_most: bool = False

    def line(self, rows: Sequence[Row]) -> str:
        """A row of the table."""
        value = self.measure([row for row in rows if row.case == self.case])
        limit = f"{'at most' if self.at_most else 'at least'} {self.least:g} {self.unit}".strip()
        if not np.isfinite(value):
            return f"| {self.what} | {self.case} | {limit} | - | not measured |"
        met = value <= self.least if self.at_most else value >= self.least
        said = f"{f'{value:.1f}'.removesuffix('.0')} {self.unit}".strip()
        return f"| {self.what} | {self.case} | {limit} | {said} | {'yes' if met else '**no**'} |"


def targets_table(rows: Sequence[Row]) -> str:
    """Return each target, what was measured, and whether it is met, as Markdown."""
    lines = ["Against what was asked for (on screws of unseen patients):", "",
             "| | bone from | target | measured | met |", "|---|---|---|---|---|"]  # fmt: skip
    return "\n".join([*lines, *(target.line(rows) for target in _targets()), ""])


def _targets() -> list[_Target]:
    return [
        _Target("screws", 200, "", lambda rows: len(_true(rows)), _KNOWN),
        _Target("screws", 200, "", lambda rows: len(_true(rows)), _PLANNED),
        _Target("screws", 200, "", lambda rows: len(_true(rows)), _EARLIER),
        *(_Target("titanium and cobalt-chrome found", 98, "%", _found, case) for case in _USERS),
        *(_Target("false screws", 1, "%", _false, case, at_most=True) for case in _USERS),
        _Target("axis at the entry, median", 1, "mm", _median("entry"), _KNOWN, at_most=True),
        _Target("axis at the tip, median", 1, "mm", _median("tip"), _KNOWN, at_most=True),
        _Target("angle, median", 1.5, "degrees", _median("angle_deg"), _KNOWN, at_most=True),
        _Target("diameter off, median", 0.5, "mm", _median("diameter"), _KNOWN, at_most=True),
        _Target("length off, median", 2.5, "mm", _median("length"), _KNOWN, at_most=True),
        *_with_earlier(_PLANNED),
        *_with_earlier(_EARLIER),
        *_grade_targets(_CORRECTED, 65, 92),
    ]


def _with_earlier(case: str) -> list[_Target]:
    missed = _Target("breaches of 4 mm or more called A or B", 0, "", _missed, case, at_most=True)
    return [*_grade_targets(case, 80, 98), missed]


def _grade_targets(case: str, exact: float, near: float) -> list[_Target]:
    return [
        _Target("grade exact", exact, "%", lambda rows: share(graded(rows), is_exact), case),
        _Target("within one letter", near, "%", lambda rows: share(graded(rows), within_one), case),
        _Target(
            "exact of those called certain",
            95,
            "%",
            lambda rows: share([r for r in graded(rows) if is_certain(r)], is_exact),
            case,
        ),
    ]


def _true(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.screw]


def _found(rows: Sequence[Row]) -> float:
    return share([row for row in _true(rows) if row.metal != "316L"], lambda row: bool(row.found))


def _false(rows: Sequence[Row]) -> float:
    found = [row for row in rows if row.found]
    return share(found, lambda row: not row.screw)


def _missed(rows: Sequence[Row]) -> float:
    return sum(row.letter in "AB" for row in graded(rows) if row.true_breach >= 4.0)


def _median(name: str) -> Callable[[Sequence[Row]], float]:
    def median(rows: Sequence[Row]) -> float:
        values = [abs(getattr(row, name)) for row in _true(rows) if row.found]
        return float(np.median(values)) if values else float("nan")

    return median
