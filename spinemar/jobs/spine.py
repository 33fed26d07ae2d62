"""The job "segment-spine": a CT, or someone's labels of it, in; VerSe labels and frames out.

::

    {"schema": "spinemar-job/1", "kind": "segment-spine",
     "input": PATH or {"npy": ..., "ijk_to_ras": ...},
     "labels": null or {"npy": ..., "ijk_to_ras": ...}, "naming": "auto" or {"3": "L1", ...},
     "first_level": null or "T1", "seeds": null or {"L1": [r, a, s]},
     "labels_output": PATH.npy, "frames_output": PATH.json}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.errors import InputError
from spinemar.files import atomic_path
from spinemar.jobs.arrays import load_labels, load_volume, save_array
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.spine.model import SpineModel


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the levels and what is uncertain about them."""
    progress(Progress("Reading", 0, 1))
    spine = _spine(job, progress, cancel)
    cancel.raise_if_cancelled()
    save_array(Path(job["labels_output"]), spine.labels.labels)
    with atomic_path(Path(job["frames_output"])) as temporary:
        temporary.write_text(spine.to_json(), encoding="utf-8")
    return {
        "levels": list(spine.levels),
        "ijk_to_ras": spine.labels.ijk_to_ras.tolist(),
        "confidence": {v.level: float(v.confidence) for v in spine.vertebrae},
        "warnings": [text for v in spine.vertebrae for text in v.warnings],
    }


def _spine(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> SpineModel:
    labels = load_labels(job.get("labels"))
    if labels is not None:
        from spinemar.spine.frames import frames_from_labels

        volume = None if job.get("input") is None else load_volume(job["input"])
        return frames_from_labels(
            labels, volume, naming=_naming(job.get("naming")), progress=progress, cancel=cancel
        )
    from spinemar.spine.segment import segment_spine

    seeds = {str(k): np.asarray(v, float) for k, v in (job.get("seeds") or {}).items()}
    return segment_spine(
        load_volume(job.get("input")),
        first_level=job.get("first_level"),
        seeds=seeds or None,
        progress=progress,
        cancel=cancel,
    )


def _naming(value: Any) -> str | dict[int, str]:
    if value is None or isinstance(value, str):
        return value or "auto"
    if not isinstance(value, Mapping):
        raise InputError("The job's naming is no table.", "Give names by label value.")
    return {int(number): str(name) for number, name in value.items()}
