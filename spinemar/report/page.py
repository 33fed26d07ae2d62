"""Put a report together and write it: one HTML file that needs no network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from spinemar import __version__
from spinemar.base.atomic_files import atomic_path, made_folder
from spinemar.base.extras import require
from spinemar.pages import template
from spinemar.pages.identity import Identity, content_hash
from spinemar.report.content import ReportContent
from spinemar.report.sheets import sheets_of
from spinemar.report.warnings import warnings_of

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
    target = made_folder(folder)
    page = render(content)
    with atomic_path(target / REPORT_NAME) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target / REPORT_NAME


def render(content: ReportContent) -> str:
    """Return the report as HTML text."""
    sheets = sheets_of(content)
    facts = {
        "title": content.title,
        "introduction": content.introduction,
        "identity": _identity(content),
        "warnings": warnings_of(content),
        "summary": [f"{c.name}: {c.result.message}" for c in content.corrected],
        "sheets": sheets,
        "version": __version__,
    }
    return template.render(Path(__file__).parent / _TEMPLATE, facts)


def _identity(content: ReportContent) -> Identity:
    volume, study = content.corrected[-1].result.volume, content.study
    digest = hashlib.sha256(volume.ijk_to_ras.astype("<f8").tobytes())
    for hu in volume.hu:
        digest.update(np.rint(hu).astype("<i4").tobytes())
    return Identity(
        "Result", content_hash(digest.hexdigest()), study.series, study.study_date, study.patient
    )
