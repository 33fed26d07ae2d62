"""Before, after and difference beside each other, in linked views; and a toggle in place."""

from __future__ import annotations

from typing import Any

from MetalArtifactReductionLib.nodes.results import INPUT_ROLE, focusOf, resultOf
from SpineMARLib.nodes.transient import sliceComposites

LAYOUT_ID = 27811
_COLUMNS = ("Before", "After", "Difference")
_ROWS = (("Axial", "#F34A33"), ("Sagittal", "#EDD54C"))


def viewName(row: str, column: str) -> str:
    """Name the slice view of a row and a column."""
    return f"MAR{column}{row}"


def layoutDescription() -> str:
    """Describe the layout: a row for each orientation, a column for each volume."""
    rows = []
    for orientation, colour in _ROWS:
        views = "".join(
            f'<item><view class="vtkMRMLSliceNode" singletontag="{viewName(orientation, column)}">'
            f'<property name="orientation" action="default">{orientation}</property>'
            f'<property name="viewlabel" action="default">{column}</property>'
            f'<property name="viewcolor" action="default">{colour}</property>'
            "</view></item>"
            for column in _COLUMNS
        )
        rows.append(f'<item><layout type="horizontal">{views}</layout></item>')
    return f'<layout type="vertical">{"".join(rows)}</layout>'


def compositeNode(scene: Any, sliceViewName: str) -> Any:
    """Find the composite node of a slice view by the view's name; None before it exists."""
    named = [n for n in sliceComposites(scene) if n.GetLayoutName() == sliceViewName]
    return next(iter(named), None)


def setLayout(layoutNode: Any) -> None:
    """Show the compare layout."""
    if not layoutNode.IsLayoutDescription(LAYOUT_ID):
        layoutNode.AddLayoutDescription(LAYOUT_ID, layoutDescription())
    layoutNode.SetViewArrangement(LAYOUT_ID)


def showVolumes(scene: Any, correctedNode: Any) -> None:
    """Put the three volumes into their views and link the views of each row."""
    volumes = {
        "Before": correctedNode.GetNodeReference(INPUT_ROLE),
        "After": correctedNode,
        "Difference": resultOf(correctedNode).difference,
    }
    for row, _ in _ROWS:
        for column, volume in volumes.items():
            composite = compositeNode(scene, viewName(row, column))
            if composite is None:
                continue
            # Volumes first: a linked view would hand its volume on to its neighbours.
            composite.SetLinkedControl(False)
            composite.SetBackgroundVolumeID(volume.GetID() if volume else None)
            composite.SetForegroundVolumeID(None)
    for row, _ in _ROWS:
        for column in volumes:
            composite = compositeNode(scene, viewName(row, column))
            if composite is not None:
                composite.SetHotLinkedControl(True)
                composite.SetLinkedControl(True)


def focus(scene: Any, correctedNode: Any, widthMm: float = 220.0) -> None:
    """Centre the views on what changed most, close enough to see it."""
    centre = focusOf(correctedNode)
    if centre is None:
        return
    for row, _ in _ROWS:
        for column in _COLUMNS:
            node = scene.GetSingletonNode(viewName(row, column), "vtkMRMLSliceNode")
            if node is None:
                continue
            columns, rows, _depth = node.GetDimensions()
            depth = node.GetFieldOfView()[2]
            node.SetFieldOfView(widthMm, widthMm * rows / max(columns, 1), depth)
            node.JumpSliceByCentering(*centre)


def toggle(scene: Any, correctedNode: Any) -> str:
    """Swap before and after in every view that shows one of them; return what shows now.

    In the compare layout the columns keep their volumes: there is nothing to swap.
    """
    before = correctedNode.GetNodeReference(INPUT_ROLE)
    if before is None:
        return ""
    views = [n for n in sliceComposites(scene) if not str(n.GetLayoutName()).startswith("MAR")]
    showing = {node.GetBackgroundVolumeID() for node in views}
    target = before if correctedNode.GetID() in showing else correctedNode
    for node in views:
        if node.GetBackgroundVolumeID() in (before.GetID(), correctedNode.GetID()):
            node.SetBackgroundVolumeID(target.GetID())
    return "before" if target is before else "after"
