"""The prior image of NMAR: tissue classes, their values taken from the data.

It must survive what defeats a plain threshold: dark streaks that look like air, a field of
view that cuts the body off, fat patients, contrast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.mar.segmentation.body import find_body
from spinemar.mar.segmentation.padding import AIR_HU
from spinemar.mar.segmentation.trace import nearness_mm

AIR_THRESHOLD_HU = -400.0
BONE_THRESHOLD_HU = 225.0
_SMOOTHING_MM = 1.0
_NEAR_MM = 30.0
_FEW_PIXELS = 200


def tissue_prior(
    li_hu: NDArray[np.float32],
    metal: NDArray[np.bool_],
    pixel_mm: tuple[float, float],
    *,
    body: NDArray[np.bool_] | None = None,
    nearness: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Make the prior of one slice.

    Parameters
    ----------
    li_hu : ndarray of float32, shape (rows, columns)
        The slice corrected by linear interpolation, without padding.
    metal : ndarray of bool, same shape
    pixel_mm : (row spacing, column spacing) in mm
    body : ndarray of bool, same shape, optional
        Inside the skin; found here if not given.
    nearness : ndarray of float32, same shape, optional
        Distance to metal in mm; found here if not given.

    Returns
    -------
    ndarray of float32, same shape
        HU: air, soft tissue and lung at the values found in this slice, bone as it is.
    """
    sigma = (_SMOOTHING_MM / pixel_mm[0], _SMOOTHING_MM / pixel_mm[1])
    smooth = ndimage.gaussian_filter(li_hu, sigma)
    if body is None:
        body = find_body(li_hu, pixel_mm).mask
    distance = nearness_mm(metal, pixel_mm) if nearness is None else nearness
    near = distance < _NEAR_MM
    air = smooth < AIR_THRESHOLD_HU
    bone = smooth > BONE_THRESHOLD_HU
    soft_hu = _middle(li_hu, body & ~air & ~bone, near, fallback=30.0)
    gas_hu = _middle(li_hu, body & air, near, fallback=-850.0)
    prior = np.full(li_hu.shape, AIR_HU, dtype=np.float32)
    prior[body] = soft_hu
    prior[body & air] = min(gas_hu, -500.0)
    outside = ~body & ~air  # table, blankets, arms cut off
    prior[outside] = smooth[outside]
    prior[bone] = smooth[bone]
    prior[metal] = np.maximum(prior[metal], soft_hu)
    return prior


def _middle(
    hu: NDArray[np.float32],
    region: NDArray[np.bool_],
    near: NDArray[np.bool_],
    fallback: float,
) -> float:
    """Median of a class away from metal, or of all of it where little lies away."""
    away = hu[region & ~near]
    values = away if away.size >= _FEW_PIXELS else hu[region]
    return float(np.median(values)) if values.size >= _FEW_PIXELS else fallback
