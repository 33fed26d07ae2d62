"""Whether a pair can teach anything: what is drawn anew, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.dataset.pair_settings import PairSettings

_TRUE, _CORE = 0.02, 0.5
_NEAR_MM = 3.0
_MOST_FALSE = 0.2
"""Share of the metal found that may lie farther from true metal: beyond, it is streaks."""
_LEAST_PART_MM2 = 6.0
_LEAST_FOUND = 0.5


def found_facts(
    found: NDArray[np.bool_], true: NDArray[np.float32], pixel_mm: float
) -> dict[str, float]:
    """Compare the metal found in a slice with the true one.

    Parameters
    ----------
    found : ndarray of bool, shape (rows, columns)
    true : ndarray of float32, same shape
        Share of each voxel that metal fills.
    pixel_mm : float

    Returns
    -------
    dict of str to float
        `false_share`: share of what is found that lies more than 3 mm from any metal;
        `least_found_share`: of the part (6 mm^2 or more that metal fills by half) that is found
        least, the share that is found; 1 where there is no such part.
    """
    near = ndimage.distance_transform_edt(true <= _TRUE, sampling=pixel_mm) <= _NEAR_MM
    if not (true > _TRUE).any():
        near[:] = False
    parts, count = ndimage.label(true > _CORE, np.ones((3, 3)))
    least = 1.0
    for number in range(1, count + 1):
        part = parts == number
        if part.sum() * pixel_mm**2 >= _LEAST_PART_MM2:
            least = min(least, float(found[part].mean()))
    return {
        "false_share": float((found & ~near).sum() / max(found.sum(), 1)),
        "least_found_share": least,
    }


def why_worthless(facts: dict[str, Any], settings: PairSettings) -> str:
    """Say why a pair of these facts is drawn anew; an empty text for a good one."""
    lost = facts["lost_ray_share"]
    if lost[len(lost) // 2] > settings.most_lost_share:
        return "too many rays lost"
    if facts["false_share"] > _MOST_FALSE:
        return "streaks taken for metal"
    if facts["least_found_share"] < _LEAST_FOUND:
        return "metal not found"
    return ""
