"""Surfaces of the user's own (STL, VTK, OBJ) as implants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.base.files.hashes import file_sha256
from spinemar.errors import InputError
from spinemar.implants.placement import ImportedMesh
from spinemar.implants.shapes.solids import FloatArray
from spinemar.implants.surfaces.surface_files import read_surface
from spinemar.volume import GridGeometry

Box = tuple[slice, slice, slice]

# Sub-columns per voxel and axis; along the third axis the filled length is exact.
_COLUMNS = 4
_LARGEST_MM = 500.0
# What is smaller counts as an implant only if it fills half a voxel at least.
_SMALL_MM = 10.0
_UNITS = {"metres": 1000.0, "inches": 25.4, "cm": 10.0, "micrometres": 0.001}


def voxelize_mesh(
    mesh: ImportedMesh, grid: GridGeometry, ct: GridGeometry
) -> tuple[Box, NDArray[np.float32]] | None:
    """Return the (k, j, i) box that an imported surface touches and its fractions there.

    Parameters
    ----------
    mesh : ImportedMesh
    grid : GridGeometry
        What is filled: the CT, or some of its slices.
    ct : GridGeometry
        The whole CT.

    Raises
    ------
    InputError
        As `placed_mesh`, or if the surface makes no voxel of the CT metal: it lies elsewhere, or is
        in other units than mm.
    """
    points, triangles = placed_mesh(mesh)
    _refuse_nothing_inside(points, triangles, ct, Path(mesh.path).name)
    return voxelize_triangles(points, triangles, grid)


def placed_mesh(mesh: ImportedMesh) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return points (n, 3), RAS mm, and triangles (m, 3) of a surface where the plan has it.

    Raises
    ------
    InputError
        As `read_mesh`, or if it is larger than any implant.
    """
    path = Path(mesh.path)
    points, triangles = read_mesh(path, mesh.sha256)
    matrix = np.reshape(np.asarray(mesh.mesh_to_ras, float), (4, 4))
    placed = points @ matrix[:3, :3].T + matrix[:3, 3]
    if np.ptp(placed, axis=0).max() > _LARGEST_MM:
        raise InputError(
            f"The surface {path.name} is {_size(placed)} mm large, and thus larger than "
            f"{_LARGEST_MM:g} mm.",
            f"Scale it to mm.{_units(placed)}",
        )
    if np.linalg.det(matrix[:3, :3]) < 0:  # a mirror turns the triangles inside out
        triangles = triangles[:, ::-1]
    return placed, triangles


def _refuse_nothing_inside(
    points: FloatArray, triangles: NDArray[np.int64], ct: GridGeometry, name: str
) -> None:
    """Refuse a surface that makes no voxel of a CT metal.

    Parameters
    ----------
    points, triangles : ndarray, shape (n, 3) and (m, 3)
        Placed, RAS mm.
    ct : GridGeometry
    name : str
        For the message.

    Raises
    ------
    InputError
        It says how large and where the surface is.
    """
    small = np.ptp(points, axis=0).max() < _SMALL_MM
    found = voxelize_triangles(points, triangles, ct)
    if small and not (found is not None and found[1].max(initial=0.0) >= 0.5):
        if _boxes_meet(points, ct):
            raise InputError(
                f"The surface {name} is {_size(points)} mm large: no voxel of the CT becomes "
                "metal.",
                f"Scale it to mm.{_units(points)}",
            )
    elif found is not None and found[1].any():
        return
    raise InputError(
        f"The surface {name} lies outside the CT: it is {_size(points)} mm large and reaches from "
        f"{_point(points.min(axis=0))} to {_point(points.max(axis=0))}, the CT from "
        f"{_point(_corners(ct).min(axis=0))} to {_point(_corners(ct).max(axis=0))} (RAS, mm).",
        f"Check its place in the plan (mesh_to_ras).{_lps(points, ct)}{_units(points)}",
    )


