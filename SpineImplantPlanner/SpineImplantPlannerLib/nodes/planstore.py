"""The plan kept in the scene, exactly: a text node with its JSON that a saved scene carries."""

from __future__ import annotations

from typing import Any

from SpineImplantPlannerLib.nodes.implants import PLAN_FOLDER
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from SpineMARLib.nodes import hierarchy
from SpineMARLib.nodes.keptplan import CT_ROLE, ROLE, planNode

SPINE_ROLE = "SpineMAR.PlanSpine"
ROLE_A = "SpineMAR.PlanA"
_LOCKED = "SpineMAR.PlanLocked"
_NAME = "Spine implant plan"


def keepPlan(
    scene: Any, plan: Plan, volumeNode: Any, spineNode: Any, *, locked: bool = False
) -> Any:
    """Write the plan into the scene, whether it is locked, and which CT and spine it is of."""
    node = _kept(scene, ROLE, _NAME)
    node.SetText(plan_to_json(plan))
    node.SetAttribute(_LOCKED, "1" if locked else None)
    for role, other in ((CT_ROLE, volumeNode), (SPINE_ROLE, spineNode)):
        node.SetNodeReferenceID(role, other.GetID() if other is not None else None)
    hierarchy.put(scene, node, volumeNode, (PLAN_FOLDER,))
    return node


def keepPlanA(scene: Any, plan: Plan, volumeNode: Any) -> None:
    """Write the plan into the scene that others are compared with."""
    node = _kept(scene, ROLE_A, f"{_NAME} A")
    node.SetText(plan_to_json(plan))
    hierarchy.put(scene, node, volumeNode, (PLAN_FOLDER,))


def keptPlan(scene: Any) -> Plan | None:
    """Read the plan of a scene; None where it has none.

    Raises
    ------
    InputError
        If it was written by a later version, or changed by hand.
    """
    return _read(planNode(scene))


def keptPlanA(scene: Any) -> Plan | None:
    """Read the plan A of a scene; None where it has none."""
    return _read(planNode(scene, ROLE_A))


def isLocked(scene: Any) -> bool:
    """Whether the plan of a scene was locked as a whole."""
    node = planNode(scene)
    return node is not None and node.GetAttribute(_LOCKED) == "1"


def _read(node: Any) -> Plan | None:
    return None if node is None or not node.GetText() else plan_from_json(node.GetText())


def _kept(scene: Any, role: str, name: str) -> Any:
    node = planNode(scene, role)
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLTextNode", name)
        node.SetAttribute(role, "1")
        # Inside the scene's own file: it is small, and cannot be lost beside it.
        node.SetForceCreateStorageNode(node.CreateStorageNodeNever)
    return node
