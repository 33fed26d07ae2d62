"""The spine as a segmentation node, one segment a vertebra, with its frames beside it."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import slicer
import vtk
from scipy import ndimage
from vtk.util.numpy_support import numpy_to_vtk

from spinemar.errors import InputError
from spinemar.io.segmentations.vertebra_names import levels_in_names, telling_name
from spinemar.spine.labels.levels import LEVELS, VERSE_IDS
from spinemar.spine.model import SpineModel
from spinemar.spine.providers import names_spine
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import GridGeometry, LabelVolume
from SpineMARLib.nodes import hierarchy
from SpineMARLib.nodes.volumes import geometryOf

FRAMES_ATTRIBUTE = "SpineMAR.SpineFrames"
FOLDER = "Spine"


def addSpine(scene: Any, volumeNode: Any, spine: SpineModel, node: Any = None) -> Any:
    """Put a spine into a scene, or into a segmentation node of an earlier one."""
    if node is None:
        node = newSegmentation(scene, f"{volumeNode.GetName()} spine")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    modifying = node.StartModify()
    addLevels(node, spine.labels)
    node.SetAttribute(FRAMES_ATTRIBUTE, spine_to_json(spine))
    node.EndModify(modifying)
    hierarchy.put(scene, node, volumeNode, (FOLDER,))
    return node


def newSegmentation(scene: Any, name: str) -> Any:
    """Return a new segmentation node, whose segments are outlines in slices."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetOpacity3D(0.35)
    return node


def addLevels(node: Any, labels: LabelVolume) -> None:
    """Give a segmentation one segment a vertebra of VerSe labels, and no others."""
    node.GetSegmentation().RemoveAllSegments()
    array, matrix = labels.labels, labels.ijk_to_ras
    boxes = ndimage.find_objects(array, max_label=max(VERSE_IDS.values()))
    for level, number in sorted(VERSE_IDS.items(), key=lambda item: item[1]):
        box = boxes[number - 1]
        if box is not None:
            first = tuple(edge.start for edge in box)
            image = orientedImage(array[box] == number, matrix, first)
            node.AddSegmentFromBinaryLabelmapRepresentation(image, level, levelColour(level))


def levelColour(level: str) -> list[float]:
    """Return a bone-like colour that differs from the neighbours'."""
    place = LEVELS.index(level) if level in LEVELS else 0
    return list(colorsys.hsv_to_rgb((0.08 + 0.382 * place) % 1.0, 0.35, 0.92))


def spineOf(node: Any, volumeNode: Any) -> SpineModel | None:
    """Return the spine that `addSpine` put into a node; None for other segmentations."""
    text = node.GetAttribute(FRAMES_ATTRIBUTE) if node is not None else None
    if not text:
        return None
    labels, _ = labelsOf(node, volumeNode)
    return spine_from_json(text, labels)


def labelsOf(node: Any, volumeNode: Any) -> tuple[LabelVolume, dict[int, str]]:
    """Read a segmentation's vertebrae on the CT's grid, and their names by label value.

    Segments are known by name or terminology; what names no vertebra is left out, unless there
    is nothing but one segment of the whole spine.

    Raises
    ------
    InputError
        If no segment names a vertebra or a spine.
    """
    geometry = geometryOf(volumeNode)
    labels = np.zeros(geometry.shape, dtype=np.int16)
    segmentation = node.GetSegmentation()
    segments = {
        name: segmentation.GetSegment(name)
        for name in (
            segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())
        )
    }
    levels = levels_in_names({name: _nameOf(segment) for name, segment in segments.items()})
    chosen = {name: (VERSE_IDS[level], level) for name, level in levels.items()}
    if not chosen:
        whole = [name for name, segment in segments.items() if names_spine(segment.GetName())]
        chosen = {name: (1, segments[name].GetName()) for name in whole[:1]}
    if not chosen:
        raise InputError(
            f"{node.GetName()} names no vertebra.",
            "Name its segments T12, L1 and so on, or a single one 'Spine'.",
        )
    for name, (number, _) in chosen.items():
        _paint(labels, node, name, geometry, number)
    return LabelVolume(labels, geometry.ijk_to_ras), dict(chosen.values())


def _nameOf(segment: Any) -> str:
    """Return a segment's name, or its terminology where only that tells a level."""
    tag = vtk.reference("")
    terminology = str(tag) if segment.GetTag("TerminologyEntry", tag) else ""
    return telling_name((segment.GetName(), terminology))


def _paint(
    labels: np.ndarray, node: Any, identifier: str, geometry: GridGeometry, number: int
) -> None:
    """Paint one segment into the labels; only its own extent is looked at."""
    image = slicer.vtkOrientedImageData()
    if not node.GetBinaryLabelmapRepresentation(identifier, image):
        return
    reference = referenceImage(geometry)
    logic = slicer.vtkOrientedImageDataResample
    if not logic.DoGeometriesMatchIgnoreOrigin(image, reference):
        logic.ResampleOrientedImageToReferenceOrientedImage(image, reference, image)
    first = slicer.util.arrayFromVTKMatrix(_imageMatrix(image))
    extent = image.GetExtent()
    if extent[1] < extent[0] or extent[3] < extent[2] or extent[5] < extent[4]:
        return
    scalars = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    size = (extent[5] - extent[4] + 1, extent[3] - extent[2] + 1, extent[1] - extent[0] + 1)
    low = np.array(extent[::2], float)
    start = np.rint(geometry.to_ijk((first @ np.array([*low, 1.0]))[:3])).astype(int)[::-1]
    mask = scalars.reshape(size) > 0
    target = [
        slice(max(s, 0), min(s + n, whole))
        for s, n, whole in zip(start, size, labels.shape, strict=True)
    ]
    source = tuple(slice(t.start - s, t.stop - s) for t, s in zip(target, start, strict=True))
    labels[tuple(target)][mask[source]] = number


def _imageMatrix(image: Any) -> Any:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return matrix


def referenceImage(geometry: GridGeometry) -> Any:
    """Return an oriented image of a grid without voxels, to resample onto."""
    image = slicer.vtkOrientedImageData()
    k, j, i = geometry.shape
    image.SetExtent(0, i - 1, 0, j - 1, 0, k - 1)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(np.array(geometry.ijk_to_ras)))
    return image


def orientedImage(mask: np.ndarray, ijkToRas: np.ndarray, origin: tuple[int, ...]) -> Any:
    """Return a cropped mask (k, j, i) whose first voxel is `origin` of a grid, for a segment."""
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(mask.shape[::-1])
    flat = np.ascontiguousarray(mask, dtype=np.uint8).ravel()
    voxels = numpy_to_vtk(flat, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    image.GetPointData().SetScalars(voxels)
    matrix = np.array(ijkToRas)
    matrix[:3, 3] += matrix[:3, :3] @ np.array(origin[::-1], dtype=float)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return image
