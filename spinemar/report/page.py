"""Put a report together and write it: one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spinemar import __version__
from spinemar.base.atomic_files import atomic_path, full_path
from spinemar.base.extras import require
from spinemar.errors import InputError
from spinemar.pages import template
from spinemar.report.chart import line_chart
from spinemar.report.content import ReportContent
from spinemar.report.pictures import reformats, sinogram_row, slice_groups
from spinemar.report.tables import (
    METRICS,
    bias_metrics,
    known_metrics,
    named_scores,
    provenance_rows,
    score_table,
    slice_table,
    true_metal_metrics,
)

REPORT_NAME = "report.html"
_TEMPLATE = "report.html.j2"


def check_report_tools() -> None:
    """Refuse before the work starts, not after it, where a report cannot be made.

    Raises
    ------
    InputError
        If a package is missing; the message names it.
    """
    require("A report", "jinja2", "PIL")


def write_report(folder: str | Path, content: ReportContent) -> Path:
    """Write `report.html` into a folder, which is made if needed.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    InputError
        If the folder cannot be made, or a package is missing.
    """
    check_report_tools()
    target = full_path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The folder {target} cannot be made ({error.strerror}).", "Choose another one."
        ) from error
    page = render(content)
    with atomic_path(target / REPORT_NAME) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target / REPORT_NAME


def render(content: ReportContent) -> str:
    """Return the report as HTML text."""
    return template.render(Path(__file__).parent / _TEMPLATE, _facts(content))


def _facts(content: ReportContent) -> dict[str, Any]:
    named = named_scores(content)
    headings, rows = slice_table(content)
    metal = known_metrics(true_metal_metrics(), [scores for _, scores in named])
    groups = (METRICS, bias_metrics(), metal)
    chart = line_chart(
        {name: [(s.index + 1, s.rmse_hu) for s in scores.slices] for name, scores in named},
        "Slice",
        "RMSE, HU",
    )
    return {
        "title": content.title,
        "introduction": content.introduction,
        "summary": [f"{c.name}: {c.result.message}" for c in content.corrected],
        "tables": [score_table(named, m) for m in groups if m] if named else [],
        "chart": chart,
        "groups": slice_groups(content),
        "reformats": reformats(content),
        "sinogram": sinogram_row(content),
        "slice_headings": headings,
        "slice_rows": rows,
        "final_name": content.corrected[-1].name,
        "provenance": provenance_rows(content),
        "version": __version__,
    }
