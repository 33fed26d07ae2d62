"""The job "plan-report": the HTML report of a plan with its pictures and tables.

::

    {"schema": "spinemar-job/1", "kind": "plan-report", "input": volume, "labels": {"npy": ...},
     "frames": PATH.json, "plan": plan JSON text, "catalogue": JSON text or null, "folder": PATH}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinemar.jobs.engine.arrays import load_volume
from spinemar.jobs.engine.request import request_of
from spinemar.jobs.plan_context import catalogue_of, spine_of
from spinemar.progress import CancelToken, Progress, ProgressCallback


@dataclass(frozen=True)
class PlanReportRequest:
    """The job "plan-report"."""

    input: Any
    labels: Any
    frames: Path
    plan: str
    folder: Path
    catalogue: str | None = None


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the path of the page."""
    from spinemar.planning.plans.plan_json import plan_from_json
    from spinemar.planning.report.page import write_plan_report

    asked = request_of(PlanReportRequest, job)
    progress(Progress("Reading", 0, 1))
    page = write_plan_report(
        asked.folder,
        plan_from_json(asked.plan),
        spine_of(asked.labels, asked.frames),
        load_volume(asked.input),
        catalogue_of(asked.catalogue),
        progress=progress,
        cancel=cancel,
    )
    return {"page": str(page)}
