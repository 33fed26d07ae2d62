"""Find screws: straight, thin metal in front of the canal's centre, on its way into a body.

Behind the canal lie heads, rods and crosslinks; what reaches from there past the canal's centre is
a shank, or nothing that was screwed into a pedicle. So each vertebra's frame is asked for straight
lines of metal in its own box, and nothing else in the body (ports, wires, hips) is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.planning.vectors import angle_deg, from_axis_mm
from spinemar.postop.heads import direction_from_head
from spinemar.postop.metal_share import MetalShare
from spinemar.spine.model import SpineModel, VertebraFrame

# The box of a vertebra in which its shanks lie: to each side, before the canal's centre, up, down.
_SIDE_MM, _BEHIND_MM, _BEFORE_MM, _HEIGHT_MM = 32.0, 3.0, 60.0, 17.0
_LINE_MM, _TRIED, _MOST = 2.5, 400, 6
_LEAST_VOXELS, _LEAST_LONG_MM = 12, 12.0
# A shorter piece counts where a head lies behind it: what is between them is lost.
_LEAST_SEEN_MM = 8.0
_STEEPEST_DEG = 60.0
_REACH_MM, _CLEARED_MM, _TURNS = 4.0, 6.0, 5
# A longer gap parts two pieces; a thin shank between thick slices, or in lost rays, has such ones.
_GAP_MM, _BEYOND_MM = 18.0, 4.0
# Two lines so near each other are one screw.
_SAME_MM, _SAME_DEG = 4.0, 20.0
# Of a line's voxels so much lies near its axis; a plate, a cage or a tooth is wider.
_THIN_SHARE, _WIDE_MM = 0.5, 7.0
_AGAINST = 0.5


@dataclass(frozen=True, eq=False)
class Shank:
    """A straight piece of metal in a vertebra; points are RAS mm.

    Parameters
    ----------
    level, side : str
    middle : ndarray, shape (3,)
        On its axis, before the canal's centre.
    axis : ndarray, shape (3,)
        Unit vector forwards.
    """

    level: str
    side: str
    middle: FloatArray
    axis: FloatArray


def find_shanks(metal: MetalShare, spine: SpineModel) -> tuple[Shank, ...]:
    """Return the shanks of all vertebrae that have a frame, from head to foot.

    Parameters
    ----------
    metal : MetalShare
    spine : SpineModel
    """
    found: list[tuple[float, Shank]] = []
    for frame in spine.vertebrae:
        found += _in_box(metal, frame)
    kept: list[Shank] = []
    for _, shank in sorted(found, key=lambda one: -one[0]):
        if not any(_same(shank, other) for other in kept):
            kept.append(_named(shank, spine))
    order = {level: n for n, level in enumerate(spine.levels)}
    return tuple(sorted(kept, key=lambda one: (order[one.level], one.side)))


def _in_box(metal: MetalShare, frame: VertebraFrame) -> list[tuple[float, Shank]]:
    """Return lines of metal in a vertebra's box, each with the metal on it in mm3."""
    local, weights = frame.to_local(metal.points), metal.weights
    canal = frame.to_local(frame.canal_centre_ras)
    height = local[:, 2] - _pedicle_height(frame)
    inside = (
        (np.abs(local[:, 0] - canal[0]) <= _SIDE_MM)
        & (local[:, 1] >= canal[1] - _BEHIND_MM)
        & (local[:, 1] <= canal[1] + _BEFORE_MM)
        & (np.abs(height) <= _HEIGHT_MM)
    )
    points, weights = local[inside], weights[inside]
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(_MOST):
        line = _best_line(points, weights, rng)
        if line is None:
            break
        middle, axis, on_it = line
        if _is_thin(points, weights, middle, axis, on_it):
            shank = Shank(
                frame.level, _side(middle, axis, canal), frame.to_ras(middle), axis @ frame.axes_ras
            )
            if _is_whole(shank, (points[on_it] - middle) @ axis, metal):
                lines.append((float(weights[on_it].sum()) * metal.voxel_mm3, shank))
        left = ~_beside_it(points, middle, axis, on_it)
        points, weights = points[left], weights[left]
    return lines


def _is_whole(shank: Shank, depth: FloatArray, metal: MetalShare) -> bool:
    """Whether a piece, its voxels at depths (n,), is long, or the front of a screw with a head."""
    begins_mm = float(depth.min())
    return (
        float(np.ptp(depth)) >= _LEAST_LONG_MM
        or direction_from_head(shank.middle, shank.axis, metal, begins_mm) is not None
    )


def _pedicle_height(frame: VertebraFrame) -> float:
    heights = [frame.to_local(p.isthmus_ras)[2] for p in frame.pedicles.values()]
    return float(np.mean(heights) if heights else frame.to_local(frame.canal_centre_ras)[2])


