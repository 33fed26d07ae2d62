"""The report of a plan as one HTML file that needs no network, and CSV beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.base.extras import require
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.placement import PELVIS, Screw
from spinemar.io.study import Study
from spinemar.pages import template
from spinemar.pages.identity import Identity, content_hash
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.grades.contacts.collisions import find_collisions
from spinemar.planning.grades.hu_profile import HuProfile, hu_profile
from spinemar.planning.grades.surroundings import surroundings_of
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_to_json
from spinemar.planning.report.profilechart import profile_chart
from spinemar.planning.report.reformats import ScrewPicture, screw_pictures
from spinemar.planning.report.scene import render_views
from spinemar.planning.report.tables import (
    HEADINGS,
    alignment_rows,
    bend_rows,
    collision_line,
    plan_csv,
    rod_facts,
    screw_row,
    summary_line,
)
from spinemar.planning.report.wording import (
    canal_mm,
    danger_line,
    in_canal,
    screw_line,
    surroundings_line,
)
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.spine.model import SpineModel, VertebraFrame
from spinemar.volume import CTVolume

_VIEW_CAPTIONS = {"behind": "From behind.", "left": "From the patient's left."}
# What a sheet of A4 across holds, so that a page of the report is a page on paper.
_ROWS_A_PAGE, _LINES_A_PAGE, _RODS_A_PAGE = 18, 24, 2
_LINES_BELOW_TITLE, _LINES_BESIDE_VIEWS = 17, 2
_LETTERS_A_LINE, _HEADING_LINES = 120, 2


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
    identity: Identity | None = None,
    fields: Mapping[str, BoneField] | None = None,
    uncorrected: CTVolume | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Write plan.html, screws.csv and the 3-D views as PNG into a folder, made if needed.

    The head of every page says the `identity`; by default that is only the plan's own hash. Of a
    CT whose artifacts were reduced, every screw has a page in the `uncorrected` one too.

    Returns
    -------
    Path
        plan.html.
    """
    check_report_tools()
    folder.mkdir(parents=True, exist_ok=True)
    known = dict(fields or {})
    frames = {vertebra.level: vertebra for vertebra in spine.vertebrae}
    for level in {screw.level for screw in plan.screws} & set(frames):
        known[level] = known.get(level) or bone_field(spine.labels, frames[level])
    if PELVIS in known:
        frames[PELVIS] = known[PELVIS].frame
    profiles = {s.id: hu_profile(s, volume, frames.get(s.site)) for s in plan.screws}
    progress(Progress("rendering", 0, len(plan.screws) + 1))
    views = render_views(spine, plan, catalogue, tuple(_VIEW_CAPTIONS))
    pictured = []
    for n, screw in enumerate(plan.screws):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(Progress("rendering", n + 1, len(plan.screws) + 1))
        if screw.site in known:
            found = screw_pictures(screw, volume, known[screw.site], plan.screws)
            near = _near(screw, known[screw.site], spine, catalogue)
            page = _screw_page(screw, found, profiles[screw.id], frames[screw.site])
            pictured.append(page | {"near": near})
            if uncorrected is not None:
                found = screw_pictures(screw, uncorrected, known[screw.site], plan.screws)
                pictured.append(_before_page(screw, found))
    rows = [screw_row(s, profiles[s.id], frames.get(s.site)) for s in plan.screws]
    contacts = [collision_line(c) for c in find_collisions(plan, catalogue, spine.labels)]
    alignment = alignment_rows(spine.vertebrae, plan.cages, spine.femoral_heads)
    shown = [Picture(_png(views[name]), text) for name, text in _VIEW_CAPTIONS.items()]
    facts = {
        "identity": identity or plan_identity(plan),
        "title": f"Plan {_span(plan.levels)}",
        "headings": HEADINGS,
        "pages": [
            *_first_pages(plan, len(contacts), shown),
            *_cut("screws", "rows", rows, _ROWS_A_PAGE),
            *_shared(
                *_cut("contacts", "lines", contacts, _LINES_A_PAGE),
                *_cut("rods", "rods", _rods(plan, catalogue), _RODS_A_PAGE),
                *_cut("alignment", "rows", alignment, _ROWS_A_PAGE),
                *_cut("notes", "lines", _paragraphs(plan.notes), _LINES_A_PAGE),
            ),
            *pictured,
        ],
    }
    for name, view in views.items():
        _write(folder / f"view-{name}.png", _png_bytes(view))
    _write(folder / "screws.csv", plan_csv(plan, profiles, frames).encode())
    _write(folder / "plan.html", render_page(facts).encode())
    progress(Progress("rendering", len(plan.screws) + 1, len(plan.screws) + 1))
    return folder / "plan.html"


def render_page(facts: Mapping[str, Any]) -> str:
    """Return the report as HTML text: its pages in turn, each with its head and place."""
    return template.render(Path(__file__).parent / "plan_report.html.j2", facts)


def plan_hash(plan: Plan) -> str:
    """Return what tells this plan from any other, to compare by eye."""
    return content_hash(plan_to_json(plan))


