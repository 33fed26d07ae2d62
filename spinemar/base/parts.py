"""The connected parts of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part of a mask (faces touch), or the mask if it is empty.

    Parameters
    ----------
    mask : ndarray of bool
        Of any shape.

    Returns
    -------
    ndarray of bool, same shape
    """
    parts, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    result: NDArray[np.bool_] = parts == sizes.argmax()
    return result
