"""The implants as a DICOM Segmentation of the CT, written by a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from SpineImplantPlannerLib.jobs.plannerjobs import PlannerJobs
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_to_json
from spinemar.volume import GridGeometry
from SpineMARLib.jobrun import JobRun


def start(
    plannerJobs: PlannerJobs,
    plan: Plan,
    geometry: GridGeometry,
    folder: Path,
    sources: Sequence[str] = (),
    series: Callable[[Path], dict[str, Any]] | None = None,
) -> JobRun:
    """Start writing the implants as segments; the result is the files.

    Parameters
    ----------
    plannerJobs : PlannerJobs
    plan : Plan
    geometry : GridGeometry
        Of the CT.
    folder : Path
        New folder for the files.
    sources : sequence of str
        The DICOM files of the CT; none where it is not from DICOM.
    series : callable, optional
        Of `SpineMARLib.derivedseries.seriesOf`: a series that is to lie beside them.
    """

    def make(handed: Path) -> dict[str, Any]:
        return {
            "kind": "write-implants",
            "plan": plan_to_json(plan),
            "shape": list(geometry.shape),
            "ijk_to_ras": geometry.ijk_to_ras.tolist(),
            "catalogue": plannerJobs.catalogue,
            "sources": list(sources),
            "folder": str(folder),
            "series": None if series is None else series(handed),
        }

    def take(_handed: Path, facts: Mapping[str, Any]) -> list[Path]:
        return [Path(name) for name in facts["files"]]

    return plannerJobs.run(make, take)
