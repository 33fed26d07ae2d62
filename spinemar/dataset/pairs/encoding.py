"""Values as stored: whole numbers, which compress well and are the same on every reader."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

INTEGRALS_PER_UNIT = 1024
"""Line integrals are stored in steps of 1/1024: 0.3 to 1.6 HU of noise, up to 32."""
_LIMIT = 32767
FRACTIONS_PER_UNIT = 255
"""Volume fractions are stored in steps of 1/255, one byte each."""


def encode_integrals(values: NDArray[np.floating]) -> NDArray[np.int16]:
    """Round line integrals to int16 steps; beyond +-32 they are clipped (inside metal only).

    Any shape; the result has the same.
    """
    steps = np.rint(np.asarray(values, dtype=np.float32) * np.float32(INTEGRALS_PER_UNIT))
    return np.asarray(np.clip(steps, -_LIMIT, _LIMIT), dtype=np.int16)


def decode_integrals(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Return line integrals (dimensionless) of stored steps, same shape."""
    return np.asarray(stored, dtype=np.float32) * np.float32(1.0 / INTEGRALS_PER_UNIT)


def encode_hu(values: NDArray[np.floating]) -> NDArray[np.int16]:
    """Round HU to int16, same shape."""
    return np.asarray(np.clip(np.rint(values), -_LIMIT, _LIMIT), dtype=np.int16)


def encode_fractions(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Round volume fractions from 0 to 1 to bytes, same shape."""
    steps = np.rint(np.clip(values, 0.0, 1.0) * np.float32(FRACTIONS_PER_UNIT))
    return np.asarray(steps, dtype=np.uint8)


def decode_fractions(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Return volume fractions of stored bytes, same shape."""
    return np.asarray(stored, dtype=np.float32) * np.float32(1.0 / FRACTIONS_PER_UNIT)
