"""A finished correction as nodes of a scene: volume, metal, facts, all in the input's study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from MetalArtifactReductionLib.correction import Corrected
from SpineMARLib.nodes import hierarchy
from SpineMARLib.nodes.guards import METHOD_ATTRIBUTE
from SpineMARLib.nodes.volumes import copyPlace, copyWindow, ijkToRas, setArray, setWindow

INPUT_ROLE = "SpineMAR.Input"
METAL_ROLE = "SpineMAR.Metal"
DIFFERENCE_ROLE = "SpineMAR.Difference"
TABLE_ROLE = "SpineMAR.Table"
FOCUS_ATTRIBUTE = "SpineMAR.Focus"
PROVENANCE_ATTRIBUTE = "SpineMAR.Provenance"
DIFFERENCE_WINDOW_HU = 400.0

_SHORT_FACTS = {
    METHOD_ATTRIBUTE: "method",
    "SpineMAR.RequestedMethod": "requested_method",
    "SpineMAR.Model": "model_name",
    "SpineMAR.ModelVersion": "model_version",
    "SpineMAR.ModelSHA256": "model_sha256",
    "SpineMAR.Provider": "provider",
    "SpineMAR.MetalSource": "metal_source",
    "SpineMAR.MetalThresholdHU": "metal_threshold_hu",
    "SpineMAR.SoftwareVersion": "software_version",
    "SpineMAR.PipelineVersion": "pipeline_version",
}


@dataclass(frozen=True)
class ResultNodes:
    """The nodes that a correction left in the scene."""

    volume: Any
    difference: Any
    metal: Any
    table: Any


def addResult(
    scene: Any, inputNode: Any, corrected: Corrected, outputNode: Any = None
) -> ResultNodes:
    """Put a finished correction into the scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    inputNode : vtkMRMLScalarVolumeNode
    corrected : Corrected
    outputNode : vtkMRMLScalarVolumeNode, optional
        Overwritten; by default a new node, named after the input.
    """
    name = f"{inputNode.GetName()} corrected"
    volume = outputNode or scene.AddNewNodeByClass(
        "vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name)
    )
    old = resultOf(volume)
    modifying = volume.StartModify()
    setArray(volume, corrected.voxels)
    copyPlace(inputNode, volume)
    copyWindow(inputNode, volume)
    _writeProvenance(volume, corrected.facts["provenance"])
    volume.SetAttribute(FOCUS_ATTRIBUTE, json.dumps(_focusRas(inputNode, corrected)))
    volume.SetNodeReferenceID(INPUT_ROLE, inputNode.GetID())
    difference = old.difference or scene.AddNewNodeByClass(
        "vtkMRMLScalarVolumeNode", f"{volume.GetName()} difference"
    )
    setArray(difference, corrected.difference)
    copyPlace(inputNode, difference)
    setWindow(difference, DIFFERENCE_WINDOW_HU, 0.0)
    metal = _metalSegmentation(scene, inputNode, corrected, old.metal, volume.GetName())
    table = old.table or scene.AddNewNodeByClass("vtkMRMLTableNode", f"{volume.GetName()} facts")
    fillTable(table, corrected.facts)
    for role, node in ((DIFFERENCE_ROLE, difference), (METAL_ROLE, metal), (TABLE_ROLE, table)):
        volume.SetNodeReferenceID(role, node.GetID())
    volume.EndModify(modifying)
    nodes = ResultNodes(volume, difference, metal, table)
    for node in (volume, difference, metal, table):
        hierarchy.put(scene, node, inputNode)
    return nodes


def resultOf(volumeNode: Any) -> ResultNodes:
    """Find what belongs to a corrected volume; None for what is missing."""
    found = {r: volumeNode.GetNodeReference(r) for r in (DIFFERENCE_ROLE, METAL_ROLE, TABLE_ROLE)}
    return ResultNodes(volumeNode, found[DIFFERENCE_ROLE], found[METAL_ROLE], found[TABLE_ROLE])


def focusOf(volumeNode: Any) -> list[float] | None:
    """Return where a corrected volume is worth looking at first, in world coordinates."""
    text = volumeNode.GetAttribute(FOCUS_ATTRIBUTE)
    if not text:
        return None
    world = [0.0] * 3
    volumeNode.TransformPointToWorld(json.loads(text), world)
    return world


def _focusRas(inputNode: Any, corrected: Corrected) -> list[float]:
    """Find the middle of the metal in the slice that changed most, in the volume's own RAS."""
    kji = np.array(corrected.metalOrigin) + np.array(corrected.metal.shape) / 2.0
    axis = "kji".index(corrected.facts["provenance"]["geometry"]["stack_axis"])
    kji[axis] = max(corrected.facts["slices"], key=lambda one: one["change_hu"] or 0.0)["index"]
    return (ijkToRas(inputNode) @ np.array([*kji[::-1], 1.0]))[:3].tolist()


