"""Nodes of a scene by their class."""

from __future__ import annotations

from typing import Any


def nodesOfClass(scene: Any, className: str) -> list[Any]:
    """Return the nodes of a class, and of those made from it, in the scene's order."""
    count = scene.GetNumberOfNodesByClass(className)
    return [scene.GetNthNodeByClass(n, className) for n in range(count)]
