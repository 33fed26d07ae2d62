"""Scan in a helix: rows of the detector rise through the patient while the fan turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.physics.scans.line_integrals import Paths
from spinemar.physics.scans.rays import FanRays
from spinemar.physics.scans.slice_scan import (
    Bench,
    StoredSlice,
    cast_slice,
    slice_noise,
    stored_slice,
)
from spinemar.tomography.radon import available_threads
from spinemar.tomography.raw_data.helical import HelicalGeometry, helical_to_fan


@dataclass(frozen=True)
class Turn:
    """Measured projections of one turn, shape (views, rows, bins): see `StoredSlice`."""

    scan: NDArray[np.float32]
    truth: NDArray[np.float32] | None
    noise_free: NDArray[np.float32] | None


def scan_helix(bench: Bench) -> HelicalGeometry:
    """Lay a helix through the whole patient; z is in mm from the first slice."""
    settings, rays = bench.settings, _fan_rays(bench)
    spacing = bench.volume.spacing_mm[2]
    feed = settings.pitch * settings.detector_rows * spacing
    length = (len(bench.volume.hu) - 1) * spacing
    # One turn before the first slice and after the last reaches both, whatever the method.
    margin = feed + settings.detector_rows * spacing / 2
    turns = int(np.ceil((length + 2 * margin) / feed))
    views = turns * rays.fan.views_per_turn
    return HelicalGeometry(rays.fan, views, feed, settings.detector_rows, spacing, start_mm=-margin)


def helical_slices(bench: Bench, chosen: Iterable[int]) -> Iterator[StoredSlice]:
    """Yield the stored slices in order.

    Turns are measured when a slice first needs them and dropped when no later one does.
    """
    helix, rays = scan_helix(bench), _fan_rays(bench)
    measured: dict[int, Turn] = {}
    cast = remember_slices(bench)
    for index in chosen:
        z = index * bench.volume.spacing_mm[2]
        numbers = _turns_for(helix, z)
        measured = {number: measured[number] for number in numbers if number in measured}
        for number in numbers:
            if number not in measured:
                measured[number] = measure_turn(bench, helix, number, cast)
        local = replace(
            helix,
            n_views=len(numbers) * rays.fan.views_per_turn,
            start_mm=helix.start_mm + numbers[0] * helix.feed_mm,
        )
        turns = [measured[number] for number in numbers]
        differs = any(turn.truth is not None for turn in turns)
        data = [np.concatenate([turn.scan for turn in turns])]
        if differs:
            data.append(np.concatenate([t.scan if t.truth is None else t.truth for t in turns]))
        if bench.with_noise_free:
            silent = [turn.noise_free for turn in turns if turn.noise_free is not None]
            data.append(np.concatenate(silent))
        method = bench.settings.helical_interpolation
        fans = [helical_to_fan(each, local, [z], method)[0] for each in data]
        yield stored_slice(bench, fans, differs=differs)


def measure_turn(
    bench: Bench, helix: HelicalGeometry, number: int, cast: Callable[[int], Paths]
) -> Turn:
    """Measure all rows of one turn; the noise belongs to the turn and the row."""
    views = helix.fan.views_per_turn
    angles = np.arange(number * views, (number + 1) * views)
    middle = helix.start_mm + helix.feed_mm * angles / views
    last = len(bench.volume.hu) - 1
    position = [(middle + z) / bench.volume.spacing_mm[2] for z in helix.rows_mm]
    position = [np.clip(each, 0, last) for each in position]
    slices = range(int(np.floor(np.min(position))), int(np.ceil(np.max(position))) + 1)
    paths = {index: cast(index) for index in slices}
    differs = any(each.truth is not None for each in paths.values())

    def measure_row(row: int) -> list[NDArray[np.float32]]:
        expose, read_out = bench.acquisition.expose, bench.acquisition.read_out
        noise = slice_noise(bench, number * helix.n_rows + row)
        scan = clean = expose(_along_helix(paths, position[row], truth=False))
        measured = [read_out(scan, noise)]
        if differs:
            clean = expose(_along_helix(paths, position[row], truth=True))
            measured.append(read_out(clean, noise))
        if bench.with_noise_free:
            measured.append(read_out(clean, None))
        return measured

    with ThreadPoolExecutor(available_threads()) as pool:
        rows = list(pool.map(measure_row, range(helix.n_rows)))
    data = [np.stack(each, axis=1) for each in zip(*rows, strict=True)]
    noise_free = data.pop() if bench.with_noise_free else None
    return Turn(data[0], data[1] if differs else None, noise_free)


def _along_helix(
    paths: dict[int, Paths], position: NDArray[np.float64], *, truth: bool
) -> NDArray[np.float32]:
    """Interpolate line integrals (materials, views, rays) at each view's own z, in slices."""
    total: NDArray[np.float32] | None = None
    for index, each in paths.items():
        weight = np.maximum(1.0 - np.abs(position - index), 0.0).astype(np.float32)
        seen = np.flatnonzero(weight)
        if seen.size == 0:
            continue
        source = each.truth if truth and each.truth is not None else each.scan
        if total is None:
            total = np.zeros_like(source)
        total[:, seen] += weight[seen, None] * source[:, seen]
    assert total is not None  # the views' own slices are always among `paths`
    return total


def _turns_for(helix: HelicalGeometry, z_mm: float) -> list[int]:
    """Return the turns whose views may lie nearest to a slice, below and above."""
    views = helix.fan.views_per_turn
    reach = 1.0 + (helix.rows_mm[-1] + helix.row_mm) / helix.feed_mm
    place = (z_mm - helix.start_mm) / helix.feed_mm
    first = max(0, int(np.floor(place - reach)))
    last = min(helix.n_views // views - 1, int(np.floor(place + reach)))
    return list(range(first, last + 1))


def remember_slices(bench: Bench, keep: int = 6) -> Callable[[int], Paths]:
    """Cast slices onto the fan once while neighbouring turns need them."""
    kept: dict[int, Paths] = {}

    def cast(index: int) -> Paths:
        if index not in kept:
            while len(kept) >= keep:
                del kept[min(kept)]
            kept[index] = cast_slice(bench, index)
        return kept[index]

    return cast


def _fan_rays(bench: Bench) -> FanRays:
    if not isinstance(bench.rays, FanRays):
        raise GeometryError("A helical scan needs fan rays.", "Choose geometry 'helical'.")
    return bench.rays
