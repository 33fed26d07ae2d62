"""The report of a plan as one HTML file that needs no network, and CSV beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar import __version__
from spinemar.base.atomic_files import atomic_path
from spinemar.base.extras import require
from spinemar.implants.catalogue import Catalogue
from spinemar.pages import template
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.grades.collisions import find_collisions
from spinemar.planning.grades.hu_profile import HuProfile, hu_profile
from spinemar.planning.plans.plan import Plan
from spinemar.planning.report.profilechart import profile_chart
from spinemar.planning.report.reformats import screw_pictures
from spinemar.planning.report.scene import render_views
from spinemar.planning.report.tables import (
    HEADINGS,
    NOT_GRADED,
    alignment_rows,
    bend_rows,
    collision_line,
    plan_csv,
    rod_facts,
    screw_row,
    summary_line,
)
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.spine.model import SpineModel
from spinemar.volume import CTVolume

_VIEW_CAPTIONS = {"behind": "From behind.", "left": "From the patient's left."}


@dataclass(frozen=True)
class Picture:
    """A picture as a data address, with its caption."""

    uri: str
    caption: str


REPORT_FILES = ("plan.html", "screws.csv", "view-*.png")
"""What `write_plan_report` writes into its folder."""


def check_report_tools() -> None:
    """Refuse before the work starts, not after it, where a report cannot be made.

    Raises
    ------
    InputError
        If a package is missing; the message names it.
    """
    require("A report of a plan", "jinja2", "PIL", "vtkmodules.vtkRenderingOpenGL2")


def write_plan_report(
    folder: Path,
    plan: Plan,
    spine: SpineModel,
    volume: CTVolume,
    catalogue: Catalogue,
    *,
    fields: Mapping[str, BoneField] | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Write plan.html, screws.csv and the 3-D views as PNG into a folder, made if needed.

    Returns
    -------
    Path
        plan.html.
    """
    check_report_tools()
    folder.mkdir(parents=True, exist_ok=True)
    known = dict(fields or {})
    for level in {screw.level for screw in plan.screws} & set(spine.levels):
        known[level] = known.get(level) or bone_field(spine.labels, spine.vertebra(level))
    profiles = {s.id: hu_profile(s, volume, _frame(spine, s.level)) for s in plan.screws}
    progress(Progress("rendering", 0, len(plan.screws) + 1))
    views = render_views(spine, plan, catalogue, tuple(_VIEW_CAPTIONS))
    pictured = []
    for n, screw in enumerate(plan.screws):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(Progress("rendering", n + 1, len(plan.screws) + 1))
        if screw.level in known:
            found = screw_pictures(screw, volume, known[screw.level], plan.screws)
            pictures = [Picture(_png(p.pixels), p.caption) for p in found]
            grade = screw.grade
            letter = NOT_GRADED if grade is None else f"grade {grade.letter}"
            letter = f"{letter}: {screw.not_graded}" if screw.not_graded else letter
            size = f"{screw.diameter_mm:g} x {screw.length_mm:g} mm, {letter}"
            pictured.append(
                {"heading": screw.id, "facts": size, "pictures": pictures,
                 "row": screw_row(screw, profiles[screw.id]),
                 "entry": _place(screw.entry), "tip": _place(screw.tip),
                 "chart": profile_chart(profiles[screw.id])}
            )  # fmt: skip
    facts = {
        **_facts(plan, spine, catalogue, profiles),
        "views": [Picture(_png(views[name]), text) for name, text in _VIEW_CAPTIONS.items()],
        "pictured": pictured,
    }
    for name, view in views.items():
        _write(folder / f"view-{name}.png", _png_bytes(view))
    _write(folder / "screws.csv", plan_csv(plan, profiles).encode())
    _write(folder / "plan.html", render_page(facts).encode())
    progress(Progress("rendering", len(plan.screws) + 1, len(plan.screws) + 1))
    return folder / "plan.html"


def render_page(facts: Mapping[str, Any]) -> str:
    """Return the page as HTML text."""
    return template.render(Path(__file__).parent / "plan_report.html.j2", facts)


def _facts(
    plan: Plan, spine: SpineModel, catalogue: Catalogue, profiles: Mapping[str, HuProfile]
) -> dict[str, Any]:
    return {
        "title": f"Plan {_span(plan.levels)}",
        "introduction": summary_line(plan),
        "warnings": plan.warnings,
        "notes": plan.notes,
        "screw_headings": HEADINGS,
        "screws": [screw_row(screw, profiles.get(screw.id)) for screw in plan.screws],
        "rods": [
            {"name": rod.id, "facts": rod_facts(rod, plan, catalogue), "bends": bend_rows(rod)}
            for rod in plan.rods
        ],
        "alignment": alignment_rows(spine.vertebrae, plan.cages),
        "collisions": [collision_line(c) for c in find_collisions(plan, catalogue, spine.labels)],
        "version": __version__,
    }


def _place(point: Sequence[float]) -> str:
    return ", ".join(f"{x:.1f}" for x in point)


def _span(levels: Sequence[str]) -> str:
    return f"{levels[0]} to {levels[-1]}" if len(levels) > 1 else "".join(levels)


def _frame(spine: SpineModel, level: str) -> Any:
    return spine.vertebra(level) if level in spine.levels else None


def _png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    return out.getvalue()


def _png(pixels: NDArray[np.uint8]) -> str:
    return "data:image/png;base64," + base64.b64encode(_png_bytes(pixels)).decode()


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
