"""The job "plan-report": the HTML report of a plan with its pictures and tables.

::

    {"schema": "spinemar-job/1", "kind": "plan-report", "input": volume, "labels": {"npy": ...},
     "frames": PATH.json, "plan": plan JSON text, "catalogue": JSON text or null, "folder": PATH}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinemar.jobs.engine.arrays import load_volume
from spinemar.jobs.plan_context import catalogue_of, spine_of
from spinemar.progress import CancelToken, Progress, ProgressCallback


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the path of the page."""
    from spinemar.planning.plans.plan_json import plan_from_json
    from spinemar.planning.report.page import write_plan_report

    progress(Progress("Reading", 0, 1))
    page = write_plan_report(
        Path(str(job["folder"])),
        plan_from_json(str(job.get("plan"))),
        spine_of(job),
        load_volume(job.get("input")),
        catalogue_of(job),
        progress=progress,
        cancel=cancel,
    )
    return {"page": str(page)}
