"""Before, after and difference beside each other, in linked views; and a toggle in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from MetalArtifactReductionLib.nodes.results import DIFFERENCE_WINDOW_HU, INPUT_ROLE, resultOf
from SpineMARLib.nodes.firstlook import zoomTo
from SpineMARLib.nodes.transient import addTransient, removeTransient, sliceComposites
from SpineMARLib.nodes.volumes import arrayOf, copyPlace, setArray, setWindow

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


@dataclass(frozen=True)
class Pair:
    """Two volumes on one grid, and the second less the first.

    Parameters
    ----------
    before, after, difference : vtkMRMLScalarVolumeNode
    """

    before: Any
    after: Any
    difference: Any

    @property
    def columns(self) -> dict[str, Any]:
        """Volumes by the column that shows them."""
        return dict(zip(_COLUMNS, (self.before, self.after, self.difference), strict=True))

    @property
    def complete(self) -> bool:
        """Whether all three are still in a scene."""
        return all(n is not None and n.GetScene() is not None for n in self.columns.values())


def pairOf(afterNode: Any, beforeNode: Any) -> Pair:
    """Pair a corrected volume with its input, or with another result of the same input.

    The difference to the input is the result's own; that of two results is made here, is neither
    listed nor saved, and goes with `release`.
    """
    if beforeNode is afterNode.GetNodeReference(INPUT_ROLE):
        return Pair(beforeNode, afterNode, resultOf(afterNode).difference)
    difference = addTransient(afterNode.GetScene(), "vtkMRMLScalarVolumeNode", "Difference")
    setArray(difference, arrayOf(afterNode) - arrayOf(beforeNode))
    copyPlace(afterNode, difference)
    setWindow(difference, DIFFERENCE_WINDOW_HU, 0.0)
    return Pair(beforeNode, afterNode, difference)


def release(pair: Pair | None) -> None:
    """Remove what `pairOf` has made."""
    if pair is not None and pair.difference is not None and pair.difference.GetHideFromEditors():
        removeTransient(pair.difference)


def setLayout(layoutNode: Any) -> None:
    """Show the compare layout."""
    if not layoutNode.IsLayoutDescription(LAYOUT_ID):
        layoutNode.AddLayoutDescription(LAYOUT_ID, layoutDescription())
    layoutNode.SetViewArrangement(LAYOUT_ID)


def showVolumes(scene: Any, pair: Pair) -> None:
    """Put the volumes of a pair into their views, and link the views of each row."""
    composites = compareComposites(scene)
    for (_row, column), composite in composites.items():
        volume = pair.columns[column]
        # Volumes first: a linked view would hand its volume on to its neighbours.
        composite.SetLinkedControl(False)
        composite.SetDoPropagateVolumeSelection(False)
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLabelVolumeID(None)
    for composite in composites.values():
        composite.SetHotLinkedControl(True)
        composite.SetLinkedControl(True)


def compareComposites(scene: Any) -> dict[tuple[str, str], Any]:
    """Return the composite nodes of the compare views by row and column, those that exist."""
    named = {node.GetLayoutName(): node for node in sliceComposites(scene)}
    places = [(row, column) for row, _colour in _ROWS for column in _COLUMNS]
    found = {place: named.get(viewName(*place)) for place in places}
    return {place: node for place, node in found.items() if node is not None}


def focus(scene: Any, centre: list[float] | None, widthMm: float = 220.0) -> None:
    """Centre the compare views on a place, close enough to see metal."""
    if centre is None:
        return
    for row, _ in _ROWS:
        for column in _COLUMNS:
            node = scene.GetSingletonNode(viewName(row, column), "vtkMRMLSliceNode")
            if node is not None:
                zoomTo(node, centre, widthMm)


def jumpTo(scene: Any, place: list[float]) -> None:
    """Centre every slice view on a place, as near as it is."""
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
        scene.GetNthNodeByClass(n, "vtkMRMLSliceNode").JumpSliceByCentering(*place)


def toggle(scene: Any, before: Any, after: Any) -> str:
    """Swap before and after in every view that shows one of them; return what shows now.

    In the compare layout the columns keep their volumes: there is nothing to swap.
    """
    views = [n for n in sliceComposites(scene) if not str(n.GetLayoutName()).startswith("MAR")]
    showing = {node.GetBackgroundVolumeID() for node in views}
    target = before if after.GetID() in showing else after
    for node in views:
        if node.GetBackgroundVolumeID() in (before.GetID(), after.GetID()):
            node.SetBackgroundVolumeID(target.GetID())
    return "before" if target is before else "after"
