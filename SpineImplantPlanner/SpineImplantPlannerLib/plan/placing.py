"""A new screw from two clicks, and other sizes of one: what the surgeon's hand starts with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spinemar.errors import InputError
from spinemar.implants.catalogue import ScrewModel
from spinemar.implants.checks import Point
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.solids import unit
from spinemar.planning.plans.plan import Plan
from spinemar.planning.vectors import as_point
from spinemar.spine.model import SpineModel

_DIAMETER_SHARE = 0.8
_USUAL_MM = (5.5, 45.0)


def screwFromClicks(
    plan: Plan,
    spine: SpineModel | None,
    entry: Point,
    target: Point,
    model: ScrewModel,
    material: str,
) -> Screw:
    """Return the screw from an entry point towards a target.

    The vertebra is the one whose body lies nearest to the target, the side the one where the
    entry lies; the length is the longest of the model that ends at the target, the diameter
    what fits the pedicle. The pedicle must have no screw yet.
    """
    start, end = np.asarray(entry, float), np.asarray(target, float)
    if np.linalg.norm(end - start) < 5.0:
        raise InputError("Entry and target are less than 5 mm apart.", "Click them again.")
    level, side, width = _where(spine, start, end)
    name = f"{level}-{side}" if level else _freeName(plan, side)
    if any(screw.id == name for screw in plan.screws):
        raise InputError(f"There is a screw {name} already.", "Move it, or delete it first.")
    length = model.length_for(float(np.linalg.norm(end - start))) or model.lengths_mm[0]
    wanted = _DIAMETER_SHARE * width if width else _USUAL_MM[0]
    diameter = model.diameter_for(wanted) or model.diameters_mm[0]
    return model.placed(name, level, side, start, end - start, (diameter, length), material)


def _where(
    spine: SpineModel | None, start: np.ndarray, end: np.ndarray
) -> tuple[str, str, float | None]:
    if spine is None or not spine.vertebrae:
        return "", "right" if start[0] >= 0 else "left", None
    frame = min(spine.vertebrae, key=lambda v: np.linalg.norm(v.body_centre_ras - end))
    side = "right" if float(frame.to_local(start)[0]) >= 0 else "left"
    pedicle = frame.pedicles.get(side)
    return frame.level, side, None if pedicle is None else pedicle.width_mm


def _freeName(plan: Plan, side: str) -> str:
    taken = {screw.id for screw in plan.screws}
    return next(f"screw-{n}-{side}" for n in range(1, 999) if f"screw-{n}-{side}" not in taken)


def nextSize(sizes: Sequence[float], present: float, steps: int) -> float:
    """Return the catalogue's size some steps above or below the present one.

    The present one, which need not be of the catalogue, where there is none that way or no step.
    """
    further = sorted(size for size in sizes if (size - present) * steps > 0.0)
    if not further:
        return present
    place = min(abs(steps), len(further)) - 1
    return float(further[place] if steps > 0 else further[-1 - place])


def _nearest(sizes: Sequence[float], present: float) -> float:
    return float(min(sizes, key=lambda size: abs(size - present)))


def withModel(screw: Screw, model: ScrewModel) -> Screw:
    """Return the screw as another model: in the nearest sizes, with no grade."""
    diameter = _nearest(model.diameters_mm, screw.diameter_mm)
    length = _nearest(model.lengths_mm, screw.length_mm)
    entry = np.asarray(screw.entry)
    tip = entry + length * unit(np.asarray(screw.tip) - entry)
    material = screw.material if screw.material in model.materials else model.materials[0]
    return replace(
        screw.without_grade(),
        model=model.id,
        kind=model.kind,
        diameter_mm=diameter,
        length_mm=length,
        tip=as_point(tip),
        material=material,
        head_axis=None,
        slot_axis=None,
    )


def swapped(plan: Plan, level: str) -> Plan:
    """Swap the sizes of a level's two screws; their places stay."""
    pair = {s.side: s for s in plan.screws if s.level == level}
    if len(pair) != 2:
        raise InputError(f"{level} has no two screws to swap.", "Place the other one first.")
    for side, other in (("left", "right"), ("right", "left")):
        screw, size = pair[side], pair[other]
        if screw.locked:
            raise InputError(f"{screw.id} is locked.", "Unlock it first.")
        entry = np.asarray(screw.entry)
        tip = entry + size.length_mm * unit(np.asarray(screw.tip) - entry)
        plan = plan.with_screw(
            replace(
                screw.without_grade(),
                diameter_mm=size.diameter_mm,
                length_mm=size.length_mm,
                model=size.model,
                kind=size.kind,
                material=size.material,
                tip=as_point(tip),
                head_axis=None,
                slot_axis=None,
            )
        )
    return plan
