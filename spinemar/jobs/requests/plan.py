"""The job "plan": an automatic construct, with the bone fields that grading goes on with.

::

    {"schema": "spinemar-job/1", "kind": "plan",
     "input": volume, "labels": {"npy": ...}, "frames": PATH.json, "pelvis": null or {"npy": ...},
     "levels": ["T11", ...], "settings": {PlanSettings by name}, "locked": null or plan JSON text,
     "catalogue": JSON text or null, "plan_output": PATH.json, "fields_folder": PATH or null}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.array_files import load_npy
from spinemar.jobs.engine.arrays import load_volume, save_array
from spinemar.jobs.engine.request import request_of
from spinemar.jobs.plan_context import catalogue_of, spine_of
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.grades.pelvic_bone import PelvicField, landmark_facts
from spinemar.planning.plans.plan_json import plan_from_json, write_plan
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.spine.model import VertebraFrame


@dataclass(frozen=True)
class PlanRequest:
    """The job "plan"."""

    labels: Any
    frames: Path
    levels: tuple[str, ...]
    plan_output: Path
    input: Any = None
    pelvis: Any = None
    settings: PlanSettings = field(default_factory=PlanSettings)
    locked: str | None = None
    catalogue: str | None = None
    fields_folder: Path | None = None


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the warnings, and where the bone fields lie."""
    asked = request_of(PlanRequest, job)
    progress(Progress("Reading", 0, 1))
    volume = None if asked.input is None else load_volume(asked.input)
    made = plan_with_alternatives(
        spine_of(asked.labels, asked.frames, volume, asked.pelvis),
        volume,
        asked.levels,
        catalogue_of(asked.catalogue),
        asked.settings,
        locked=None if asked.locked is None else plan_from_json(asked.locked),
        progress=progress,
        cancel=cancel,
    )
    folder, fields = asked.fields_folder, {}
    if folder is not None:
        fields = {n: save_field(folder / f"{n}.npy", field) for n, field in made.fields.items()}
    write_plan(asked.plan_output, made.plan)
    return {"warnings": list(made.plan.warnings), "fields": fields}


def save_field(path: Path, field: BoneField) -> dict[str, Any]:
    """Write a bone field and return what `read_field` needs; the frame comes from the spine."""
    save_array(path, field.values)
    named: dict[str, Any] = {
        "npy": str(path), "first_local": field.first_local.tolist(), "step_mm": field.step_mm
    }  # fmt: skip
    if isinstance(field, PelvicField):
        parts = path.with_name(f"{path.stem}-parts.npy")
        save_array(parts, field.parts)
        named |= {"parts": str(parts), **landmark_facts(field)}
    return named


def read_field(named: Mapping[str, Any], frame: VertebraFrame) -> BoneField:
    """Read what `save_field` wrote."""
    values, first = load_npy(Path(named["npy"])), np.array(named["first_local"])
    step_mm = float(named["step_mm"])
    if "parts" not in named:
        return BoneField(values, first, frame, step_mm)
    notches, heads = (
        {side: np.array(place) for side, place in named[what].items()}
        for what in ("notches", "heads")
    )
    parts = load_npy(Path(named["parts"]))
    return PelvicField(values, first, frame, step_mm, parts, notches, heads)
