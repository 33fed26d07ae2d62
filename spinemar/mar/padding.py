"""Values that are no measurement: padding outside the reconstruction circle, NaN.

Padding (-2000, -2048, -3024...) is far below air. Projected as it is, it would add a ring of
negative attenuation to every ray; clipping at -1000 instead would also cut the streaks, which
do go far below air inside the body. So padding is recognised by its place and its constancy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AIR_HU = np.float32(-1000.0)
_NO_MEASUREMENT_HU = -1500.0


def padding_mask(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find padding in slices.

    Parameters
    ----------
    hu : ndarray, shape (n, rows, columns) or (rows, columns)

    Returns
    -------
    ndarray of bool, same shape
        Pixels that are not finite, that equal a corner's value below -1500 HU, or that lie
        below -1500 HU outside the circle inscribed in the matrix (interpolated padding).
    """
    low = ~(hu > _NO_MEASUREMENT_HU)
    if not low.any():
        return low
    rows, cols = hu.shape[-2:]
    y = (np.arange(rows) - (rows - 1) / 2) / (rows / 2)
    x = (np.arange(cols) - (cols - 1) / 2) / (cols / 2)
    outside = np.hypot(y[:, None], x[None, :]) > 0.97
    corner = hu[..., :1, :1]
    same: NDArray[np.bool_] = low & (outside | (hu == corner) | ~np.isfinite(hu))
    return same


def without_padding(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return slices with padding replaced by air; a copy only where there is padding."""
    padding = padding_mask(hu)
    return np.where(padding, AIR_HU, hu) if padding.any() else hu
