"""Finding the implants of a postoperative CT, in the background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SpineImplantPlannerLib.jobs.handing import Ct, giveSpine, readSpine
from SpineImplantPlannerLib.jobs.plannerjobs import PlannerJobs
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import read_plan
from spinemar.spine.model import SpineModel
from SpineMARLib.jobrun import JobRun, handOver


@dataclass(frozen=True)
class Found:
    """What lies in a postoperative CT: a plan of it, and the spine it is graded in."""

    plan: Plan
    spine: SpineModel


def start(
    plannerJobs: PlannerJobs,
    ct: Ct,
    earlier: Ct | None = None,
    spine: SpineModel | None = None,
    settings: Mapping[str, Any] | None = None,
) -> JobRun:
    """Start correcting a CT and finding the screws and rods in it; the result is `Found`.

    Parameters
    ----------
    plannerJobs : PlannerJobs
    ct : Ct
    earlier : Ct, optional
        Of the same patient, from before the operation: screws are graded in its bone.
    spine : SpineModel, optional
        Vertebrae of this CT to grade in; by default the corrected CT is segmented.
    settings : mapping, optional
        `spinemar.postop.study.StudySettings` by name.
    """

    def make(folder: Path) -> dict[str, Any]:
        before = None
        if earlier is not None:
            before = {"ct": handOver(folder, "earlier", earlier.voxels, earlier.ijkToRas)}
        return {
            "kind": "find-implants", "input": handOver(folder, "ct", ct.voxels, ct.ijkToRas),
            **({} if spine is None else giveSpine(folder, spine)), "earlier": before,
            "settings": dict(settings or {}), "catalogue": plannerJobs.catalogue,
            "plan_output": str(folder / "found.json"),
            "labels_output": str(folder / "found.npy"),
            "frames_output": str(folder / "found-frames.json"),
        }  # fmt: skip

    def take(folder: Path, facts: Mapping[str, Any]) -> Found:
        plan = read_plan(folder / "found.json")
        return Found(plan, readSpine(folder, "found.npy", "found-frames.json", facts))

    return plannerJobs.run(make, take)