def _best_line(
    points: FloatArray, weights: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]] | None:
    """Return a point, a direction and which voxels lie on the line with most metal.

    Lines through pairs of voxels are tried (Fischler and Bolles, 1981), the best is refined. Metal
    around a line speaks against it: one that runs through a screw and on into a cage has more on
    it than the screw's own.
    """
    if len(points) < _LEAST_VOXELS:
        return None
    first, second = rng.integers(len(points), size=(2, _TRIED))
    along = points[second] - points[first]
    length = np.linalg.norm(along, axis=1)
    forwards = np.abs(along[:, 1]) >= np.cos(np.radians(_STEEPEST_DEG)) * length
    usable = (length >= _LEAST_SEEN_MM / 2) & forwards
    best, most = None, 0.0
    for start, direction in zip(points[first[usable]], along[usable], strict=True):
        axis = unit(direction)
        away = from_axis_mm(points, start, axis)
        around = weights[(away > _REACH_MM) & (away <= _WIDE_MM)].sum()
        metal = float(weights[away <= _LINE_MM].sum() - _AGAINST * around)
        if metal > most:
            best, most = (start, axis), metal
    if best is None:
        return None
    middle, axis = best
    for _ in range(_TURNS):
        on_it = _run(points, weights, middle, axis)
        middle = np.average(points[on_it], axis=0, weights=weights[on_it])
        spread = (points[on_it] - middle) * np.sqrt(weights[on_it])[:, None]
        axis = np.linalg.svd(spread, full_matrices=False)[2][0]
        axis = axis if axis[1] >= 0 else -axis
    on_it = _run(points, weights, middle, axis)
    depth = (points[on_it] - middle) @ axis
    long_enough = on_it.sum() >= _LEAST_VOXELS and np.ptp(depth) >= _LEAST_SEEN_MM
    if not long_enough or axis[1] < np.cos(np.radians(_STEEPEST_DEG)):
        return None
    return middle, axis, on_it


def _run(
    points: FloatArray, weights: FloatArray, middle: FloatArray, axis: FloatArray
) -> NDArray[np.bool_]:
    """Return which voxels near a line belong to its piece with most metal: gaps part pieces."""
    near = np.flatnonzero(from_axis_mm(points, middle, axis) <= _REACH_MM)
    depth = (points[near] - middle) @ axis
    order = np.argsort(depth, kind="stable")
    piece = np.cumsum(np.diff(depth[order], prepend=depth[order[:1]]) > _GAP_MM)
    best = int(np.argmax(np.bincount(piece, weights[near][order])))
    chosen = np.zeros(len(points), dtype=np.bool_)
    chosen[near[order[piece == best]]] = True
    return chosen


def _beside_it(
    points: FloatArray, middle: FloatArray, axis: FloatArray, on_it: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which voxels lie on a line's piece or around it."""
    depth = (points - middle) @ axis
    low, high = depth[on_it].min() - _BEYOND_MM, depth[on_it].max() + _BEYOND_MM
    away = from_axis_mm(points, middle, axis)
    return np.asarray((away <= _CLEARED_MM) & (depth >= low) & (depth <= high), dtype=np.bool_)


def _is_thin(
    points: FloatArray,
    weights: FloatArray,
    middle: FloatArray,
    axis: FloatArray,
    on_it: NDArray[np.bool_],
) -> bool:
    """Whether hardly any metal lies around the line, as around a plate or in a cage."""
    depth = (points - middle) @ axis
    low, high = depth[on_it].min(), depth[on_it].max()
    beside = (from_axis_mm(points, middle, axis) <= _WIDE_MM) & (depth >= low) & (depth <= high)
    return bool(weights[on_it].sum() >= _THIN_SHARE * weights[beside].sum())


def _side(middle: FloatArray, axis: FloatArray, canal: FloatArray) -> str:
    """Tell the side by where the line passes the canal's centre: there it goes in."""
    place = middle + axis * ((canal[1] - middle[1]) / max(axis[1], 0.3))
    return "right" if place[0] > canal[0] else "left"


def gap_mm(point: FloatArray, middle: FloatArray, axis: FloatArray) -> float:
    """Return how far a point lies from a line through `middle` along the unit vector `axis`.

    All three have the shape (3,).
    """
    return float(from_axis_mm(point[None], middle, axis)[0])


def _same(one: Shank, other: Shank) -> bool:
    gap = gap_mm(one.middle, other.middle, other.axis)
    return bool(gap <= _SAME_MM and angle_deg(one.axis, other.axis) <= _SAME_DEG)


def _named(shank: Shank, spine: SpineModel) -> Shank:
    """Give a shank the level whose pedicles it passes nearest."""

    def off(frame: VertebraFrame) -> float:
        canal, middle = frame.to_local(frame.canal_centre_ras), frame.to_local(shank.middle)
        axis = frame.axes_ras @ shank.axis
        place = middle + axis * ((canal[1] + 5.0 - middle[1]) / max(axis[1], 0.3))
        return abs(float(place[2]) - _pedicle_height(frame))

    frame: VertebraFrame = min(_beside(shank, spine.vertebrae), key=off)
    canal = frame.to_local(frame.canal_centre_ras)
    side = _side(frame.to_local(shank.middle), frame.axes_ras @ shank.axis, canal)
    return Shank(frame.level, side, shank.middle, shank.axis)


def _beside(shank: Shank, frames: Sequence[VertebraFrame]) -> list[VertebraFrame]:
    """Return the vertebrae whose middle lies near a shank."""
    gaps = [float(np.linalg.norm(f.body_centre_ras - shank.middle)) for f in frames]
    nearest = np.argsort(gaps)[:3]
    return [frames[n] for n in nearest]
