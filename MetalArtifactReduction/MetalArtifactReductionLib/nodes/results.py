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
from spinemar.mar.settings import METHOD_TITLES
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
CORRECTED, LEFT_ALONE = "corrected", "left alone"

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


def addResult(scene: Any, inputNode: Any, corrected: Corrected) -> ResultNodes:
    """Put a finished correction into the scene: always as new nodes, named by the method.

    Parameters
    ----------
    scene : vtkMRMLScene
    inputNode : vtkMRMLScalarVolumeNode
    corrected : Corrected
    """
    method = corrected.facts["provenance"]["method"]
    # What tells results apart comes first: fields of a narrow panel show no more of a long name.
    name = f"Corrected ({METHOD_TITLES.get(method, method)}): {inputNode.GetName()}"
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    modifying = volume.StartModify()
    setArray(volume, corrected.voxels)
    copyPlace(inputNode, volume)
    copyWindow(inputNode, volume)
    _writeProvenance(volume, corrected.facts["provenance"])
    volume.SetAttribute(FOCUS_ATTRIBUTE, json.dumps(_focusRas(inputNode, corrected)))
    volume.SetNodeReferenceID(INPUT_ROLE, inputNode.GetID())
    difference = scene.AddNewNodeByClass(
        "vtkMRMLScalarVolumeNode", f"{volume.GetName()} difference"
    )
    setArray(difference, corrected.difference)
    copyPlace(inputNode, difference)
    setWindow(difference, DIFFERENCE_WINDOW_HU, 0.0)
    metal = _metalSegmentation(scene, inputNode, corrected, volume.GetName())
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", f"{volume.GetName()} facts")
    fillTable(table, corrected.facts)
    for role, node in ((DIFFERENCE_ROLE, difference), (METAL_ROLE, metal), (TABLE_ROLE, table)):
        volume.SetNodeReferenceID(role, node.GetID())
    volume.EndModify(modifying)
    hierarchy.put(scene, volume, inputNode)
    for node in (difference, metal, table):
        hierarchy.putUnder(scene, node, volume)
    return ResultNodes(volume, difference, metal, table)


def resultsOf(scene: Any, inputNode: Any) -> list[Any]:
    """Return the corrected volumes of an input, in the order in which they were made."""
    count = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    volumes = [scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(count)]
    return [v for v in volumes if provenanceOf(v) and v.GetNodeReference(INPUT_ROLE) is inputNode]


def resultOf(volumeNode: Any) -> ResultNodes:
    """Find what belongs to a corrected volume; None for what is missing."""
    found = {r: volumeNode.GetNodeReference(r) for r in (DIFFERENCE_ROLE, METAL_ROLE, TABLE_ROLE)}
    return ResultNodes(volumeNode, found[DIFFERENCE_ROLE], found[METAL_ROLE], found[TABLE_ROLE])


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


def _metalSegmentation(scene: Any, inputNode: Any, corrected: Corrected, name: str) -> Any:
    """Store the metal cropped: a whole-volume labelmap would cost time and memory."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{name} metal")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility2DFill(False)  # the metal itself stays visible
    node.SetReferenceImageGeometryParameterFromVolumeNode(inputNode)
    node.SetAndObserveTransformNodeID(inputNode.GetTransformNodeID())
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


@dataclass(frozen=True)
class SliceFacts:
    """What happened to a slice with metal, as the table of a result keeps it."""

    index: int
    corrected: bool
    strength: float
    metalWidthMm: float
    changeHu: float
    reason: str


def slicesOf(volumeNode: Any) -> list[SliceFacts]:
    """Read what happened to each slice with metal of a corrected volume."""
    node = None if volumeNode is None else resultOf(volumeNode).table
    if node is None:
        return []
    table = node.GetTable()
    rows = []
    for n in range(table.GetNumberOfRows() - 1):  # the last one is about all of them

        def value(column: str, n: int = n) -> Any:
            return table.GetValueByName(n, column)

        rows.append(
            SliceFacts(
                int(value("Slice").ToString()) - 1,
                value("Outcome").ToString() == CORRECTED,
                value("Strength").ToDouble(),
                value("Width mm").ToDouble(),
                value("Change HU").ToDouble(),
                value("Why").ToString(),
            )
        )
    return rows


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
        outcome.InsertNextValue(CORRECTED if one["corrected"] else LEFT_ALONE)
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
