"""Find the implants of scans whose truth is known, and measure: places, sizes, grades."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError, SpinemarError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import Screw
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.grades.gertzbein_robbins import assess_screw
from spinemar.planning.vectors import angle_deg
from spinemar.postop.bone import (
    GIVEN_ERROR_MM,
    Bone,
    bone_from_corrected,
    bone_from_earlier,
    bone_from_labels,
)
from spinemar.postop.find import FoundImplants, FoundScrew, find_implants
from spinemar.postop.grades import spread_mm
from spinemar.postop.metal_share import LEAST_SHARE, MetalShare
from spinemar.registration.register import lay_over
from spinemar.spine.anatomy.frames import frames_from_labels
from Testing.benchmarks.postop.scans import KnownScan

CASES = ("known vertebrae", "planned earlier CT", "earlier CT", "corrected CT", "uncorrected CT")
"""Where the bone is from: the truth, which costs seconds and shows what the fit alone does; or
what users have: an earlier CT with the vertebrae that were planned on, or without any; none."""
_OF_CORRECTED = CASES[1:4]
_SAME_SCREW_MM = 9.0


@dataclass(frozen=True)
class Row:
    """One true screw, or one that is none (`screw` is ""), in one case; lengths in mm.

    `found` is "" where it was missed, `letter` "-" where it was not gradable, for `reason`.
    `fit_error` and `bone_error` are standard deviations, as the grading takes them; `severity_hu`
    says how much the scan's correction changed beside the metal.
    """

    scan: str
    case: str
    metal: str
    slice_mm: float
    screw: str
    true: str = ""
    true_breach: float = float("nan")
    found: str = ""
    entry: float = float("nan")
    tip: float = float("nan")
    angle_deg: float = float("nan")
    diameter: float = float("nan")
    length: float = float("nan")
    letter: str = ""
    breach: float = float("nan")
    best: str = ""
    worst: str = ""
    true_screw_letter: str = ""
    fit_error: float = float("nan")
    bone_error: float = float("nan")
    reason: str = ""
    severity_hu: float = float("nan")

    @property
    def level(self) -> str:
        """Of the true screw."""
        return self.screw.split("-")[0]


def score_scans(
    scans: Sequence[Path],
    reader: Callable[[Path, bool], KnownScan],
    rows: Path,
    cases: Sequence[str],
) -> Iterator[str]:
    """Score every scan in the cases that it has no rows of yet; yields a line for each.

    Parameters
    ----------
    scans : sequence of Path
        Folders.
    reader : callable
        From a folder, and whether its correction is needed, to its `KnownScan`.
    rows : Path
        Folder of the rows, one JSON a scan and case.
    cases : sequence of str
        Of `CASES`.
    """
    rows.mkdir(parents=True, exist_ok=True)
    for folder in scans:
        targets = {case: rows / f"{folder.name}, {case}.json" for case in cases}
        missing = [case for case in cases if not targets[case].is_file()]
        if not missing:
            continue
        known = reader(folder, bool(set(missing) & set(_OF_CORRECTED)))
        for case in missing:
            started = time.process_time()
            found = list(score_scan(known, case))
            with atomic_path(targets[case]) as temporary:
                temporary.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")
            right = sum(row.letter == row.true != "" for row in found)
            took = time.process_time() - started
            yield f"{folder.name}, {case}: {right} of {len(found)} letters right, {took:.0f} s"


def score_scan(known: KnownScan, case: str) -> Iterator[Row]:
    """Yield the rows of one scan in one case."""
    metal = MetalShare.of_percent(known.metal.labels, known.metal.geometry)
    true = frames_from_labels(known.labels, naming="verse")
    levels = {screw.level for screw in known.plan.screws} & set(true.levels)
    fields = {level: bone_field(true.labels, true.vertebra(level)) for level in levels}
    try:
        bone = bone_from_labels(true) if case == CASES[0] else _bone(known, metal, case)
    except SpinemarError:
        bone = None
    found = None if bone is None else find_implants(metal, bone, load_catalogue())
    yield from _rows(known, case, fields, found, bone)


def _bone(known: KnownScan, metal: MetalShare, case: str) -> Bone:
    if case == "uncorrected CT":
        return bone_from_corrected(known.scan, metal)
    if known.corrected is None:
        raise InputError("The scan is not corrected.", "Correct it first.")
    if case == "corrected CT":
        return bone_from_corrected(known.corrected, metal)
    inside = metal.share >= LEAST_SHARE
    if case == "earlier CT":
        laid = lay_over(known.corrected, inside, known.earlier)
        return bone_from_earlier(laid, known.corrected, known.earlier)
    laid = lay_over(known.corrected, inside, known.earlier, labels=known.earlier_labels)
    return bone_from_earlier(laid, known.corrected, known.earlier, GIVEN_ERROR_MM)


def _rows(
    known: KnownScan,
    case: str,
    fields: dict[str, BoneField],
    found: FoundImplants | None,
    bone: Bone | None,
) -> Iterator[Row]:
    matched = set()
    spacing = round(known.scan.spacing_mm[2], 2)
    severity = _severity_hu(known)
    for screw in known.plan.screws:
        if screw.level not in fields:
            continue
        grade = assess_screw(screw, fields[screw.level]).grade
        row = Row(known.name, case, screw.material, spacing, screw.id, grade.letter,
                  -grade.margin_mm, severity_hu=severity)  # fmt: skip
        one = None if found is None else _at(screw, found)
        if one is not None and bone is not None:
            matched.add(one.screw.id)
            row = _measured(row, screw, one, bone)
        yield row
    for one in () if found is None else found.screws:
        if one.screw.id not in matched:
            yield Row(known.name, case, known.plan.screws[0].material, spacing, "",
                      found=one.screw.id, severity_hu=severity)  # fmt: skip


def _severity_hu(known: KnownScan) -> float:
    """RMS of what the correction changed in the box around the metal, without the metal."""
    if known.corrected is None:
        return float("nan")
    inside = known.metal.labels > 0
    if not inside.any():
        return 0.0
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    change = (known.corrected.hu[box] - known.scan.hu[box])[~inside[box]]
    return float(np.sqrt(np.mean(change.astype(np.float64) ** 2)))


def _at(screw: Screw, found: FoundImplants) -> FoundScrew | None:
    """Return the found screw at a true one's place, whatever it is called."""
    middle = np.add(screw.entry, screw.tip) / 2

    def gap(one: FoundScrew) -> float:
        return float(np.linalg.norm(np.add(one.screw.entry, one.screw.tip) / 2 - middle))

    nearest = min(found.screws, key=gap, default=None)
    return nearest if nearest is not None and gap(nearest) < _SAME_SCREW_MM else None


