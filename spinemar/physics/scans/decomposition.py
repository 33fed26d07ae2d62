"""Tissue of a CT as a blend of water and bone.

Every blend keeps the attenuation that the HU state at 70 keV; what the blend decides is how it
changes with energy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.materials import REFERENCE_KEV, mu_per_mm

_BLEND_HU = (100.0, 1500.0)
"""Below the first only water (of any density), above the second only cortical bone."""

WATER, BONE = "water", "cortical_bone"


def tissue_fractions(
    hu: NDArray[np.floating],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Split HU into amounts of water and cortical bone.

    Parameters
    ----------
    hu : ndarray
        Any shape; values below -1000 (padding, streaks) count as air.

    Returns
    -------
    water, bone : ndarray of float32, same shape
        Amounts relative to the pure material (1 is water of 1 g/cm3, or cortical bone), so
        that water * mu_water + bone * mu_bone at 70 keV is mu_water * (1 + HU / 1000).
    """
    values = np.asarray(hu, dtype=np.float32)
    relative = np.maximum(1.0 + values / 1000.0, 0.0, dtype=np.float32)
    low, high = _BLEND_HU
    share = np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
    ratio = float(mu_per_mm(WATER, REFERENCE_KEV) / mu_per_mm(BONE, REFERENCE_KEV))
    return relative * (1.0 - share), relative * share * np.float32(ratio)
