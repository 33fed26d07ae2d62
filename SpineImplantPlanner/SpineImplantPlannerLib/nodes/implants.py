"""A plan in the scene: a model per implant, two points per screw and a curve per rod as handles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import slicer

from SpineImplantPlannerLib import probe
from SpineImplantPlannerLib.nodes.names import ScrewNames
from SpineImplantPlannerLib.nodes.surfaces import Surfaces
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.kinds import KINDS
from spinemar.implants.placement import Screw
from spinemar.planning.plans.plan import Plan
from spinemar.planning.report.colours import grade_colour, is_thick
from SpineMARLib.nodes import hierarchy
from SpineMARLib.nodes.lookup import nodesOfClass

ID_ATTRIBUTE = "SpineMAR.Implant"
KIND_ATTRIBUTE = "SpineMAR.Kind"
MODEL, HANDLE = "model", "handle"
# Two points, not a line: a line would take the clicks meant for the handle on the shaft.
_SCREW_HANDLE = "vtkMRMLMarkupsFiducialNode"
PLAN_FOLDER = "Implant plan"
_FOLDERS = {kind.group: kind.title for kind in KINDS}
METAL_COLOUR = (0.78, 0.80, 0.84)
COLLISION_COLOUR = (0.80, 0.10, 0.80)
_EDGE_COLOUR = (0.05, 0.05, 0.05)
# Widths of outlines in slices: the worst grades and what collides are told by more than a colour.
_THIN_PX, _THICK_PX = 2, 4
SELECTED_COLOUR = (0.20, 0.75, 1.0)
# So many implants come and go one by one; a batch costs a look at everything, as 5 nodes do.
_FEW = 4


class ImplantNodes:
    """Keeps the nodes of one scene in step with a plan; finds those of a loaded scene again.

    Parameters
    ----------
    scene : vtkMRMLScene
    catalogue : Catalogue
    """

    def __init__(self, scene: Any, catalogue: Catalogue) -> None:
        self.scene = scene
        self._surfaces = Surfaces(catalogue)
        self._nodes: dict[tuple[str, str], Any] = {}
        self._shown: dict[str, Any] = {}
        self._names = ScrewNames(scene)
        self.colliding: frozenset[str] = frozenset()
        self.updating = False
        self.find()

    def find(self) -> None:
        """Look the nodes up in the scene, as after loading one."""
        self._nodes.clear()
        self._shown.clear()
        for kind in ("vtkMRMLModelNode", _SCREW_HANDLE, "vtkMRMLMarkupsCurveNode"):
            for node in nodesOfClass(self.scene, kind):
                name = node.GetAttribute(ID_ATTRIBUTE)
                if name:
                    self._nodes[(node.GetAttribute(KIND_ATTRIBUTE), name)] = node
        if self._nodes:  # they came all at once
            probe.renew(self.scene)

    def model(self, implantId: str) -> Any:
        """Return the model node of an implant; None if it has none."""
        return self._nodes.get((MODEL, implantId))

    def handle(self, implantId: str) -> Any:
        """Return the markups node that moves an implant; None if it has none."""
        return self._nodes.get((HANDLE, implantId))

    def handles(self) -> Mapping[str, Any]:
        """Return all handles by the implant's id."""
        return {name: node for (kind, name), node in self._nodes.items() if kind == HANDLE}

    def centre(self, implantId: str) -> tuple[float, float, float]:
        """Return the middle of an implant's model, RAS mm."""
        bounds = [0.0] * 6
        self.model(implantId).GetRASBounds(bounds)
        r, a, s = ((bounds[2 * n] + bounds[2 * n + 1]) / 2 for n in range(3))
        return r, a, s

    def show(self, plan: Plan, volumeNode: Any, *, locked: bool = False) -> None:
        """Make the scene show a plan: only what differs is touched."""
        wanted = {item.id for item in plan.items()}
        gone = {name for _, name in self._nodes} - wanted
        coming = {name for name in wanted if self.model(name) is None}
        self.updating = True
        try:
            with self._batch() if len(gone | coming) > _FEW else nullcontext():
                for name in gone:
                    self._remove(name)
                for group, folder in _FOLDERS.items():
                    for item in getattr(plan, group):
                        self._showImplant(item, (PLAN_FOLDER, folder), volumeNode, locked)
                    if gone:
                        hierarchy.prune(self.scene, volumeNode, (PLAN_FOLDER, folder))
        finally:
            self.updating = False
        self.colliding = frozenset()
        self._names.show(plan.screws)

    @contextmanager
    def _batch(self) -> Iterator[None]:
        """Let many nodes come and go in one step, and have slice views, which miss it, renewed.

        Of few, and of nodes that stay, views notice every change by themselves, and cut that one
        outline anew.
        """
        self.scene.StartState(self.scene.BatchProcessState)
        try:
            yield
        finally:
            self.scene.EndState(self.scene.BatchProcessState)
            probe.renew(self.scene)

    def rename(self, before: Plan, after: Plan) -> dict[str, str]:
        """Give nodes the ids that a renamed plan has for its implants; return them by the old ids.

        Both plans have the same implants in the same order and places: their surfaces stay.
        """
        pairs = list(zip(before.items(), after.items(), strict=True))
        ids = {old.id: new.id for old, new in pairs}
        self._nodes = {
            (kind, ids.get(name, name)): node for (kind, name), node in self._nodes.items()
        }
        for (kind, name), node in self._nodes.items():
            node.SetAttribute(ID_ATTRIBUTE, name)
            node.SetName(name if kind == MODEL else f"{name} handle")
        shown = {
            new.id: (new, locked)
            for old, new in pairs
            for item, locked in (self._shown.get(old.id, (None, False)),)
            if item == old
        }
        self._shown = shown
        return ids

    def preview(self, item: Any) -> None:
        """Show an implant where it is being dragged to; its handle is left alone."""
        model = self.model(item.id)
        if model is not None:
            self._surfaces.place(model, item, shaded=False)
            if isinstance(item, Screw):
                self._dress(item)
                self._names.change(item)
            self._shown.pop(item.id, None)

    def touch(self, implantId: str) -> None:
        """Have the next `show` put an implant back, whatever was done to its nodes."""
        self._shown.pop(implantId, None)

    def mark(self, plan: Plan, colliding: set[str]) -> None:
        """Show what collides, until the plan changes.

        Told by more than a colour: its edges are drawn in 3-D, its outline is thick in slices,
        and a screw's name says "touches" while its colour goes on telling the grade.
        """
        self.colliding = frozenset(colliding)
        for item in plan.items():
            if self.model(item.id) is not None:
                self._dress(item, collides=item.id in colliding)
        self._names.show(plan.screws, colliding)

    def select(self, implantId: str | None) -> None:
        """Show the handle of one implant in the colour of the selection."""
        for name, node in self.handles().items():
            chosen = name == implantId
            display = node.GetDisplayNode()
            display.SetLineThickness(0.35 if chosen else 0.15)
            display.SetGlyphScale(2.4 if chosen else 1.6)

    def release(self) -> None:
        """Take away what is not kept with the scene."""
        self._names.remove()

    def clear(self) -> None:
        """Take all implants out of the scene."""
        for name in {name for _, name in self._nodes}:
            self._remove(name)
        self.release()

    def _showImplant(
        self, item: Any, folders: tuple[str, ...], volumeNode: Any, locked: bool
    ) -> None:
        isScrew = isinstance(item, Screw)
        known, wasLocked = self._shown.get(item.id, (None, locked))
        if known == item:
            self._dress(item)  # it may have been marked as colliding
            handle = self.handle(item.id)
            if wasLocked != locked and handle is not None:
                handle.SetLocked(locked or item.locked)
            self._shown[item.id] = (item, locked)
            return
        model = self._nodes.get((MODEL, item.id)) or self._add("vtkMRMLModelNode", MODEL, item.id)
        self._surfaces.place(model, item)
        points = [item.entry, item.tip] if isScrew else getattr(item, "control_points", None)
        hierarchy.put(self.scene, model, volumeNode, folders)
        if points is not None:
            kind = _SCREW_HANDLE if isScrew else "vtkMRMLMarkupsCurveNode"
            handle = self._nodes.get((HANDLE, item.id)) or self._add(kind, HANDLE, item.id)
            self._putPoints(handle, points)
            handle.SetLocked(locked or item.locked)
            hierarchy.put(self.scene, handle, volumeNode, folders)
        self._dress(item)
        self._shown[item.id] = (item, locked)

    def _add(self, className: str, kind: str, name: str) -> Any:
        node = self.scene.AddNewNodeByClass(className, name if kind == MODEL else f"{name} handle")
        node.SetAttribute(ID_ATTRIBUTE, name)
        node.SetAttribute(KIND_ATTRIBUTE, kind)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        if kind == MODEL:
            node.SetSelectable(False)  # a click in a 3-D view is meant for the bone behind
            display.SetVisibility2D(True)
            display.SetEdgeColor(*_EDGE_COLOUR)
        else:
            display.SetPropertiesLabelVisibility(False)
            display.SetPointLabelsVisibility(False)
            # In 3-D views a point shall follow the mouse, not jump onto the surface behind it.
            display.SetSnapMode(display.SnapModeUnconstrained)
            display.SetUseGlyphScale(True)
            display.SetGlyphScale(1.6)
            display.SetLineThickness(0.15)
            display.SetOccludedVisibility(True)
            display.SetOccludedOpacity(0.4)
            display.SetSelectedColor(*SELECTED_COLOUR)
            display.SetColor(*SELECTED_COLOUR)
        self._nodes[(kind, name)] = node
        return node

    @staticmethod
    def _putPoints(handle: Any, points: Any) -> None:
        array = np.asarray(points, float)
        modifying = handle.StartModify()
        if handle.GetNumberOfControlPoints() != len(array):
            handle.RemoveAllControlPoints()
            for point in array:
                handle.AddControlPointWorld(*point)
        else:
            now = slicer.util.arrayFromMarkupsControlPoints(handle, world=True)
            for n in np.flatnonzero((now != array).any(axis=1)):
                handle.SetNthControlPointPositionWorld(int(n), *array[n])
        handle.EndModify(modifying)

    def _dress(self, item: Any, *, collides: bool = False) -> None:
        """Give a model the look of its grade, and of a collision; only what differs is touched."""
        display = self.model(item.id).GetDisplayNode()
        colour, thick = COLLISION_COLOUR if collides else METAL_COLOUR, collides
        if isinstance(item, Screw):
            colour, thick = grade_colour(item), collides or is_thick(item)
        width = _THICK_PX if thick else _THIN_PX
        modifying = display.StartModify()  # each change alone would have every view draw it
        if display.GetColor() != tuple(colour):
            display.SetColor(*colour)
        if display.GetSliceIntersectionThickness() != width:
            display.SetSliceIntersectionThickness(width)
        if bool(display.GetEdgeVisibility()) != collides:
            display.SetEdgeVisibility(collides)
        display.EndModify(modifying)

    def _remove(self, name: str) -> None:
        for kind in (MODEL, HANDLE):
            node = self._nodes.pop((kind, name), None)
            if node is not None and self.scene.IsNodePresent(node):
                node.SetDisplayVisibility(False)  # slice views miss that points are removed
                self.scene.RemoveNode(node)
        self._shown.pop(name, None)
