"""Scan one slice: expose it with and without metal, read both out with the same noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.effects.noise import deviates
from spinemar.physics.effects.slice_profile import profile_samples
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.scans.acquisition import Acquisition, Exposure, calibrate
from spinemar.physics.scans.kernels import apply_kernel
from spinemar.physics.scans.line_integrals import (
    Implants,
    Paths,
    Projectors,
    implant_box,
    projectors,
    slice_paths,
)
from spinemar.physics.scans.output_grid import output_geometry
from spinemar.physics.scans.rays import RayLayout, ray_layout
from spinemar.physics.scans.stored_values import stored_hu
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import mu_to_hu
from spinemar.volume import CTVolume


@dataclass(frozen=True)
class StoredSlice:
    """One slice as stored, shape (rows, columns) each.

    Parameters
    ----------
    scan : ndarray of float32
    truth : ndarray of float32 or None
        Without metal, same noise.
    noise_free : ndarray of float32 or None
        Without metal and without noise.
    """

    scan: NDArray[np.float32]
    truth: NDArray[np.float32] | None
    noise_free: NDArray[np.float32] | None


@dataclass(frozen=True)
class Bench:
    """Everything that is prepared once and used for every slice.

    Parameters
    ----------
    volume : CTVolume
    implants : mapping of material to ndarray
    settings : ScannerSettings
    seed : int
    with_truth, with_noise_free : bool
    rays : RayLayout
    acquisition : Acquisition
    project : Projectors
        From the patient's slices to single rays.
    reconstruct : RadonTransform
        From detector bins to the output grid.
    """

    volume: CTVolume
    implants: Implants
    settings: ScannerSettings
    seed: int
    with_truth: bool
    with_noise_free: bool
    rays: RayLayout
    acquisition: Acquisition
    project: Projectors
    reconstruct: RadonTransform


def prepare(
    volume: CTVolume,
    implants: Implants,
    settings: ScannerSettings,
    seed: int,
    *,
    with_truth: bool,
    with_noise_free: bool = False,
) -> Bench:
    """Calibrate the scanner and plan the transforms for a patient's grid."""
    image = volume.hu.shape[1:]
    column_mm, row_mm, _ = volume.spacing_mm
    rays = ray_layout((image[0], image[1]), (row_mm, column_mm), settings)
    out = output_geometry(volume, settings, range(1))
    out_column_mm, out_row_mm, _ = out.spacing_mm
    return Bench(
        volume,
        implants,
        settings,
        seed,
        with_truth or with_noise_free,
        with_noise_free,
        rays,
        calibrate(settings, list(implants), rays.offsets_mm),
        projectors(
            (image[0], image[1]),
            (row_mm, column_mm),
            rays.projected,
            implant_box(implants.values()),
        ),
        RadonTransform(out.shape[1:], (out_row_mm, out_column_mm), rays.reconstructed, threads=1),
    )


def scan_slice(bench: Bench, index: int) -> StoredSlice:
    """Scan one slice with metal, and as far as asked for without metal and without noise."""
    scan, truth = expose_slice(bench, index)
    read_out = bench.acquisition.read_out
    noise = slice_noise(bench, index)
    clean = scan if truth is None else truth
    measured = [read_out(scan, noise)]
    if truth is not None:
        measured.append(read_out(truth, noise))
    if bench.with_noise_free:
        measured.append(read_out(clean, None))
    return stored_slice(bench, measured, differs=truth is not None)


def slice_noise(bench: Bench, index: int) -> NDArray[np.float32] | None:
    """Draw a slice's deviates, one a ray (views, bins); None for a scanner without noise."""
    settings = bench.settings
    noisy = settings.quantum_noise or settings.electronic_noise > 0
    return deviates(bench.seed, index, bench.rays.shape) if noisy else None


def stored_slice(
    bench: Bench, measured: Sequence[NDArray[np.float32]], *, differs: bool
) -> StoredSlice:
    """Reconstruct [scan, truth if it differs, noise-free if asked for], each (views, bins)."""
    hu = list(reconstruct(bench, np.stack(measured)))
    noise_free = hu.pop() if bench.with_noise_free else None
    truth = hu[-1] if bench.with_truth else None
    assert len(hu) == 1 + differs
    return StoredSlice(hu[0], truth, noise_free)


def reconstruct(bench: Bench, projections: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reconstruct measured projections (n, views, bins) to stored HU (n, rows, columns)."""
    parallel = np.stack([bench.rays.rebin(each) for each in projections])
    kernel = bench.settings.kernel
    filtered = apply_kernel(parallel, bench.rays.reconstructed.bin_mm, kernel)
    return stored_hu(mu_to_hu(bench.reconstruct.fbp(filtered)), bench.settings.hu_scale)


def expose_slice(bench: Bench, index: int) -> tuple[Exposure, Exposure | None]:
    """Expose one slice over its profile: with metal, and without where that differs."""
    last = len(bench.volume.hu) - 1
    cast: dict[int, Paths] = {}
    samples = profile_samples(bench.settings.slice_thickness_mm, bench.volume.spacing_mm[2])
    for offset, _ in samples:
        for k in (int(np.floor(index + offset)), int(np.ceil(index + offset))):
            inside = min(max(k, 0), last)
            if k not in cast:
                cast[k] = cast[inside] if inside in cast else cast_slice(bench, inside)

    def exposed(truth: bool) -> Exposure:
        parts = []
        for offset, weight in samples:
            low = int(np.floor(index + offset))
            share = index + offset - low
            paths = _between(cast[low], cast[low + 1] if share else cast[low], share, truth)
            parts.append((weight, bench.acquisition.expose(paths)))
        return _weighted_sum(parts)

    differs = any(paths.truth is not None for paths in cast.values())
    return exposed(truth=False), exposed(truth=True) if differs else None


def cast_slice(bench: Bench, index: int) -> Paths:
    """Material lengths along the scanner's own rays through one slice of the patient."""
    paths = slice_paths(
        bench.volume.hu[index],
        {name: fraction[index] for name, fraction in bench.implants.items()},
        bench.acquisition.materials,
        bench.project,
        with_truth=bench.with_truth,
    )
    cast = bench.rays.cast
    return Paths(cast(paths.scan), None if paths.truth is None else cast(paths.truth))


def _between(low: Paths, high: Paths, share: float, truth: bool) -> NDArray[np.float32]:
    """Interpolate line integrals along z; `share` 0 is `low`."""
    ends = [
        paths.truth if truth and paths.truth is not None else paths.scan for paths in (low, high)
    ]
    return ends[0] if share == 0 else ends[0] + np.float32(share) * (ends[1] - ends[0])


def _weighted_sum(parts: list[tuple[float, Exposure]]) -> Exposure:
    if len(parts) == 1:
        return parts[0][1]
    signal = sum(np.float32(weight) * part.signal for weight, part in parts)
    variance = sum(np.float32(weight) * part.variance for weight, part in parts)
    return Exposure(np.asarray(signal), np.asarray(variance))
