"""Simulate raw data: what the scanner hands to its reconstruction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.scanner import check_implants, chosen_slices
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.scans.helical_scan import measure_turn, remember_slices, scan_helix
from spinemar.physics.scans.line_integrals import Implants
from spinemar.physics.scans.rays import FanRays
from spinemar.physics.scans.slice_scan import Bench, expose_slice, prepare, slice_noise
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import available_threads
from spinemar.tomography.raw_data.fan import FanGeometry
from spinemar.tomography.raw_data.sinogram import Sinogram
from spinemar.volume import CTVolume


def simulate_raw(
    volume: CTVolume,
    implants: Implants,
    settings: ScannerSettings | None = None,
    seed: int = 0,
    *,
    slices: slice | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Sinogram:
    """Measure a patient with implants; no image is reconstructed.

    Parameters
    ----------
    volume : CTVolume
    implants : mapping of material to ndarray, shape of `volume`
    settings : ScannerSettings, optional
    seed : int
        The same noise as `simulate_scan` with this seed.
    slices : slice, optional
        Slices to scan; a helix runs through all and notes these to be reconstructed.
    progress, cancel : optional
        See `spinemar.progress`; a helix counts its turns.

    Returns
    -------
    Sinogram
        In the scanner's own geometry, corrected for scatter and for the beam hardening of
        water.

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
    bench = prepare(volume, implants, settings, seed, with_truth=False)
    places = np.array(chosen, dtype=np.float64) * volume.spacing_mm[2]
    to_ras = scanner_to_ras(volume)
    if settings.geometry == "helical":
        helix = scan_helix(bench)
        cast = remember_slices(bench)
        turns = helix.n_views // helix.fan.views_per_turn
        measured = (measure_turn(bench, helix, number, cast).scan for number in range(turns))
        data = list(_counted(measured, turns, progress, cancel))
        return Sinogram(np.concatenate(data), helix, places, to_ras, volume.spacing_mm[2])

    def one_slice(index: int) -> NDArray[np.float32]:
        if cancel is not None:
            cancel.raise_if_cancelled()
        exposure, _ = expose_slice(bench, index)
        return bench.acquisition.read_out(exposure, slice_noise(bench, index))

    with ThreadPoolExecutor(available_threads()) as pool:
        scanned = pool.map(one_slice, chosen)
        projections = np.stack(list(_counted(scanned, len(chosen), progress, cancel)))
    thickness = volume.spacing_mm[2]
    return Sinogram(projections, _measured_geometry(bench), places, to_ras, thickness)


def _counted(
    parts: Iterable[NDArray[np.float32]],
    count: int,
    progress: ProgressCallback,
    cancel: CancelToken | None,
) -> Iterator[NDArray[np.float32]]:
    """Pass on parts of the raw data, telling how many there are."""
    for number, part in enumerate(parts, 1):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(Progress("Measuring raw data", number, count))
        yield part


def _measured_geometry(bench: Bench) -> SinogramGeometry | FanGeometry:
    return bench.rays.fan if isinstance(bench.rays, FanRays) else bench.rays.reconstructed


def scanner_to_ras(volume: CTVolume) -> NDArray[np.float64]:
    """Map millimetres about the centre of rotation (x, y) and from the first slice (z) to RAS."""
    _, rows, columns = volume.hu.shape
    spacing = np.array(volume.spacing_mm)
    to_index = np.diag([*(1.0 / spacing), 1.0])
    to_index[:2, 3] = (columns - 1) / 2, (rows - 1) / 2
    return np.asarray(volume.ijk_to_ras @ to_index)
