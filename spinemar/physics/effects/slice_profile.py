"""The slice sensitivity profile: rays of finite height average intensities, not attenuation."""

from __future__ import annotations

import numpy as np


def profile_samples(thickness_mm: float | None, spacing_mm: float) -> list[tuple[float, float]]:
    """Positions and weights along z that make up one slice.

    Parameters
    ----------
    thickness_mm : float or None
        Full width at half maximum of the triangular profile; None is an infinitely thin ray
        through the volume's own slice.
    spacing_mm : float
        Distance between the volume's slices.

    Returns
    -------
    list of (offset, weight)
        Offsets in slices; the weights sum to 1.
    """
    if thickness_mm is None or thickness_mm <= 0:
        return [(0.0, 1.0)]
    reach = thickness_mm / spacing_mm
    # Two samples per slice or five over the whole profile, whichever is finer.
    count = max(2, int(np.ceil(2.0 * reach)))
    offsets = np.arange(-count + 1, count) / count * reach
    weights = 1.0 - np.abs(offsets) / reach
    weights = weights / weights.sum()
    return list(zip(offsets.tolist(), weights.tolist(), strict=True))
