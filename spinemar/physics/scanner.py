"""Simulate the CT scan of a patient with implants, and the same scan without metal.

Materials -> line integrals -> polychromatic exposure -> noise, scatter, starvation -> the
scanner's own corrections -> filtered backprojection in its kernel -> stored HU. Each step is
a pure function in a file of its own; here they are only put in order, slice by slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError, InputError
from spinemar.physics.materials import METALS, density_g_cm3
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.scans.helical_scan import helical_slices
from spinemar.physics.scans.line_integrals import Implants
from spinemar.physics.scans.output_grid import output_geometry, resampled_slice
from spinemar.physics.scans.slice_scan import Bench, StoredSlice, prepare, scan_slice
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.tomography.radon import available_threads
from spinemar.volume import CTVolume


@dataclass(frozen=True)
class SimulatedScan:
    """A scan with metal, what it would have been without, and where the metal is.

    Parameters
    ----------
    volume : CTVolume
        The scan with all implants.
    truth : CTVolume or None
        The same scanner, noise and patient without metal.
    noise_free : CTVolume or None
        The truth without noise.
    metal_fraction : ndarray of float32, shape of `volume`
        Volume fraction of all metals.
    settings : ScannerSettings
    seed : int
    """

    volume: CTVolume
    truth: CTVolume | None
    noise_free: CTVolume | None
    metal_fraction: NDArray[np.float32]
    settings: ScannerSettings
    seed: int


def simulate_scan(
    volume: CTVolume,
    implants: Implants,
    settings: ScannerSettings | None = None,
    seed: int = 0,
    *,
    slices: slice | None = None,
    with_truth: bool = True,
    with_noise_free: bool = False,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> SimulatedScan:
    """Scan a patient with implants.

    Parameters
    ----------
    volume : CTVolume
        The patient, without metal.
    implants : mapping of material to ndarray, shape of `volume`
        Volume fractions (0 to 1) of "Ti-6Al-4V", "316L", "CoCrMo", "PEEK" ...; they displace
        tissue.
    settings : ScannerSettings, optional
    seed : int
        Same seed, same noise; a slice has the same noise whatever `slices`.
    slices : slice, optional
        Slices to scan (all by default); the result holds only these.
    with_truth : bool
        Also return the scan without metal, with the noise shared ray by ray.
    with_noise_free : bool
        Also return the scan without metal and noise (and then the truth as well).
    progress, cancel : optional
        See `spinemar.progress`.

    Returns
    -------
    SimulatedScan

    Raises
    ------
    InputError
        If no slice is chosen, or an implant has an unknown material or absurd fractions.
    GeometryError
        If an implant is on another grid.
    """
    settings = settings or ScannerSettings()
    check_implants(volume, implants)
    chosen = chosen_slices(volume, slices)
    bench = prepare(
        volume,
        implants,
        settings,
        seed,
        with_truth=with_truth,
        with_noise_free=with_noise_free,
    )
    geometry = output_geometry(volume, settings, chosen)
    scan = np.empty(geometry.shape, dtype=np.float32)
    truth = np.empty_like(scan) if bench.with_truth else None
    noise_free = np.empty_like(scan) if with_noise_free else None
    metal = np.zeros_like(scan)
    for position, stored in enumerate(_scan_slices(bench, chosen, cancel)):
        scan[position] = stored.scan
        for target, source in ((truth, stored.truth), (noise_free, stored.noise_free)):
            if target is not None and source is not None:
                target[position] = source
        for name, fraction in implants.items():
            if name in METALS:
                metal[position] += resampled_slice(fraction[chosen[position]], volume, settings)
        progress(Progress("Scanning", position + 1, len(chosen)))

    def as_volume(hu: NDArray[np.float32]) -> CTVolume:
        return CTVolume(hu, geometry.ijk_to_ras, {**volume.metadata, "simulated": "true"})

    return SimulatedScan(
        volume=as_volume(scan),
        truth=None if truth is None else as_volume(truth),
        noise_free=None if noise_free is None else as_volume(noise_free),
        metal_fraction=metal,
        settings=settings,
        seed=seed,
    )


def chosen_slices(volume: CTVolume, slices: slice | None) -> range:
    """Return the indices of the slices to scan, all by default.

    Raises
    ------
    InputError
        If there are none.
    """
    chosen = range(len(volume.hu))[slices or slice(None)]
    if len(chosen) == 0:
        raise InputError("No slice was chosen to scan.", "Choose slices inside the volume.")
    return chosen


def check_implants(volume: CTVolume, implants: Implants) -> None:
    """Refuse implants of an unknown material, another grid, or with absurd fractions.

    Raises
    ------
    InputError
        If a material is unknown or a fraction lies outside 0 to 1.
    GeometryError
        If the grid is another one.
    """
    for name, fraction in implants.items():
        density_g_cm3(name)  # refuses unknown materials
        if np.shape(fraction) != volume.hu.shape:
            raise GeometryError(
                f"The {name} implants have shape {np.shape(fraction)}, the CT {volume.hu.shape}.",
                "Voxelise the implants on the CT's own grid.",
            )
        lowest, highest = float(np.min(fraction)), float(np.max(fraction))
        if not (lowest >= -1e-3 and highest <= 1.0 + 1e-3):
            raise InputError(
                f"The {name} implants fill voxels from {lowest:g} to {highest:g}.",
                "Give volume fractions from 0 to 1.",
            )


def _scan_slices(bench: Bench, chosen: range, cancel: CancelToken | None) -> Iterator[StoredSlice]:
    """Yield stored slices in order: side by side in threads, or along the helix."""

    def one_slice(index: int) -> StoredSlice:
        if cancel is not None:
            cancel.raise_if_cancelled()
        return scan_slice(bench, index)

    if bench.settings.geometry == "helical":
        for each in helical_slices(bench, chosen):
            if cancel is not None:
                cancel.raise_if_cancelled()
            yield each
        return
    with ThreadPoolExecutor(available_threads()) as pool:
        yield from pool.map(one_slice, chosen)
