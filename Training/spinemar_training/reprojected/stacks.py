"""Stacks of scanned slices: what the prior sees of them, and what decides what becomes of it.

The correction of a slice with the prior alone is linear in the prior's picture: its error is that
of a perfect picture in the same lost rays (*floor*) and the reconstruction of what the picture's
own error becomes in those rays. So it is enough to keep, beside what the network sees, the lost
rays and the floor; both come from the code that corrects.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.manifest import CtEntry
from spinemar.evaluation.regions import filled_body
from spinemar.mar.pipeline.interpolation.normalized import matched_prior
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.segmentation.low_saturation import low_clip_hu
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import difference_to_hu, hu_to_mu
from spinemar_training.simulate.constructs import (
    LEAST_MM2,
    ConstructScan,
    ScanKind,
    patients_of,
    scan_construct,
)

_KIND = ScanKind(most_slices=8, views=600, with_truth=True)
_LOW_HU, _HIGH_HU = -9000.0, 30000.0

_Arrays = dict[str, NDArray[Any]]


def make_stacks(
    inputs: Sequence[CtEntry], output: Path, scans: int, widening_mm: float, seed: int = 0
) -> None:
    """Make the stacks of scans 0 to `scans` in a folder, a file each; those there are kept.

    Parameters
    ----------
    inputs : sequence of CtEntry
        CTs of one split.
    output : Path
    scans : int
    widening_mm : float
        By how much the lost rays are widened, as the model's manifest says.
    seed : int

    Raises
    ------
    InputError
        If the CTs are of several splits, or one cannot be used.
    """
    patients = patients_of(inputs, output / "patients")
    for number in range(scans):
        path = output / f"{number:05d}.npz"
        if not path.exists():
            save_stack(path, scan_construct(patients, _KIND, seed, number), widening_mm)


def save_stack(path: Path, scan: ConstructScan, widening_mm: float) -> None:
    """Write a stack, at once or not at all.

    Parameters
    ----------
    path : Path
    scan : ConstructScan
        With its truth.
    widening_mm : float
    """
    volume = scan.made.volume
    metal = segment_metal(volume).mask
    inner = [k for k in np.flatnonzero(scan.area_mm2() >= LEAST_MM2) if 0 < k < len(metal) - 1]
    wanted = [int(k) for k in inner if metal[k].any()]
    arrays: _Arrays = {}
    if wanted:
        cache = _cache_of(volume.hu, metal, volume.spacing_mm[0])
        arrays = _seen(cache, wanted) | _decided(cache, wanted, scan, widening_mm)
    facts = {
        "slices": wanted,
        "size": int(volume.hu.shape[1]),
        "pixel_mm": volume.spacing_mm[0],
        "bins": int(RadonTransform(volume.hu.shape[1:], (1.0, 1.0)).geometry.n_bins),
        "materials": sorted(scan.metals),
        "patient": scan.case.patient.patient,
        "scale": scan.made.settings.hu_scale,
        "kernel": scan.made.settings.kernel,
    }
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        arrays["facts"] = np.array(json.dumps(facts))
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def _cache_of(hu: NDArray[np.float32], metal: NDArray[np.bool_], pixel_mm: float) -> SliceCache:
    radon = RadonTransform(hu.shape[1:], (pixel_mm, pixel_mm), threads=1)
    clip = min(low_clip_hu(hu[k]) for k in np.flatnonzero(metal.any(axis=(1, 2))))
    return SliceCache(hu, metal, radon, clip_hu=clip)


def _seen(cache: SliceCache, wanted: Sequence[int]) -> _Arrays:
    """Return what the network sees of slices and of their neighbours."""
    around = sorted({j for k in wanted for j in (k - 1, k, k + 1)})
    arrays: _Arrays = {}
    for name in ("hu", "nmar_hu"):
        for k, image in zip(around, cache.get(name, around), strict=True):
            arrays[f"{name}{k}"] = _whole_hu(image)
    for k in around:
        arrays[f"metal{k}"] = np.packbits(cache.metal_slices[k], axis=-1)
    parts = (cache.get(name, wanted) for name in ("li_hu", "saturated", "body"))
    for k, li_hu, saturated, body in zip(wanted, *parts, strict=True):
        arrays[f"li_hu{k}"] = _whole_hu(li_hu)
        arrays[f"saturated{k}"] = np.packbits(saturated, axis=-1)
        arrays[f"window{k}"] = np.packbits(body.mask | cache.metal_slices[k], axis=-1)
    return arrays


def _decided(
    cache: SliceCache, wanted: Sequence[int], scan: ConstructScan, widening_mm: float
) -> _Arrays:
    """Return lost rays, truth, the floor and where errors count."""
    radon, truth = cache.radon, scan.made.truth
    assert truth is not None
    bins = round(widening_mm / radon.geometry.bin_mm)
    arrays: _Arrays = {}
    for k, lost, measured in zip(
        wanted, cache.get("lost_rays", wanted), cache.get("sinogram", wanted), strict=True
    ):
        trace, true_hu = lost.widened(bins).trace, truth.hu[k]
        change = matched_prior(measured, radon.forward(hu_to_mu(true_hu[None]))[0], trace)
        change -= measured
        best = cache.hu_slices[k] + difference_to_hu(radon.fbp(change))
        arrays[f"trace{k}"] = np.packbits(trace, axis=-1)
        arrays[f"truth{k}"], arrays[f"floor{k}"] = _whole_hu(true_hu), _whole_hu(best - true_hu)
        arrays[f"body{k}"] = np.packbits(filled_body(true_hu), axis=-1)
        arrays[f"share{k}"] = np.round(scan.fraction[k] * 255).astype(np.uint8)
    return arrays


def _whole_hu(image: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(image), _LOW_HU, _HIGH_HU).astype(np.int16)
