"""Bridge the trace of a sinogram by straight lines along the detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def interpolate_linearly(
    values: NDArray[np.float32], trace: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Replace traced bins by linear interpolation between the bins beside the trace.

    Parameters
    ----------
    values : ndarray of float32, shape (..., bins)
    trace : ndarray of bool, same shape

    Returns
    -------
    ndarray of float32, same shape
        Equal to `values` outside the trace. A run that reaches the detector's edge keeps the
        value of its one neighbour; a view that is traced throughout is left as it is.

    Examples
    --------
    >>> import numpy as np
    >>> rays = np.array([[1.0, 9.0, 9.0, 4.0, 9.0]], dtype=np.float32)
    >>> interpolate_linearly(rays, rays == 9).round(3).tolist()
    [[1.0, 2.0, 3.0, 4.0, 4.0]]
    """
    bins = values.shape[-1]
    flat = np.ascontiguousarray(values).reshape(-1, bins)
    marks = np.zeros((flat.shape[0], bins + 2), dtype=np.int8)
    marks[:, 1:-1] = trace.reshape(-1, bins)
    steps = np.diff(marks, axis=1).ravel()
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    out = flat.copy()
    if starts.size == 0:
        return out.reshape(values.shape)
    rows, first = np.divmod(starts, bins + 1)
    last = ends % (bins + 1)  # one past the run
    left = flat[rows, np.maximum(first - 1, 0)]
    right = flat[rows, np.minimum(last, bins - 1)]
    left = np.where(first == 0, right, left)
    right = np.where(last == bins, left, right)
    length = last - first
    open_ended = (first == 0) & (last == bins)
    position = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    weight = ((position + 1) / np.repeat(length + 1, length)).astype(np.float32)
    line = np.repeat(left, length) * (1 - weight) + np.repeat(right, length) * weight
    inside = np.asarray(trace).reshape(-1, bins)
    if open_ended.any():
        line = np.where(np.repeat(open_ended, length), flat[inside], line)
    out[inside] = line
    return out.reshape(values.shape)
