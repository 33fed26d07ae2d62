"""The endplates that angles lie between, in slices and in 3-D, with the angles beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from SpineImplantPlannerLib.nodes.names import addWords
from SpineImplantPlannerLib.nodes.surfaces import polyDataOf
from spinemar.implants.surfaces.mesh import Mesh
from spinemar.planning.alignment.plates import MeasuredPlate
from SpineMARLib.nodes.transient import addTransient, removeTransient

_COLOUR, _OPACITY = (0.98, 0.78, 0.12), 0.55
_INK = (0.08, 0.08, 0.12)
# A plane is a closed sheet so thick: slices cut it, and both of its sides are seen.
_HALF_THICK_MM = 0.4
_ABOVE_MM = 10.0
_TRIANGLES = np.array(
    [
        *((0, 1, 2), (0, 2, 3), (4, 6, 5), (4, 7, 6)),
        *((0, 5, 1), (0, 4, 5), (1, 6, 2), (1, 5, 6)),
        *((2, 7, 3), (2, 6, 7), (3, 4, 0), (3, 7, 4)),
    ]
)


class EndplateSheets:
    """One model of all the planes, and one markups node with their labels; neither is saved."""

    def __init__(self) -> None:
        self.sheets: Any = None
        self.labels: Any = None

    def show(self, scene: Any, plates: Sequence[MeasuredPlate]) -> None:
        """Show these planes, and no others."""
        self.remove()
        if not plates:
            return
        self.sheets = addTransient(scene, "vtkMRMLModelNode", "Measured endplates")
        self.sheets.SetSelectable(False)
        display = self.sheets.GetDisplayNode()
        display.SetColor(*_COLOUR)
        display.SetOpacity(_OPACITY)
        # Seen from behind a plane is seen along itself, and light would leave it black.
        display.SetAmbient(1.0)
        display.SetDiffuse(0.0)
        display.SetVisibility2D(True)
        display.SetSliceIntersectionThickness(2)
        self.sheets.SetAndObservePolyData(polyDataOf([_sheet(plate) for plate in plates]))
        self._write(scene, [plate for plate in plates if plate.label])

    def remove(self) -> None:
        """Take them out of the scene."""
        for node in (self.sheets, self.labels):
            removeTransient(node)
        self.sheets = self.labels = None

    def _write(self, scene: Any, plates: Sequence[MeasuredPlate]) -> None:
        node = addWords(scene, "Angles of the spine", _INK)
        for plate in plates:
            node.AddControlPointWorld(*_above(plate).tolist())
            node.SetNthControlPointLabel(node.GetNumberOfControlPoints() - 1, plate.label)
        self.labels = node


def _above(plate: MeasuredPlate) -> np.ndarray:
    """Return where a label stands: over the plane's front, clear of the screws' names."""
    place: np.ndarray = plate.corners_ras[2:].mean(axis=0) + _ABOVE_MM * _normal(plate)
    return place


def _normal(plate: MeasuredPlate) -> np.ndarray:
    """Return the plane's unit normal, towards the head."""
    first, second, _, last = plate.corners_ras
    normal = np.cross(second - first, last - first)
    unit: np.ndarray = normal / np.linalg.norm(normal)
    return unit


def _sheet(plate: MeasuredPlate) -> Mesh:
    """Return a thin closed box about a plane."""
    out = _normal(plate) * _HALF_THICK_MM
    points = np.concatenate([plate.corners_ras - out, plate.corners_ras + out])
    return Mesh(points, _TRIANGLES[:, ::-1])
