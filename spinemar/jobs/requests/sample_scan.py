"""The job "sample-scan": the sample CT scanned with implants, and without them (the truth).

::

    {"schema": "spinemar-job/1", "kind": "sample-scan", "folder": PATH}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import made_folder
from spinemar.jobs.engine.request import request_of
from spinemar.progress import CancelToken, Progress, ProgressCallback

SCAN, TRUTH = "scan.nrrd", "truth.nrrd"


@dataclass(frozen=True)
class SampleScanRequest:
    """The job "sample-scan"."""

    folder: Path


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Simulate, and write both volumes into the folder.

    Raises
    ------
    InputError
        If the folder cannot be made.
    """
    from spinemar.demo.run import sample_plan, scan_patient
    from spinemar.demo.sample_data import sample_ct
    from spinemar.io import read_volume, write_volume
    from spinemar.physics.scanner_settings import ScannerSettings

    folder = made_folder(request_of(SampleScanRequest, job).folder)
    progress(Progress("Sample CT", 0, 1))
    patient = read_volume(sample_ct())
    progress(Progress("Sample CT", 1, 1))
    cancel.raise_if_cancelled()
    scan = scan_patient(patient, sample_plan(), ScannerSettings(), progress, cancel)
    assert scan.truth is not None
    write_volume(folder / TRUTH, scan.truth)
    write_volume(folder / SCAN, scan.volume)
    return {"scan": str(folder / SCAN), "truth": str(folder / TRUTH)}
