"""The job "find-metal": what the automatic selection takes, and what a threshold would take more.

::

    {"schema": "spinemar-job/1", "kind": "find-metal",
     "input": PATH or {"npy": ..., "ijk_to_ras": ...}, "metal_output": PATH.npy}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.boxes import bounding_box
from spinemar.jobs.engine.arrays import load_volume, save_array
from spinemar.jobs.engine.request import request_of
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.mar.settings import THRESHOLD_RANGE_HU
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.volume import CTVolume

_STEP_HU = 50.0
_HIGHEST_HU = 8000.0
_GLOW_MM = 5.0


@dataclass(frozen=True)
class FindMetalRequest:
    """The job "find-metal"."""

    input: Any
    metal_output: Path


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; return the mask's volume and, by threshold, what lies away from the metal."""
    asked = request_of(FindMetalRequest, job)
    progress(Progress("Finding metal", 0, 1))
    volume = load_volume(asked.input, None)
    mask = segment_metal(volume, cancel=cancel).mask
    save_array(asked.metal_output, mask.astype(np.uint8))
    levels, volumes = elsewhere_mm3(volume, mask)
    progress(Progress("Finding metal", 1, 1))
    return {
        "metal_mm3": float(mask.sum()) * float(np.prod(volume.spacing_mm)),
        "levels_hu": levels.tolist(),
        "elsewhere_mm3": volumes.tolist(),
    }


def elsewhere_mm3(
    volume: CTVolume, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure what a threshold takes away from the metal: most likely bone.

    Parameters
    ----------
    volume : CTVolume
    mask : ndarray of bool, shape of `volume.hu`
        The metal; what lies within 5 mm of it may be its glow and is left out.

    Returns
    -------
    levels_hu, volumes_mm3 : ndarray of float64, shape (n,)
        Volume at or above each level.
    """
    levels = np.arange(THRESHOLD_RANGE_HU[0], _HIGHEST_HU + 1, _STEP_HU)
    counts = np.zeros(len(levels))
    near = _near(mask, volume.spacing_mm)
    for hu, glow in zip(volume.hu, near, strict=True):
        bright = hu[(hu >= levels[0]) & ~glow]
        counts += np.histogram(bright, [*levels, np.inf])[0]
    at_or_above = np.cumsum(counts[::-1])[::-1]
    return levels, at_or_above * float(np.prod(volume.spacing_mm))


def _near(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Return what lies within 5 mm of a mask (k, j, i), same shape."""
    from scipy import ndimage

    near = np.zeros_like(mask)
    kji = spacing_mm[::-1]
    box = bounding_box(mask, [int(np.ceil(_GLOW_MM / s)) for s in kji])
    if box is not None:
        near[box] = ndimage.distance_transform_edt(~mask[box], sampling=kji) <= _GLOW_MM
    return near
