"""The job "plan-report": the HTML report of a plan with its pictures and tables.

::

    {"schema": "spinemar-job/1", "kind": "plan-report", "input": volume, "labels": {"npy": ...},
     "frames": PATH.json, "plan": plan JSON text, "catalogue": JSON text or null, "folder": PATH,
     "dicom": PATH of a file of the CT's series or null, "with_patient": false}
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
    dicom: Path | None = None
    with_patient: bool = False


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the path of the page."""
    from spinemar.io.study import Study, read_study
    from spinemar.planning.plans.plan_json import plan_from_json
    from spinemar.planning.report.page import plan_identity, write_plan_report

    asked = request_of(PlanReportRequest, job)
    progress(Progress("Reading", 0, 1))
    plan, study = plan_from_json(asked.plan), Study()
    if asked.dicom is not None:
        study = read_study(asked.dicom, with_patient=asked.with_patient)
    page = write_plan_report(
        asked.folder,
        plan,
        spine_of(asked.labels, asked.frames),
        load_volume(asked.input),
        catalogue_of(asked.catalogue),
        identity=plan_identity(plan, study),
        progress=progress,
        cancel=cancel,
    )
    return {"page": str(page)}
