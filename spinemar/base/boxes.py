"""The smallest box around what a mask holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def bounding_box(
    mask: NDArray[np.bool_], margins: Sequence[int] | None = None
) -> tuple[slice, ...] | None:
    """Return the smallest box around what a mask holds.

    Parameters
    ----------
    mask : ndarray of bool, any number of axes
    margins : sequence of int, optional
        Elements to add on either side along each axis; the box stays inside the array.

    Returns
    -------
    tuple of slice, one an axis, or None
        None if the mask holds nothing.

    Examples
    --------
    >>> mask = np.zeros((4, 6), bool)
    >>> mask[1, 2:5] = True
    >>> bounding_box(mask), bounding_box(mask, (1, 2))
    ((slice(1, 2, None), slice(2, 5, None)), (slice(0, 3, None), slice(0, 6, None)))
    """
    box = []
    for axis, size in enumerate(mask.shape):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        used = np.flatnonzero(mask.any(axis=others))
        if used.size == 0:
            return None
        margin = 0 if margins is None else margins[axis]
        box.append(slice(max(0, int(used[0]) - margin), min(size, int(used[-1]) + 1 + margin)))
    return tuple(box)
