"""Another plan shown beside the present one: a translucent model, without handles, not saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from SpineImplantPlannerLib.nodes.surfaces import polyDataOf
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.construct_mesh import construct_meshes
from spinemar.implants.kinds import GROUPS
from spinemar.implants.placement import Screw
from spinemar.planning.plans.plan import Plan
from SpineMARLib.nodes.transient import addTransient, removeTransient

_COLOUR = (0.72, 0.45, 0.95)
# What an implant is called and goes by, whose level may be called another.
_NAMES = {"id": "", "level": "", "screw_ids": (), "rod_ids": None}


class Ghost:
    """Shows what is different in a plan to compare with.

    Parameters
    ----------
    scene : vtkMRMLScene
    catalogue : Catalogue
    """

    def __init__(self, scene: Any, catalogue: Catalogue) -> None:
        self._scene, self._catalogue = scene, catalogue
        self.node: Any = None
        self.shown = False
        self._moved: Plan | None = None

    def show(self, plan: Plan, present: Plan) -> None:
        """Show those implants of a plan that lie elsewhere than in the present one."""
        moved = _different(plan, present)
        there = self.node is None or self._scene.IsNodePresent(self.node)
        if self.shown and there and moved == self._moved:
            return
        self.remove()
        self.shown, self._moved = True, moved
        meshes = [part.mesh for part in construct_meshes(moved, self._catalogue)]
        if not meshes:
            return
        node = addTransient(self._scene, "vtkMRMLModelNode", "Plan A")
        node.SetSelectable(False)
        display = node.GetDisplayNode()
        display.SetColor(*_COLOUR)
        display.SetOpacity(0.35)
        display.SetVisibility2D(True)
        node.SetAndObservePolyData(polyDataOf(meshes))
        self.node = node

    def remove(self) -> None:
        """Take it out of the scene."""
        if self.node is not None and self._scene.IsNodePresent(self.node):
            removeTransient(self.node)
        self.node, self.shown, self._moved = None, False, None


def _different(plan: Plan, present: Plan) -> Plan:
    groups: dict[str, Any] = {}
    for group in GROUPS:
        known = {_nameless(item) for item in getattr(present, group)}
        groups[group] = tuple(item for item in getattr(plan, group) if _nameless(item) not in known)
    return replace(plan, **groups)


def _nameless(item: Any) -> Any:
    """Return an implant as it lies: without grade and lock, and what renaming levels renames."""
    if isinstance(item, Screw):
        item = item.without_grade()
    names = {name: empty for name, empty in _NAMES.items() if hasattr(item, name)}
    return replace(item, locked=False, **names)
