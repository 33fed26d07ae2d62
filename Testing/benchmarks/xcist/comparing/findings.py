"""What each arm keeps of findings beside metal, on both scanners: the judge and our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from spinemar_study.scenes.central_slice import CentralSlice
from spinemar_study.scenes.lesions import GROUPS
from spinemar_study.scenes.scan_collection import ScanCollection, Scanned
from spinemar_study.studies.findings import HALF, RINGS_MM, make_template, summarise_findings
from spinemar_study.study_settings import CollectionSettings

from spinemar.mar.segmentation.metal import segment_metal
from Testing.benchmarks.xcist.cases import Case
from Testing.benchmarks.xcist.comparing.finding_scans import ScannedFinding, read_findings
from Testing.benchmarks.xcist.comparing.measured import Maker
from Testing.benchmarks.xcist.score import MIDDLE

INPUT = "scan"


@dataclass(frozen=True)
class FindingCase:
    """A scan without findings, and the same with some."""

    name: str
    metal: str
    absent: Scanned
    present: tuple[Scanned, ...]


def of_the_judge(cases: Path) -> Iterator[FindingCase]:
    """Read the judge's cases that have scans with findings."""
    for folder in sorted({path.parent for path in cases.glob("*/finding-*.npz")}):
        case, found = read_findings(folder)
        absent = _scanned(case, None)
        yield FindingCase(
            case.name, case.facts["screws"], absent, tuple(_scanned(case, one) for one in found)
        )


def of_our_scanner(settings: CollectionSettings, work: Path) -> Iterator[FindingCase]:
    """Scan the scenes of the study of findings that are not there yet."""
    collection = ScanCollection(settings, work)
    for scene in collection.scenes():
        present = tuple(collection.scanned(scene, group) for group in GROUPS)
        yield FindingCase(scene.name, scene.facts["metal"], collection.scanned(scene), present)


def _scanned(case: Case, found: ScannedFinding | None) -> Scanned:
    scan, truth = case.scans["12-bit"], case.truth
    if found is not None:
        scan, truth = found.scan, found.truth
    shares = {} if found is None else found.shares
    return Scanned(
        scan, truth, segment_metal(scan).mask, case.metal_fraction[MIDDLE], shares,
        {kind: {} for kind in shares},
    )  # fmt: skip


def score_findings(
    cases: Iterable[FindingCase],
    makers: Mapping[str, Maker],
    known: Callable[[str, str], bool] = lambda case, arm: False,
) -> Iterator[dict[str, Any]]:
    """Yield a row for every finding and arm, as the study of findings has them.

    Arms that are known of a case, given as case and arm, are left out.
    """
    for case in cases:
        wanted = {name: make for name, make in makers.items() if not known(case.name, name)}
        if wanted:
            yield from _of_one(case, wanted, with_input=not known(case.name, INPUT))


def _of_one(
    case: FindingCase, makers: Mapping[str, Maker], *, with_input: bool
) -> Iterator[dict[str, Any]]:
    absent = _pictures(case.absent, makers)
    middle = CentralSlice(case.absent.scan, case.absent.metal)
    truth = case.absent.truth.hu[MIDDLE]
    for present in case.present:
        pictures = _pictures(present, makers)
        seen = middle.of_measured_rays(present.truth.hu[MIDDLE] - truth)
        for kind in present.lesions:
            template = make_template(kind, present, case.absent)
            if template is None:
                continue
            for arm, picture in pictures.items():
                if arm == INPUT and not with_input:
                    continue
                yield {
                    "scene": case.name,
                    "metal": case.metal,
                    "finding": kind,
                    "method": arm,
                    "contrast_hu": template.contrast_hu,
                    "kept": template.response(picture - absent[arm]),
                    "kept_by_ring": template.by_ring(picture - absent[arm]),
                    "absent_by_ring": template.by_ring(absent[arm] - truth),
                    "present": template.response(picture - truth),
                    "absent": template.response(absent[arm] - truth),
                    "by_measured_rays": template.response(seen),
                }


def _pictures(scanned: Scanned, makers: Mapping[str, Maker]) -> dict[str, Any]:
    found = {INPUT: scanned.scan.hu[MIDDLE]}
    return found | {name: make(scanned.scan).volume.hu[MIDDLE] for name, make in makers.items()}


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Contrast kept, erased and false positives between 2 and 5 mm of metal, by metal and arm."""
    ring = next(n for n, (low, _) in enumerate(RINGS_MM) if low == 2.0)
    lines = [
        "| metal | arm | findings | kept | kept, 2 to 5 mm | erased | false positives, 2 to 5 mm |",
        "|---|---|---|---|---|---|---|",
    ]
    for metal in dict.fromkeys(row["metal"] for row in rows):
        chosen = [row for row in rows if row["metal"] == metal]
        for arm, said in summarise_findings(chosen)["all"].items():
            near, mine = said["rings"][ring], [row for row in chosen if row["method"] == arm]
            erased = float(np.mean([row["kept"] < HALF for row in mine]))
            cells = [metal, arm, str(len(mine)), f"{said['kept']['mean']:.2f}"]
            cells.append(_interval(near["kept"]))
            cells += [f"{100 * erased:.0f} %", f"{100 * near['false_positive']['mean']:.0f} %"]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def _interval(said: Mapping[str, Any]) -> str:
    return f"{said['mean']:.2f} ({said['low']:.2f} to {said['high']:.2f})"
