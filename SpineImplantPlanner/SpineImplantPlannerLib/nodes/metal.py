"""Implants as voxels, and the simulated scan, as nodes in the study of the CT."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from SpineImplantPlannerLib.jobs.plannerjobs import Fraction, Scanned
from SpineImplantPlannerLib.nodes.spine import orientedImage
from SpineMARLib.nodes import hierarchy
from SpineMARLib.nodes.transient import Overlay
from SpineMARLib.nodes.volumes import (
    copyPlace,
    copyWindow,
    geometryOf,
    ijkToRas,
    setArray,
    setWindow,
)

FOLDER = "Simulated scan"
SIMULATED_ATTRIBUTE = "SpineMAR.Simulated"
TRUTH_ROLE, CT_ROLE, METAL_ROLE = "SpineMAR.Truth", "SpineMAR.SimulatedFrom", "SpineMAR.PlanMetal"
_COLOURS = {"Ti-6Al-4V": [0.55, 0.75, 0.95], "316L": [0.75, 0.75, 0.8], "CoCrMo": [0.5, 0.5, 0.6],
            "PEEK": [0.95, 0.85, 0.6]}  # fmt: skip
_HALF = 0.5


def addMetal(
    scene: Any, volumeNode: Any, fractions: Mapping[str, Fraction], node: Any = None
) -> Any:
    """Show the implants' voxels as a segmentation, one segment a material."""
    if node is None:
        node = scene.AddNewNodeByClass(
            "vtkMRMLSegmentationNode", f"{volumeNode.GetName()} planned metal"
        )
        node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    node.GetSegmentation().RemoveAllSegments()
    matrix = ijkToRas(volumeNode)
    for name, fraction in fractions.items():
        image = orientedImage(fraction.values >= _HALF, matrix, fraction.first)
        colour = _COLOURS.get(name, [1.0, 0.65, 0.0])
        node.AddSegmentFromBinaryLabelmapRepresentation(image, name, colour)
    hierarchy.put(scene, node, volumeNode, (FOLDER,))
    return node


def addFractions(scene: Any, volumeNode: Any, fractions: Mapping[str, Fraction]) -> list[Any]:
    """Keep the partial-volume fractions as volumes, one a material, on the CT's grid."""
    nodes = []
    shape = geometryOf(volumeNode).shape
    for name, fraction in fractions.items():
        whole = np.zeros(shape, np.float32)
        cut = tuple(
            slice(first, first + size)
            for first, size in zip(fraction.first, fraction.values.shape, strict=True)
        )
        whole[cut] = fraction.values
        title = f"{volumeNode.GetName()} {name} fraction"
        node = _volume(scene, title, volumeNode, whole)
        setWindow(node, 1.0, 0.5)
        nodes.append(node)
    return nodes


def addScan(scene: Any, volumeNode: Any, scanned: Scanned, node: Any = None) -> Any:
    """Put a whole simulated scan into the scene, with its truth and its metal beside it."""
    name = f"{volumeNode.GetName()} with implants"
    scan = _volume(scene, name, volumeNode, scanned.voxels, node)
    copyWindow(volumeNode, scan)
    scan.SetAttribute(SIMULATED_ATTRIBUTE, json.dumps(dict(scanned.facts)))
    scan.SetAttribute("DICOM.Modality", "CT")
    scan.SetNodeReferenceID(CT_ROLE, volumeNode.GetID())
    if scanned.truth is not None:
        old = scan.GetNodeReference(TRUTH_ROLE)
        truth = _volume(scene, f"{name} (truth without)", volumeNode, scanned.truth, old)
        copyWindow(volumeNode, truth)
        scan.SetNodeReferenceID(TRUTH_ROLE, truth.GetID())
    return scan


class ScanPreview:
    """The scan of a few slices, shown over the CT in the slice views; never saved."""

    def __init__(self, scene: Any) -> None:
        self._overlay = Overlay(scene, "Scan preview")

    @property
    def node(self) -> Any:
        """The preview's volume node, None while nothing is shown."""
        return self._overlay.node

    def show(self, volumeNode: Any, scanned: Scanned) -> None:
        """Show freshly scanned slices in the foreground of every view that shows the CT."""
        node = self._overlay.add()
        setArray(node, scanned.voxels)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(scanned.ijkToRas))
        copyWindow(volumeNode, node)
        self._overlay.showOver(volumeNode, 1.0)

    def remove(self) -> None:
        """Take the preview away."""
        self._overlay.remove()


def _volume(scene: Any, name: str, volumeNode: Any, array: np.ndarray, node: Any = None) -> Any:
    node = node or scene.AddNewNodeByClass(
        "vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name)
    )
    setArray(node, array)
    copyPlace(volumeNode, node)
    hierarchy.put(scene, node, volumeNode, (FOLDER,))
    return node
