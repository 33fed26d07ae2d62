"""The job "correct": one volume in, the corrected volume, its metal and its facts out.

::

    {"schema": "spinemar-job/1", "kind": "correct",
     "input": PATH or {"npy": ..., "ijk_to_ras": ...},
     "output": PATH (.npy for a raw array, else an image file),
     "metal_output": PATH.npy (optional), "stored_as": "int16" (optional, for .npy),
     "method": "auto", "metal_threshold_hu": null, "metal_mask": null or as input,
     "model": null or PATH, "device": "auto", "series": null or NUMBER,
     "allow_reformatted": false}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinemar.base.file_locks import output_lock
from spinemar.errors import InputError
from spinemar.jobs.engine.arrays import load_mask, load_volume, save_array, stored_like
from spinemar.progress import CancelToken, Progress, ProgressCallback

if TYPE_CHECKING:
    from spinemar.mar.result import CorrectionResult


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return everything about the result but its arrays."""
    output = _output(job)
    with output_lock(output):
        return _run(job, output, progress, cancel)


def _run(
    job: Mapping[str, Any], output: Path, progress: ProgressCallback, cancel: CancelToken
) -> dict[str, Any]:
    from spinemar.io.dicom.acquired import check_acquired
    from spinemar.mar.correct import correct_volume

    progress(Progress("Reading", 0, 1))
    volume = load_volume(job.get("input"), job.get("series"))
    if not job.get("allow_reformatted"):
        check_acquired(volume)
    mask = load_mask(job.get("metal_mask"), volume.geometry)
    progress(Progress("Reading", 1, 1))
    model = job.get("model")
    result = correct_volume(
        volume,
        method=job.get("method", "auto"),
        metal_threshold_hu=job.get("metal_threshold_hu"),
        metal_mask=mask,
        model=Path(model) if model else None,
        device=job.get("device", "auto"),
        progress=progress,
        cancel=cancel,
    )
    progress(Progress("Writing", 0, 1))
    cancel.raise_if_cancelled()
    _write(job, output, result)
    progress(Progress("Writing", 1, 1))
    return facts_of(result)


def facts_of(result: CorrectionResult) -> dict[str, Any]:
    """Everything about a correction as JSON: message, provenance, slices, seconds, metal."""
    return {
        **result.to_json(),
        "metal_voxels": int(result.metal_mask.sum()),
        "corrected": list(result.corrected),
        "left_alone": list(result.left_alone),
    }


def _output(job: Mapping[str, Any]) -> Path:
    value = job.get("output")
    if not isinstance(value, str) or not value:
        raise InputError("The job names no output.", "Give the path of the result.")
    return Path(value)


def _write(job: Mapping[str, Any], output: Path, result: CorrectionResult) -> None:
    from spinemar.io import write_volume

    if job.get("metal_output"):
        save_array(Path(job["metal_output"]), result.metal_mask.astype(np.uint8))
    if output.suffix == ".npy":
        save_array(output, stored_like(result.volume.hu, job.get("stored_as")))
    else:
        write_volume(output, result.volume)
