"""Counts over rows of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from Testing.benchmarks.postop.score import Row

LETTERS = "ABCDE"


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