def _measured(row: Row, screw: Screw, one: FoundScrew, bone: Bone) -> Row:
    grade, own = one.graded.grade, bone.fields.get(one.screw.level)
    there = "" if own is None else assess_screw(screw, own).grade.letter
    return replace(
        row,
        found=one.screw.id,
        entry=_sideways(one.screw.entry, screw),
        tip=_sideways(one.screw.tip, screw),
        angle_deg=angle_deg(np.subtract(one.screw.tip, one.screw.entry),
                            np.subtract(screw.tip, screw.entry)),
        diameter=one.screw.diameter_mm - screw.diameter_mm,
        length=one.screw.length_mm - screw.length_mm,
        letter="-" if grade is None else grade.letter,
        breach=float("nan") if grade is None else -grade.margin_mm,
        best=one.graded.best,
        worst=one.graded.worst,
        true_screw_letter=there,
        fit_error=spread_mm(one.fitted, 0.0),
        bone_error=bone.error_mm.get(one.screw.level, float("nan")),
        reason=one.graded.reason,
    )  # fmt: skip


def _sideways(point: tuple[float, float, float], screw: Screw) -> float:
    """Return how far a point lies from a true screw's axis."""
    axis = np.subtract(screw.tip, screw.entry) / screw.length_mm
    away = np.subtract(point, screw.entry)
    return float(np.linalg.norm(away - (away @ axis) * axis))