def scaled_meshes(meshes: Sequence[ImportedMesh], mm_per_unit: float) -> tuple[ImportedMesh, ...]:
    """Return imported surfaces whose files are in other units than mm.

    Parameters
    ----------
    meshes : sequence of ImportedMesh
    mm_per_unit : float
        Millimetres of one unit in the files: 1000 for metres.

    Raises
    ------
    InputError
        If the scale is no positive number.
    """
    if not 0.0 < mm_per_unit <= 10_000.0:
        raise InputError(
            f"A scale of {mm_per_unit:g} is not possible.",
            "Give the millimetres of one unit: 1000 for metres, 25.4 for inches.",
        )
    scale = np.diag([mm_per_unit] * 3 + [1.0])
    found = []
    for mesh in meshes:
        matrix = np.reshape(np.asarray(mesh.mesh_to_ras, float), (4, 4)) @ scale
        found.append(replace(mesh, mesh_to_ras=tuple(float(v) for v in matrix.ravel())))
    return tuple(found)


def _units(points: FloatArray) -> str:
    """Say which units would make an implant of a surface of this size."""
    largest = float(np.ptp(points, axis=0).max())
    fitting = [
        f"--scale {scale:g} if its file is in {unit}"
        for unit, scale in _UNITS.items()
        if _SMALL_MM <= largest * scale <= _LARGEST_MM
    ]
    if _SMALL_MM <= largest <= _LARGEST_MM or not fitting:
        return ""
    return f" Give {', '.join(fitting)}."


def _lps(points: FloatArray, ct: GridGeometry) -> str:
    if not _boxes_meet(points * [-1.0, -1.0, 1.0], ct):
        return ""
    return " With the signs of its first two axes turned (LPS) it would meet the CT."


def _boxes_meet(points: FloatArray, ct: GridGeometry) -> bool:
    ijk = ct.to_ijk(points)
    low, high = ijk.min(axis=0), ijk.max(axis=0)
    return bool((high > -0.5).all() and (low < np.array(ct.shape[::-1]) - 0.5).all())


def _corners(ct: GridGeometry) -> FloatArray:
    k, j, i = ct.shape
    ends = product((0, i - 1), (0, j - 1), (0, k - 1))
    return ct.to_ras(np.array(list(ends), dtype=np.float64))


def _size(points: FloatArray) -> str:
    sides = np.ptp(points, axis=0)
    return " x ".join(f"{side:.2g}" if side < 10 else f"{side:.0f}" for side in sides)


def _point(point: FloatArray) -> str:
    return "(" + ", ".join(f"{value:.0f}" for value in point) + ")"


def read_mesh(path: Path, sha256: str | None = None) -> tuple[FloatArray, NDArray[np.int64]]:
    """Read a closed surface: points (n, 3) in the file's units and triangles (m, 3).

    Raises
    ------
    InputError
        If the file is missing, changed, of an unknown format or not closed.
    """
    points, triangles = read_surface(path)
    if sha256 and file_sha256(path) != sha256:
        raise InputError(
            f"The surface {path.name} has changed since it was planned.", "Place it again."
        )
    if len(triangles) and not 0 <= int(triangles.min()) <= int(triangles.max()) < len(points):
        raise InputError(f"The surface {path.name} is damaged.", "Export it again.")
    if len(triangles) == 0 or not np.isfinite(points).all():
        raise InputError(f"The surface {path.name} holds no triangles.", "Export it again.")
    if not is_closed(triangles):
        raise InputError(
            f"The surface {path.name} is not closed.", "Repair the model: it must be watertight."
        )
    return points, triangles


def is_closed(triangles: NDArray[np.int64]) -> bool:
    """Whether every edge is passed as often in one direction as in the other.

    Two in each direction are fine: shells that touch share edges. `triangles` are indices of
    corners, shape (n, 3).
    """
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    size = int(edges.max()) + 1
    forth, back = edges[:, 0] * size + edges[:, 1], edges[:, 1] * size + edges[:, 0]
    return bool(np.array_equal(np.sort(forth), np.sort(back)))


def voxelize_triangles(
    points: FloatArray, triangles: NDArray[np.int64], grid: GridGeometry
) -> tuple[Box, NDArray[np.float32]] | None:
    """Return box and fractions of a closed surface.

    Columns along k pierce the surface; between two crossings the filled length is
    exact, so only the two other axes are sampled. Inside is what any shell winds around: shells
    that overlap fill their union, a shell turned inwards within another is a hole.

    Points are RAS mm, shape (n, 3), triangles indices into them, shape (m, 3); the fractions have
    the shape of the box.
    """
    ijk = grid.to_ijk(points)
    limit = np.array(grid.shape[::-1])
    low = np.clip(np.floor(ijk.min(axis=0) + 0.5), 0, limit).astype(np.int64)
    high = np.clip(np.floor(ijk.max(axis=0) + 0.5) + 1, 0, limit).astype(np.int64)
    if (high <= low).any():
        return None
    size = high - low
    # Column n of axis i passes through voxel n // _COLUMNS of the box.
    corners = ijk[triangles]
    corners[..., :2] = (corners[..., :2] - low[:2] + 0.5) * _COLUMNS - 0.5
    corners[..., 2] -= low[2] - 0.5
    columns, depth, sign = _outermost(*_crossings(corners, size[:2] * _COLUMNS))
    filled = _lengths(columns, depth, sign, size)
    fractions = filled / _COLUMNS**2
    box = (slice(low[2], high[2]), slice(low[1], high[1]), slice(low[0], high[0]))
    return box, np.clip(fractions, 0.0, 1.0).astype(np.float32)


