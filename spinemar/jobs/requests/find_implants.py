"""The job "find-implants": a postoperative CT in; a plan of what lies in it, and the spine, out.

::

    {"schema": "spinemar-job/1", "kind": "find-implants",
     "input": PATH or {"npy": ..., "ijk_to_ras": ...}, "series": null or NUMBER,
     "corrected": null or likewise, "labels": null or {"npy": ...}, "frames": null or PATH.json,
     "earlier": null or {EarlierFiles by name}, "settings": {StudySettings by name},
     "planned": null or plan JSON text,
     "catalogue": JSON text or null, "plan_output": PATH.json, "table_output": null or PATH.csv,
     "labels_output": null or PATH.npy, "frames_output": null or PATH.json,
     "fields_folder": null or PATH}

Labels and frames are those of the scan; without them it is segmented, or those of the earlier CT
are taken. What was planned was so on the earlier CT: each screw says how far it lies from it. The
fields are the bone that the screws were graded in, finer than the labels, which lie on the scan's
grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import atomic_path
from spinemar.jobs.earlier_ct import EarlierFiles, read_earlier
from spinemar.jobs.engine.arrays import load_volume, save_array
from spinemar.jobs.engine.request import request_of
from spinemar.jobs.plan_context import catalogue_of, spine_of
from spinemar.jobs.requests.plan import save_field
from spinemar.planning.plans.plan_json import plan_from_json, write_plan
from spinemar.postop.study import StudySettings, study_after_operation
from spinemar.postop.table import deviations_of, grade_lines, implants_csv, implants_facts
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.spine.serial import spine_to_json


@dataclass(frozen=True)
class FindImplantsRequest:
    """The job "find-implants"."""

    input: Any
    plan_output: Path
    series: str | None = None
    corrected: Any = None
    labels: Any = None
    frames: Path | None = None
    earlier: EarlierFiles | None = None
    settings: StudySettings = field(default_factory=StudySettings)
    planned: str | None = None
    catalogue: str | None = None
    table_output: Path | None = None
    labels_output: Path | None = None
    frames_output: Path | None = None
    fields_folder: Path | None = None


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return each screw with its interval, and what is uncertain."""
    asked = request_of(FindImplantsRequest, job)
    progress(Progress("Reading", 0, 1))
    scan, correction = load_volume(asked.input, asked.series), asked.settings.correction
    earlier = None
    if asked.earlier is not None:
        earlier = read_earlier(asked.earlier, asked.input, asked.series, scan, correction)
    made = study_after_operation(
        scan,
        catalogue_of(asked.catalogue),
        asked.settings,
        corrected=None if asked.corrected is None else load_volume(asked.corrected),
        spine=None if asked.frames is None else spine_of(asked.labels, asked.frames),
        earlier=earlier,
        progress=progress,
        cancel=cancel,
    )
    cancel.raise_if_cancelled()
    if asked.labels_output is not None:
        save_array(asked.labels_output, made.bone.spine.labels.labels)
    if asked.frames_output is not None:
        _write(asked.frames_output, spine_to_json(made.bone.spine))
    deviations = None
    if asked.planned is not None:
        deviations = deviations_of(plan_from_json(asked.planned), made.found, made.bone)
    if asked.table_output is not None:
        _write(asked.table_output, implants_csv(made.found, deviations))
    folder, fields = asked.fields_folder, {}
    if folder is not None:
        fields = {n: save_field(folder / f"{n}.npy", one) for n, one in made.bone.fields.items()}
    write_plan(asked.plan_output, replace(made.found.plan, notes=grade_lines(made.found)))
    return implants_facts(made.found, deviations) | {
        "ijk_to_ras": made.bone.spine.labels.ijk_to_ras.tolist(),
        "levels_guessed": made.bone.levels_guessed,
        "fields": fields,
    }


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
