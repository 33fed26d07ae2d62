"""The metal that is really there, on the grid of a pair's images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.dataset.pair_settings import N_SLICES
from spinemar.dataset.sampling.anatomy import scan_grid
from spinemar.dataset.sampling.protocol import ScanProtocol
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.physics.materials import STORED_METALS
from spinemar.planning.plans.plan import Plan


def true_metal(
    plan: Plan, catalogue: Catalogue, protocol: ScanProtocol, z_mm: float, matrix: int
) -> NDArray[np.float32]:
    """Return the share of each voxel of a pair's images that each metal fills.

    Parameters
    ----------
    plan : Plan
        RAS mm of the new patient.
    catalogue : Catalogue
    protocol : ScanProtocol
    z_mm : float
        Middle of the middle slice.
    matrix : int
        Rows and columns of the images.

    Returns
    -------
    ndarray of float32, shape (slices, metals, rows, columns)
        From 0 to 1, the metals in the order of `STORED_METALS`; a voxel is as thick as the slice,
        whose neighbours may overlap it.
    """
    shares = np.zeros((N_SLICES, len(STORED_METALS), matrix, matrix), dtype=np.float32)
    pixel_mm = protocol.fov_mm / matrix
    for number in range(N_SLICES):
        z = z_mm + (number - N_SLICES // 2) * protocol.spacing_mm
        grid = scan_grid(protocol.image_centre_ras, z, matrix, pixel_mm, 1, protocol.slice_mm)
        for name, share in voxelize_plan(plan, grid, catalogue).items():
            if name in STORED_METALS:
                shares[number, STORED_METALS.index(name)] = share[0]
    return shares
