"""Pixels that the low end of the stored range cut off: their rays are lost too.

A 12-bit series ends at -1024 HU. Dark streaks go far below; what was cut off there is missing
from every ray through such a pixel, as much as what metal absorbed. Gas in bowel, lung and
trachea lies at the same value and lost nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.segmentation.body import Body, find_body
from spinemar.mar.segmentation.padding import padding_mask, without_padding
from spinemar.mar.segmentation.trace import nearness_mm

LOW_CLIP_HU = -1024.0
_CLIP_MARGIN_HU = 24.0
_NEAR_METAL_MM = 30.0
_SKIN_MM = 10.0
_EXPLAINED_HU = 100.0
_LOWEST_12_BIT_HU = -1100.0


def low_clip_hu(hu: NDArray[np.float32]) -> float:
    """Lower end of the range of an image (any shape): -1024 HU, or lower if extended."""
    lowest = float(np.min(without_padding(hu)))
    return LOW_CLIP_HU if lowest > _LOWEST_12_BIT_HU else lowest


def saturated_pixels(
    hu: NDArray[np.float32],
    metal: NDArray[np.bool_],
    pixel_mm: tuple[float, float],
    *,
    reference: NDArray[np.float32] | None = None,
    clip_hu: float = LOW_CLIP_HU,
    body: Body | None = None,
    nearness: NDArray[np.float32] | None = None,
) -> NDArray[np.bool_]:
    """Find pixels whose streaks were cut off at the low end of the range.

    Parameters
    ----------
    hu : ndarray of float32, shape (rows, columns) or (n, rows, columns)
    metal : ndarray of bool, same shape
    pixel_mm : (row spacing, column spacing) in mm
    reference : ndarray of float32, same shape, optional
        The slice corrected by linear interpolation. A pixel that it lifts by less than 100 HU
        was dark without any streak: gas. Without it, gas near metal is taken in.
    clip_hu : float
        Lower end of the range, see `low_clip_hu`.
    body, nearness : Body and ndarray of float32, shape (rows, columns), optional
        Of a single slice, where they are known already.

    Returns
    -------
    ndarray of bool, same shape
        At or below `clip_hu` + 24 (-1000 HU for 12-bit series) inside the body, within 30 mm
        of metal, at least 10 mm below the skin, and explained by streaks.
    """
    if hu.ndim == 3:
        pairs = zip(hu, metal, [None] * len(hu) if reference is None else reference, strict=True)
        masks = [
            saturated_pixels(h, m, pixel_mm, reference=r, clip_hu=clip_hu) for h, m, r in pairs
        ]
        return np.stack(masks) if masks else np.zeros(hu.shape, dtype=np.bool_)
    low = (hu <= clip_hu + _CLIP_MARGIN_HU) & ~padding_mask(hu) & ~metal
    if reference is not None:
        low &= reference - hu >= _EXPLAINED_HU
    if not metal.any() or not low.any():
        return np.zeros(hu.shape, dtype=np.bool_)
    low &= (nearness_mm(metal, pixel_mm) if nearness is None else nearness) <= _NEAR_METAL_MM
    if low.any():
        body = body or find_body(without_padding(hu), pixel_mm)
        low &= body.depth_mm >= _SKIN_MM
    return low
