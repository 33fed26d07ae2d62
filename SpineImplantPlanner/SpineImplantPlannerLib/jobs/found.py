"""Finding the implants of a postoperative CT, in the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from SpineImplantPlannerLib.jobs.handing import Ct, giveSpine, readSpine
from SpineImplantPlannerLib.jobs.plannerjobs import PlannerJobs
from spinemar.jobs.requests.plan import read_field
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_to_json, read_plan
from spinemar.spine.model import SpineModel
from SpineMARLib.jobrun import JobRun, handOver


@dataclass(frozen=True)
class Found:
    """What lies in a postoperative CT.

    Parameters
    ----------
    plan : Plan
    spine : SpineModel
        That it is graded in.
    fields : mapping of str to BoneField
        The bone that the grades are from, by level; finer than the spine's labels.
    rows : sequence of mapping
        What is said of each screw, as `spinemar.postop.table.implants_facts` has it.
    notFound, notPlanned : sequence of str
        Ids of screws that only the operation's plan has, and that only the result has.
    levelsGuessed : bool
        Whether nothing in the CT tells which vertebrae these are.
    """

    plan: Plan
    spine: SpineModel
    fields: Mapping[str, BoneField] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    notFound: Sequence[str] = ()
    notPlanned: Sequence[str] = ()
    levelsGuessed: bool = False


def start(
    plannerJobs: PlannerJobs,
    ct: Ct,
    earlier: Ct | None = None,
    spine: SpineModel | None = None,
    settings: Mapping[str, Any] | None = None,
    planned: Plan | None = None,
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
    planned : Plan, optional
        The operation's plan, made on the earlier CT.
    """

    def make(folder: Path) -> dict[str, Any]:
        before = None
        if earlier is not None:
            before = {"ct": handOver(folder, "earlier", earlier.voxels, earlier.ijkToRas)}
        (folder / "fields").mkdir()
        return {
            "kind": "find-implants", "input": handOver(folder, "ct", ct.voxels, ct.ijkToRas),
            **({} if spine is None else giveSpine(folder, spine)), "earlier": before,
            "settings": dict(settings or {}), "catalogue": plannerJobs.catalogue,
            "planned": None if planned is None else plan_to_json(planned),
            "fields_folder": str(folder / "fields"),
            "plan_output": str(folder / "found.json"),
            "labels_output": str(folder / "found.npy"),
            "frames_output": str(folder / "found-frames.json"),
        }  # fmt: skip

    def take(folder: Path, facts: Mapping[str, Any]) -> Found:
        spine = readSpine(folder, "found.npy", "found-frames.json", facts)
        return Found(
            read_plan(folder / "found.json"),
            spine,
            {
                level: read_field(named, spine.vertebra(level))
                for level, named in facts["fields"].items()
            },
            facts["screws"],
            facts.get("planned_not_found", ()),
            facts.get("found_not_planned", ()),
            facts["levels_guessed"],
        )

    return plannerJobs.run(make, take)
