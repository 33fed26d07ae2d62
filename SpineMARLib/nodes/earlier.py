"""Which volumes of a scene can be the CT of the same patient from before the metal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spinemar.io.hounsfield import MASK_THRESHOLD_HU
from SpineMARLib.nodes.guards import METHOD_ATTRIBUTE
from SpineMARLib.nodes.volumes import arrayOf, geometryOf

PART_ATTRIBUTE = "SpineMAR.PartOfResult"
_MOST_METAL_MM3 = 50.0
_FEWEST_SLICES = 5


class Candidates:
    """The volumes of a scene that can be an earlier CT of an input; each is looked at once.

    Parameters
    ----------
    scene : vtkMRMLScene
    patientOf : callable
        Takes a volume node; the patient's identifier, "" where DICOM does not tell.
    """

    def __init__(self, scene: Any, patientOf: Callable[[Any], str] = lambda node: "") -> None:
        self._scene, self._patientOf = scene, patientOf
        self._metal: dict[str, tuple[int, bool]] = {}

    def of(self, inputNode: Any) -> list[Any]:
        """Volumes of the same patient without metal, in the scene's order."""
        if inputNode is None:
            return []
        patient = self._patientOf(inputNode)
        count = self._scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
        nodes = [self._scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(count)]
        return [
            node
            for node in nodes
            if node is not inputNode
            and _listed(node)
            and not (patient and self._patientOf(node) not in ("", patient))
            and not self._hasMetal(node)
        ]

    def _hasMetal(self, node: Any) -> bool:
        image = node.GetImageData()
        known = self._metal.get(node.GetID())
        if known is None or known[0] != image.GetMTime():
            known = (image.GetMTime(), metalMm3(node) > _MOST_METAL_MM3)
            self._metal[node.GetID()] = known
        return known[1]


def metalMm3(volumeNode: Any) -> float:
    """How much of a volume is as bright as metal."""
    voxel = float(np.prod(geometryOf(volumeNode).spacing_mm))
    return voxel * int(np.count_nonzero(arrayOf(volumeNode) >= MASK_THRESHOLD_HU))


def _listed(node: Any) -> bool:
    """Whether a node is a CT that somebody loaded: no result, no label map, nothing hidden."""
    image = node.GetImageData()
    return (
        node.GetClassName() == "vtkMRMLScalarVolumeNode"
        and not node.GetHideFromEditors()
        and not node.GetAttribute(METHOD_ATTRIBUTE)
        and not node.GetAttribute(PART_ATTRIBUTE)
        and image is not None
        and min(image.GetDimensions()) >= _FEWEST_SLICES
    )
