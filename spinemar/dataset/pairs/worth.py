"""Whether a pair can teach anything: what is drawn anew, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.dataset.pair_settings import PairSettings

_TRUE, _BRIGHT = 0.02, 0.3
"""Shares of a voxel that count as near metal, and that titanium shows as bright as a scale ends."""
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
        `least_found_share`: of the part (6 mm^2 of metal or more, in voxels that metal fills by
        0.3) that is found least, the share of its metal that is found; 1 where there is none.
    """
    near = ndimage.distance_transform_edt(true <= _TRUE, sampling=pixel_mm) <= _NEAR_MM
    if not (true > _TRUE).any():
        near[:] = False
    parts, count = ndimage.label(true > _BRIGHT, np.ones((3, 3)))
    numbers = range(1, count + 1)
    there = np.asarray(ndimage.sum_labels(true, parts, numbers), dtype=np.float64)
    seen = np.asarray(ndimage.sum_labels(true * found, parts, numbers), dtype=np.float64)
    large = there * pixel_mm**2 >= _LEAST_PART_MM2
    least = float((seen[large] / there[large]).min(initial=1.0))
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
