"""The job "segment-spine": a CT, or someone's labels of it, in; VerSe labels and frames out.

::

    {"schema": "spinemar-job/1", "kind": "segment-spine",
     "input": PATH or {"npy": ..., "ijk_to_ras": ...},
     "labels": null or {"npy": ..., "ijk_to_ras": ...}, "naming": "auto" or {"3": "L1", ...},
     "first_level": null or "T1", "seeds": null or {"L1": [r, a, s]},
     "frames": null or PATH.json, "refit": ["L1", ...], "correct": null or ["L1", [r, a, s]],
     "labels_output": PATH.npy, "frames_output": PATH.json}

With "frames", the labels are of the spine that they belong to, and only what the user changed is
done again: the frames of the levels in "refit", or the vertebra "correct" from a point in its body.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.jobs.engine.arrays import load_labels, load_volume, save_array
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.spine.model import SpineModel
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import CTVolume, LabelVolume


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the levels and what is uncertain about them."""
    progress(Progress("Reading", 0, 1))
    spine = _spine(job, progress, cancel)
    cancel.raise_if_cancelled()
    save_array(Path(job["labels_output"]), spine.labels.labels)
    with atomic_path(Path(job["frames_output"])) as temporary:
        temporary.write_text(spine_to_json(spine), encoding="utf-8")
    return {
        "levels": list(spine.levels),
        "ijk_to_ras": spine.labels.ijk_to_ras.tolist(),
        "confidence": {v.level: float(v.confidence) for v in spine.vertebrae},
        "warnings": [text for v in spine.vertebrae for text in v.warnings],
    }


def _spine(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> SpineModel:
    labels = load_labels(job.get("labels"))
    volume = None if job.get("input") is None else load_volume(job["input"])
    if labels is not None and job.get("frames"):
        return _edited(job, labels, volume, progress, cancel)
    seeds = {str(k): np.asarray(v, float) for k, v in (job.get("seeds") or {}).items()}
    if labels is not None:
        from spinemar.spine.providers import spine_from_segmentation

        return spine_from_segmentation(
            labels,
            volume,
            naming=_naming(job.get("naming")),
            first_level=job.get("first_level"),
            seeds=seeds or None,
            progress=progress,
            cancel=cancel,
        )
    from spinemar.spine.segmentation.segment import segment_spine

    return segment_spine(
        _required(volume),
        first_level=job.get("first_level"),
        seeds=seeds or None,
        progress=progress,
        cancel=cancel,
    )


def _edited(
    job: Mapping[str, Any],
    labels: LabelVolume,
    volume: CTVolume | None,
    progress: ProgressCallback,
    cancel: CancelToken,
) -> SpineModel:
    from spinemar.spine.editing import correct_vertebra, refit_vertebrae

    model = spine_from_json(Path(job["frames"]).read_text(encoding="utf-8"), labels)
    if job.get("correct"):
        level, point = job["correct"]
        return correct_vertebra(
            _required(volume), model, str(level), point, progress=progress, cancel=cancel
        )
    levels = [str(level) for level in job.get("refit") or ()]
    return refit_vertebrae(volume, model, labels, levels, progress=progress, cancel=cancel)


def _required(volume: CTVolume | None) -> CTVolume:
    if volume is None:
        raise InputError("The job names no input.", "Give the CT.")
    return volume


def _naming(value: Any) -> str | dict[int, str]:
    if value is None or isinstance(value, str):
        return value or "auto"
    if not isinstance(value, Mapping):
        raise InputError("The job's naming is no table.", "Give names by label value.")
    return {int(number): str(name) for number, name in value.items()}
