"""Closed triangle surfaces of implants, for display, STL and 3-D print."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.base.extras import optional
from spinemar.implants.catalogue import Thread
from spinemar.implants.shapes.solids import FloatArray, Solid, perpendicular, unit
from spinemar.implants.shapes.thread import ThreadedShank

Triangles = NDArray[np.int64]


@dataclass(frozen=True)
class Mesh:
    """A closed surface: points (n, 3) in mm, triangles (m, 3) with outward normals."""

    points: FloatArray
    triangles: Triangles

    def volume_mm3(self) -> float:
        """Return the enclosed volume (divergence theorem)."""
        a, b, c = (self.points[self.triangles[:, n]] for n in range(3))
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)

    def moved(self, matrix: FloatArray) -> Mesh:
        """Return the mesh placed by a rigid 4x4 matrix."""
        points = self.points @ matrix[:3, :3].T + matrix[:3, 3]
        return Mesh(points, self.triangles)


def _lofted(rings: FloatArray, start: FloatArray, end: FloatArray) -> Mesh:
    """Return the closed surface over rings (n, m, 3) with a point closing either end.

    The rings turn counter-clockwise seen from the end.
    """
    count, around, _ = rings.shape
    points = np.concatenate([rings.reshape(-1, 3), start[None], end[None]])
    ring = np.arange(around)
    after = np.roll(ring, -1)
    low = (np.arange(count - 1) * around)[:, None]
    a, b, c, d = low + ring, low + after, low + around + after, low + around + ring
    sides = np.concatenate(
        [np.stack([a, b, c], axis=-1).reshape(-1, 3), np.stack([a, c, d], axis=-1).reshape(-1, 3)]
    )
    first, last = count * around, count * around + 1
    top = (count - 1) * around
    caps = np.concatenate([
        np.stack([after, ring, np.full(around, first)], axis=1),
        np.stack([top + ring, top + after, np.full(around, last)], axis=1),
    ])  # fmt: skip
    return Mesh(points, np.concatenate([sides, caps]).astype(np.int64))


def shank_mesh(diameter_mm: float, length_mm: float, thread: Thread, around: int = 36) -> Mesh:
    """Return a threaded shank along +z with its entry at the origin."""
    shank = ThreadedShank(np.zeros(3), np.array([0.0, 0.0, length_mm]), diameter_mm, thread)
    depth = np.linspace(0.0, length_mm, int(np.ceil(length_mm / (thread.pitch_mm / 16))) + 1)
    angle = np.arange(around) * 2 * np.pi / around
    core, outer = shank.radii_mm(depth)
    profile = shank.profile(depth[:, None] / thread.pitch_mm - angle / (2 * np.pi))
    radius = core[:, None] + (outer - core)[:, None] * profile
    rings = np.stack(
        [radius * np.cos(angle), radius * np.sin(angle), np.repeat(depth[:, None], around, axis=1)],
        axis=-1,
    )
    return _lofted(rings, np.zeros(3), np.array([0.0, 0.0, length_mm]))


def tube_mesh(curve: FloatArray, radius: float, around: int = 24) -> Mesh:
    """Return a tube of some `radius` along a curve (n, 3), in mm, without twist."""
    tangents = np.gradient(curve, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    angle = np.arange(around) * 2 * np.pi / around
    across = np.empty_like(tangents)
    last = perpendicular(tangents[0], (0.0, 1.0, 0.0))
    for n, tangent in enumerate(tangents):
        across[n] = last = unit(last - tangent * (last @ tangent))
    second = np.cross(tangents, across)
    rings = curve[:, None] + radius * (
        np.cos(angle)[:, None] * across[:, None] + np.sin(angle)[:, None] * second[:, None]
    )
    return _lofted(rings, curve[0], curve[-1])


def solid_mesh(solid: Solid, step_mm: float = 0.4) -> Mesh:
    """Return the surface of an implicit solid on a grid of `step_mm`.

    Edges come out slightly rounded; the surface is closed.

    Raises
    ------
    InputError
        If VTK is not installed.
    """
    with optional("A surface"):
        from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
        from vtkmodules.vtkCommonDataModel import vtkImageData
        from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D
    low, high = solid.bounds()
    # An odd fraction of a step keeps flat faces off the grid's own planes.
    low = low - 2.37 * step_mm
    shape = np.ceil((high - low) / step_mm).astype(int) + 3
    axes = [low[n] + step_mm * np.arange(shape[n]) for n in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    value = solid.distance(grid.reshape(-1, 3))
    # A value of exactly zero makes triangles without area.
    value = np.where(np.abs(value) < 1e-4, 1e-4, value)
    image = vtkImageData()
    image.SetDimensions(*(int(n) for n in shape))
    image.SetOrigin(*(float(x) for x in low))
    image.SetSpacing(step_mm, step_mm, step_mm)
    flat = value.reshape(tuple(shape)).transpose(2, 1, 0).ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(flat), deep=True))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.0)
    edges.ComputeNormalsOff()
    edges.Update()
    data = edges.GetOutput()
    points = vtk_to_numpy(data.GetPoints().GetData()).astype(np.float64)
    cells = vtk_to_numpy(data.GetPolys().GetConnectivityArray()).astype(np.int64)
    mesh = Mesh(points, cells.reshape(-1, 3))
    return mesh if mesh.volume_mm3() > 0 else Mesh(points, mesh.triangles[:, ::-1].copy())
