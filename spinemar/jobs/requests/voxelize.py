"""The job "voxelize": the implants of a plan as volume fractions on a CT's grid.

::

    {"schema": "spinemar-job/1", "kind": "voxelize", "plan": plan JSON text,
     "shape": [k, j, i], "ijk_to_ras": 4x4, "catalogue": JSON text or null, "folder": PATH}

Each material becomes ``FOLDER/N.npy``, cropped to where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.boxes import bounding_box
from spinemar.jobs.engine.arrays import save_array
from spinemar.jobs.engine.request import request_of
from spinemar.jobs.plan_context import catalogue_of
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.volume import GridGeometry

_Row = tuple[float, float, float, float]


@dataclass(frozen=True)
class VoxelizeRequest:
    """The job "voxelize"."""

    plan: str
    shape: tuple[int, int, int]
    ijk_to_ras: tuple[_Row, _Row, _Row, _Row]
    folder: Path
    catalogue: str | None = None


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return file and first voxel (k, j, i) of each material."""
    from spinemar.implants.voxelize import refuse_all_outside, voxelize_plan
    from spinemar.planning.plans.plan_json import plan_from_json

    asked = request_of(VoxelizeRequest, job)
    progress(Progress("Putting in the implants", 0, 1))
    geometry = GridGeometry(asked.shape, np.array(asked.ijk_to_ras, dtype=np.float64))
    found = voxelize_plan(plan_from_json(asked.plan), geometry, catalogue_of(asked.catalogue))
    refuse_all_outside(found)
    cancel.raise_if_cancelled()
    materials = {}
    for number, (name, fraction) in enumerate(found.items()):
        cut = bounding_box(fraction > 0)
        if cut is None:
            continue
        path = asked.folder / f"{number}.npy"
        save_array(path, np.ascontiguousarray(fraction[cut]))
        materials[name] = {"npy": str(path), "first": [part.start for part in cut]}
    progress(Progress("Putting in the implants", 1, 1))
    return {"materials": materials}
