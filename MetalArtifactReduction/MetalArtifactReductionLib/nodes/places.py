"""Where a corrected volume is worth looking at: at the metal, slice by slice."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MetalArtifactReductionLib.nodes.results import FOCUS_ATTRIBUTE, provenanceOf, resultOf
from SpineMARLib.nodes.volumes import ijkToRas


def focusOf(volumeNode: Any) -> list[float] | None:
    """Return where a corrected volume is worth looking at first, in world coordinates."""
    text = volumeNode.GetAttribute(FOCUS_ATTRIBUTE)
    return _toWorld(volumeNode, np.array(json.loads(text))) if text else None


def placeOf(volumeNode: Any, index: int) -> list[float]:
    """Return the middle of the metal in a slice of a corrected volume, in world coordinates.

    `index` counts along the axial stack. In a slice without an outline it is beside the place
    that is looked at first.
    """
    axis = _stackAxis(volumeNode)
    toRas = ijkToRas(volumeNode)
    kji = _kji(toRas, np.array(json.loads(volumeNode.GetAttribute(FOCUS_ATTRIBUTE))))
    kji[axis] = index
    found = _outline(resultOf(volumeNode).metal)
    if found is not None:
        voxels, origin = found
        shift = np.rint(_kji(toRas, origin)).astype(int)
        across = [a for a in range(3) if a != axis]
        if 0 <= index - shift[axis] < voxels.shape[axis]:
            there = np.argwhere(np.take(voxels, index - shift[axis], axis))
            if len(there):
                kji[across] = there.mean(axis=0) + shift[across]
    return _toWorld(volumeNode, (toRas @ np.array([*kji[::-1], 1.0]))[:3])


def sliceAt(volumeNode: Any, world: Any) -> int:
    """Return the index along the axial stack of a point in world coordinates."""
    local = [0.0] * 3
    volumeNode.TransformPointFromWorld([float(x) for x in world], local)
    return round(float(_kji(ijkToRas(volumeNode), np.array(local))[_stackAxis(volumeNode)]))


def _stackAxis(volumeNode: Any) -> int:
    provenance = provenanceOf(volumeNode)
    assert provenance is not None
    return "kji".index(provenance["geometry"]["stack_axis"])


def _kji(toRas: np.ndarray, ras: np.ndarray) -> np.ndarray:
    return (np.linalg.inv(toRas) @ np.array([*ras, 1.0]))[2::-1]


def _toWorld(volumeNode: Any, ras: np.ndarray) -> list[float]:
    world = [0.0] * 3
    volumeNode.TransformPointToWorld(ras.tolist(), world)
    return world


def _outline(segmentationNode: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the metal's labelmap (k, j, i) as stored and the RAS of its first voxel."""
    if segmentationNode is None or not segmentationNode.GetSegmentation().GetNumberOfSegments():
        return None
    image = segmentationNode.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    if image is None or image.GetPointData().GetScalars() is None:
        return None
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    first = np.array([*image.GetExtent()[::2], 1.0])
    origin = (slicer.util.arrayFromVTKMatrix(matrix) @ first)[:3]
    voxels = vtk_to_numpy(image.GetPointData().GetScalars())
    return voxels.reshape(image.GetDimensions()[::-1]), origin
