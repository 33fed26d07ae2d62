"""Counts over rows of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from spinemar.planning.grades.gertzbein_robbins import GRADE_LIMITS_MM, RESOLVED_MM
from Testing.benchmarks.postop.score import Row

LETTERS = "ABCDE"
# Largest breaches, mm, at which letters begin: B where a breach is seen at all.
_LIMITS_MM = (RESOLVED_MM, *sorted(limit for limit, _ in GRADE_LIMITS_MM))
_NEAR_MM = 0.5


def graded(rows: Sequence[Row]) -> list[Row]:
    """True screws of known grade that were found and have a letter."""
    return [row for row in rows if row.true and row.letter and row.letter in LETTERS]


def is_exact(row: Row) -> bool:
    """Whether the letter is the true one."""
    return row.letter == row.true


def within_one(row: Row) -> bool:
    """Whether the letter is the true one or a neighbour of it."""
    return abs(LETTERS.index(row.letter) - LETTERS.index(row.true)) <= 1


def is_certain(row: Row) -> bool:
    """Whether the interval holds one letter."""
    return row.best == row.worst


def holds_truth(row: Row) -> bool:
    """Whether the interval of letters holds the true one."""
    return row.best <= row.true <= row.worst


def share(rows: Sequence[Row], right: Callable[[Row], bool]) -> float:
    """Percent of the rows that are right; NaN of none."""
    return 100.0 * sum(map(right, rows)) / len(rows) if rows else float("nan")


def counts(rows: Sequence[Row]) -> np.ndarray:
    """True letter down, found across."""
    table = np.zeros((5, 5))
    for row in rows:
        table[LETTERS.index(row.true), LETTERS.index(row.letter)] += 1
    return table


def weighted_kappa(rows: Sequence[Row]) -> float:
    """Agreement of letters beyond chance, disagreement weighted by its square (Cohen, 1968)."""
    table = counts(rows)
    if not table.sum():
        return float("nan")
    off = np.subtract.outer(np.arange(5), np.arange(5)) ** 2
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    expected = float((off * chance).sum())
    return 1.0 - float((off * table).sum()) / expected if expected else float("nan")


def off_mm(rows: Sequence[Row]) -> np.ndarray:
    """By how much breaches came out too low, mm."""
    return np.array([row.true_breach - row.breach for row in rows])


def near_limit(row: Row) -> bool:
    """Whether the true breach lies so near to a letter's limit that half a millimetre decides."""
    return min(abs(row.true_breach - limit) for limit in _LIMITS_MM) <= _NEAR_MM


def likeliest_letter(row: Row) -> str:
    """The letter with the most probability, of a breach that errs as the row says."""
    ends = np.array([-np.inf, *_LIMITS_MM, np.inf])
    below = special.ndtr((ends - row.breach) / np.hypot(row.fit_error, row.bone_error))
    return LETTERS[int(np.argmax(np.diff(below)))]
