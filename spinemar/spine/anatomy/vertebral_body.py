"""Axes and endplates of one vertebra from its shape and the canal beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.parts import largest_part
from spinemar.spine.anatomy.shape import LocalGrid, VertebraShape

_STEP_MM = 1.0
_ROUNDS = 3
#: Part of the body's cross-section over which endplates are fitted (rims and uncinates excluded).
_CENTRAL = 0.62


@dataclass(frozen=True)
class BodyFit:
    """What the vertebral body says: centre, axes (rows right, anterior, superior), endplates."""

    centre_ras: NDArray[np.float64]
    axes: NDArray[np.float64]
    superior_point: NDArray[np.float64]
    superior_normal: NDArray[np.float64]
    inferior_point: NDArray[np.float64]
    inferior_normal: NDArray[np.float64]
    canal_ras: NDArray[np.float64]
    posterior_wall_mm: float
    residual_mm: float


def frame_axes(superior: NDArray[np.float64], anterior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right-handed unit axes (rows right, anterior, superior) that keep `superior` exactly."""
    up = superior / np.linalg.norm(superior)
    front = anterior - up * (anterior @ up)
    front /= np.linalg.norm(front)
    return np.stack([np.cross(front, up), front, up])


def fit_body(shape: VertebraShape, canal_ras: NDArray[np.float64]) -> BodyFit | None:
    """Fit axes, endplates and centre; None where no body can be seen.

    Parameters
    ----------
    shape : VertebraShape
    canal_ras : ndarray, shape (n, 3)
        Canal's centre line, ordered along the spine.
    """
    middle = shape.points_ras.mean(axis=0)
    origin, superior = canal_at(canal_ras, middle)
    axes = frame_axes(superior, np.array([0.0, 1.0, 0.0]))
    fit: BodyFit | None = None
    for _ in range(_ROUNDS):
        fit = _fit_once(shape, origin, axes)
        if fit is None:
            return None
        origin, _ = canal_at(canal_ras, fit.centre_ras)
        axes = fit.axes
    return fit


