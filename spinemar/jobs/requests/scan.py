"""The job "scan": the implants of a plan put into a CT, and that scanned.

::

    {"schema": "spinemar-job/1", "kind": "scan", "input": volume, "plan": plan JSON text,
     "catalogue": JSON text or null, "settings": {ScannerSettings by name}, "seed": 0,
     "slices": null or [first, last + 1],
     "output": PATH.npy, "truth_output": PATH.npy or null, "metal_output": PATH.npy or null,
     "stored_as": "int16"}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.jobs.engine.arrays import load_volume, save_array, stored_like
from spinemar.jobs.engine.request import request_of
from spinemar.jobs.plan_context import catalogue_of
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.progress import CancelToken, Progress, ProgressCallback

_VISIBLE_FRACTION = 0.05
# Thick slices see implants this many slices away.
_NEIGHBOURS = 4


@dataclass(frozen=True)
class ScanRequest:
    """The job "scan"."""

    input: Any
    plan: str
    output: Path
    truth_output: Path | None = None
    metal_output: Path | None = None
    stored_as: str | None = None
    catalogue: str | None = None
    settings: ScannerSettings = field(default_factory=ScannerSettings)
    seed: int = 0
    slices: tuple[int, int] | None = None


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return where the scan lies and how much metal is in it."""
    from spinemar.implants.voxelize import voxelize_plan
    from spinemar.physics.scanner import simulate_scan
    from spinemar.planning.plans.plan_json import plan_from_json

    asked = request_of(ScanRequest, job)
    progress(Progress("Putting in the implants", 0, 1))
    volume = load_volume(asked.input)
    plan = plan_from_json(asked.plan)
    catalogue = catalogue_of(asked.catalogue)
    chosen = _chosen(asked.slices, len(volume.hu))
    implants = voxelize_plan(plan, volume.geometry, catalogue, _slab(chosen, len(volume.hu)))
    implants = {name: _whole(part, chosen, volume.hu.shape) for name, part in implants.items()}
    progress(Progress("Putting in the implants", 1, 1))
    cancel.raise_if_cancelled()
    scan = simulate_scan(
        volume,
        implants,
        asked.settings,
        asked.seed,
        slices=chosen,
        with_truth=asked.truth_output is not None,
        progress=progress,
        cancel=cancel,
    )
    cancel.raise_if_cancelled()
    metal = scan.metal_fraction >= _VISIBLE_FRACTION
    if asked.metal_output is not None:
        save_array(asked.metal_output, metal.astype(np.uint8))
    if scan.truth is not None and asked.truth_output is not None:
        save_array(asked.truth_output, stored_like(scan.truth.hu, asked.stored_as))
    save_array(asked.output, stored_like(scan.volume.hu, asked.stored_as))
    return {
        "ijk_to_ras": scan.volume.ijk_to_ras.tolist(),
        "metal_voxels": int(metal.sum()),
        "settings": asked.settings.to_json(),
        "seed": scan.seed,
    }


def warm_up() -> None:
    """Scan a tiny volume, so that everything a scan imports is there and has run once."""
    from spinemar.implants.catalogue import load_catalogue
    from spinemar.implants.voxelize import voxelize_plan
    from spinemar.physics.scanner import simulate_scan
    from spinemar.planning.plans.plan import Plan
    from spinemar.volume import CTVolume

    volume = CTVolume(np.zeros((3, 16, 16), np.float32), np.eye(4))
    voxelize_plan(Plan(), volume.geometry, load_catalogue())
    metal = np.zeros(volume.hu.shape, np.float32)
    metal[1, 6:9, 6:9] = 1.0
    small = ScannerSettings(n_views=24, n_bins=32)
    simulate_scan(volume, {"Ti-6Al-4V": metal}, small, slices=slice(1, 2), with_truth=False)


def _chosen(asked: tuple[int, int] | None, count: int) -> slice | None:
    if asked is None:
        return None
    first, last = asked
    if not 0 <= first < last <= count:
        raise InputError(f"Slices {first} to {last} are not in the volume.", "Choose others.")
    return slice(first, last)


def _slab(chosen: slice | None, count: int) -> slice | None:
    """Return the slices whose implants a scan of `chosen` can see."""
    if chosen is None:
        return None
    return slice(max(chosen.start - _NEIGHBOURS, 0), min(chosen.stop + _NEIGHBOURS, count))


def _whole(
    part: NDArray[np.float32], chosen: slice | None, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    slab = _slab(chosen, shape[0])
    if slab is None:
        return part
    whole = np.zeros(shape, dtype=np.float32)
    whole[slab] = part
    return whole
