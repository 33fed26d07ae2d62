"""Scans of whole constructs: the catalogue's implants in reshaped patients, as pairs draw them.

The patient, the operation and the protocol are drawn as a training pair's are; what is scanned is
a stack of adjacent slices under the core's own scanner, so that neighbours are really neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from spinemar.physics.scanner import SimulatedScan, simulate_scan
from spinemar.physics.scanner_settings import HuScale, ScannerSettings
from spinemar.volume import CTVolume, GridGeometry

LEAST_MM2 = 12.0
"""Metal that a slice must hold to be learned from."""
_ATTEMPTS = 200
_SIZES, _SIZE_SHARES = (512, 640), (0.75, 0.25)
_HIGH_MM, _FEWEST_SLICES = 45.0, 3
_LEAST_MM = 1.0
_ENERGIES = 16
_PLANE_MM = 1.0


@dataclass(frozen=True)
class ScanKind:
    """What is asked of a scan.

    Parameters
    ----------
    most_slices, views : int
    scale : str, optional
        Of HU; by default as the protocol draws it.
    with_truth : bool
        Also the scan without metal, the noise shared ray by ray.
    """

    most_slices: int
    views: int
    scale: HuScale | None = None
    with_truth: bool = False


@dataclass(frozen=True)
class ConstructScan:
    """A scan and what is known of it.

    Parameters
    ----------
    case : Case
        Patient, construct and protocol.
    made : SimulatedScan
    fraction : ndarray of float32, shape of the scan
        Share of metal in each voxel, 0 to 1.
    metals : dict of str to ndarray
        The same of each metal.
    """

    case: Case
    made: SimulatedScan
    fraction: NDArray[np.float32]
    metals: dict[str, NDArray[np.float32]]

    def area_mm2(self) -> NDArray[np.floating[Any]]:
        """Metal of each slice, shape (slices,)."""
        return _area_mm2(self.fraction, self.made.volume.geometry)


def patients_of(inputs: Sequence[CtEntry], folder: Path) -> list[Patient]:
    """Prepare the CTs of one split in a folder, or take them from there.

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
    folder.mkdir(parents=True, exist_ok=True)
    return [load_patient(prepare_patient(entry, folder)) for entry in inputs]


def scan_construct(
    patients: Sequence[Patient], kind: ScanKind, seed: int, number: int
) -> ConstructScan:
    """Draw a construct and scan it.

    Parameters
    ----------
    patients : sequence of Patient
    kind : ScanKind
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
        grid = _grid(case, kind, rng)
        implants = voxelize_plan(case.placed.plan, grid, case.patient.catalogue)
        metals = {name: share for name, share in implants.items() if name in METALS}
        fraction = np.zeros(grid.shape, np.float32)
        for share in metals.values():
            fraction += share
        np.clip(fraction, 0.0, 1.0, out=fraction)
        if _area_mm2(fraction, grid).max() < LEAST_MM2:
            continue
        planes = max(1, round(grid.spacing_mm[2] / _PLANE_MM))
        hu = case.tissue.applied(sample_patient(case.patient, case.deformation, grid, planes))
        path = thickest_path(hu[len(hu) // 2], grid.spacing_mm[0])
        if not can_be_seen_through(path):
            continue
        made = simulate_scan(
            CTVolume(hu, grid.ijk_to_ras),
            implants,
            _scanner(case, kind, path),
            case.scan_seed,
            with_truth=kind.with_truth,
        )
        return ConstructScan(case, made, fraction, metals)
    raise InputError(
        "No metal could be placed in these CTs.", "Check that their clean range holds vertebrae."
    )


def _grid(case: Case, kind: ScanKind, rng: np.random.Generator) -> GridGeometry:
    """Return a stack of adjacent slices about the case's height, the body across them."""
    size = int(rng.choice(_SIZES, p=_SIZE_SHARES))
    slice_mm = max(case.protocol.slice_mm, _LEAST_MM)
    count = int(np.clip(round(_HIGH_MM / slice_mm), _FEWEST_SLICES, kind.most_slices))
    width = case.protocol.scan_fov_mm
    return scan_grid(case.protocol.isocentre_ras, case.z_mm, size, width / size, count, slice_mm)


def _scanner(case: Case, kind: ScanKind, path: float) -> ScannerSettings:
    """Return the case's scanner with its dose for the patient."""
    usual = case.protocol.exposed_for(path).settings
    scale = kind.scale or usual.hu_scale
    return replace(usual, n_views=kind.views, n_energies=_ENERGIES, hu_scale=scale)


def _area_mm2(
    fraction: NDArray[np.floating[Any]], geometry: GridGeometry
) -> NDArray[np.floating[Any]]:
    area: NDArray[np.floating[Any]] = fraction.sum(axis=(1, 2)) * geometry.spacing_mm[0] ** 2
    return area
