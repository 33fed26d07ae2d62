"""Where nodes lie in the subject hierarchy: in the study of the CT, or in folders under it."""

from __future__ import annotations

from typing import Any

import slicer


def hierarchyOf(scene: Any) -> Any:
    """Return the subject hierarchy of a scene; None where it has none."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def studyItem(hierarchy: Any, volumeNode: Any) -> int:
    """Return the item that holds a volume: its study, or the scene."""
    invalid = hierarchy.GetInvalidItemID()
    item = hierarchy.GetItemByDataNode(volumeNode) if volumeNode is not None else invalid
    parent = hierarchy.GetItemParent(item) if item != invalid else invalid
    return hierarchy.GetSceneItemID() if parent == invalid else parent


def folderItem(hierarchy: Any, parent: int, name: str) -> int:
    """Return the folder of that name under an item, made if needed."""
    found = hierarchy.GetItemChildWithName(parent, name)
    if found not in (0, hierarchy.GetInvalidItemID()):
        return found
    return hierarchy.CreateFolderItem(parent, name)


def put(scene: Any, node: Any, volumeNode: Any, folders: tuple[str, ...] = ()) -> None:
    """Put a node into the study of a volume, or into nested folders under it."""
    hierarchy = hierarchyOf(scene)
    if hierarchy is None:
        return
    parent = studyItem(hierarchy, volumeNode)
    for name in folders:
        parent = folderItem(hierarchy, parent, name)
    _setParent(hierarchy, node, parent)


def putUnder(scene: Any, node: Any, ownerNode: Any) -> None:
    """Put a node under another one: it moves, and is deleted, with it."""
    hierarchy = hierarchyOf(scene)
    if hierarchy is not None:
        _setParent(hierarchy, node, hierarchy.GetItemByDataNode(ownerNode))


def _setParent(hierarchy: Any, node: Any, parent: int) -> None:
    item = hierarchy.GetItemByDataNode(node)
    if item == hierarchy.GetInvalidItemID():
        hierarchy.CreateItem(parent, node)
    elif hierarchy.GetItemParent(item) != parent:
        hierarchy.SetItemParent(item, parent)


def prune(scene: Any, volumeNode: Any, folders: tuple[str, ...]) -> None:
    """Remove the innermost of nested folders where nothing is left in it."""
    hierarchy = hierarchyOf(scene)
    if hierarchy is None:
        return
    parent = studyItem(hierarchy, volumeNode)
    for name in folders:
        parent = hierarchy.GetItemChildWithName(parent, name)
        if parent in (0, hierarchy.GetInvalidItemID()):
            return
    if hierarchy.GetNumberOfItemChildren(parent) == 0:
        hierarchy.RemoveItem(parent)
