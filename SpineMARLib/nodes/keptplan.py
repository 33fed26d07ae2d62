"""The plan that the planner keeps in a scene, for other modules too."""

from __future__ import annotations

from typing import Any

from SpineMARLib.nodes.lookup import nodesOfClass

ROLE = "SpineMAR.Plan"
CT_ROLE = "SpineMAR.PlanCT"


def planNode(scene: Any, role: str = ROLE) -> Any:
    """Return the text node with the plan; None where the scene has none."""
    found = [n for n in nodesOfClass(scene, "vtkMRMLTextNode") if n.GetAttribute(role)]
    return next(iter(found), None)


def planIn(scene: Any, volumeNode: Any) -> str:
    """Return the JSON text of the plan whose implants lie in a volume; "" where there is none."""
    node = planNode(scene)
    if node is None or volumeNode is None or node.GetNodeReference(CT_ROLE) is not volumeNode:
        return ""
    return node.GetText() or ""
