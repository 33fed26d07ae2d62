"""What the planning commands share: the spine model, the catalogue, the table of screws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spinemar.implants.catalogue import Catalogue, load_catalogue
from spinemar.planning.plans.plan import Plan
from spinemar.progress import CancelToken, ProgressCallback
from spinemar.spine.model import SpineModel
from spinemar.volume import CTVolume


def read_spine(
    labels: Path | None,
    naming: str,
    volume: CTVolume,
    *,
    progress: ProgressCallback,
    cancel: CancelToken,
) -> SpineModel:
    """Read a segmentation and fit the vertebrae, or segment the CT without one."""
    from spinemar.io import read_labels
    from spinemar.spine.anatomy.frames import frames_from_labels

    if labels is not None:
        found = read_labels(labels)
        return frames_from_labels(found, naming=naming, progress=progress, cancel=cancel)
    from spinemar.spine.segmentation.segment import segment_spine

    return segment_spine(volume, progress=progress, cancel=cancel)


def read_catalogue(files: Sequence[Path] | None) -> Catalogue:
    """Return the generic catalogue with the user's own beside it."""
    return load_catalogue(*(files or ()))


def screw_lines(plan: Plan) -> Any:
    """Return a table of the screws for the terminal."""
    from rich.table import Table

    from spinemar.planning.report.tables import HEADINGS, screw_row

    table = Table(box=None, pad_edge=False)
    shown = [n for n, name in enumerate(HEADINGS) if not name.startswith(("HU", "Metal"))]
    for n in shown:
        heading = HEADINGS[n].replace(", ", "\n")
        table.add_column(heading, justify="left" if n == 0 else "right", no_wrap=True)
    for screw in plan.screws:
        cells = screw_row(screw, None).cells
        table.add_row(*(cells[n] for n in shown))
    return table


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return what the commands print as JSON about a plan."""
    from spinemar.implants.kinds import GROUPS

    return {
        "levels": plan.levels,
        "screws": [
            {
                "id": screw.id,
                "diameter_mm": screw.diameter_mm,
                "length_mm": screw.length_mm,
                "grade": None if screw.grade is None else screw.grade.letter,
                "breach_mm": None if screw.grade is None else screw.grade.breach_mm,
                "direction": None if screw.grade is None else screw.grade.direction,
            }
            for screw in plan.screws
        ],
        **{group: [item.id for item in getattr(plan, group)] for group in GROUPS[1:]},
        "warnings": plan.warnings,
    }