def _crossings(
    corners: FloatArray, size: NDArray[np.int64]
) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Return, for every column that pierces a triangle: column (i, j), depth and direction."""
    # Off the lattice by an odd trifle, so that no column runs through an edge.
    flat = corners[..., :2] - np.array([1.37e-5, 2.91e-5])
    first = np.clip(np.ceil(flat.min(axis=1)), 0, size).astype(np.int64)
    last = np.clip(np.floor(flat.max(axis=1)) + 1, 0, size).astype(np.int64)
    count = np.maximum(last - first, 0)
    total = count.prod(axis=1)
    owner = np.repeat(np.arange(len(corners)), total)
    place = np.arange(total.sum()) - np.repeat(np.cumsum(total) - total, total)
    across = np.maximum(count[owner, 0], 1)
    column = first[owner] + np.stack([place % across, place // across], axis=1)
    a, b, c = (flat[owner, n] for n in range(3))
    area = _cross(b - a, c - a)
    # A triangle seen edge-on has no area: it divides to NaN and hits nothing.
    with np.errstate(all="ignore"):
        u = _cross(column - a, c - a) / area
        v = _cross(b - a, column - a) / area
        hit = (u >= 0) & (v >= 0) & (u + v <= 1)
    z = corners[owner[hit], :, 2]
    depth = z[:, 0] + u[hit] * (z[:, 1] - z[:, 0]) + v[hit] * (z[:, 2] - z[:, 0])
    return column[hit], depth, np.sign(area[hit])


def _outermost(
    column: NDArray[np.int64], depth: FloatArray, sign: FloatArray
) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Keep the crossings at which a column enters or leaves the solid, as +1 and -1.

    A column is inside while shells wind around it; one in which the windings do not cancel (it ran
    through an edge) is left out.
    """
    if len(column) == 0:
        return column, depth, sign
    owner = column[:, 0] * (int(column[:, 1].max()) + 1) + column[:, 1]
    order = np.lexsort((depth, owner))
    owner, turns = owner[order], sign[order].astype(np.int64)
    after = np.cumsum(turns)
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    ends = np.r_[starts[1:], len(owner)]
    before_column = np.r_[0, after[ends[:-1] - 1]]
    counts = ends - starts
    after -= np.repeat(before_column, counts)
    whole = np.repeat(after[ends - 1] == 0, counts)
    change = (after != 0).astype(np.int64) - (after - turns != 0)
    kept = whole & (change != 0)
    return column[order][kept], depth[order][kept], change[kept].astype(np.float64)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    result: FloatArray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return result


def _lengths(
    column: NDArray[np.int64], depth: FloatArray, sign: FloatArray, size: NDArray[np.int64]
) -> FloatArray:
    """Sum the filled length of every voxel (k, j, i) over its columns.

    Each crossing adds or removes everything above it; the pairs cancel.
    """
    i, j, k = (int(n) for n in size)
    z = np.clip(depth, 0.0, k)
    cell = np.minimum(z.astype(np.int64), k - 1)
    flat = (column[:, 1] // _COLUMNS) * i + column[:, 0] // _COLUMNS
    rest = cell + 1 - z
    # Above the crossing's own voxel every voxel is full: a cumulative sum over k.
    own = np.bincount(cell * (i * j) + flat, sign * rest, k * i * j).astype(float)
    full = np.bincount((cell + 1) * (i * j) + flat, sign, (k + 1) * i * j).astype(float)
    above = np.cumsum(full[: k * i * j].reshape(k, j, i), axis=0)
    filled: FloatArray = own.reshape(k, j, i) + above
    return filled