def canal_at(
    canal_ras: NDArray[np.float64],
    point: NDArray[np.float64],
    normal: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the canal's point nearest to `point` and its unit tangent upwards.

    With `normal`, the canal's point nearest to the plane through `point`.

    `canal_ras` is (n, 3) in RAS mm, all else (3,).
    """
    gap = np.linalg.norm(canal_ras - point, axis=1)
    if normal is not None:
        gap = np.abs((canal_ras - point) @ normal) + 1e-3 * gap
    n = int(gap.argmin())
    low, high = max(n - 4, 0), min(n + 4, len(canal_ras) - 1)
    tangent = canal_ras[high] - canal_ras[low]
    tangent = tangent if tangent[2] >= 0 else -tangent
    length = np.linalg.norm(tangent)
    tangent = tangent / length if length > 0 else np.array([0.0, 0.0, 1.0])
    return canal_ras[n], tangent


def _fit_once(
    shape: VertebraShape, origin: NDArray[np.float64], axes: NDArray[np.float64]
) -> BodyFit | None:
    grid = LocalGrid.box((-32, 32), (-4, 55), (-32, 32), _STEP_MM)
    bone = shape.on_grid(grid, origin, axes) < 0
    wall = _posterior_wall(bone, grid)
    if wall is None:
        return None
    body = bone & (grid.anterior >= wall)[None, :, None]
    body = largest_part(ndimage.binary_opening(body, iterations=2))
    if body.sum() < 800:
        return None
    # Cross-section at mid-height gives centre and extent across; columns give the endplates.
    heights = body.sum(axis=0)
    column_middle = int(np.average(np.arange(len(grid.superior)), weights=body.sum(axis=(1, 2))))
    section = body[max(column_middle - 2, 0) : column_middle + 3].any(axis=0)
    section &= heights > 0.5 * np.percentile(heights[heights > 0], 80)
    a_index, r_index = np.nonzero(section)
    if len(a_index) < 100:
        return None
    centre_a, centre_r = grid.anterior[a_index].mean(), grid.right[r_index].mean()
    extent_a = 2 * grid.anterior[a_index].std()
    extent_r = 2 * grid.right[r_index].std()
    a, r = np.meshgrid(grid.anterior, grid.right, indexing="ij")
    inner = ((a - centre_a) / extent_a) ** 2 + ((r - centre_r) / extent_r) ** 2
    central = section & (inner < _CENTRAL**2)
    planes = [_endplate(body, grid, central, top) for top in (True, False)]
    if planes[0] is None or planes[1] is None:
        return None
    (top_plane, top_rms), (bottom_plane, bottom_rms) = planes[0], planes[1]
    points, normals = [], []
    for plane in (top_plane, bottom_plane):
        height = plane @ np.array([centre_r, centre_a, 1.0])
        points.append(np.array([centre_r, centre_a, height]))
        normal = np.array([-plane[0], -plane[1], 1.0])
        normals.append(normal / np.linalg.norm(normal))
    centre = (points[0] + points[1]) / 2
    up = _limit_tilt(normals[0] + normals[1], 25.0)
    new_axes = frame_axes(up @ axes, np.array([centre[0], centre[1], 0.0]) @ axes)
    return BodyFit(
        centre_ras=centre @ axes + origin,
        axes=new_axes,
        superior_point=points[0] @ axes + origin,
        superior_normal=normals[0] @ axes,
        inferior_point=points[1] @ axes + origin,
        inferior_normal=normals[1] @ axes,
        canal_ras=origin,
        posterior_wall_mm=float(wall),
        residual_mm=float(max(top_rms, bottom_rms)),
    )


def _limit_tilt(normal: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Return the unit vector that leans no more than `degrees` from (0, 0, 1)."""
    unit = normal / np.linalg.norm(normal)
    limit = np.sin(np.radians(degrees))
    lean = float(np.hypot(unit[0], unit[1]))
    if lean > limit:
        unit = np.array([unit[0] / lean * limit, unit[1] / lean * limit, np.sqrt(1 - limit**2)])
    return unit


def _posterior_wall(bone: NDArray[np.bool_], grid: LocalGrid) -> float | None:
    """Anterior coordinate of the body's posterior wall, seen from the canal, mm."""
    middle = np.abs(grid.right) <= 5
    near = np.abs(grid.superior) <= 8
    ahead = grid.anterior >= 2
    columns = bone[near][:, ahead][:, :, middle]
    hit = columns.any(axis=1)
    if hit.mean() < 0.3:
        return None
    first = columns.argmax(axis=1)[hit]
    return float(np.median(grid.anterior[ahead][first]))


def _endplate(
    body: NDArray[np.bool_], grid: LocalGrid, central: NDArray[np.bool_], top: bool
) -> tuple[NDArray[np.float64], float] | None:
    """Fit z = a x + b y + c to one end of the columns, robustly; with its residual in mm."""
    a_index, r_index = np.nonzero(central)
    columns = body[:, a_index, r_index]
    filled = columns.any(axis=0)
    if filled.sum() < 40:
        return None
    last = len(grid.superior) - 1
    ends = last - columns[::-1].argmax(axis=0) if top else columns.argmax(axis=0)
    height = grid.superior[ends][filled] + (0.5 if top else -0.5) * _STEP_MM
    design = np.stack([grid.right[r_index], grid.anterior[a_index], np.ones(len(a_index))], axis=1)[
        filled
    ]
    keep = np.ones(len(height), bool)
    plane = np.zeros(3)
    for _ in range(4):
        plane = np.linalg.lstsq(design[keep], height[keep], rcond=None)[0]
        residual = np.abs(design @ plane - height)
        keep = residual <= max(1.5, 2.0 * float(np.median(residual)))
    return plane, float(np.sqrt(np.mean((design[keep] @ plane - height[keep]) ** 2)))
