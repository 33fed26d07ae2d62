"""The job "spine-surfaces": closed surfaces of the vertebrae, for 3-D views.

::

    {"schema": "spinemar-job/1", "kind": "spine-surfaces", "labels": {"npy": ...},
     "output": PATH.npz}

The output holds `LEVEL_points`, RAS mm of shape (n, 3), and `LEVEL_triangles` of shape (m, 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.jobs.engine.arrays import load_labels
from spinemar.jobs.engine.request import request_of
from spinemar.progress import CancelToken, Progress, ProgressCallback

# Coarse enough to be quick, fine enough for a translucent view.
_STEP_MM = 1.2


@dataclass(frozen=True)
class SpineSurfacesRequest:
    """The job "spine-surfaces"."""

    labels: Any
    output: Path


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the levels that have a surface.

    Raises
    ------
    InputError
        If the job names no labels.
    """
    from spinemar.spine.drawing.surfaces import vertebra_surface
    from spinemar.spine.labels.boxes import label_boxes
    from spinemar.spine.labels.levels import VERSE_IDS

    asked = request_of(SpineSurfacesRequest, job)
    labels = load_labels(asked.labels)
    if labels is None:
        raise InputError("The job names no labels.", "Segment the spine first.")
    there = label_boxes(labels.labels)
    levels = [level for level, number in VERSE_IDS.items() if number in there]
    arrays: dict[str, Any] = {}
    for n, level in enumerate(levels):
        cancel.raise_if_cancelled()
        progress(Progress("Surfaces", n, len(levels)))
        surface = vertebra_surface(labels, VERSE_IDS[level], _STEP_MM)
        arrays[f"{level}_points"] = surface.points.astype(np.float32)
        arrays[f"{level}_triangles"] = surface.triangles.astype(np.int32)
    with atomic_path(asked.output) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)
    return {"levels": levels}
