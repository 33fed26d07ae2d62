"""The job "sample-files": the sample CT and its labels, fetched the first time.

::

    {"schema": "spinemar-job/1", "kind": "sample-files"}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spinemar.jobs.engine.request import request_of
from spinemar.progress import CancelToken, Progress, ProgressCallback


@dataclass(frozen=True)
class SampleFilesRequest:
    """The job "sample-files"."""


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Return the paths of both files.

    Raises
    ------
    InputError
        If they are not there yet and cannot be fetched.
    """
    from spinemar.demo.sample_data import sample_ct, sample_labels

    request_of(SampleFilesRequest, job)
    progress(Progress("Sample CT", 0, 1))
    ct = sample_ct()
    cancel.raise_if_cancelled()
    return {"ct": str(ct), "labels": str(sample_labels())}
