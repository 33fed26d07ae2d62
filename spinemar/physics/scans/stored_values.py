"""Reconstructed values as a scanner stores them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.scanner_settings import HuScale

_HU_RANGE: dict[HuScale, tuple[float, float]] = {
    "12-bit": (-1024.0, 3071.0),
    "extended": (-10240.0, 30710.0),
}


def stored_hu(hu: NDArray[np.floating], scale: HuScale) -> NDArray[np.float32]:
    """Round to whole HU and clip to the scale, any shape; "unlimited" changes nothing."""
    values = np.asarray(hu, dtype=np.float32)
    if scale == "unlimited":
        return values
    low, high = _HU_RANGE[scale]
    return np.clip(np.rint(values), low, high).astype(np.float32)
