"""Closed surfaces of vertebrae, and their files (STL, VTK)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.atomic_files import atomic_path, full_path
from spinemar.errors import InputError
from spinemar.spine.labels.levels import level_of_id
from spinemar.volume import LabelVolume

_STEP_MM = 0.8
_SMOOTH_MM = 0.6
_TAUBIN = (0.5, -0.53)
_TAUBIN_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed triangle mesh.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 3)
        RAS mm.
    triangles : ndarray of int, shape (m, 3)
        Corners, seen counter-clockwise from outside.
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int64]

    @property
    def volume_mm3(self) -> float:
        """Enclosed volume."""
        a, b, c = (self.points[self.triangles[:, n]] for n in range(3))
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def vertebra_surface(labels: LabelVolume, label: int, step_mm: float = _STEP_MM) -> Surface:
    """Return the smooth, closed surface of one label; its volume is that of the voxels.

    Parameters
    ----------
    labels : LabelVolume
    label : int
        Label value (VerSe number in a spine model).
    step_mm : float
        Grid of the surface.

    Raises
    ------
    InputError
        If there is no such label.
    """
    boxes = ndimage.find_objects((labels.labels == label).astype(np.int8))
    if not boxes:
        name = level_of_id(label) or str(label)
        raise InputError(f"{name} is not in this segmentation.", "Choose another level.")
    box = boxes[0]
    mask = np.pad(labels.labels[box] == label, 4)
    spacing = labels.geometry.spacing_mm[::-1]
    distance = ndimage.distance_transform_edt(~mask, sampling=spacing)
    distance -= ndimage.distance_transform_edt(mask, sampling=spacing)
    factors = [mm / min(step_mm, mm) for mm in spacing]
    fine = ndimage.zoom(distance, factors, order=1, grid_mode=False)
    fine = ndimage.gaussian_filter(fine, _SMOOTH_MM / step_mm)
    fine = _single_piece(fine)
    voxel = float(abs(np.linalg.det(labels.ijk_to_ras[:3, :3])))
    wanted = float(mask.sum()) * voxel
    steps = [
        (size - 1) / max(number - 1, 1) for size, number in zip(mask.shape, fine.shape, strict=True)
    ]
    fine_voxel = voxel * float(np.prod(steps))
    # The level that encloses as much as the voxels do: smoothing must not shrink a vertebra.
    inside = int(np.clip(round(wanted / fine_voxel), 1, fine.size - 1))
    level = float(np.partition(fine.ravel(), inside)[inside])
    points, triangles = _contour(fine, level)
    points = _taubin(points, triangles)
    kji = points * steps + np.array([edge.start for edge in box]) - 4
    ras = labels.geometry.to_ras(kji[:, ::-1])
    surface = Surface(ras, triangles)
    if surface.volume_mm3 < 0:
        surface = Surface(ras, triangles[:, ::-1])
    return surface


def _single_piece(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Push all but the largest piece (and holes in it) out of the surface."""
    parts, count = ndimage.label(distance < 0)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        stray = (parts > 0) & (parts != sizes.argmax())
        distance = np.where(
            ndimage.binary_dilation(stray, iterations=2) & (parts != sizes.argmax()),
            np.abs(distance) + 1.0,
            distance,
        )
    filled = ndimage.binary_fill_holes(distance < 0)
    return np.where(filled & (distance >= 0), -np.abs(distance) - 0.1, distance)


def _contour(
    values: NDArray[np.float64], level: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from skimage.measure import marching_cubes

    padded = np.pad(values, 1, constant_values=float(values.max()) + 1.0)
    points, triangles, _, _ = marching_cubes(padded.astype(np.float32), level)
    return points.astype(np.float64) - 1, triangles.astype(np.int64)


def _taubin(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    """Smooth without shrinking (Taubin 1995): alternate steps inwards and outwards."""
    from scipy import sparse

    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    size = len(points)
    once = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (size, size))
    link = (once + once.T).tocsr()
    link.data[:] = 1.0
    mean = sparse.diags(1 / np.maximum(np.asarray(link.sum(axis=1)).ravel(), 1)) @ link
    for _ in range(_TAUBIN_ROUNDS):
        for factor in _TAUBIN:
            points = points + factor * (mean @ points - points)
    return points


def write_surface(path: str | Path, surface: Surface, name: str = "vertebra") -> None:
    """Write a surface as binary STL or legacy VTK, by suffix; both in LPS mm as Slicer expects.

    Raises
    ------
    InputError
        If the suffix is another one.
    """
    target = full_path(path)
    lps = surface.points * [-1.0, -1.0, 1.0]
    # Turning two axes keeps the orientation of triangles.
    kind = target.suffix.lower()
    if kind == ".stl":
        content = _stl(lps, surface.triangles, name)
    elif kind == ".vtk":
        content = _vtk(lps, surface.triangles, name)
    else:
        raise InputError(f"{target.name} is no surface file.", "Use .stl or .vtk.")
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def _stl(points: NDArray[np.float64], triangles: NDArray[np.int64], name: str) -> bytes:
    corners = points[triangles].astype("<f4")
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    record = np.zeros(len(triangles), dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    record["n"], record["v"] = normal, corners
    # Slicer reads the coordinate system from the header.
    header = f"SPACE=LPS {name}".encode("ascii", "replace")[:80].ljust(80, b" ")
    return header + struct.pack("<I", len(triangles)) + record.tobytes()


def _vtk(points: NDArray[np.float64], triangles: NDArray[np.int64], name: str) -> bytes:
    cells = np.column_stack([np.full(len(triangles), 3), triangles]).astype(">i4")
    lines = [
        b"# vtk DataFile Version 3.0",
        f"{name} SPACE=LPS".encode("ascii", "replace")[:255],
        b"BINARY",
        b"DATASET POLYDATA",
        f"POINTS {len(points)} float".encode("ascii"),
        points.astype(">f4").tobytes(),
        f"POLYGONS {len(triangles)} {cells.size}".encode("ascii"),
        cells.tobytes(),
    ]
    return b"\n".join(lines) + b"\n"
