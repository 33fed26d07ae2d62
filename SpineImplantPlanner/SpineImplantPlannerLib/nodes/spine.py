"""The spine as a segmentation node, one segment a vertebra, with its frames beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from SpineImplantPlannerLib.nodes.surfaces import polyDataOf
from spinemar.errors import InputError
from spinemar.implants.surfaces.mesh import Mesh
from spinemar.io.segmentations.vertebra_names import levels_in_names, telling_name
from spinemar.planning.report.colours import NEUTRAL, Colour
from spinemar.spine.labels.boxes import Box
from spinemar.spine.labels.levels import LEVELS, VERSE_IDS, shift_level
from spinemar.spine.labels.pelvic_parts import PART_NAMES, checked_parts, parts_in_names
from spinemar.spine.labels.pieces import LabelPiece, compose_labels
from spinemar.spine.model import SpineModel
from spinemar.spine.providers import names_spine
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import LabelVolume
from SpineMARLib.nodes import hierarchy
from SpineMARLib.nodes.volumes import geometryOf

FRAMES_ATTRIBUTE = "SpineMAR.SpineFrames"
FOLDER = "Spine"
_LABELMAP, _SURFACE = "Binary labelmap", "Closed surface"
_OTHER_NEUTRAL: Colour = (0.62, 0.62, 0.62)


def addSpine(scene: Any, volumeNode: Any, spine: SpineModel, node: Any = None) -> Any:
    """Put a spine into a scene, or into a segmentation node of an earlier one."""
    if node is None:
        node = newSegmentation(scene, f"{volumeNode.GetName()} spine")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    modifying = node.StartModify()
    addLevels(node, spine.labels, spine.boxes)
    if spine.pelvis is not None:
        _addHips(node, spine.pelvis)
    node.SetAttribute(FRAMES_ATTRIBUTE, spine_to_json(spine, None))
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


def addLevels(node: Any, labels: LabelVolume, boxes: Mapping[int, Box]) -> None:
    """Give a segmentation one segment a vertebra of VerSe labels in boxes, and no others."""
    node.GetSegmentation().RemoveAllSegments()
    array, matrix = labels.labels, labels.ijk_to_ras
    for level, number in sorted(VERSE_IDS.items(), key=lambda item: item[1]):
        box = boxes.get(number)
        if box is not None:
            first = tuple(edge.start for edge in box)
            image = orientedImage(array[box] == number, matrix, first)
            node.AddSegmentFromBinaryLabelmapRepresentation(image, level, levelColour(level))


def _addHips(node: Any, parts: LabelVolume) -> None:
    """Add hips and lower sacrum as segments; a saved scene brings them back by their names."""
    for number, name in PART_NAMES.items():
        mask = parts.labels == number
        if mask.any():
            image = orientedImage(mask, parts.ijk_to_ras, (0, 0, 0))
            node.AddSegmentFromBinaryLabelmapRepresentation(image, name, NEUTRAL)


def renameLevels(node: Any, spine: SpineModel, steps: int) -> bool:
    """Name the segments of a renamed spine; False, and nothing done, where some are missing.

    Voxels and surfaces stay, which a large CT's take a second to be made anew.
    """
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    known = [segment for segment in segments if segment.GetName() in VERSE_IDS]
    levels = [shift_level(segment.GetName(), steps) for segment in known]
    if not set(spine.levels) <= set(levels):
        return False
    modifying = node.StartModify()
    for segment, level in zip(known, levels, strict=True):
        segment.SetName(level)
        segment.SetColor(*levelColour(level))
    node.SetAttribute(FRAMES_ATTRIBUTE, spine_to_json(spine, None))
    node.EndModify(modifying)
    return True


def addSurfaces(node: Any, surfaces: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Give the segments closed surfaces, points in RAS mm and triangles by level."""
    segmentation = node.GetSegmentation()
    modifying = node.StartModify()  # each surface alone would have every view look at all of them
    for n in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(n)
        found = surfaces.get(segment.GetName())
        if found is not None:
            segment.AddRepresentation(_SURFACE, polyDataOf([Mesh(*found)]))
    segmentation.InvokeEvent(slicer.vtkSegmentation.ContainedRepresentationNamesModified)
    node.Modified()
    node.EndModify(modifying)


