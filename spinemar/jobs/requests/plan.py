"""The job "plan": an automatic construct, with the bone fields that grading goes on with.

::

    {"schema": "spinemar-job/1", "kind": "plan",
     "input": volume, "labels": {"npy": ...}, "frames": PATH.json,
     "levels": ["T11", ...], "settings": {PlanSettings by name}, "locked": null or plan JSON text,
     "catalogue": JSON text or null, "plan_output": PATH.json, "fields_folder": PATH or null}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.json_records import build_record
from spinemar.jobs.engine.arrays import load_volume, save_array
from spinemar.jobs.plan_context import catalogue_of, spine_of
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.plans.plan_json import plan_from_json, write_plan
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.spine.model import VertebraFrame


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the warnings and the alternatives of every screw."""
    progress(Progress("Reading", 0, 1))
    volume = None if job.get("input") is None else load_volume(job["input"])
    locked = plan_from_json(job["locked"]) if job.get("locked") else None
    made = plan_with_alternatives(
        spine_of(job),
        volume,
        list(job.get("levels") or ()),
        catalogue_of(job),
        settings_of(job.get("settings")),
        locked=locked,
        progress=progress,
        cancel=cancel,
    )
    kept = {}
    if job.get("fields_folder"):
        folder = Path(job["fields_folder"])
        kept = {n: save_field(folder / f"{n}.npy", field) for n, field in made.fields.items()}
    write_plan(Path(job["plan_output"]), made.plan)
    alternatives = {
        name: [
            {
                "entry": t.entry.tolist(),
                "tip": t.tip.tolist(),
                "diameter_mm": t.diameter_mm,
                "length_mm": t.length_mm,
                "score": float(t.score),
            }
            for t in offers
        ]
        for name, offers in made.alternatives.items()
    }
    return {"warnings": list(made.plan.warnings), "alternatives": alternatives, "fields": kept}


def settings_of(values: Mapping[str, Any] | None) -> PlanSettings:
    """Read the settings of a plan; unknown names are refused.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    return build_record(PlanSettings, values or {}, "plan's settings", remedy="Correct the job.")


def save_field(path: Path, field: BoneField) -> dict[str, Any]:
    """Write a bone field and return what `read_field` needs; the frame comes from the spine."""
    save_array(path, field.values)
    return {
        "npy": str(path), "first_local": field.first_local.tolist(), "step_mm": field.step_mm
    }  # fmt: skip


def read_field(named: Mapping[str, Any], frame: VertebraFrame) -> BoneField:
    """Read what `save_field` wrote."""
    values = np.load(named["npy"], allow_pickle=False)
    return BoneField(values, np.array(named["first_local"]), frame, float(named["step_mm"]))
