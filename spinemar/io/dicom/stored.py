"""How HU are stored in the 16 bits of a DICOM image so that they come back exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIGNED, _UNSIGNED = np.iinfo(np.int16), np.iinfo(np.uint16)


@dataclass(frozen=True)
class StoredScale:
    """HU are `slope` times the stored value plus `intercept`.

    Parameters
    ----------
    slope, intercept : str
        As DICOM's decimal strings.
    signed : bool
    """

    slope: str
    intercept: str
    signed: bool

    def stored(self, hu: NDArray[np.float32]) -> NDArray[np.int16] | NDArray[np.uint16]:
        """Return the nearest stored values of HU, any shape; what the bits cannot hold is cut."""
        limits = _SIGNED if self.signed else _UNSIGNED
        values = np.rint((hu.astype(np.float64) - float(self.intercept)) / float(self.slope))
        clipped = np.clip(values, limits.min, limits.max)
        return clipped.astype("<i2") if self.signed else clipped.astype("<u2")


def scales_for(
    hu: NDArray[np.float32], sources: Sequence[tuple[str, str]]
) -> tuple[StoredScale, ...]:
    """Choose a scale for each slice.

    Parameters
    ----------
    hu : ndarray of float32, shape (k, j, i)
    sources : sequence of (slope, intercept)
        Of each slice's source, as stored.

    Returns
    -------
    tuple of StoredScale
        Whole HU are stored as they are, or shifted where they reach beyond 16 bits with a sign.
        Where the sources' scale is finer than 1 HU it is kept, so that voxels that nobody touched
        come back exactly.
    """
    numbers = [(float(slope), float(intercept)) for slope, intercept in sources]
    if all(slope.is_integer() and intercept.is_integer() for slope, intercept in numbers):
        low, high = float(np.rint(hu.min())), float(np.rint(hu.max()))
        fits = low >= _SIGNED.min and high <= _SIGNED.max
        one = StoredScale("1", "0" if fits else str(int(low)), signed=fits)
        return (one,) * len(hu)
    lows = [(h.min() - b) / a for h, (a, b) in zip(hu, numbers, strict=True)]
    highs = [(h.max() - b) / a for h, (a, b) in zip(hu, numbers, strict=True)]
    ends = np.rint([*lows, *highs])  # a negative slope swaps them
    signed = bool(ends.min() < 0 and ends.max() <= _SIGNED.max)
    return tuple(StoredScale(slope, intercept, signed) for slope, intercept in sources)
