"""The job "segment-spine": a CT, or someone's labels of it, in; VerSe labels and frames out.

::

    {"schema": "spinemar-job/1", "kind": "segment-spine",
     "input": PATH or {"npy": ..., "ijk_to_ras": ...},
     "labels": null or {"npy": ..., "ijk_to_ras": ...} or
               {"pieces": [{"npy": ..., "ijk_to_ras": ..., "values": {"1": 20, ...}}, ...],
                "shape": [k, j, i], "ijk_to_ras": ...},
     "naming": "auto" or {"3": "L1", ...},
     "first_level": null or "T1", "seeds": null or {"L1": [r, a, s]},
     "frames": null or PATH.json, "refit": ["L1", ...], "correct": null or ["L1", [r, a, s]],
     "before": null or {"npy": ..., "ijk_to_ras": ...},
     "pelvis": null, or hips and lower sacrum as "labels" are given,
     "pelvis_output": null or PATH.npy,
     "labels_output": PATH.npy, "frames_output": PATH.json}

With "frames", the labels are of the spine that they belong to, and only what the user changed is
done again: the frames of the levels in "refit", or the vertebra "correct" from a point in its body.
With "before", the labels as they were, the levels to refit are those whose voxels differ; "edited"
of the result names them, and where there are none nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.base.json_text import read_text
from spinemar.errors import InputError
from spinemar.jobs.engine.arrays import load_labels, load_volume, save_array
from spinemar.jobs.engine.request import request_of
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.spine.model import SpineModel
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import CTVolume, LabelVolume

_PointRas = tuple[float, float, float]


@dataclass(frozen=True)
class SegmentSpineRequest:
    """The job "segment-spine"."""

    labels_output: Path
    frames_output: Path
    input: Any = None
    labels: Any = None
    naming: str | Mapping[str, str] = "auto"
    first_level: str | None = None
    seeds: Mapping[str, _PointRas] | None = None
    frames: Path | None = None
    refit: tuple[str, ...] = ()
    correct: tuple[str, _PointRas] | None = None
    before: Any = None
    pelvis: Any = None
    pelvis_output: Path | None = None


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the levels and what is uncertain about them."""
    asked = request_of(SegmentSpineRequest, job)
    progress(Progress("Reading", 0, 1))
    labels = load_labels(asked.labels)
    edited = _edited_levels(asked, labels)
    if edited == ():
        return {"edited": []}
    hips = _kept_pelvis(asked)
    spine = _spine(asked, labels, edited or asked.refit, progress, cancel)
    cancel.raise_if_cancelled()
    save_array(asked.labels_output, spine.labels.labels)
    with atomic_path(asked.frames_output) as temporary:
        temporary.write_text(spine_to_json(spine), encoding="utf-8")
    return {
        **hips,
        "edited": list(edited or ()),
        "levels": list(spine.levels),
        "ijk_to_ras": spine.labels.ijk_to_ras.tolist(),
        "confidence": {v.level: float(v.confidence) for v in spine.vertebrae},
        "warnings": [text for v in spine.vertebrae for text in v.warnings],
    }


def _kept_pelvis(asked: SegmentSpineRequest) -> dict[str, Any]:
    """Write hips and lower sacrum of the segmentation, cut out of it; return where they lie."""
    from spinemar.spine.labels.pelvic_parts import checked_parts

    given = load_labels(asked.pelvis)
    parts = None if given is None else checked_parts(given)
    if parts is None or asked.pelvis_output is None:
        return {}
    save_array(asked.pelvis_output, parts.labels)
    return {"pelvis_ijk_to_ras": parts.ijk_to_ras.tolist()}


def _edited_levels(
    asked: SegmentSpineRequest, labels: LabelVolume | None
) -> tuple[str, ...] | None:
    """Return the levels that differ from how they were; None where nobody asks."""
    from spinemar.spine.editing import changed_levels

    before = load_labels(asked.before)
    return None if before is None or labels is None else changed_levels(before, labels)


def _spine(
    asked: SegmentSpineRequest,
    labels: LabelVolume | None,
    refit: Sequence[str],
    progress: ProgressCallback,
    cancel: CancelToken,
) -> SpineModel:
    volume = None if asked.input is None else load_volume(asked.input)
    if labels is not None and asked.frames is not None:
        from spinemar.spine.editing import correct_vertebra, refit_vertebrae

        model = spine_from_json(read_text(asked.frames, "job's file of frames"), labels)
        if asked.correct is not None:
            level, point = asked.correct
            return correct_vertebra(
                _required(volume), model, level, point, progress=progress, cancel=cancel
            )
        return refit_vertebrae(volume, model, labels, refit, progress=progress, cancel=cancel)
    seeds = {level: np.asarray(point) for level, point in (asked.seeds or {}).items()}
    if labels is not None:
        from spinemar.spine.providers import spine_from_segmentation

        return spine_from_segmentation(
            labels,
            volume,
            naming=_naming(asked.naming),
            first_level=asked.first_level,
            seeds=seeds or None,
            progress=progress,
            cancel=cancel,
        )
    from spinemar.spine.segmentation.segment import segment_spine

    return segment_spine(
        _required(volume),
        first_level=asked.first_level,
        seeds=seeds or None,
        progress=progress,
        cancel=cancel,
    )


def _required(volume: CTVolume | None) -> CTVolume:
    if volume is None:
        raise InputError("The job names no input.", "Give the CT.")
    return volume


def _naming(asked: str | Mapping[str, str]) -> str | dict[int, str]:
    if isinstance(asked, str):
        return asked
    if not all(number.isdecimal() for number in asked):
        raise InputError("The job's naming is no table.", "Give names by label value.")
    return {int(number): name for number, name in asked.items()}
