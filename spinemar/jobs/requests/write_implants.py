"""The job "write-implants": a plan's implants as a DICOM Segmentation, perhaps beside a series.

::

    {"schema": "spinemar-job/1", "kind": "write-implants", "plan": plan JSON text,
     "shape": [k, j, i], "ijk_to_ras": 4x4, "catalogue": JSON text or null,
     "sources": [PATH, ...], "folder": NEW PATH, "series": null or {a "write-series" by name}}

The folder gets ``implants.dcm``, and the series' files where there is one; all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.jobs.engine.request import request_of
from spinemar.jobs.plan_context import catalogue_of
from spinemar.jobs.requests import write_series
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.volume import GridGeometry

FILE = "implants.dcm"
_Row = tuple[float, float, float, float]


@dataclass(frozen=True)
class WriteImplantsRequest:
    """The job "write-implants"."""

    plan: str
    shape: tuple[int, int, int]
    ijk_to_ras: tuple[_Row, _Row, _Row, _Row]
    folder: Path
    sources: tuple[Path, ...] = ()
    catalogue: str | None = None
    series: write_series.WriteSeriesRequest | None = None


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the files.

    Raises
    ------
    InputError
        If the folder exists already.
    """
    from spinemar.implants.marked import write_implants_segmentation
    from spinemar.planning.plans.plan_json import plan_from_json

    asked = request_of(WriteImplantsRequest, job)
    if asked.folder.exists():
        raise InputError(f"{asked.folder} exists already.", "Choose a new folder.")
    geometry = GridGeometry(asked.shape, np.array(asked.ijk_to_ras, dtype=np.float64))
    plan, catalogue = plan_from_json(asked.plan), catalogue_of(asked.catalogue)
    with atomic_path(asked.folder) as temporary:
        if asked.series is None:
            temporary.mkdir()
        else:
            series = asdict(asked.series) | {"folder": temporary}
            write_series.write(write_series.WriteSeriesRequest(**series), progress, cancel)
        progress(Progress("Marking the implants", 0, 1))
        write_implants_segmentation(
            temporary / FILE,
            plan,
            geometry,
            catalogue,
            asked.sources,
            description="Implants of a plan",
        )
        cancel.raise_if_cancelled()
        names = sorted(path.name for path in temporary.iterdir())
    progress(Progress("Marking the implants", 1, 1))
    return {"files": [str(asked.folder / name) for name in names]}
