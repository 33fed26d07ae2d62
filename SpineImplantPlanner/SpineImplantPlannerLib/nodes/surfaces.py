"""The surfaces of implants in model nodes; a moved screw only gets new points."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy

from spinemar.implants.catalogue import Catalogue
from spinemar.implants.kinds import kind_of
from spinemar.implants.surfaces.mesh import Mesh


class Surfaces:
    """Builds and places surfaces."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def place(self, modelNode: Any, item: Any, *, shaded: bool = True) -> None:
        """Give a model node the surface of an implant where it lies.

        Without `shaded` a moved implant keeps its old normals, which saves time during a drag.
        """
        points, triangles = _joined(self._meshes(item))
        present = modelNode.GetPolyData()
        if present is not None and np.array_equal(_corners(present), triangles):
            _setPoints(present, points)
            if shaded:
                _shade(present)
            present.Modified()
        else:
            modelNode.SetAndObservePolyData(_polyData(points, triangles))

    def _meshes(self, item: Any) -> list[Mesh]:
        return [part.mesh for part in kind_of(item).surfaces(item, self._catalogue)]


def polyDataOf(meshes: list[Mesh]) -> Any:
    """Return surfaces as one poly data with normals."""
    return _polyData(*_joined(meshes))


def _joined(meshes: list[Mesh]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes)])
    points = np.concatenate([mesh.points for mesh in meshes])
    triangles = [mesh.triangles + n for mesh, n in zip(meshes, starts, strict=False)]
    return points, np.concatenate(triangles)


def _polyData(points: np.ndarray, triangles: np.ndarray) -> Any:
    data = vtk.vtkPolyData()
    data.SetPoints(vtk.vtkPoints())
    _setPoints(data, points)
    cells = vtk.vtkCellArray()
    offsets = np.arange(0, 3 * len(triangles) + 1, 3, dtype=np.int64)
    connectivity = np.ascontiguousarray(triangles, dtype=np.int64).ravel()
    cells.SetData(
        numpy_to_vtkIdTypeArray(offsets, deep=True),
        numpy_to_vtkIdTypeArray(connectivity, deep=True),
    )
    data.SetPolys(cells)
    _shade(data)
    return data


def _corners(data: Any) -> np.ndarray:
    if data.GetNumberOfPolys() == 0:
        return np.zeros((0, 3), np.int64)
    return vtk_to_numpy(data.GetPolys().GetConnectivityArray()).reshape(-1, 3)


def _setPoints(data: Any, points: np.ndarray) -> None:
    array = numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float32), deep=True)
    data.GetPoints().SetData(array)
    data.GetPoints().Modified()


def _shade(data: Any) -> None:
    """Give the points normals, the mean of their triangles' weighted by area."""
    shading = vtk.vtkTriangleMeshPointNormals()
    shading.SetInputData(data)
    shading.Update()
    data.GetPointData().SetNormals(shading.GetOutput().GetPointData().GetNormals())
