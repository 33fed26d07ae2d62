"""What a data set's rows add up to, gathered in one pass: a few bytes a pair, not a row."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from typing import Any

_PLAIN = ("domain", "placement", "case", "ct")
_SCANNER = ("kvp", "kernel", "hu_scale", "geometry")
_MIDDLE_SLICE = 1


class Totals:
    """Counts and measured values of many pairs.

    Attributes
    ----------
    counts : dict of str to Counter
        How often each value of a column occurs.
    values : dict of str to array
        Measured values, one a pair; `outside_rms` apart for "post" and "raw".
    pairs : dict of str to array
        Numbers of each patient's pairs.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.values: dict[str, array[float]] = {}
        self.pairs: dict[str, array[int]] = {}

    def __len__(self) -> int:
        return sum(len(numbers) for numbers in self.pairs.values())

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in one row of the table."""
        self.pairs.setdefault(row["patient"], array("q")).append(row["index"])
        scanner = row["scanner"]
        for name in _PLAIN:
            self._count(name, row[name])
        self._count("metal", "+".join(row["materials"]))
        for name in _SCANNER:
            self._count(name, scanner[name])
        self._note("fov_mm", row["fov_mm"])
        self._note("slice_mm", row["slice_mm"])
        self._note("photons", scanner["photons_per_ray"])
        self._note("lost_ray_share", row["lost_ray_share"][_MIDDLE_SLICE])
        for name in ("input", "li", "nmar"):
            self._note(f"rmse_{name}", row["rmse_hu"][name][0])
        self._note(f"outside_rms_{row['domain']}", row["outside_rms"])

    def _count(self, column: str, value: Any) -> None:
        self.counts.setdefault(column, Counter())[str(value)] += 1

    def _note(self, column: str, value: float) -> None:
        self.values.setdefault(column, array("d")).append(value)
