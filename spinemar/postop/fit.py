"""Fit a screw's shank: the rendered cylinder that explains the metal's share of each voxel.

A shank is thinner than a thick slice, and a pixel is a third of it: counting voxels says little.
So a smooth cylinder with a tapered point is rendered with partial volume (points within each
voxel) and blur, and its axis, radius and tip are fitted by least squares. The head begins where
the metal's cross-section grows to a multiple of the shank's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from spinemar.implants.shapes.solids import FloatArray, perpendicular, unit
from spinemar.planning.vectors import from_axis_mm
from spinemar.postop.heads import direction_from_head
from spinemar.postop.metal_share import MetalShare
from spinemar.postop.shanks import Shank

_STEP_MM = 0.5
_LONGEST_MM, _BACK_MM = 70.0, 45.0
# What is fitted reaches so far around the shank, beyond its tip, and begins before its neck.
_AROUND_MM, _BEYOND_MM, _AFTER_NECK_MM = 1.5, 4.0, 2.0
_CELL_MM = 0.9
_POINT_MM, _POINT_SHARE = 5.0, 0.25
_RADIUS_MM, _BLUR_MM = (0.8, 4.5), (0.15, 1.6)
# Cross-sections are measured within this radius; a tulip fills more than the multiple of a shank.
_SECTION_MM, _HEAD_MULTIPLE = 8.5, 2.2
_NEAR_STEPS, _LEAST_MM2, _ENDS_BELOW, _GAP_STEPS = 12, 2.0, 0.4, 10
# Between two thick slices, or where rays are lost, a thin shank is not seen over so much of its
# length: what lies so near its axis behind such a gap, and goes on for so long, is the same shank.
_CORE_MM, _LOST_STEPS, _GOES_ON_STEPS = 3.0, 36, 10
_SHORTEST_MM, _ROUNDS = 12.0, 2
# An axis moves sideways so far at its ends; at the neck less where so much before it is lost, for
# there only the head is left to say where it lies.
_ASIDE_MM, _NECK_MM, _MUCH_LOST_MM = 4.0, 0.75, 8.0
# A voxel's share is good to this; neighbours err alike, so that fewer count.
_SHARE_ERROR, _ALIKE_VOXELS = 0.12, 6.0


@dataclass(frozen=True, eq=False)
class FittedShank:
    """A shank as it lies; points are RAS mm.

    Parameters
    ----------
    shank : Shank
        What it was found as.
    neck, tip : ndarray, shape (3,)
        Where the head's metal begins, and the point.
    radius_mm : float
        Of the smooth cylinder with the metal of the threaded shank.
    blur_mm : float
    residual : float
        Root mean square of what the rendered cylinder leaves unexplained, shares of a voxel.
    axis_error_mm, radius_error_mm : float
        Standard deviations of the axis sideways at its ends (the larger) and of the radius.
    radius_per_blur : float
        By how much the radius would change with the blur, mm for each mm, all else fitted anew.
    cut_off : bool
        Whether the metal goes on to the edge of the volume.
    has_head : bool
        Whether metal of a head lies behind it.
    """

    shank: Shank
    neck: FloatArray
    tip: FloatArray
    radius_mm: float
    blur_mm: float
    residual: float
    axis_error_mm: float
    radius_error_mm: float
    radius_per_blur: float
    cut_off: bool
    has_head: bool

    @property
    def axis(self) -> FloatArray:
        """Unit vector forwards."""
        return unit(self.tip - self.neck)

    @property
    def length_mm(self) -> float:
        """From neck to tip."""
        return float(np.linalg.norm(self.tip - self.neck))


@dataclass(frozen=True, eq=False)
class _Voxels:
    """The voxels of a fit: places of their cells (n, c, 3), and their share (n,)."""

    cells: FloatArray
    share: FloatArray


@dataclass(frozen=True, eq=False)
class _Extent:
    """Where a shank lies along its axis, mm from its middle.

    `lost_mm` (n,) are the depths between its ends at which no metal is seen.
    """

    neck_mm: float
    tip_mm: float
    has_head: bool
    lost_mm: FloatArray


def fit_shank(
    shank: Shank, metal: MetalShare, others: tuple[Shank, ...] = ()
) -> FittedShank | None:
    """Fit one shank; None where it does not look like one.

    Parameters
    ----------
    shank : Shank
    metal : MetalShare
    others : tuple of Shank
        Metal nearer to one of these is theirs.
    """
    fitted = None
    shank, extent = _turned_to_its_head(shank, metal)
    for _ in range(_ROUNDS):
        fitted = None if extent is None else _fitted(shank, metal, others, extent)
        if fitted is None:
            return None
        shank = replace(shank, middle=(fitted.neck + fitted.tip) / 2, axis=fitted.axis)
        extent = _extent(shank, metal)
    if fitted is None or extent is None:
        return None
    margin = 1.5 * max(metal.geometry.spacing_mm)
    cut_off = not bool(metal.holds(fitted.tip + shank.axis * margin).all())
    neck = shank.middle + shank.axis * extent.neck_mm
    result = replace(fitted, neck=neck, cut_off=cut_off, has_head=extent.has_head)
    return result if result.length_mm >= _SHORTEST_MM or cut_off else None


def _turned_to_its_head(shank: Shank, metal: MetalShare) -> tuple[Shank, _Extent | None]:
    """Turn a shank that meets no head to the one behind it, if it meets that then.

    Returns it with where it lies along its axis.
    """
    extent = _extent(shank, metal)
    if extent is None or extent.has_head:
        return shank, extent
    axis = direction_from_head(shank.middle, shank.axis, metal, extent.neck_mm)
    if axis is None:
        return shank, extent
    aimed = replace(shank, axis=axis)
    found = _extent(aimed, metal)
    return (aimed, found) if found is not None and found.has_head else (shank, extent)


def _extent(shank: Shank, metal: MetalShare) -> _Extent | None:
    """Return where neck and tip lie along the axis from its middle."""
    depth = np.arange(-_BACK_MM, _LONGEST_MM, _STEP_MM)
    area = _sections_mm2(shank, metal, depth, _SECTION_MM)
    start = int(np.searchsorted(depth, 0.0))
    usual = _usual_mm2(area, start)
    if usual < _LEAST_MM2:
        return None
    there = area >= _ENDS_BELOW * usual
    core = _sections_mm2(shank, metal, depth, _CORE_MM) >= _ENDS_BELOW * usual
    stop = start + _until_it_ends(there[start:], core[start:])
    first = start - _until_it_ends(there[start::-1], core[start::-1])
    lost = ~there & (depth > depth[first]) & (depth < depth[stop])
    limit = _HEAD_MULTIPLE * usual
    wide = np.flatnonzero(area[first:start] > limit) + first
    if not len(wide):
        return _Extent(float(depth[first]), float(depth[stop]), False, depth[lost])
    n = int(wide[-1])
    step = max(area[n] - area[n + 1], 1e-6)
    neck = depth[n] + _STEP_MM * float(np.clip((area[n] - limit) / step, 0.0, 1.0))
    return _Extent(float(neck), float(depth[stop]), True, depth[lost])


def _usual_mm2(area: FloatArray, start: int) -> float:
    """Return the cross-section around the middle; where nothing is seen there, beside it."""
    near = float(np.median(area[start - _NEAR_STEPS : start + _NEAR_STEPS]))
    if near >= _LEAST_MM2:
        return near
    beside = area[start - _LOST_STEPS // 2 : start + _LOST_STEPS // 2]
    seen = beside[beside >= _LEAST_MM2]
    return float(np.median(seen)) if len(seen) else 0.0


def _until_it_ends(metal: NDArray[np.bool_], core: NDArray[np.bool_]) -> int:
    """Count the steps to the last one before a gap longer than thick slices make.

    A longer one counts as lost where metal goes on near the axis (`core`) behind it.
    """
    there = np.flatnonzero(metal)
    if not len(there):
        return 0
    end = -1
    for n in there:
        gap = n - end
        goes_on = core[n : n + _GOES_ON_STEPS].sum() >= 0.8 * _GOES_ON_STEPS
        if gap > _GAP_STEPS and not (gap <= _LOST_STEPS and goes_on):
            break
        end = int(n)
    return max(end, 0)


def _sections_mm2(
    shank: Shank, metal: MetalShare, depth: FloatArray, reach_mm: float
) -> FloatArray:
    """Return the metal's cross-section around an axis at depths (n,) from its middle, in mm2."""
    first = perpendicular(shank.axis, (1.0, 0.0, 0.0))
    second = np.cross(shank.axis, first)
    step = np.arange(-reach_mm, reach_mm + 1e-6, _CELL_MM)
    across, up = np.meshgrid(step, step)
    disc = np.hypot(across, up) <= reach_mm
    offsets = across[disc, None] * first + up[disc, None] * second
    centres = shank.middle + depth[:, None] * shank.axis
    share = metal.at(centres[:, None] + offsets)
    area: FloatArray = share.sum(axis=1) * _CELL_MM**2
    return area


