"""Are these numbers Hounsfield units? What a CT of a patient cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError

MASK_THRESHOLD_HU = 2500.0
"""Metal on 12-bit scans of titanium and steel: lower takes in bone, higher starves steel."""
PADDING_BELOW_HU = -1500.0
"""Scanners mark pixels outside the reconstruction circle with -2000, -3024 and the like."""
HOUNSFIELD_STATED = ("SpineMAR.units", "HU")
"""Key and value of a NRRD header that say so of a volume that we wrote."""
_FAT_AND_AIR_BELOW_HU = -50.0
_LEAST_FAT_AND_AIR = 1e-3
_HEADER_BYTES = 4096
_LARGEST_HU = 1e6
_SMALLEST_RANGE_HU = 50.0


def check_hounsfield(hu: NDArray[np.float32], name: str, *, stated: bool = False) -> None:
    """Refuse values that no CT of a patient in Hounsfield units can have.

    Parameters
    ----------
    hu : ndarray, any shape
        The voxel values.
    name : str
        The file's name for the message.
    stated : bool
        Whether the file itself says that these are HU. Then a targeted field of view need not
        hold fat or air.

    Raises
    ------
    InputError
        If values are missing (NaN), all alike, scaled or without anything below water.
    """
    low, high = float(hu.min()), float(hu.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(hu.size - np.count_nonzero(np.isfinite(hu)))
        raise InputError(
            f"{name} has {bad:,} voxels that are not numbers (NaN or infinite).",
            "Export the volume again, or fill these voxels with -1000.",
        )
    if low == high:
        raise InputError(
            f"{name} is constant: every voxel is {low:g}.", "Load the series that shows the spine."
        )
    if max(-low, high) > _LARGEST_HU or high - low < _SMALLEST_RANGE_HU:
        raise InputError(
            f"{name} is not in Hounsfield units: its values reach from {low:.4g} to {high:.4g}.",
            "Load the CT in Hounsfield units, not scaled or normalised.",
        )
    if not stated and _fat_and_air_share(hu) < _LEAST_FAT_AND_AIR:
        raise InputError(
            f"{name} is not in Hounsfield units: fat and air are below 0 HU, but nothing here is. "
            "It may be an MR, or a CT whose rescale intercept got lost.",
            "Load the original CT series.",
        )


def states_hounsfield(path: Path) -> bool:
    """Whether a NRRD file says that it was written by us, in HU."""
    if path.suffix.lower() != ".nrrd":
        return False
    with path.open("rb") as stream:
        head = stream.read(_HEADER_BYTES).split(b"\n\n", 1)[0]
    return ":=".join(HOUNSFIELD_STATED).encode() in head.splitlines()


def _fat_and_air_share(hu: NDArray[np.float32]) -> float:
    """Share of voxels that are fat or air, padding left out; slice by slice to save memory."""
    real, found = 0, 0
    for part in hu:
        inside = part > PADDING_BELOW_HU
        real += int(np.count_nonzero(inside))
        found += int(np.count_nonzero(inside & (part < _FAT_AND_AIR_BELOW_HU)))
    return found / real if real else 0.0
