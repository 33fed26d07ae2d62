"""How good is it where it matters: HU, noise and streaks in regions the user draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from scipy import ndimage

from spinemar.io.hounsfield import MASK_THRESHOLD_HU
from SpineMARLib.nodes.lookup import nodesOfClass
from SpineMARLib.nodes.volumes import arrayOf, ijkToRas

REGION_ATTRIBUTE = "SpineMAR.Region"
_STREAK_SMOOTHING_MM = 1.0
_STREAK_PERCENTILES = (5.0, 95.0)


@dataclass(frozen=True)
class Quality:
    """One region in one volume.

    Parameters
    ----------
    meanHu, sdHu : float
    streakHu : float
        Half the span from the 5th to the 95th percentile after smoothing over 1 mm: noise is
        gone, streaks stay. Meant for regions of one tissue.
    """

    meanHu: float
    sdHu: float
    streakHu: float


def measure(volumeNode: Any, roiNode: Any, exclude: np.ndarray | None = None) -> Quality | None:
    """Measure a region of interest in a volume; None where it holds no voxel.

    Parameters
    ----------
    volumeNode : vtkMRMLScalarVolumeNode
    roiNode : vtkMRMLMarkupsROINode
        A box of any orientation.
    exclude : ndarray of bool, optional
        Voxels to leave out, on the volume's grid. By default those above 2500 HU (metal).
    """
    found = _box(volumeNode, roiNode)
    if found is None:
        return None
    window, inside = found
    hu = np.asarray(arrayOf(volumeNode)[window], dtype=np.float32)
    keep = inside & ((hu < MASK_THRESHOLD_HU) if exclude is None else ~exclude[window])
    if not keep.any():
        return None
    values = hu[keep]
    spacing = np.array(volumeNode.GetSpacing())[::-1]
    sigma = (0.0, *(_STREAK_SMOOTHING_MM / spacing[1:]))
    weight = ndimage.gaussian_filter(keep.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(np.where(keep, hu, 0.0), sigma) / np.maximum(weight, 1e-6)
    low, high = np.percentile(smooth[keep], _STREAK_PERCENTILES)
    return Quality(float(values.mean()), float(values.std()), float(high - low) / 2.0)


def regions(scene: Any) -> list[Any]:
    """Find the regions that were drawn for quality."""
    nodes = nodesOfClass(scene, "vtkMRMLMarkupsROINode")
    return [node for node in nodes if node.GetAttribute(REGION_ATTRIBUTE)]


def addRegion(scene: Any) -> Any:
    """Add an empty region; the user places it with two clicks."""
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", scene.GenerateUniqueName("Region"))
    node.SetAttribute(REGION_ATTRIBUTE, "1")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetFillVisibility(False)
    display.SetInteractionHandleScale(1.0)  # percent: regions are small, and so are their handles
    display.SetTextScale(2.0)
    return node


def _box(volumeNode: Any, roiNode: Any) -> tuple[tuple[slice, ...], np.ndarray] | None:
    """Cut out the voxels around a region; return the cut and which of them lie inside."""
    if not roiNode.GetNumberOfDefinedControlPoints():
        return None
    objectToWorld = np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(roiNode.GetObjectToWorldMatrix())
    for r in range(4):
        for c in range(4):
            objectToWorld[r, c] = matrix.GetElement(r, c)
    half = np.array(roiNode.GetSize()) / 2.0
    toIjk = np.linalg.inv(_worldMatrix(volumeNode)) @ objectToWorld
    corners = np.array([[a, b, c, 1] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)
    corners[:, :3] *= half
    ijk = (corners @ toIjk.T)[:, :3]
    size = np.array(volumeNode.GetImageData().GetDimensions())
    low = np.maximum(np.floor(ijk.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(ijk.max(axis=0)).astype(int) + 1, size)
    if (low >= high).any():
        return None
    window = tuple(slice(low[a], high[a]) for a in (2, 1, 0))
    k, j, i = np.meshgrid(*(np.arange(low[a], high[a]) for a in (2, 1, 0)), indexing="ij")
    points = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ np.linalg.inv(toIjk).T
    inside = (np.abs(points[..., :3]) <= half + 1e-6).all(axis=-1)
    return (window, inside) if inside.any() else None


def _worldMatrix(volumeNode: Any) -> np.ndarray:
    """Return IJK to world, with a linear parent transform if there is one."""
    parent = volumeNode.GetParentTransformNode()
    if parent is None or not parent.IsTransformToWorldLinear():
        return ijkToRas(volumeNode)
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    toWorld = np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
    return toWorld @ ijkToRas(volumeNode)
