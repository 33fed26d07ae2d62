"""Another plan shown beside the present one: a translucent model, without handles, not saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from SpineImplantPlannerLib import probe
from SpineImplantPlannerLib.nodes.surfaces import polyDataOf
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.construct_mesh import construct_meshes
from spinemar.implants.kinds import GROUPS
from spinemar.implants.placement import Screw
from spinemar.planning.plans.plan import Plan
from SpineMARLib.nodes.transient import addTransient, removeTransient

_COLOUR = (0.72, 0.45, 0.95)


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

    def show(self, plan: Plan, present: Plan) -> None:
        """Show those implants of a plan that lie elsewhere than in the present one."""
        self.remove()
        self.shown = True
        moved = _different(plan, present)
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
        probe.renew(self._scene)

    def remove(self) -> None:
        """Take it out of the scene."""
        if self.node is not None and self._scene.IsNodePresent(self.node):
            removeTransient(self.node)
            probe.renew(self._scene)
        self.node, self.shown = None, False


def _different(plan: Plan, present: Plan) -> Plan:
    groups: dict[str, Any] = {}
    for group in GROUPS:
        known = {item.id: _ungraded(item) for item in getattr(present, group)}
        groups[group] = tuple(
            item for item in getattr(plan, group) if known.get(item.id) != _ungraded(item)
        )
    return replace(plan, **groups)


def _ungraded(item: Any) -> Any:
    if not isinstance(item, Screw):
        return item
    return replace(item.without_grade(), locked=False)
