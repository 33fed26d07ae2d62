"""Where each label lies in a large volume, found without looking at its empty parts twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Box = tuple[slice, slice, slice]


def label_boxes(labels: NDArray[np.int16]) -> dict[int, Box]:
    """Return the smallest box around every label but 0.

    Parameters
    ----------
    labels : ndarray of integers, shape (k, j, i)

    Examples
    --------
    >>> labels = np.zeros((4, 5, 6), np.int16)
    >>> labels[1:3, 2, 4] = 20
    >>> label_boxes(labels)
    {20: (slice(1, 3, None), slice(2, 3, None), slice(4, 5, None))}
    """
    # A maximum along an axis is ten times quicker than the search for boxes.
    slices = np.flatnonzero(labels.any(axis=(1, 2)))
    if slices.size == 0:
        return {}
    first = int(slices[0])
    held = labels[first : int(slices[-1]) + 1]
    rows = np.flatnonzero(held.any(axis=(0, 2)))
    low = int(rows[0])
    held = held[:, low : int(rows[-1]) + 1]
    columns = np.flatnonzero(held.any(axis=(0, 1)))
    left = int(columns[0])
    return {
        number + 1: (_moved(box[0], first), _moved(box[1], low), _moved(box[2], left))
        for number, box in enumerate(ndimage.find_objects(held[..., left : int(columns[-1]) + 1]))
        if box is not None
    }


def _moved(edge: slice, by: int) -> slice:
    return slice(edge.start + by, edge.stop + by)
