"""What another surgeon would have done: plans varied around a plan, for training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spinemar.implants.catalogue import Catalogue
from spinemar.implants.placement import Rod, Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import FloatArray, perpendicular, unit
from spinemar.planning.constructs.assemble import crosslink_model, with_rods
from spinemar.planning.constructs.rods import RodSettings
from spinemar.planning.plans.plan import Plan
from spinemar.planning.vectors import as_point

# Mean length of the difference of two points, each spread in a plane with sigma 1.
_MEAN_DIFFERENCE = float(np.sqrt(np.pi))


@dataclass(frozen=True)
class Spread:
    """How far plans vary.

    `entry_mm`, `tip_mm` and `angle_deg` are mean differences *between two surgeons*
    (4.9 mm, 4.4 mm and 5.3 deg are measured ones), so that two varied plans differ by
    them and one differs from the plan itself by less. The others are probabilities per
    screw, or per plan where they say so.
    """

    entry_mm: float = 4.9
    tip_mm: float = 4.4
    angle_deg: float = 5.3
    other_diameter: float = 0.25
    other_length: float = 0.3
    skipped_level: float = 0.08
    missing_screw: float = 0.03
    unilateral_plan: float = 0.05
    misplaced: float = 0.0
    misplaced_mm: tuple[float, float] = (3.0, 8.0)
    revision_plan: float = 0.0

    def scaled(self, factor: float) -> Spread:
        """Return the spread with its distances and angle times `factor`."""
        return replace(
            self,
            entry_mm=self.entry_mm * factor,
            tip_mm=self.tip_mm * factor,
            angle_deg=self.angle_deg * factor,
        )


def vary_plan(
    plan: Plan,
    catalogue: Catalogue,
    spread: Spread | None = None,
    seed: int | Sequence[int] = 0,
) -> Plan:
    """Return the plan as another surgeon might have made it.

    Entries, tips and sizes spread; levels are skipped, screws left out, one side alone
    instrumented, screws misplaced on purpose, or (revision) thicker screws put in.
    Locked screws stay. Rods are contoured anew; no screw is graded any more, except
    locked ones.

    Parameters
    ----------
    plan : Plan
    catalogue : Catalogue
        Of its implants.
    spread : Spread, optional
    seed : int or sequence of int
        The same seed gives the same plan.
    """
    spread = spread or Spread()
    rng = np.random.default_rng(seed)
    screws = _kept(plan.screws, spread, rng)
    thicker = bool(rng.uniform() < spread.revision_plan)
    varied = tuple(
        screw if screw.locked else _vary_screw(screw, spread, rng, catalogue, thicker)
        for screw in screws
    )
    loose = replace(plan, screws=varied, rods=_kept_rods(plan, varied), crosslinks=())
    if not plan.rods:
        return loose
    return with_rods(
        loose, catalogue, RodSettings.of(plan.rods[0]), crosslink=crosslink_model(plan)
    )


def _kept_rods(plan: Plan, screws: Sequence[Screw]) -> tuple[Rod, ...]:
    there = {screw.id for screw in screws}
    return tuple(rod for rod in plan.rods if rod.locked and there.issuperset(rod.screw_ids))


def _kept(screws: Sequence[Screw], spread: Spread, rng: np.random.Generator) -> tuple[Screw, ...]:
    """Leave out levels, single screws or a side; never all."""
    levels = sorted({screw.level for screw in screws})
    skipped = {level for level in levels if rng.uniform() < spread.skipped_level}
    missing = {screw.id for screw in screws if rng.uniform() < spread.missing_screw}
    only = "left" if rng.uniform() < 0.5 else "right"
    if rng.uniform() >= spread.unilateral_plan:
        only = ""
    kept = tuple(
        screw
        for screw in screws
        if screw.locked
        or (screw.level not in skipped and screw.id not in missing and only in ("", screw.side))
    )
    return kept or tuple(screws)


def _vary_screw(
    screw: Screw, spread: Spread, rng: np.random.Generator, catalogue: Catalogue, thicker: bool
) -> Screw:
    model = catalogue.screw(screw.model)
    entry_shift, tip_shift = _shifts(screw, spread, rng)
    if rng.uniform() < spread.misplaced:
        direction = perpendicular(shank_axis(screw), rng.normal(size=3))
        both = direction * rng.uniform(*spread.misplaced_mm)
        entry_shift, tip_shift = entry_shift + both, tip_shift + both
    entry = np.asarray(screw.entry) + entry_shift
    axis = unit(np.asarray(screw.tip) + tip_shift - entry)
    length = _neighbour(screw.length_mm, model.lengths_mm, spread.other_length, rng)
    diameter = _neighbour(screw.diameter_mm, model.diameters_mm, spread.other_diameter, rng)
    if thicker:
        diameter = min((d for d in model.diameters_mm if d >= diameter + 1.0), default=diameter)
    return replace(
        screw.without_grade(),
        entry=as_point(entry),
        tip=as_point(entry + axis * length),
        length_mm=length,
        diameter_mm=diameter,
        head_axis=None,
        slot_axis=None,
    )


def _shifts(
    screw: Screw, spread: Spread, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw displacements of entry and tip across the screw, correlated as the angle asks."""
    axis = shank_axis(screw)
    first = perpendicular(axis, (0.0, 0.0, 1.0))
    across = np.stack([first, np.cross(axis, first)])
    entry_sigma, tip_sigma = (d / _MEAN_DIFFERENCE for d in (spread.entry_mm, spread.tip_mm))
    turn = screw.length_mm * np.tan(np.radians(spread.angle_deg)) / _MEAN_DIFFERENCE
    product = entry_sigma * tip_sigma
    shared = entry_sigma**2 + tip_sigma**2 - turn**2
    correlation = float(np.clip(shared / (2 * product), -1.0, 1.0)) if product > 0 else 0.0
    one, two = rng.normal(size=(2, 2))
    mixed = correlation * one + np.sqrt(1.0 - correlation**2) * two
    return (entry_sigma * one) @ across, (tip_sigma * mixed) @ across


def _neighbour(
    size: float, sizes: Sequence[float], chance: float, rng: np.random.Generator
) -> float:
    """Return the size, or with some chance the next smaller or larger one."""
    step = int(rng.choice((-1, 1)))
    if rng.uniform() >= chance:
        return size
    nearest = int(np.argmin(np.abs(np.asarray(sizes) - size)))
    return float(sizes[int(np.clip(nearest + step, 0, len(sizes) - 1))])
