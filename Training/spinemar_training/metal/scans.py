"""Metal cases of the core's own scanner: whole constructs, scanned slice by slice.

The cases of `CaseMaker` are three flat slices each, of a scanner drawn far more widely than any
there is. These are of reshaped patients and of the catalogue's implants, threads and all, as
training pairs are drawn, under the scanner that simulates those: neighbouring slices are really
neighbours, and a scan gives a case for every slice that metal lies in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.dataset.manifest import CtEntry
from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.pairs.case import Case, draw_case
from spinemar.dataset.sampling.anatomy import sample_patient, scan_grid
from spinemar.dataset.sampling.patients import Patient, load_patient, prepare_patient
from spinemar.dataset.sampling.protocol import can_be_seen_through, thickest_path
from spinemar.errors import InputError
from spinemar.implants.voxelize import voxelize_plan
from spinemar.physics.materials import METALS
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume, GridGeometry
from spinemar_training.metal.cases import SLICES, MetalCase, cropped, save_case

_ATTEMPTS = 200
_SIZES, _SIZE_SHARES = (512, 640), (0.75, 0.25)
_HIGH_MM, _MOST_SLICES = 45.0, 24
_LEAST_MM, _LEAST_MM2 = 1.0, 12.0
_VIEWS, _ENERGIES = 480, 16
_PLANE_MM = 1.0


def make_scan_cases(inputs: Sequence[CtEntry], output: Path, scans: int, seed: int = 0) -> None:
    """Make the cases of scans 0 to `scans` in a folder; scans that are there are kept.

    Parameters
    ----------
    inputs : sequence of CtEntry
        CTs of one split: what is scanned of the others' only judges.
    output : Path
    scans : int
    seed : int

    Raises
    ------
    InputError
        If the CTs are of several splits, or one cannot be used.
    """
    splits = sorted({entry.split or "no" for entry in inputs})
    if len(splits) > 1:
        raise InputError(
            f"These CTs are of several splits ({', '.join(splits)}).",
            "Take one split alone (--only training); a network never learns from the others.",
        )
    output.mkdir(parents=True, exist_ok=True)
    prepared = output / "patients"
    prepared.mkdir(exist_ok=True)
    patients = [load_patient(prepare_patient(entry, prepared)) for entry in inputs]
    for number in range(scans):
        # A scan's first case is written last: with it the scan is whole.
        if (output / f"scan{number:05d}-00.npz").exists():
            continue
        for n, case in reversed(list(enumerate(scan_cases(patients, seed, number)))):
            save_case(output / f"scan{number:05d}-{n:02d}.npz", case)


def scan_cases(patients: Sequence[Patient], seed: int, number: int) -> Iterator[MetalCase]:
    """Yield the cases of one scan, a case for each slice that metal lies in.

    Parameters
    ----------
    patients : sequence of Patient
    seed, number : int
        The same give the same scan.

    Raises
    ------
    InputError
        If no attempt placed metal in the patients.
    """
    settings = PairSettings(raw_share=0.0, mild_share=0.04, edge_share=0.0)
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, number, attempt])
        case = draw_case(patients, settings, rng)
        if case is None:
            continue
        grid = _grid(case, rng)
        implants = voxelize_plan(case.placed.plan, grid, case.patient.catalogue)
        metals = {name: share for name, share in implants.items() if name in METALS}
        fraction = np.sum(list(metals.values()), axis=0) if metals else np.zeros(grid.shape)
        area_mm2 = fraction.sum(axis=(1, 2)) * grid.spacing_mm[0] ** 2
        if area_mm2.max() < _LEAST_MM2:
            continue
        planes = max(1, round(grid.spacing_mm[2] / _PLANE_MM))
        hu = case.tissue.applied(sample_patient(case.patient, case.deformation, grid, planes))
        path = thickest_path(hu[len(hu) // 2], grid.spacing_mm[0])
        if not can_be_seen_through(path):
            continue
        scanner = _scanner(case, path)
        made = simulate_scan(
            CTVolume(hu, grid.ijk_to_ras), implants, scanner, case.scan_seed, with_truth=False
        )
        yield from _of_slices(made.volume, np.clip(fraction, 0.0, 1.0), area_mm2, metals)
        return
    raise InputError(
        "No metal could be placed in these CTs.", "Check that their clean range holds vertebrae."
    )


def _grid(case: Case, rng: np.random.Generator) -> GridGeometry:
    """Return a stack of adjacent slices about the case's height, the body across them."""
    size = int(rng.choice(_SIZES, p=_SIZE_SHARES))
    slice_mm = max(case.protocol.slice_mm, _LEAST_MM)
    count = int(np.clip(round(_HIGH_MM / slice_mm), SLICES, _MOST_SLICES))
    width = case.protocol.scan_fov_mm
    return scan_grid(case.protocol.isocentre_ras, case.z_mm, size, width / size, count, slice_mm)


def _scanner(case: Case, path: float) -> ScannerSettings:
    """Return the case's scanner with its dose for the patient, on a scale without end."""
    return replace(
        case.protocol.exposed_for(path).settings,
        n_views=_VIEWS,
        n_energies=_ENERGIES,
        hu_scale="unlimited",
    )


def _of_slices(
    scan: CTVolume,
    fraction: NDArray[np.floating[Any]],
    area_mm2: NDArray[np.floating[Any]],
    metals: dict[str, NDArray[np.float32]],
) -> Iterator[MetalCase]:
    for k in np.flatnonzero(area_mm2 >= _LEAST_MM2):
        if 0 < k < len(area_mm2) - 1:
            part = slice(int(k) - 1, int(k) + 2)
            names = [name for name, share in metals.items() if share[part].any()]
            share = fraction[part].astype(np.float32)
            yield cropped(scan.hu[part], share, scan.spacing_mm[0], "+".join(sorted(names)))
