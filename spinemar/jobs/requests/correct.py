"""The job "correct": one volume in, the corrected volume, its metal and its facts out.

::

    {"schema": "spinemar-job/1", "kind": "correct",
     "input": PATH or {"npy": ..., "ijk_to_ras": ...},
     "output": PATH (.npy for a raw array, else an image file),
     "metal_output": PATH.npy (optional), "stored_as": "int16" (optional, for .npy),
     "metal_mask": null or as input, "metal_plan": null or plan JSON text,
     "series": null or NUMBER,
     "earlier": null or {"ct": as input, "series": null or NUMBER, "labels": null or as input,
                         "transforms": null or PATH.json},
     "agreement_output": PATH.npy (optional; percent, uint8),
     "registered_output": PATH.npy (optional; the earlier CT on the scan's grid, int16 HU),
     "uncertainty_output": PATH.npy (optional; how far each value may be off, int16 HU),
     "settings": {CorrectionSettings by name}}

Known metal is a mask, or the implants of a plan, drawn on the input's grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.file_locks import output_lock
from spinemar.errors import InputError
from spinemar.jobs.earlier_ct import EarlierFiles, read_earlier
from spinemar.jobs.engine.arrays import load_mask, load_volume, save_array, stored_like
from spinemar.jobs.engine.request import request_of
from spinemar.mar.settings import CorrectionSettings
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.volume import GridGeometry

if TYPE_CHECKING:
    from spinemar.mar.result import CorrectionResult


@dataclass(frozen=True)
class CorrectRequest:
    """The job "correct"."""

    input: Any
    output: Path
    metal_output: Path | None = None
    stored_as: str | None = None
    metal_mask: Any = None
    metal_plan: str | None = None
    series: str | None = None
    earlier: EarlierFiles | None = None
    agreement_output: Path | None = None
    registered_output: Path | None = None
    uncertainty_output: Path | None = None
    settings: CorrectionSettings = field(default_factory=CorrectionSettings)


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return everything about the result but its arrays."""
    asked = request_of(CorrectRequest, job)
    with output_lock(asked.output):
        return _run(asked, progress, cancel)


def _run(asked: CorrectRequest, progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    from spinemar.io.dicom.acquired import check_acquired
    from spinemar.mar.correct import correct_volume

    progress(Progress("Reading", 0, 1))
    volume = load_volume(asked.input, asked.series)
    if not asked.settings.allow_reformatted:
        check_acquired(volume)
    mask = load_mask(asked.metal_mask, volume.geometry)
    if asked.metal_plan is not None:
        if mask is not None:
            raise InputError("The job names a mask and a plan.", "Give the metal once.")
        mask = _drawn(asked.metal_plan, volume.geometry)
    earlier = None
    if asked.earlier is not None:
        earlier = read_earlier(asked.earlier, asked.input, asked.series, volume, asked.settings)
    progress(Progress("Reading", 1, 1))
    result = correct_volume(
        volume,
        asked.settings,
        metal_mask=mask,
        earlier=earlier,
        uncertainty=asked.uncertainty_output is not None,
        progress=progress,
        cancel=cancel,
    )
    progress(Progress("Writing", 0, 1))
    cancel.raise_if_cancelled()
    _write(asked, result)
    progress(Progress("Writing", 1, 1))
    return result.facts()


def _drawn(plan: str, geometry: GridGeometry) -> NDArray[np.bool_]:
    """Return which voxels (k, j, i) are metal, at least by half, by a plan of generic implants."""
    from spinemar.implants.catalogue import load_catalogue
    from spinemar.implants.voxelize import refuse_all_outside, voxelize_plan
    from spinemar.physics.materials import METALS
    from spinemar.planning.plans.plan_json import plan_from_json

    shares = voxelize_plan(plan_from_json(plan), geometry, load_catalogue())
    refuse_all_outside(shares)
    metal = [share for name, share in shares.items() if name in METALS]
    whole = sum(metal, np.zeros(geometry.shape, np.float32))
    return np.asarray(whole >= 0.5, dtype=np.bool_)


def _write(asked: CorrectRequest, result: CorrectionResult) -> None:
    from spinemar.io import write_volume

    if asked.metal_output is not None:
        save_array(asked.metal_output, result.metal_outline.astype(np.uint8))
    if asked.uncertainty_output is not None:
        save_array(asked.uncertainty_output, result.uncertainty_in_every_slice)
    if result.earlier is not None:
        use = result.earlier
        if asked.agreement_output is not None:
            save_array(asked.agreement_output, use.agreement_percent)
        if asked.registered_output is not None:
            save_array(asked.registered_output, use.registered_hu)
    if asked.output.suffix == ".npy":
        save_array(asked.output, stored_like(result.volume.hu, asked.stored_as))
    else:
        write_volume(asked.output, result.volume)
