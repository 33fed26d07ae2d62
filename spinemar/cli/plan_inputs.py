"""What the planning commands share: the spine model, the catalogue, the table of screws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinemar.cli.console import stdout
from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, load_catalogue
from spinemar.planning.plans.plan import Plan
from spinemar.progress import CancelToken, ProgressCallback

if TYPE_CHECKING:
    from spinemar.spine.model import SpineModel
    from spinemar.volume import CTVolume


def read_spine(
    labels: Path | None,
    naming: str,
    volume: CTVolume,
    *,
    frames: Path | None = None,
    first_level: str | None = None,
    progress: ProgressCallback,
    cancel: CancelToken,
) -> SpineModel:
    """Return the spine of a CT: from labels and frames, from labels alone, or segmented here.

    Whatever it comes from, its labels are compared with the CT.

    Raises
    ------
    InputError
        If frames come without labels, or a file does not hold what it should.
    """
    from spinemar.base.json_text import read_text
    from spinemar.io import read_labels
    from spinemar.spine.anatomy.agreement.compare import compared_with_ct
    from spinemar.spine.labels.conventions import to_verse
    from spinemar.spine.providers import (
        settled_levels,
        spine_from_segmentation,
        with_pelvic_parts,
    )
    from spinemar.spine.segmentation.segment import segment_spine
    from spinemar.spine.serial import spine_from_json

    if labels is None and frames is not None:
        raise InputError("Frames need the labels they were made with.", "Give --labels too.")
    if labels is None:
        return segment_spine(volume, first_level=first_level, progress=progress, cancel=cancel)
    found = read_labels(labels)
    if frames is None:
        return spine_from_segmentation(
            found,
            volume,
            naming=naming,
            first_level=first_level,
            progress=progress,
            cancel=cancel,
        )
    text = read_text(frames, f"frames {frames.name}")
    spine = spine_from_json(text, to_verse(found, naming))
    spine = settled_levels(compared_with_ct(spine, volume, cancel=cancel), volume, first_level)
    return with_pelvic_parts(spine, found, naming)


def read_catalogue(files: Sequence[Path] | None) -> Catalogue:
    """Return the generic catalogue with the user's own beside it."""
    return load_catalogue(*(files or ()))


def _screw_lines(plan: Plan) -> Any:
    """Return a table of the screws for the terminal."""
    from rich.table import Table

    from spinemar.planning.report.tables import HEADINGS, screw_row

    table = Table(box=None, pad_edge=False)
    # What fits a terminal: the rest is in the CSV and the report.
    left_out = ("HU", "Metal", "Converges", "Cranial", "In pedicle")
    shown = [n for n, name in enumerate(HEADINGS) if not name.startswith(left_out)]
    for n in shown:
        heading = HEADINGS[n].replace(", ", "\n")
        table.add_column(heading, justify="left" if n == 0 else "right", no_wrap=True)
    for screw in plan.screws:
        cells = screw_row(screw, None).cells
        table.add_row(*(cells[n] for n in shown))
    return table


def print_plan(plan: Plan, files: Iterable[Path], further: Iterable[str] = ()) -> None:
    """Print a plan, `further` lines about it, and the files it was written to.

    Which screws lie in the spinal canal comes first, the deepest of them foremost.
    """
    from spinemar.planning.report.tables import summary_line
    from spinemar.planning.report.wording import danger_line, in_canal

    console = stdout()
    for screw in in_canal(plan):
        console.print(f"In the spinal canal: {danger_line(screw)}", style="bold", highlight=False)
    console.print(_screw_lines(plan))
    for line in (summary_line(plan), *plan.warnings, *further):
        console.print(line, soft_wrap=True)
    for path in files:
        console.print(str(path), highlight=False, soft_wrap=True)


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return what the commands print as JSON about a plan."""
    from spinemar.implants.kinds import GROUPS
    from spinemar.planning.report.tables import summary_line
    from spinemar.planning.report.wording import grade_counts, letter_of

    return {
        "levels": plan.levels,
        "screws": [
            {
                "id": screw.id,
                "diameter_mm": screw.diameter_mm,
                "length_mm": screw.length_mm,
                "grade": None if screw.grade is None else screw.grade.letter,
                "grade_shown": letter_of(screw),
                "breach_mm": None if screw.grade is None else screw.grade.breach_mm,
                "direction": None if screw.grade is None else screw.grade.direction,
                "canal_intrusion_mm": screw.canal_intrusion_mm,
                "heary": "" if screw.grade is None else screw.grade.heary,
                "notch_mm": None if screw.grade is None else screw.grade.notch_mm,
                "acetabulum_mm": None if screw.grade is None else screw.grade.acetabulum_mm,
                "level_confirmed": None if screw.grade is None else screw.grade.level_confirmed,
                "not_graded": screw.not_graded,
            }
            for screw in plan.screws
        ],
        **{group: [item.id for item in getattr(plan, group)] for group in GROUPS[1:]},
        "grades": grade_counts(plan),
        "summary": summary_line(plan),
        "warnings": plan.warnings,
    }


def spine_facts(spine: SpineModel, plan: Plan) -> dict[str, Any]:
    """Return what the commands print as JSON about the spine below a plan."""
    from dataclasses import asdict

    from spinemar.planning.alignment.curves import alignment_of
    from spinemar.spine.serial import heads_facts

    return {
        "labels": _label_facts(spine, plan),
        "alignment": asdict(alignment_of(spine.vertebrae, heads=spine.femoral_heads)),
        "alignment_with_cages": asdict(
            alignment_of(spine.vertebrae, plan.cages, spine.femoral_heads)
        ),
        **heads_facts(spine),
    }


def _label_facts(spine: SpineModel, plan: Plan) -> list[dict[str, Any]]:
    """Return how the labels of a plan's vertebrae agree with the CT, as JSON can hold it."""
    from spinemar.spine.serial import agreement_facts

    levels = {*plan.levels, *(screw.level for screw in plan.screws)}
    return [
        {
            "level": frame.level,
            "confidence": float(frame.confidence),
            "cut_off": frame.cut_off,
            "agreement": agreement_facts(frame.agreement),
        }
        for frame in spine.vertebrae
        if frame.level in levels
    ]