def _fitted(
    shank: Shank, metal: MetalShare, others: tuple[Shank, ...], extent: _Extent
) -> FittedShank | None:
    neck_mm, tip_mm = extent.neck_mm, extent.tip_mm
    voxels = _voxels(shank, metal, others, extent)
    if len(voxels.share) < 8:
        return None
    first = perpendicular(shank.axis, (1.0, 0.0, 0.0))
    second = np.cross(shank.axis, first)
    half = max((tip_mm - neck_mm) / 2, 4.0)
    middle = shank.middle + shank.axis * (neck_mm + tip_mm) / 2

    def placed(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return a point of the axis and its direction: the ends move sideways."""
        back = middle - shank.axis * half + values[0] * first + values[1] * second
        front = middle + shank.axis * half + values[2] * first + values[3] * second
        return (back + front) / 2, unit(front - back)

    def unexplained(values: FloatArray) -> FloatArray:
        point, axis = placed(values)
        tip = half + values[5]
        share = _rendered(voxels.cells, point, axis, values[4], tip, values[6])
        return share - voxels.share

    lost = len(extent.lost_mm) * _STEP_MM
    aside = _NECK_MM if extent.has_head and lost >= _MUCH_LOST_MM else _ASIDE_MM
    start = np.array([0.0, 0.0, 0.0, 0.0, 2.2, 0.0, 0.5])
    low = np.array([-aside, -aside, -_ASIDE_MM, -_ASIDE_MM, _RADIUS_MM[0], -6.0, _BLUR_MM[0]])
    high = np.array([aside, aside, _ASIDE_MM, _ASIDE_MM, _RADIUS_MM[1], 6.0, _BLUR_MM[1]])
    found = optimize.least_squares(
        unexplained,
        start,
        bounds=(low, high),
        diff_step=np.full(7, 1e-3),
        x_scale=np.array([1, 1, 1, 1, 0.5, 1, 0.3]),
        max_nfev=15,
        ftol=1e-4,
        xtol=1e-3,
    )
    covariance = _covariance(np.asarray(found.jac), found.fun)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    point, axis = placed(found.x)
    return FittedShank(
        shank=shank,
        neck=point - axis * half,
        tip=point + axis * (half + found.x[5]),
        radius_mm=float(found.x[4]),
        blur_mm=float(found.x[6]),
        residual=float(np.sqrt(np.mean(found.fun**2))),
        axis_error_mm=float(errors[:4].max()),
        radius_error_mm=float(errors[4]),
        radius_per_blur=float(covariance[4, 6] / max(covariance[6, 6], 1e-9)),
        cut_off=False,
        has_head=False,
    )


def _covariance(slopes: FloatArray, left: FloatArray) -> FloatArray:
    """Return the covariance (m, m) of fitted values from slopes (n, m) and residuals (n,)."""
    variance = max(float(np.mean(left**2)), _SHARE_ERROR**2) * _ALIKE_VOXELS
    return np.asarray(np.linalg.pinv(slopes.T @ slopes) * variance, np.float64)


def _voxels(shank: Shank, metal: MetalShare, others: tuple[Shank, ...], extent: _Extent) -> _Voxels:
    """Cut out the voxels around a shank that are no other's and lie where metal is seen."""
    from_mm, tip_mm = extent.neck_mm + _AFTER_NECK_MM, extent.tip_mm
    ends = shank.middle + np.array([[from_mm], [tip_mm + _BEYOND_MM]]) * shank.axis
    reach = _RADIUS_MM[1] + _AROUND_MM
    corners = np.concatenate([ends - reach, ends + reach])
    box = np.array(list(product(*zip(corners.min(axis=0), corners.max(axis=0), strict=True))))
    ijk = metal.geometry.to_ijk(box)
    size = np.array(metal.geometry.shape[::-1])
    low = np.clip(np.floor(ijk.min(axis=0)), 0, size - 1).astype(int)
    high = np.clip(np.ceil(ijk.max(axis=0)) + 1, low + 1, size).astype(int)
    index = np.stack(
        np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"), -1
    ).reshape(-1, 3)
    points = metal.geometry.to_ras(index)
    depth = (points - shank.middle) @ shank.axis
    away = from_axis_mm(points, shank.middle, shank.axis)
    near = (depth >= from_mm) & (depth <= tip_mm + _BEYOND_MM) & (away <= reach)
    if len(extent.lost_mm):
        place = np.clip(np.searchsorted(extent.lost_mm, depth), 0, len(extent.lost_mm) - 1)
        before = extent.lost_mm[np.maximum(place - 1, 0)]
        off = np.minimum(np.abs(extent.lost_mm[place] - depth), np.abs(before - depth))
        near &= off > _STEP_MM
    for other in others:
        theirs = from_axis_mm(points, other.middle, other.axis)
        near &= (away <= theirs) | ((points - other.middle) @ other.axis > 40.0)
    index = index[near]
    counts = [max(1, int(np.ceil(s / _CELL_MM))) for s in metal.geometry.spacing_mm]
    steps = [(np.arange(n) - (n - 1) / 2) / n for n in counts]
    cells = index[:, None] + np.array(list(product(*steps)))
    share = metal.share[index[:, 2], index[:, 1], index[:, 0]]
    return _Voxels(metal.geometry.to_ras(cells), np.asarray(share, np.float64))


def _rendered(
    cells: FloatArray, point: FloatArray, axis: FloatArray, radius: float, tip: float, blur: float
) -> FloatArray:
    """Return the share of voxels that a blurred cylinder with a tapered point fills."""
    relative = cells - point
    depth = relative @ axis
    square = np.einsum("nci,nci->nc", relative, relative) - depth**2
    away = np.sqrt(np.maximum(square, 0.0))
    taper = np.clip((tip - depth) / _POINT_MM, 0.0, 1.0)
    wall = away - radius * (_POINT_SHARE + (1.0 - _POINT_SHARE) * taper)
    distance = np.maximum(wall, depth - tip)
    share: FloatArray = special.expit(distance * (-1.7 / blur))
    result: FloatArray = share.mean(axis=1)
    return result
