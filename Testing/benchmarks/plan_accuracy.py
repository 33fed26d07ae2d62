"""Automatic plans on our own segmentation, graded on independent truth.

Every CT of the developers' data is segmented without labels and planned from T9 to L3. On the
sample CT the screws are graded in the label map that belongs to it. Elsewhere the hand-checked
landmarks are the truth: where a screw's axis passes the hand-set isthmus, how far its surface
comes beyond half the hand-measured width (breach across), or beyond half a pedicle's usual height
of 15 mm (breach up or down). Vertebrae are matched by place, not by name: a wrong name is an error
of the segmentation's numbering, reported with it. A pedicle without a screw counts as failed.
Beside it, what the planner says of its own plan: letters, screws without one, collisions. S1 is
planned where the levels include it and the CT shows it; no landmark judges it.

Prints Markdown tables; writes build/plan_accuracy_LEVELS.json. Segmentations are kept in
build/segmentations and used again. Run:
python Testing/benchmarks/plan_accuracy.py [CT ...] [--levels T9-L3]
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.demo.sample_data import sample_ct, sample_labels
from spinemar.implants.catalogue import load_catalogue
from spinemar.io import read_labels, read_volume, write_labels
from spinemar.planning.constructs.automatic import PlanSettings, plan_construct
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.contacts.collisions import FACET, find_collisions
from spinemar.planning.grades.gertzbein_robbins import assess_screw, letter_for
from spinemar.planning.plans.plan import Plan, Screw
from spinemar.planning.trajectories.sites import PedicleSite, sites_from_landmarks
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.labels.levels import SACRUM, level_range
from spinemar.spine.model import SpineModel
from spinemar.spine.segmentation.segment import segment_spine
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import CTVolume

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SPINEMAR_CT_DATA") or ROOT.parent / "shared" / "data" / "ct")
KEPT = ROOT / "build" / "segmentations"
SAMPLE = "lidc_idri_0001"
SPLIT = {
    "lidc0314_lower": "training",
    "crlm_1004": "training",
    "acrin_flt_breast_001_abd": "training",
    "crlm_1006": "validation",
    "cmb_crc_01068": "looking",
    "lungfcp_01_0001": "training",
    SAMPLE: "test",
}
LEVELS = "T9-L3"
SAME_VERTEBRA_MM = 14.0
HALF_HEIGHT_MM = 7.5
# A hand-set isthmus is good to about a millimetre: a breach below is none.
LANDMARK_MM = 0.5


@dataclass(frozen=True)
class Result:
    """One pedicle: its truth, its screw and how the screw lies; letter "-" without a screw."""

    ct: str
    level: str
    side: str
    width_mm: float
    diameter_mm: float = 0.0
    offset_mm: float = float("nan")
    medial_mm: float = float("nan")
    breach_mm: float = float("nan")
    direction: str = ""
    letter: str = "-"
    reason: str = ""

    @property
    def good(self) -> bool:
        """Grade A or B."""
        return self.letter in ("A", "B")


def main() -> None:
    """Plan, grade, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct", nargs="*", default=list(SPLIT), help="names of CTs")
    parser.add_argument("--levels", default=LEVELS, help="such as T1-L5")
    arguments = parser.parse_args()
    results: list[Result] = []
    own = [
        "| CT | screws | planner's own letters | without | collisions |",
        "|---|---|---|---|---|",
    ]
    for name in arguments.ct:
        judged, said = evaluate(name, level_range(arguments.levels))
        results += judged
        own += said
        print(f"{name}: {sum(r.good for r in results if r.ct == name)} good", flush=True)
    print(summary(results))
    print(details(results))
    print("\n".join(own))
    path = ROOT / "build" / f"plan_accuracy_{arguments.levels}.json"
    path.parent.mkdir(exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n")


def evaluate(
    name: str, levels: tuple[str, ...] = level_range(LEVELS)
) -> tuple[list[Result], list[str]]:
    """Return the results of one CT at some levels, and the row of the planner's own words."""
    source = sample_ct() if name == SAMPLE else DATA / f"{name}.nii.gz"
    if not source.exists():
        print(f"{name}: left out, the CT is not here")
        return [], []
    volume = read_volume(source)
    landmarks = json.loads((ROOT / "Resources" / "Landmarks" / f"{name}.json").read_text())
    sites = [s for s in sites_from_landmarks(landmarks) if s.level in levels]
    spine = segmented(name, volume)
    wanted = {s.level: match(s, spine) for s in sites}
    found = [ours for ours in wanted.values() if ours]
    if SACRUM in levels and SACRUM in spine.levels:
        found.append(SACRUM)
    if not found:
        return [missing(name, s, "", Plan()) for s in sites], []
    plan = plan_construct(spine, volume, found, load_catalogue(), PlanSettings())
    if name == SAMPLE:
        judged = on_labels(plan, sites, wanted, landmarks)
    else:
        judged = [on_landmarks(name, s, wanted[s.level], plan) for s in sites]
    return judged, [own_words(name, plan)]


def own_words(name: str, plan: Plan) -> str:
    """What the planner says of its own plan, as a row."""
    letters = Counter(screw.grade.letter for screw in plan.screws if screw.grade)
    said = ", ".join(f"{count} {letter}" for letter, count in sorted(letters.items()))
    clashes = [c for c in find_collisions(plan, load_catalogue()) if c.kind != FACET]
    hit = "; ".join(f"{c.first}, {c.second}: {c.overlap_mm:.1f} mm" for c in clashes)
    without = len(plan.screws) - sum(letters.values())
    return f"| {name} | {len(plan.screws)} | {said} | {without} | {hit or 'none'} |"


def segmented(name: str, volume: CTVolume) -> SpineModel:
    """Segment a CT, or read what was segmented before."""
    labels, frames = KEPT / f"{name}.nrrd", KEPT / f"{name}.json"
    if labels.exists() and frames.exists():
        return spine_from_json(frames.read_text(), read_labels(labels))
    spine = segment_spine(volume)
    KEPT.mkdir(parents=True, exist_ok=True)
    write_labels(labels, spine.labels)
    frames.write_text(spine_to_json(spine))
    return spine


def match(site: PedicleSite, spine: SpineModel) -> str:
    """Return the level, in our numbering, of the vertebra whose body lies at the landmark's."""
    gaps = {v.level: np.linalg.norm(v.body_centre_ras - site.body_centre) for v in spine.vertebrae}
    nearest = min(gaps, key=lambda level: gaps[level], default="")
    return nearest if nearest and gaps[nearest] <= SAME_VERTEBRA_MM else ""


def missing(name: str, site: PedicleSite, ours: str, plan: Plan) -> Result:
    """Return the failure of a pedicle without a screw."""
    reason = next((w for w in plan.warnings if f"{site.side} pedicle of {ours}" in w), "")
    reason = reason or f"no vertebra was found at {site.level}"
    return Result(name, site.level, site.side, site.width_mm, reason=reason)


def on_landmarks(name: str, site: PedicleSite, ours: str, plan: Plan) -> Result:
    """Judge one screw by the hand-set isthmus and width."""
    screw = next((s for s in plan.screws if (s.level, s.side) == (ours, site.side)), None)
    if screw is None:
        return missing(name, site, ours, plan)
    across, upwards = isthmus_offset(screw, site)
    radius = screw.diameter_mm / 2
    sideways = abs(across) + radius - site.width_mm / 2
    vertical = abs(upwards) + radius - HALF_HEIGHT_MM
    breach = max(sideways, vertical)
    direction = ("lateral" if across > 0 else "medial") if sideways >= vertical else (
        "superior" if upwards > 0 else "inferior"
    )  # fmt: skip
    if breach <= LANDMARK_MM:
        breach, direction = 0.0, ""
    return Result(
        name, site.level, site.side, site.width_mm, screw.diameter_mm,
        float(np.hypot(across, upwards)), max(radius - across - site.width_mm / 2, 0.0),
        breach, direction, letter_for(breach),
    )  # fmt: skip


def isthmus_offset(screw: Screw, site: PedicleSite) -> tuple[float, float]:
    """Return how far outwards and upwards a screw's axis passes the isthmus."""
    entry, tip = np.array(screw.entry), np.array(screw.tip)
    axis = (tip - entry) / np.linalg.norm(tip - entry)
    depth = np.clip((site.isthmus - entry) @ axis, 0.0, screw.length_mm)
    offset: NDArray[np.float64] = entry + depth * axis - site.isthmus
    return float(offset @ site.lateral), float(offset @ site.superior)


def on_labels(
    plan: Plan, sites: list[PedicleSite], wanted: dict[str, str], landmarks: dict[str, Any]
) -> list[Result]:
    """Grade the screws of the sample CT in its own label map."""
    truth = frames_from_labels(read_labels(sample_labels()))
    fields = {site.level: bone_field(truth.labels, truth.vertebra(site.level)) for site in sites}
    results = []
    for site in sites:
        ours = wanted[site.level]
        screw = next((s for s in plan.screws if (s.level, s.side) == (ours, site.side)), None)
        if screw is None:
            results.append(missing(landmarks["ct"], site, ours, plan))
            continue
        assessment = assess_screw(screw, fields[site.level])
        grade = assessment.grade
        results.append(
            Result(
                landmarks["ct"],
                site.level,
                site.side,
                site.width_mm,
                screw.diameter_mm,
                float(np.hypot(*isthmus_offset(screw, site))),
                assessment.breach_mm.get("medial", 0.0),
                grade.breach_mm,
                grade.direction or "",
                grade.letter,
            )
        )
    return results


def summary(results: list[Result]) -> str:
    """Return a table: one row a CT."""
    rows = ["| CT | split | pedicles | A | B | C | D | E | no screw | A or B | medial >= 2 mm "
        "| off isthmus, mm | diameter / width |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name in [*dict.fromkeys(r.ct for r in results), "all"]:
        own = [r for r in results if name in (r.ct, "all")]
        counts = [str(sum(r.letter == x for r in own)) for x in "ABCDE-"]
        share = f"{100 * sum(r.good for r in own) / max(len(own), 1):.0f} %"
        medial = sum(r.medial_mm >= 2.0 for r in own)
        placed = [r for r in own if r.letter != "-"]
        off = np.mean([r.offset_mm for r in placed]) if placed else np.nan
        thick = np.mean([r.diameter_mm / r.width_mm for r in placed]) if placed else np.nan
        rows.append(f"| {name} | {SPLIT.get(name, '')} | {len(own)} | {' | '.join(counts)} | "
                    f"{share} | {medial} | {off:.1f} | {thick:.2f} |")  # fmt: skip
    return "\n".join(rows) + "\n"


def details(results: list[Result]) -> str:
    """Return a table of all pedicles that are not A."""
    rows = ["| CT | pedicle | width | screw | axis off isthmus | grade | breach | why no screw |",
            "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for r in results:
        if r.letter != "A":
            rows.append(
                f"| {r.ct} | {r.level} {r.side} | {r.width_mm:.1f} | {r.diameter_mm:g} | "
                f"{r.offset_mm:.1f} | {r.letter} | {r.breach_mm:.1f} {r.direction} | {r.reason} |"
            )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
