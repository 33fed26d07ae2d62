"""Which rays are lost: through metal, and through what metal's streaks drove out of range.

Both traces are kept. LI and NMAR use the metal trace (they get worse on the larger one);
learned methods use the lost-ray trace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.boxes import bounding_box

TRACE_LENGTH_PX = 0.5
TRACE_DILATION_BINS = 1
ADDED_SHARE_CAP = 0.12
"""Most of all rays that saturation may add to the metal trace."""
_NEARNESS_REACH_MM = 65.0


def trace_of(
    lengths_mm: NDArray[np.float32],
    pixel_mm: tuple[float, float],
    *,
    dilation_bins: int = TRACE_DILATION_BINS,
) -> NDArray[np.bool_]:
    """Mark the rays that cross a mask.

    Parameters
    ----------
    lengths_mm : ndarray of float32, shape (..., views, bins)
        Projected mask: length of each ray inside it, mm.
    pixel_mm : (row spacing, column spacing) in mm
    dilation_bins : int
        Bins added on either side.

    Returns
    -------
    ndarray of bool, same shape
    """
    crossed = lengths_mm > TRACE_LENGTH_PX * float(np.sqrt(pixel_mm[0] * pixel_mm[1]))
    return dilated(crossed, dilation_bins)


def dilated(trace: NDArray[np.bool_], bins: int) -> NDArray[np.bool_]:
    """Widen a trace (..., views, bins) by some bins on either side, within each view.

    Examples
    --------
    >>> import numpy as np
    >>> dilated(np.array([[False, False, True, False, False]]), 1).astype(int).tolist()
    [[0, 1, 1, 1, 0]]
    """
    wide = trace.copy()
    for shift in range(1, bins + 1):
        wide[..., shift:] |= trace[..., :-shift]
        wide[..., :-shift] |= trace[..., shift:]
    return wide


@dataclass(frozen=True)
class LostRays:
    """The rays a learned method may replace in one slice.

    Parameters
    ----------
    trace : ndarray of bool, shape (views, bins)
        Metal trace and the rays through saturated pixels.
    added_share : float
        Share of all rays that saturation adds.
    capped : bool
        Whether more would have been added without the cap.
    """

    trace: NDArray[np.bool_]
    added_share: float
    capped: bool

    def widened(self, bins: int) -> LostRays:
        """Take in `bins` more rays on either side, which blur and scatter spoil too."""
        return replace(self, trace=dilated(self.trace, bins)) if bins else self


def lost_ray_trace(
    metal_trace: NDArray[np.bool_],
    saturated_lengths_mm: NDArray[np.float32],
    pixel_mm: tuple[float, float],
    *,
    cap: float = ADDED_SHARE_CAP,
) -> LostRays:
    """Add the rays through saturated pixels to the metal trace of one slice.

    Parameters
    ----------
    metal_trace : ndarray of bool, shape (views, bins)
    saturated_lengths_mm : ndarray of float32, shape (views, bins)
        Projection of `saturated_pixels`, mm.
    pixel_mm : (row spacing, column spacing) in mm
    cap : float
        Largest share of all rays to add; the rays with most saturation come first.

    Returns
    -------
    LostRays
    """
    added = trace_of(saturated_lengths_mm, pixel_mm, dilation_bins=0) & ~metal_trace
    allowed = int(cap * added.size)
    capped = int(added.sum()) > allowed
    if capped:
        lengths = np.where(added, saturated_lengths_mm, 0.0).ravel()
        added = np.zeros(added.size, dtype=np.bool_)
        if allowed:
            added[np.argpartition(lengths, -allowed)[-allowed:]] = True
        added = added.reshape(metal_trace.shape)
    return LostRays(metal_trace | added, float(added.mean()), capped)


def nearness_mm(metal: NDArray[np.bool_], pixel_mm: tuple[float, float]) -> NDArray[np.float32]:
    """Distance to the nearest metal pixel of a slice.

    Farther distances need not be exact: beyond the box that reaches 65 mm around all metal they
    are infinite.

    Parameters
    ----------
    metal : ndarray of bool, shape (rows, columns)
    pixel_mm : (row spacing, column spacing) in mm

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Millimetres; infinite where there is no metal.
    """
    distance = np.full(metal.shape, np.inf, dtype=np.float32)
    box = bounding_box(metal, [int(_NEARNESS_REACH_MM / spacing) + 1 for spacing in pixel_mm])
    if box is not None:
        distance[box] = ndimage.distance_transform_edt(~metal[box], sampling=pixel_mm)
    return distance
