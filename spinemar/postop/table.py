"""What was found as rows: one a screw, for people and for cohorts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spinemar.base.files.csv_text import csv_text
from spinemar.planning.plans.compare import ScrewDifference, compare_plans
from spinemar.planning.plans.plan import Plan
from spinemar.planning.report.wording import canal_mm, screw_line
from spinemar.planning.vectors import as_point
from spinemar.postop.bone import Bone
from spinemar.postop.find import FoundImplants, FoundScrew
from spinemar.registration.motions import moved

_NOT_GRADABLE = "not gradable"
_HEADER = (
    "id", "level", "side", *(f"{name}_{axis}" for name in ("entry", "tip") for axis in "ras"),
    "diameter_mm", "length_mm", "nearest_diameter_mm", "nearest_length_mm", "nearest_likelihood",
    "axis_error_mm", "unexplained_share", "grade", "certain", "best", "worst", "breach_mm",
    "breach_low_mm", "breach_high_mm", "direction", "canal_intrusion_mm", "bone", "estimated",
    "reason", "planned_entry_mm", "planned_tip_mm", "planned_angle_deg",
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

    Parameters
    ----------
    plan : Plan
        Made on the earlier CT where the bone is from one, else on the scan itself.
    found : FoundImplants
    bone : Bone
        Says how each vertebra moved since.
    """
    there = []
    for screw in plan.screws:
        motion = bone.from_earlier.get(screw.level)
        if motion is not None:
            entry, tip = (moved(motion, point) for point in (screw.entry, screw.tip))
            there.append(replace(screw, entry=as_point(entry), tip=as_point(tip)))
        else:
            there.append(screw)
    planned_there = replace(plan, screws=tuple(there), rods=(), crosslinks=())
    compared = compare_plans(planned_there, found.plan)
    places = {(one.level, one.side): one.id for one in found.plan.screws}
    planned = {screw.id: screw for screw in plan.screws}
    by_screw = {
        places[planned[one.screw_id].level, planned[one.screw_id].side]: one
        for one in compared.differences
    }
    return Deviations(by_screw, compared.only_first, compared.only_second)


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
        graded.source, graded.estimated, graded.reason, *_planned(planned),
    ]  # fmt: skip


def _planned(planned: ScrewDifference | None) -> list[object]:
    if planned is None:
        return ["", "", ""]
    return [_rounded(v) for v in (planned.entry_mm, planned.tip_mm, planned.angle_deg)]


def _rounded(value: float) -> float | str:
    return round(value, 2) if np.isfinite(value) else ""
