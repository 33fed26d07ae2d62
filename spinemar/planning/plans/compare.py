"""Two plans side by side: how far their screws lie apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinemar.implants.placement import Screw
from spinemar.planning.plans.plan import Plan
from spinemar.planning.vectors import angle_deg


@dataclass(frozen=True)
class ScrewDifference:
    """The second plan's screw against the first's: distances, angle, and size gained."""

    screw_id: str
    entry_mm: float
    tip_mm: float
    angle_deg: float
    diameter_mm: float
    length_mm: float


@dataclass(frozen=True)
class Comparison:
    """Differences of common screws, and screws of one plan alone.

    Screws are matched by level and side, those without a level by id.
    """

    differences: tuple[ScrewDifference, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def mean_entry_mm(self) -> float:
        """Mean distance of the entries, NaN without a common screw."""
        return _mean([d.entry_mm for d in self.differences])

    @property
    def mean_tip_mm(self) -> float:
        """Mean distance of the tips, NaN without a common screw."""
        return _mean([d.tip_mm for d in self.differences])

    @property
    def mean_angle_deg(self) -> float:
        """Mean angle between the axes, NaN without a common screw."""
        return _mean([d.angle_deg for d in self.differences])


def compare_plans(first: Plan, second: Plan) -> Comparison:
    """Compare the screws of two plans of one patient."""
    ours = {_key(screw): screw for screw in first.screws}
    theirs = {_key(screw): screw for screw in second.screws}
    return Comparison(
        tuple(_difference(ours[key], theirs[key]) for key in ours if key in theirs),
        tuple(screw.id for key, screw in ours.items() if key not in theirs),
        tuple(screw.id for key, screw in theirs.items() if key not in ours),
    )


def _key(screw: Screw) -> tuple[str, str]:
    return (screw.level, screw.side) if screw.level else ("", screw.id)


def _difference(first: Screw, second: Screw) -> ScrewDifference:
    return ScrewDifference(
        first.id,
        float(np.linalg.norm(np.subtract(second.entry, first.entry))),
        float(np.linalg.norm(np.subtract(second.tip, first.tip))),
        angle_deg(np.subtract(first.tip, first.entry), np.subtract(second.tip, second.entry)),
        second.diameter_mm - first.diameter_mm,
        second.length_mm - first.length_mm,
    )


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
