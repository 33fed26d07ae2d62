"""The job "outline-pelvis": sacrum and hips of a CT, which screws into the ilium are graded in.

::

    {"schema": "spinemar-job/1", "kind": "outline-pelvis", "input": volume,
     "labels": {"npy": ...}, "frames": PATH.json, "pelvis": null or {"npy": ...},
     "fields_folder": PATH}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinemar.implants.placement import PELVIS
from spinemar.jobs.engine.arrays import load_volume
from spinemar.jobs.engine.request import request_of
from spinemar.jobs.plan_context import spine_of
from spinemar.jobs.requests.plan import save_field
from spinemar.progress import CancelToken, Progress, ProgressCallback


@dataclass(frozen=True)
class OutlinePelvisRequest:
    """The job "outline-pelvis"."""

    input: Any
    labels: Any
    frames: Path
    fields_folder: Path
    pelvis: Any = None


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return where the field lies.

    Raises
    ------
    InputError
        If S1 has no frame, no hip was found beside it, or hips that are given do not fit the CT.
    """
    from spinemar.planning.grades.pelvic_bone import pelvic_field

    asked = request_of(OutlinePelvisRequest, job)
    progress(Progress("Reading", 0, 2))
    volume = load_volume(asked.input)
    spine = spine_of(asked.labels, asked.frames, pelvis=asked.pelvis)
    cancel.raise_if_cancelled()
    progress(Progress("Outlining the hips", 1, 2))
    field = pelvic_field(spine, volume)
    return {"field": save_field(asked.fields_folder / f"{PELVIS}.npy", field)}