def provenanceOf(volumeNode: Any) -> Mapping[str, Any] | None:
    """Read how a volume was corrected; None for one that was not."""
    text = volumeNode.GetAttribute(PROVENANCE_ATTRIBUTE)
    return json.loads(text) if text else None


def _writeProvenance(volumeNode: Any, provenance: Mapping[str, Any]) -> None:
    for attribute, fact in _SHORT_FACTS.items():
        value = provenance.get(fact)
        if value is None:
            volumeNode.RemoveAttribute(attribute)
        else:
            volumeNode.SetAttribute(attribute, str(value))
    volumeNode.SetAttribute(PROVENANCE_ATTRIBUTE, json.dumps(provenance))


def _metalSegmentation(
    scene: Any, inputNode: Any, corrected: Corrected, node: Any, name: str
) -> Any:
    """Store the metal cropped: a whole-volume labelmap would cost time and memory."""
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{name} metal")
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility2DFill(False)  # the metal itself stays visible
    node.SetReferenceImageGeometryParameterFromVolumeNode(inputNode)
    node.SetAndObserveTransformNodeID(inputNode.GetTransformNodeID())
    node.GetSegmentation().RemoveAllSegments()
    if corrected.metal.size:
        image = slicer.vtkOrientedImageData()
        image.SetDimensions(corrected.metal.shape[::-1])
        voxels = numpy_to_vtk(corrected.metal.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
        image.GetPointData().SetScalars(voxels)
        matrix = ijkToRas(inputNode)
        matrix[:3, 3] += matrix[:3, :3] @ np.array(corrected.metalOrigin[::-1], dtype=float)
        image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
        node.AddSegmentFromBinaryLabelmapRepresentation(image, "Metal", [1.0, 0.65, 0.0])
    return node


_COLUMNS = (
    # (column, fact of a slice, digits)
    ("Metal mm2", "metal_area_mm2", 1),
    ("Width mm", "metal_width_mm", 1),
    ("Trace %", "trace_share", 2),
    ("Change HU", "change_hu", 1),
    ("Strength", "strength", 2),
)


def fillTable(tableNode: Any, facts: Mapping[str, Any]) -> None:
    """Write the facts of every slice, and of all of them, into a table node."""
    slices = facts["slices"]
    tableNode.RemoveAllColumns()
    table = vtk.vtkTable()
    labels = vtk.vtkStringArray()
    labels.SetName("Slice")
    outcome = vtk.vtkStringArray()
    outcome.SetName("Outcome")
    reason = vtk.vtkStringArray()
    reason.SetName("Why")
    for one in slices:
        labels.InsertNextValue(str(one["index"] + 1))
        outcome.InsertNextValue("corrected" if one["corrected"] else "left alone")
        reason.InsertNextValue(one["reason"])
    labels.InsertNextValue("all")
    outcome.InsertNextValue(f"{sum(one['corrected'] for one in slices)} corrected")
    reason.InsertNextValue(facts["message"])
    table.AddColumn(labels)
    table.AddColumn(outcome)
    for name, fact, digits in _COLUMNS:
        values = [one[fact] or 0.0 for one in slices]
        scale = 100.0 if name.endswith("%") else 1.0
        total = sum(values) if fact == "metal_area_mm2" else float(np.mean(values or [0.0]))
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        for value in (*values, total):
            column.InsertNextValue(round(scale * value, digits))
        table.AddColumn(column)
    table.AddColumn(reason)
    tableNode.SetAndObserveTable(table)
    tableNode.SetAttribute("SpineMAR.Message", facts["message"])