def plan_identity(plan: Plan, study: Study | None = None) -> Identity:
    """Return what the pages' heads say of a plan, and of the study that it was made for."""
    known = study or Study()
    return Identity("Plan", plan_hash(plan), known.series, known.study_date, dict(known.patient))


def _first_pages(plan: Plan, contacts: int, shown: Sequence[Picture]) -> list[dict[str, Any]]:
    """Return the pages that come first, the worst news before all else; what is long has more."""
    dangers = [danger_line(screw) for screw in in_canal(plan)]
    warnings, left = _that_fit(plan.warnings, _LINES_BELOW_TITLE - len(dangers))
    lines = sum(len(wrap(text, _LETTERS_A_LINE)) for text in plan.warnings) + len(dangers)
    beside = lines <= _LINES_BESIDE_VIEWS
    first = {
        "kind": "summary",
        "dangers": dangers,
        "introduction": summary_line(plan),
        "contacts": contacts,
        "warnings": warnings,
        "views": shown if beside else (),
    }
    pages = [first]
    while left:
        fitting, left = _that_fit(left, _LINES_A_PAGE)
        pages.append({"kind": "warnings", "warnings": fitting})
    return pages if beside else [*pages, {"kind": "views", "views": shown}]


def _that_fit(texts: Sequence[str], lines: int) -> tuple[list[str], list[str]]:
    """Part texts into those that take so many lines, at least one, and the others."""
    count, taken = 0, 0
    for text in texts:
        taken += len(wrap(text, _LETTERS_A_LINE))
        if count and taken > lines:
            break
        count += 1
    return list(texts[:count]), list(texts[count:])


def _screw_page(
    screw: Screw, pictures: Sequence[ScrewPicture], profile: HuProfile, frame: VertebraFrame
) -> dict[str, Any]:
    return {
        "kind": "screw",
        "heading": screw.id,
        "size": f"{screw.diameter_mm:g} x {screw.length_mm:g} mm",
        "grade": screw_line(screw),
        "in_canal": bool(canal_mm(screw)),
        "pictures": [Picture(_png(p.pixels), p.caption) for p in pictures],
        "row": screw_row(screw, profile, frame),
        "entry": _place(screw.entry),
        "tip": _place(screw.tip),
        "chart": profile_chart(profile),
    }


def _near(screw: Screw, field: BoneField, spine: SpineModel, catalogue: Catalogue) -> str:
    """Say what a graded screw of a vertebra comes near to."""
    if not screw.level or screw.grade is None:
        return ""
    model = catalogue.screw(screw.model)
    return surroundings_line(surroundings_of(screw, model, field, spine.labels))


def _before_page(screw: Screw, pictures: Sequence[ScrewPicture]) -> dict[str, Any]:
    return {
        "kind": "before",
        "heading": screw.id,
        "pictures": [Picture(_png(p.pixels), p.caption) for p in pictures],
    }


def _rods(plan: Plan, catalogue: Catalogue) -> list[dict[str, Any]]:
    return [
        {"name": rod.id, "facts": rod_facts(rod, plan, catalogue), "bends": bend_rows(rod)}
        for rod in plan.rods
    ]


def _paragraphs(notes: str) -> list[str]:
    """Return notes in pieces of which a page holds `_LINES_A_PAGE`."""
    return [piece for line in notes.splitlines() for piece in wrap(line, _LETTERS_A_LINE)]


def _cut(kind: str, name: str, items: Sequence[Any], count: int) -> list[dict[str, Any]]:
    """Return pages of a kind that hold `count` items each; none for no items."""
    return [
        {"kind": kind, "first": n == 0, name: items[n : n + count]}
        for n in range(0, len(items), count)
    ]


def _shared(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return sheets that hold as many parts each, in their order, as find room on it."""
    sheets: list[dict[str, Any]] = []
    room = 0
    for part in parts:
        lines = _HEADING_LINES + _lines(part)
        if lines > room:
            sheets.append({"kind": "shared", "parts": []})
            room = _HEADING_LINES + _LINES_A_PAGE
        sheets[-1]["parts"].append(part)
        room -= lines
    return sheets


def _lines(part: Mapping[str, Any]) -> int:
    """Return how many lines of a sheet a part takes below its heading."""
    if part["kind"] == "rods":  # beside each other
        return max(
            _HEADING_LINES + len(wrap(rod["facts"], _LETTERS_A_LINE // 2)) + len(rod["bends"])
            for rod in part["rods"]
        )
    if part["kind"] == "alignment":
        return len(part["rows"]) + _HEADING_LINES + 1  # the table's own heading, what it is
    return sum(len(wrap(text, _LETTERS_A_LINE)) for text in part["lines"])


def _place(point: Sequence[float]) -> str:
    return ", ".join(f"{x:.1f}" for x in point)


def _span(levels: Sequence[str]) -> str:
    return f"{levels[0]} to {levels[-1]}" if len(levels) > 1 else "".join(levels)


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
