"""The benchmark's tables say what its rows hold."""

from __future__ import annotations

import pytest

from Testing.benchmarks.postop.page import tables, weighted_kappa
from Testing.benchmarks.postop.score import CASES, Row


def _row(true: str, letter: str, **others) -> Row:
    found = "L1-left" if letter else ""
    return Row("scan", CASES[0], "316L", 5.0, "L1-left", true, 1.0, found=found,
               entry=0.4, tip=0.6, angle_deg=1.0, diameter=-0.3, length=1.2, letter=letter,
               best=letter, worst=letter, **others)  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [(["AA", "BB", "CC"], 1.0), (["AE", "EA"], -1.0), (["AA", "AB", "BA", "BB"], 0.0)],
)
def test_kappa_is_agreement_beyond_chance(pairs, kappa):
    assert weighted_kappa([_row(*pair) for pair in pairs]) == pytest.approx(kappa)


def test_tables_count_what_was_missed_false_and_refused():
    rows = [_row("A", "A"), _row("B", "D"), _row("C", "-"), _row("A", "")]
    rows.append(Row("scan", CASES[0], "316L", 5.0, "", found="T1-left"))
    lines = tables(rows).splitlines()
    place = next(line for line in lines if line.startswith("| 316L | 1 |"))
    assert place.startswith("| 316L | 1 | 4 | 3 | 1 | 0.4 (0.4) | 0.6 (0.6) |")
    grade = next(line for line in lines if line.startswith("| known vertebrae | 4 |"))
    assert grade.startswith("| known vertebrae | 4 | 1 | 1 | 50 % | 50 % | 0 of 0 | 2 | 50 % |")
    assert "| B | 0 | 0 | 0 | 1 | 0 |" in lines
    assert "uncorrected CT" not in "".join(lines)
