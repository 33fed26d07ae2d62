"""What was found as rows: one a screw, for people and for cohorts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spinemar.base.files.csv_text import csv_text
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.solids import unit
from spinemar.planning.grades.surroundings import Surroundings
from spinemar.planning.plans.compare import ScrewDifference, compare_plans
from spinemar.planning.plans.plan import Plan
from spinemar.planning.report.wording import canal_mm, screw_line
from spinemar.planning.vectors import as_point
from spinemar.postop.bone import Bone
from spinemar.postop.find import FoundImplants, FoundScrew
from spinemar.postop.shanks import gap_mm
from spinemar.registration.motions import moved

_NOT_GRADABLE = "not gradable"
# So near the middle of its pedicle's isthmus a planned screw passes; the next pedicle is farther.
_IN_PEDICLE_MM = 12.0
_HEADER = (
    "id", "level", "side", *(f"{name}_{axis}" for name in ("entry", "tip") for axis in "ras"),
    "diameter_mm", "length_mm", "nearest_diameter_mm", "nearest_length_mm", "nearest_likelihood",
    "axis_error_mm", "unexplained_share", "grade", "certain", "best", "worst", "breach_mm",
    "breach_low_mm", "breach_high_mm", "direction", "canal_intrusion_mm", "bone", "estimated",
    "reason", "bone_before_tip_mm", "anterior_breach_mm", "endplate_mm", "nearest_endplate",
    "facet_mm", "planned_entry_mm", "planned_tip_mm", "planned_angle_deg",
)  # fmt: skip

COHORT_HEADER = ("source", "series", *_HEADER)
"""Columns of `cohort_csv`."""


@dataclass(frozen=True)
class Deviations:
    """A plan against what was found: differences by screw id, and what only one of them has."""

    by_screw: Mapping[str, ScrewDifference]
    not_found: tuple[str, ...] = ()
    not_planned: tuple[str, ...] = ()


def deviations_of(plan: Plan, found: FoundImplants, bone: Bone) -> Deviations:
    """Compare an operation's plan with its result, each vertebra's screws moved with it.

    Where the bone is from an earlier CT a planned screw belongs to the vertebra whose pedicle it
    lies in there, whatever the plan calls that: names may be a guess on either side.

    Parameters
    ----------
    plan : Plan
        Made on the earlier CT where the bone is from one, else on the scan itself.
    found : FoundImplants
    bone : Bone
        Says how each vertebra moved since.
    """
    if bone.from_earlier:
        moved_too = [_where_planned(screw, bone) for screw in plan.screws]
        there = [screw for screw in moved_too if screw is not None]
    else:
        there = list(plan.screws)
    planned_there = replace(plan, screws=tuple(there), rods=(), crosslinks=())
    compared = compare_plans(planned_there, found.plan)
    places = {(one.level, one.side): one.id for one in found.plan.screws}
    planned = {screw.id: screw for screw in there}
    by_screw = {
        places[planned[one.screw_id].level, planned[one.screw_id].side]: one
        for one in compared.differences
    }
    compared_with = {one.screw_id for one in compared.differences}
    missing = tuple(screw.id for screw in plan.screws if screw.id not in compared_with)
    return Deviations(by_screw, missing, compared.only_second)


def _where_planned(screw: Screw, bone: Bone) -> Screw | None:
    """Move a planned screw with its vertebra, and name it so; None where none was registered."""
    best, nearest = None, _IN_PEDICLE_MM
    for level, motion in bone.from_earlier.items():
        pedicle = bone.spine.vertebra(level).pedicles.get(screw.side)
        if pedicle is None:
            continue
        entry, tip = (moved(motion, point) for point in (screw.entry, screw.tip))
        gap = gap_mm(pedicle.isthmus_ras, entry, unit(tip - entry))
        if gap < nearest:
            best = replace(screw, level=level, entry=as_point(entry), tip=as_point(tip))
            nearest = gap
    return best


def implants_csv(found: FoundImplants, deviations: Deviations | None = None) -> str:
    """Return the screws as CSV text; places in RAS mm."""
    by_screw = {} if deviations is None else deviations.by_screw
    rows = [list(_row(one, by_screw.get(one.screw.id))) for one in found.screws]
    return csv_text(_HEADER, rows)


def implants_facts(found: FoundImplants, deviations: Deviations | None = None) -> dict[str, Any]:
    """Return what was found by name, as JSON has it."""
    by_screw = {} if deviations is None else deviations.by_screw
    screws = []
    for one in found.screws:
        row = dict(zip(_HEADER, _row(one, by_screw.get(one.screw.id)), strict=True))
        screws.append({name: None if value == "" else value for name, value in row.items()})
    facts: dict[str, Any] = {
        "levels": found.plan.levels,
        "screws": screws,
        "rods": [
            {"id": rod.id, "diameter_mm": rod.diameter_mm, "screws": rod.screw_ids}
            for rod in found.plan.rods
        ],
        "crosslinks": [
            {"id": one.id, "start": one.start, "end": one.end, "diameter_mm": one.diameter_mm}
            for one in found.plan.crosslinks
        ],
        "cages": [
            {
                "id": one.id,
                "level": one.level,
                "centre": one.centre,
                "size_mm": (one.width_mm, one.depth_mm, one.height_mm),
            }
            for one in found.plan.cages
        ],
        "unexplained_mm3": round(found.unexplained_mm3, 1),
        "warnings": found.plan.warnings,
    }
    if deviations is not None:
        facts["planned_not_found"] = deviations.not_found
        facts["found_not_planned"] = deviations.not_planned
    return facts


def cohort_csv(found: Iterable[tuple[str, str, Sequence[Mapping[str, object]]]]) -> str:
    """Return the screws of many CTs as CSV text.

    Parameters
    ----------
    found : iterable of (str, str, sequence of mapping)
        Source and series of each CT, and its screws as `implants_facts` says them.
    """
    rows = [
        (source, series, *(screw.get(name) for name in _HEADER))
        for source, series, screws in found
        for screw in screws
    ]
    return csv_text(COHORT_HEADER, rows)


def grade_lines(found: FoundImplants) -> str:
    """Return a line for each screw: its letter and how far it can be off."""
    return "\n".join(f"{one.screw.id}: {said(one)}" for one in found.screws)


def said(one: FoundScrew) -> str:
    """Say a grade with its interval in a few words."""
    graded = one.graded
    if graded.grade is None:
        canal = f": {graded.canal_mm:.1f} mm in the canal, medial" if canal_mm(one.screw) else ""
        return f"{_NOT_GRADABLE}{canal}. {graded.reason}"
    return screw_line(one.screw)


def _row(one: FoundScrew, planned: ScrewDifference | None) -> list[object]:
    screw, graded, grade = one.screw, one.graded, one.graded.grade
    low, high = (_rounded(value) for value in graded.breach_mm)
    return [
        screw.id, screw.level, screw.side, *(round(c, 2) for c in (*screw.entry, *screw.tip)),
        screw.diameter_mm, screw.length_mm, one.nearest.diameter_mm, one.nearest.length_mm,
        _rounded(one.nearest.likelihood), _rounded(one.fitted.axis_error_mm),
        round(one.fitted.residual, 3), _NOT_GRADABLE if grade is None else grade.letter,
        graded.certain, graded.best, graded.worst, _rounded(grade.breach_mm) if grade else "",
        low, high, (grade.direction or "") if grade else "",
        _rounded(screw.canal_intrusion_mm) if grade or graded.canal_mm else "",
        graded.source, graded.estimated, graded.reason, *_near(one.near), *_planned(planned),
    ]  # fmt: skip


def _near(near: Surroundings | None) -> list[object]:
    if near is None:
        return [""] * 5
    before, plate, facet = (
        "" if gap is None else _rounded(gap)
        for gap in (near.bone_before_tip_mm, near.endplate_mm, near.facet_mm)
    )
    return [before, _rounded(near.anterior_breach_mm), plate, near.endplate, facet]


def _planned(planned: ScrewDifference | None) -> list[object]:
    if planned is None:
        return ["", "", ""]
    return [_rounded(v) for v in (planned.entry_mm, planned.tip_mm, planned.angle_deg)]


def _rounded(value: float) -> float | str:
    return round(value, 2) if np.isfinite(value) else ""
