"""Surfaces of the user's own (STL, VTK, OBJ) as implants."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.implants.placement import ImportedMesh
from spinemar.implants.shapes.solids import FloatArray
from spinemar.implants.surfaces.surface_files import read_surface
from spinemar.volume import GridGeometry

Box = tuple[slice, slice, slice]

# Sub-columns per voxel and axis; along the third axis the filled length is exact.
_COLUMNS = 4
_LARGEST_MM = 500.0


def voxelize_mesh(mesh: ImportedMesh, grid: GridGeometry) -> tuple[Box, NDArray[np.float32]] | None:
    """Return the (k, j, i) box that an imported surface touches and its fractions there."""
    points, triangles = read_mesh(Path(mesh.path), mesh.sha256)
    matrix = np.reshape(np.asarray(mesh.mesh_to_ras, float), (4, 4))
    placed = points @ matrix[:3, :3].T + matrix[:3, 3]
    return voxelize_triangles(placed, triangles, grid)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_mesh(path: Path, sha256: str | None = None) -> tuple[FloatArray, NDArray[np.int64]]:
    """Read a closed surface: points (n, 3) in mm and triangles (m, 3).

    Raises
    ------
    InputError
        If the file is missing, changed, of an unknown format, not closed or of an
        absurd size.
    """
    points, triangles = read_surface(path)
    if sha256 and sha256_of(path) != sha256:
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
    if np.ptp(points, axis=0).max() > _LARGEST_MM:
        raise InputError(
            f"The surface {path.name} is larger than {_LARGEST_MM:g} mm.", "Scale it to mm."
        )
    return points, triangles


def is_closed(triangles: NDArray[np.int64]) -> bool:
    """Whether every edge lies in two triangles, once in each direction.

    `triangles` are indices of corners, shape (n, 3).
    """
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    size = int(edges.max()) + 1
    forth, back = edges[:, 0] * size + edges[:, 1], edges[:, 1] * size + edges[:, 0]
    unique = np.unique(forth)
    return len(unique) == len(forth) and bool(np.isin(back, unique).all())


def voxelize_triangles(
    points: FloatArray, triangles: NDArray[np.int64], grid: GridGeometry
) -> tuple[Box, NDArray[np.float32]] | None:
    """Return box and fractions of a closed surface with outward triangles.

    Columns along k pierce the surface; between two crossings the filled length is
    exact, so only the two other axes are sampled.

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
    columns, depth, sign = _crossings(corners, size[:2] * _COLUMNS)
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
    # The sign depends on how the surface is wound; a solid's volume is positive.
    result: FloatArray = filled if filled.sum() >= 0 else -filled
    return result
