"""The upper endplate of S1 and the axes of the sacrum there, from its shape and what lies above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.spine.anatomy.shape import LocalGrid, VertebraShape
from spinemar.spine.anatomy.vertebral_body import frame_axes
from spinemar.spine.model import VertebraFrame

FloatArray = NDArray[np.float64]

_STEP_MM = 1.0
_ROUNDS = 4
#: Half of the body's width over which the plate is fitted, beside which the alae begin, mm.
_HALF_WIDTH_MM = 14.0
#: The rims that the fit leaves out at the front and the back, as a share of the depth.
_RIM = 0.15
#: The walls are looked for so far below the plate, mm.
_WALL_BELOW_MM = 4.0
#: From front to back; adults have 25 to 42. Half of this has to be seen.
_LEAST_DEPTH_MM = 20.0


@dataclass(frozen=True)
class SacralPlate:
    """The upper endplate of S1.

    Parameters
    ----------
    centre_ras : ndarray, shape (3,)
    axes : ndarray, shape (3, 3)
        Rows: right, anterior and superior; superior is the plate's normal, right that of the
        sacrum's sagittal plane.
    promontory_ras, posterior_ras : ndarray, shape (3,)
        Its front and back edge in the sagittal plane.
    residual_mm : float
        Of the plane.
    """

    centre_ras: FloatArray
    axes: FloatArray
    promontory_ras: FloatArray
    posterior_ras: FloatArray
    residual_mm: float

    @property
    def depth_mm(self) -> float:
        """From front to back."""
        return float(np.linalg.norm(self.promontory_ras - self.posterior_ras))


def fit_plate(shape: VertebraShape, above: VertebraFrame) -> SacralPlate | None:
    """Fit the upper endplate of S1; None where none can be seen.

    Parameters
    ----------
    shape : VertebraShape
        Of the sacrum, or of S1 alone.
    above : VertebraFrame
        Of the lowest vertebra above the sacrum: the plate is looked for below it.
    """
    plate = above.endplates["inferior"]
    centre, axes = plate.point_ras, frame_axes(plate.normal_ras, above.anterior)
    found: SacralPlate | None = None
    for _ in range(_ROUNDS):
        found = _fit_once(shape, centre, axes)
        if found is None:
            return None
        centre, axes = _mirrored(shape, found.centre_ras, found.axes)
    return found


def _fit_once(shape: VertebraShape, centre: FloatArray, axes: FloatArray) -> SacralPlate | None:
    grid = LocalGrid.box((-_HALF_WIDTH_MM, _HALF_WIDTH_MM), (-34, 34), (-18, 14), _STEP_MM)
    bone = shape.on_grid(grid, centre, axes) < 0
    middle = np.abs(grid.right) <= _HALF_WIDTH_MM / 2
    top = _tops(bone, grid)
    # The body is what hangs below the plate before the canal: whole columns, joined in the middle.
    thick = bone.sum(axis=0) * _STEP_MM >= 8.0
    ahead = np.flatnonzero((thick[:, middle] & np.isfinite(top[:, middle])).mean(axis=1) > 0.5)
    run = _longest_run(ahead, int(np.abs(grid.anterior).argmin()))
    if len(run) * _STEP_MM < _LEAST_DEPTH_MM / 2:
        return None
    first, last = grid.anterior[run[0]], grid.anterior[run[-1]]
    rim = _RIM * (last - first)
    a, r = np.meshgrid(grid.anterior, grid.right, indexing="ij")
    used = thick & np.isfinite(top) & (a >= first + rim) & (a <= last - rim)
    if used.sum() < 60:
        return None
    slope, residual = _robust_plane(r[used], a[used], top[used])
    normal = np.array([-slope[0], -slope[1], 1.0]) @ axes
    up = normal / np.linalg.norm(normal)
    new = frame_axes(up, axes[1])
    at = np.array([0.0, (first + last) / 2, slope[1] * (first + last) / 2 + slope[2]])
    return _with_edges(shape, at @ axes + centre, new, residual)


def _tops(bone: NDArray[np.bool_], grid: LocalGrid) -> FloatArray:
    """Height of the uppermost bone of every column (anterior, right), NaN where there is none."""
    last = len(grid.superior) - 1
    ends = last - bone[::-1].argmax(axis=0)
    return np.where(bone.any(axis=0), grid.superior[ends] + 0.5 * _STEP_MM, np.nan)


def _longest_run(index: NDArray[np.intp], middle: int) -> NDArray[np.intp]:
    """Return the longest run of neighbouring indices; one nearer to the middle counts more."""
    runs = np.split(index, np.flatnonzero(np.diff(index) > 1) + 1)
    return max(runs, key=lambda run: len(run) - 0.3 * abs(run.mean() - middle) if len(run) else -99)


def _robust_plane(x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[FloatArray, float]:
    """Fit z = a x + b y + c without what lies far off it; with the residual in mm."""
    design = np.stack([x, y, np.ones_like(x)], axis=1)
    keep = np.ones(len(z), bool)
    plane: FloatArray = np.zeros(3)
    for _ in range(5):
        plane = np.asarray(np.linalg.lstsq(design[keep], z[keep], rcond=None)[0], np.float64)
        off = np.abs(design @ plane - z)
        keep = off <= max(1.5, 2.0 * float(np.median(off)))
    return plane, float(np.sqrt(np.mean((design[keep] @ plane - z[keep]) ** 2)))


def _with_edges(
    shape: VertebraShape, centre: FloatArray, axes: FloatArray, residual: float
) -> SacralPlate | None:
    """Look for the walls of the body just below a plate, in its sagittal plane."""
    t = np.arange(0.0, 40.0, 0.25)
    start = centre - _WALL_BELOW_MM * axes[2]
    beside = np.array([-4.0, 0.0, 4.0])[:, None] * axes[0]
    ends = []
    for sign in (1.0, -1.0):
        way = start + beside[:, None] + sign * t[:, None] * axes[1]
        inside = shape.distance(way) < 0
        if not inside[:, 0].all():
            return None
        first_out = np.where(inside.all(axis=1), len(t) - 1, inside.argmin(axis=1))
        ends.append(sign * float(np.median(t[first_out])))
    front, back = ends
    promontory, posterior = centre + front * axes[1], centre + back * axes[1]
    return SacralPlate((promontory + posterior) / 2, axes, promontory, posterior, residual)


def _mirrored(
    shape: VertebraShape, centre: FloatArray, axes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Move and turn the sagittal plane to where the right half mirrors the left one best."""
    grid = LocalGrid.box((1, 37), (-40, 22), (-24, 2), 3.0)
    points = grid.points()

    def unlike(shift: float, turn: float) -> float:
        sides = (points, points * [-1.0, 1.0, 1.0])
        one, other = (
            np.clip(shape.distance(_moved(side, shift, turn) @ axes + centre), -6.0, 6.0)
            for side in sides
        )
        # What is as likely without a turn stays without one.
        return float(np.abs(one - other).mean()) + 0.01 * (abs(shift) + 0.5 * abs(turn))

    shift = min(np.arange(-6.0, 6.1, 1.0), key=lambda mm: unlike(mm, 0.0))
    turn = min(np.arange(-8.0, 8.1, 2.0), key=lambda degrees: unlike(shift, degrees))
    return centre + shift * axes[0], _moved(np.eye(3), 0.0, turn) @ axes


def _moved(local: FloatArray, shift: float, turn_deg: float) -> FloatArray:
    """Turn local points about the superior axis, then shift them to the right."""
    a = np.radians(turn_deg)
    turn = np.array([[np.cos(a), np.sin(a), 0.0], [-np.sin(a), np.cos(a), 0.0], [0.0, 0.0, 1.0]])
    moved: FloatArray = local @ turn + np.array([shift, 0.0, 0.0])
    return moved
