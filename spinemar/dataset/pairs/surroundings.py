"""What lies above and below a pair: the metal search of a correction sees a slab, not three slices.

A screw that one slice only grazes is told from bone by its core in the slices beside it. Those are
not scanned here: they are drawn without streaks or noise, as thick as they lie apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.dataset.sampling.anatomy import Tissue, sample_patient, scan_grid
from spinemar.dataset.sampling.deformation import Deformation
from spinemar.dataset.sampling.patients import Patient
from spinemar.dataset.sampling.protocol import ScanProtocol
from spinemar.implants.voxelize import voxelize_plan
from spinemar.physics.materials import REFERENCE_KEV, mu_per_mm
from spinemar.physics.scans.stored_values import stored_hu
from spinemar.planning.plans.plan import Plan
from spinemar.tomography.units import hu_to_mu, mu_to_hu
from spinemar.volume import GridGeometry

Float = NDArray[np.float32]

_STEP_MM = 2.5
"""Coarsest step in which neighbouring slices of a 4 mm screw overlap."""
_MOST_TISSUE_HU = 2000.0
"""The CT may hold metal of its own beyond its clean range."""
_BLUR_MM = 1.0
_COARSE = 2
"""Tissue is looked up at every other pixel: what counts here is metal, and where the body ends."""


@dataclass(frozen=True)
class Surroundings:
    """Slices below and above a pair, from the feet to the head, (slices, rows, columns) HU each."""

    below: Float
    above: Float


def surroundings(
    patient: Patient,
    deformation: Deformation,
    tissue: Tissue,
    plan: Plan,
    protocol: ScanProtocol,
    z_mm: float,
    matrix: int,
    reach_mm: float,
) -> Surroundings:
    """Draw what lies within `reach_mm` of the middle slice and is not of the pair.

    Parameters
    ----------
    patient, deformation, tissue
        As for the pair itself.
    plan : Plan
        RAS mm of the new patient.
    protocol : ScanProtocol
    z_mm : float
        Middle of the middle slice.
    matrix : int
        Rows and columns of the images.
    reach_mm : float
        Half the height of the slab.
    """
    step_mm = max(protocol.spacing_mm, _STEP_MM)
    count = max(int((reach_mm - protocol.spacing_mm) / step_mm), 0)
    pixel_mm = protocol.fov_mm / matrix
    away = protocol.spacing_mm + step_mm * (count + 1) / 2

    def drawn(z: float) -> Float:
        grid = scan_grid(protocol.image_centre_ras, z, matrix, pixel_mm, count, step_mm)
        tissue_hu = _tissue_on(grid, patient, deformation, tissue)
        mu = _with_metal(hu_to_mu(tissue_hu), voxelize_plan(plan, grid, patient.catalogue))
        sigma = _BLUR_MM / 2.355 / pixel_mm
        blurred = ndimage.gaussian_filter(mu, (0.0, sigma, sigma))
        return stored_hu(mu_to_hu(blurred), protocol.settings.hu_scale)

    if count == 0:
        none = np.zeros((0, matrix, matrix), dtype=np.float32)
        return Surroundings(none, none)
    return Surroundings(drawn(z_mm - away), drawn(z_mm + away))


def _tissue_on(
    grid: GridGeometry, patient: Patient, deformation: Deformation, tissue: Tissue
) -> Float:
    rows, columns = grid.shape[1:]
    affine = grid.ijk_to_ras @ np.diag([_COARSE, _COARSE, 1.0, 1.0])
    affine[:3, 3] += grid.ijk_to_ras[:3, :2].sum(axis=1) * (_COARSE - 1) / 2
    coarse = GridGeometry((grid.shape[0], -(-rows // _COARSE), -(-columns // _COARSE)), affine)
    hu = tissue.applied(sample_patient(patient, deformation, coarse, 1))
    hu = np.minimum(hu, np.float32(_MOST_TISSUE_HU))
    return hu.repeat(_COARSE, axis=1).repeat(_COARSE, axis=2)[:, :rows, :columns]


def _with_metal(mu: Float, shares: Mapping[str, Float]) -> Float:
    """Put implants in the place of tissue, attenuation per mm."""
    result = mu
    for name, share in shares.items():
        result = result + share * (np.float32(mu_per_mm(name, REFERENCE_KEV)) - mu)
    return np.asarray(result, dtype=np.float32)
