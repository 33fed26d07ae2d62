"""Volume nodes as arrays with their geometry, and arrays as volume nodes, without copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, numpy_to_vtk

from spinemar.volume import GridGeometry


def arrayOf(volumeNode: Any) -> np.ndarray:
    """View a scalar volume's voxels, shape (k, j, i)."""
    return slicer.util.arrayFromVolume(volumeNode)


def ijkToRas(volumeNode: Any) -> np.ndarray:
    """Return the node's own matrix, without its parent transform."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def geometryOf(volumeNode: Any) -> GridGeometry:
    """Return the node's voxel grid."""
    i, j, k = volumeNode.GetImageData().GetDimensions()
    return GridGeometry((k, j, i), ijkToRas(volumeNode))


def setArray(volumeNode: Any, array: np.ndarray) -> None:
    """Give a node an array's voxels without copying them; the node keeps the memory alive."""
    contiguous = np.ascontiguousarray(array)
    scalars = numpy_to_vtk(
        contiguous.ravel(), deep=False, array_type=get_vtk_array_type(array.dtype)
    )
    image = vtk.vtkImageData()
    image.SetDimensions(array.shape[::-1])
    image.GetPointData().SetScalars(scalars)
    volumeNode.SetAndObserveImageData(image)


def copyPlace(source: Any, target: Any) -> None:
    """Put a volume where another one is: geometry and parent transform."""
    target.CopyOrientation(source)
    target.SetAndObserveTransformNodeID(source.GetTransformNodeID())


def placeAt(target: Any, toRas: np.ndarray, origin: tuple[int, int, int]) -> None:
    """Put a cropped volume where its first voxel is voxel (k, j, i) of a larger grid."""
    matrix = toRas.copy()
    matrix[:3, 3] = (toRas @ np.array([*origin[::-1], 1.0]))[:3]
    target.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


def copyWindow(source: Any, target: Any) -> None:
    """Show a volume in another one's window; by hand, so that nothing is computed again."""
    before = source.GetDisplayNode()
    if before is None:
        target.CreateDefaultDisplayNodes()
        return
    after = _displayOf(target)
    after.SetAndObserveColorNodeID(before.GetColorNodeID())
    setWindow(target, before.GetWindow(), before.GetLevel())
    after.SetInterpolate(before.GetInterpolate())


def setWindow(volumeNode: Any, window: float, level: float) -> None:
    """Set window and level by hand."""
    display = _displayOf(volumeNode)
    modifying = display.StartModify()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(window, level)
    display.EndModify(modifying)


def _displayOf(volumeNode: Any) -> Any:
    """Return the display node, made if needed, but no window found: of a large CT that is 1 s."""
    display, scene = volumeNode.GetDisplayNode(), volumeNode.GetScene()
    if display is None and scene is not None:
        display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
        display.SetAutoWindowLevel(False)
        display.SetDefaultColorMap()
        volumeNode.SetAndObserveDisplayNodeID(display.GetID())
    elif display is None:
        volumeNode.CreateDefaultDisplayNodes()
        display = volumeNode.GetDisplayNode()
    return display


def segmentMask(segmentationNode: Any, segmentId: str, referenceVolume: Any) -> np.ndarray:
    """Return a segment on a volume's grid, resampled where it has another one.

    Raises
    ------
    InputError
        If the segment does not exist or holds nothing there.
    """
    from spinemar.errors import InputError

    if segmentationNode is None or not segmentationNode.GetSegmentation().GetSegment(segmentId):
        raise InputError("No segment is chosen for the metal.", "Choose one, or use automatic.")
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentId, referenceVolume)
    if mask is None or not mask.any():
        raise InputError(
            "The chosen segment is empty on this volume.",
            "Choose the segment that holds the metal of this volume.",
        )
    return mask > 0
