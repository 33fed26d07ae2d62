"""Find the shift between two CTs that know nothing of each other's coordinates.

Masked normalised cross-correlation over all shifts by FFT (Padfield, IEEE Trans. Image Process.
21, 2706, 2012), on a coarse grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.registration.grids import Float, Mask, UprightGrid
from spinemar.registration.motions import FloatArray

_TINY = 1e-6
_FEW_VOXELS = 50


@dataclass(frozen=True, eq=False)
class Shift:
    """A candidate: what to add to RAS mm of the scan, and how alike the CTs are then."""

    ras_mm: FloatArray
    likeness: float


def likely_shifts(
    scan: tuple[Float, Mask],
    scan_grid: UprightGrid,
    earlier: tuple[Float, Mask],
    earlier_grid: UprightGrid,
    *,
    least_overlap: float,
    apart_mm: float,
    count: int,
) -> list[Shift]:
    """Return the shifts at which two CTs are most alike, best first.

    Parameters
    ----------
    scan, earlier : (hu, usable)
        On grids of the same step.
    scan_grid, earlier_grid : UprightGrid
    least_overlap : float
        Share of the scan's usable voxels that the earlier CT must show.
    apart_mm : float
        Candidates lie at least so far apart.
    count : int
        Candidates at most.
    """
    likeness, overlap = _correlations(scan, earlier)
    likeness[overlap < least_overlap * scan[1].sum()] = -1.0
    step = scan_grid.step_mm
    size = 2 * int(apart_mm / step) + 1
    peaks = (likeness == ndimage.maximum_filter(likeness, size)) & (likeness > 0)
    found = np.argwhere(peaks)
    order = np.argsort(-likeness[peaks])[:count]
    reach = np.array(scan[0].shape) - 1  # index of shift 0
    return [
        Shift(
            earlier_grid.origin - scan_grid.origin + step * (found[n] - reach)[::-1],
            float(likeness[tuple(found[n])]),
        )
        for n in order
    ]


def _correlations(
    scan: tuple[Float, Mask], earlier: tuple[Float, Mask]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Likeness and overlap (voxels) at every shift; index n is a shift by n - shape + 1."""
    (fixed, fixed_mask), (moving, moving_mask) = scan, earlier
    full = [a + b - 1 for a, b in zip(fixed.shape, moving.shape, strict=True)]
    fast = [scipy.fft.next_fast_len(n, real=True) for n in full]

    def transformed(array: Float, mask: Mask, *, flipped: bool) -> list[NDArray[np.complex64]]:
        # Centred, so that single precision suffices.
        values = np.where(mask, array - array[mask].mean(), 0.0).astype(np.float32) / 100.0
        parts = [mask.astype(np.float32), values, values * values]
        if flipped:
            parts = [part[::-1, ::-1, ::-1] for part in parts]
        return [scipy.fft.rfftn(part, fast) for part in parts]

    def product(a: NDArray[np.complex64], b: NDArray[np.complex64]) -> NDArray[np.float32]:
        whole = scipy.fft.irfftn(a * b, fast)
        return np.asarray(whole[: full[0], : full[1], : full[2]], dtype=np.float32)

    f = transformed(fixed, fixed_mask, flipped=True)
    m = transformed(moving, moving_mask, flipped=False)
    overlap = np.maximum(np.rint(product(f[0], m[0])), 0.0)
    n = np.maximum(overlap, 1.0)
    sum_f, sum_m = product(f[1], m[0]), product(f[0], m[1])
    cross = product(f[1], m[1]) - sum_f * sum_m / n
    var_f = product(f[2], m[0]) - sum_f * sum_f / n
    var_m = product(f[0], m[2]) - sum_m * sum_m / n
    scale = np.sqrt(np.maximum(var_f, 0.0) * np.maximum(var_m, 0.0))
    strong = scale > _TINY * max(float(scale.max()), _TINY)
    likeness = np.where(strong, cross / np.where(strong, scale, 1.0), -1.0)
    return np.clip(likeness, -1.0, 1.0).astype(np.float32), overlap


def likeness_of(one: Float, other: Float, where: Mask, left_out: float = 0.0) -> float:
    """Correlation of two pictures where both can be used; NaN with too little there.

    Parameters
    ----------
    one, other : ndarray of float32
    where : ndarray of bool
    left_out : float
        Share of the voxels that differ most and do not count: what an operation changes.
    """
    a, b = one[where].astype(np.float64), other[where].astype(np.float64)
    if left_out > 0.0 and a.size:
        differing = np.abs((a - np.median(a)) - (b - np.median(b)))
        alike = differing <= np.quantile(differing, 1.0 - left_out)
        a, b = a[alike], b[alike]
    if a.size < _FEW_VOXELS:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > _TINY else float("nan")