def hasSurfaces(node: Any) -> bool:
    """Whether all vertebrae have closed surfaces already."""
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    vertebrae = [segment for segment in segments if segment.GetName() in VERSE_IDS]
    return bool(vertebrae) and all(
        segment.GetRepresentation(_SURFACE) is not None for segment in vertebrae
    )


def levelColour(level: str) -> Colour:
    """Return a grey that differs from the neighbours', so that no outline looks like a grade's."""
    place = LEVELS.index(level) if level in LEVELS else 0
    return NEUTRAL if place % 2 else _OTHER_NEUTRAL


def spineOf(node: Any, volumeNode: Any) -> SpineModel | None:
    """Return the spine that `addSpine` put into a node; None for other segmentations."""
    text = node.GetAttribute(FRAMES_ATTRIBUTE) if node is not None else None
    if not text:
        return None
    labels, _ = labelsOf(node, volumeNode)
    parts = hipPiecesOf(node)
    pelvis = checked_parts(compose_labels(parts, geometryOf(volumeNode))) if parts else None
    return replace(spine_from_json(text, labels), pelvis=pelvis)


def labelsOf(node: Any, volumeNode: Any) -> tuple[LabelVolume, dict[int, str]]:
    """Read a segmentation's vertebrae on the CT's grid, and their names by label value.

    Of a large CT this takes seconds: where a click waits for it, a worker does it with `piecesOf`.

    Raises
    ------
    InputError
        If no segment names a vertebra or a spine.
    """
    pieces, names = piecesOf(node)
    return compose_labels(pieces, geometryOf(volumeNode)), names


def piecesOf(node: Any) -> tuple[list[LabelPiece], dict[int, str]]:
    """Return a segmentation's own voxels of its vertebrae, uncopied, and their names by value.

    Segments are known by name or terminology; what names no vertebra is left out, unless there
    is nothing but one segment of the whole spine.

    Raises
    ------
    InputError
        If no segment names a vertebra or a spine.
    """
    segments = _segmentsOf(node)
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
    numbers = {name: number for name, (number, _) in chosen.items()}
    return _pieces(node, segments, numbers), dict(chosen.values())


def hipPiecesOf(node: Any) -> list[LabelPiece]:
    """Return a segmentation's own voxels of hips and lower sacrum, uncopied, by their numbers."""
    segments = _segmentsOf(node)
    names = {name: _nameOf(segment) for name, segment in segments.items()}
    return _pieces(node, segments, parts_in_names(names, levels_in_names(names)))


def _segmentsOf(node: Any) -> dict[str, Any]:
    """Return all segments by their ids."""
    segmentation = node.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    return {name: segmentation.GetSegment(name) for name in ids}


def _pieces(node: Any, segments: Mapping[str, Any], numbers: Mapping[str, int]) -> list[LabelPiece]:
    """Return the voxels of some segments, which become their numbers."""
    if numbers and not node.GetSegmentation().ContainsRepresentation(_LABELMAP):
        node.CreateBinaryLabelmapRepresentation()
    # Segments that do not overlap share one array.
    images: dict[str, tuple[Any, dict[int, int]]] = {}
    for name, number in numbers.items():
        image = segments[name].GetRepresentation(_LABELMAP)
        if image is not None and _size(image) is not None:
            values = images.setdefault(image.GetAddressAsString(""), (image, {}))[1]
            values[segments[name].GetLabelValue()] = number
    return [_pieceOf(image, values) for image, values in images.values()]


def _nameOf(segment: Any) -> str:
    """Return a segment's name, or its terminology where only that tells a level."""
    tag = vtk.reference("")
    terminology = str(tag) if segment.GetTag("TerminologyEntry", tag) else ""
    return telling_name((segment.GetName(), terminology))


def _size(image: Any) -> tuple[int, int, int] | None:
    """Return the slices, rows and columns of an image; None of an empty one."""
    low_i, high_i, low_j, high_j, low_k, high_k = image.GetExtent()
    size = high_k - low_k + 1, high_j - low_j + 1, high_i - low_i + 1
    return size if min(size) > 0 else None


def _pieceOf(image: Any, values: dict[int, int]) -> LabelPiece:
    size = _size(image)
    assert size is not None
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(size)
    matrix = slicer.util.arrayFromVTKMatrix(_imageMatrix(image))
    matrix[:3, 3] += matrix[:3, :3] @ np.array(image.GetExtent()[::2], float)
    return LabelPiece(voxels, matrix, values)


def _imageMatrix(image: Any) -> Any:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return matrix


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
