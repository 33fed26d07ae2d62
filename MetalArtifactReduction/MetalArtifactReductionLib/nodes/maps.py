"""Maps of a result, laid over it in the slice views: where not to read, what was believed."""

from __future__ import annotations

from typing import Any

from MetalArtifactReductionLib.correction import Corrected
from spinemar.mar.correction.uncertainty import DO_NOT_READ_HU, SHOWN_FROM_HU
from SpineMARLib.nodes import hierarchy
from SpineMARLib.nodes.earlier import PART_ATTRIBUTE
from SpineMARLib.nodes.transient import sliceComposites
from SpineMARLib.nodes.volumes import ijkToRas, placeAt, setArray

AGREEMENT_ROLE = "SpineMAR.Agreement"
UNCERTAINTY_ROLE = "SpineMAR.Uncertainty"
_RED = "vtkMRMLColorTableNodeRed"
_OPACITY = 0.4


def addUncertainty(scene: Any, inputNode: Any, correctedNode: Any, corrected: Corrected) -> None:
    """Put beside a result how far its values may be off; nothing where nothing was changed.

    Parameters
    ----------
    scene : vtkMRMLScene
    inputNode, correctedNode : vtkMRMLScalarVolumeNode
    corrected : Corrected
    """
    if not corrected.uncertainty.size:
        return
    text = f"{correctedNode.GetName()}: values may be off by, HU"
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", text)
    node.SetAttribute(PART_ATTRIBUTE, UNCERTAINTY_ROLE)
    setArray(node, corrected.uncertainty)
    placeAt(node, ijkToRas(inputNode), corrected.uncertaintyOrigin)
    node.SetAndObserveTransformNodeID(inputNode.GetTransformNodeID())
    colourMap(node, _RED, SHOWN_FROM_HU, DO_NOT_READ_HU)
    hierarchy.putUnder(scene, node, correctedNode)
    correctedNode.SetNodeReferenceID(UNCERTAINTY_ROLE, node.GetID())


def colourMap(node: Any, colourTable: str, least: float, most: float) -> None:
    """Give a map one colour, darker by degree up to `most`; clear below `least`."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    modifying = display.StartModify()
    display.SetAndObserveColorNodeID(colourTable)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(most, most / 2.0)
    display.SetAutoThreshold(False)
    display.SetThreshold(least, float(2**15))
    display.SetApplyThreshold(True)
    display.EndModify(modifying)


def mapOf(correctedNode: Any, role: str) -> Any:
    """Return a result's map; None where it has none."""
    return None if correctedNode is None else correctedNode.GetNodeReference(role)


def showMap(scene: Any, correctedNode: Any, role: str, shown: bool) -> None:
    """Lay a map over every view that shows the result, or take it away."""
    node = mapOf(correctedNode, role)
    if node is None:
        return
    for composite in sliceComposites(scene):
        over = composite.GetForegroundVolumeID() == node.GetID()
        wanted = shown and composite.GetBackgroundVolumeID() == correctedNode.GetID()
        if over == wanted:
            continue
        linked = composite.GetLinkedControl()
        composite.SetLinkedControl(False)  # a linked view would hand it on to its neighbours
        composite.SetForegroundVolumeID(node.GetID() if wanted else None)
        composite.SetForegroundOpacity(_OPACITY)
        composite.SetLinkedControl(linked)
