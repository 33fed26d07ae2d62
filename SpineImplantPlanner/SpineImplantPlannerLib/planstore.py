"""The plan kept in the scene, exactly: a text node with its JSON that a saved scene carries."""

from __future__ import annotations

from typing import Any

from SpineImplantPlannerLib import hierarchy
from SpineImplantPlannerLib.implantnodes import PLAN_FOLDER
from spinemar.planning.plan import Plan
from spinemar.planning.plan_json import plan_from_json, plan_to_json

ROLE = "SpineMAR.Plan"
CT_ROLE = "SpineMAR.PlanCT"
SPINE_ROLE = "SpineMAR.PlanSpine"
_NAME = "Spine implant plan"


def keepPlan(scene: Any, plan: Plan, volumeNode: Any, spineNode: Any) -> Any:
    """Write the plan into the scene, and which CT and spine it belongs to."""
    node = planNode(scene)
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLTextNode", _NAME)
        node.SetAttribute(ROLE, "1")
        # Inside the scene's own file: it is small, and cannot be lost beside it.
        node.SetForceCreateStorageNode(node.CreateStorageNodeNever)
    node.SetText(plan_to_json(plan))
    for role, other in ((CT_ROLE, volumeNode), (SPINE_ROLE, spineNode)):
        node.SetNodeReferenceID(role, other.GetID() if other is not None else None)
    hierarchy.put(scene, node, volumeNode, (PLAN_FOLDER,))
    return node


def planNode(scene: Any) -> Any:
    """Return the text node with the plan; None where the scene has none."""
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLTextNode")):
        node = scene.GetNthNodeByClass(n, "vtkMRMLTextNode")
        if node.GetAttribute(ROLE):
            return node
    return None


def keptPlan(scene: Any) -> Plan | None:
    """Read the plan of a scene; None where it has none.

    Raises
    ------
    InputError
        If it was written by a later version, or changed by hand.
    """
    node = planNode(scene)
    return None if node is None or not node.GetText() else plan_from_json(node.GetText())
