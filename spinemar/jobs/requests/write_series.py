"""The job "write-series": a volume as a derived DICOM series in the study of its source.

::

    {"schema": "spinemar-job/1", "kind": "write-series",
     "input": {"npy": ..., "ijk_to_ras": ...}, "sources": [PATH, ...], "folder": NEW PATH,
     "description": "Metal artifacts reduced", "provenance": {...}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinemar.jobs.engine.arrays import handed_volume
from spinemar.jobs.engine.request import request_of
from spinemar.progress import CancelToken, ProgressCallback


@dataclass(frozen=True)
class WriteSeriesRequest:
    """The job "write-series"."""

    input: Mapping[str, Any]
    sources: tuple[Path, ...]
    folder: Path
    description: str = "Metal artifacts reduced"
    provenance: Mapping[str, Any] = field(default_factory=dict)


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the files, in slice order."""
    written = write(request_of(WriteSeriesRequest, job), progress, cancel)
    return {"files": [str(path) for path in written]}


def write(
    asked: WriteSeriesRequest, progress: ProgressCallback, cancel: CancelToken
) -> tuple[Path, ...]:
    """Write the series that was asked for; see `write_derived_series`."""
    from spinemar.io.dicom.export import write_derived_series

    return write_derived_series(
        handed_volume(asked.input),
        asked.sources,
        asked.folder,
        description=asked.description,
        provenance=asked.provenance,
        progress=progress,
        cancel=cancel,
    )
