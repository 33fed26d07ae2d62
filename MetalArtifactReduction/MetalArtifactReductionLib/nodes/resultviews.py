"""What the views show of a result: the compared volumes stay in place, the outline on its own scan.

Slicer hands a volume that is loaded or chosen elsewhere to all views. Under "Before" and "After"
another scan would be a lie, and so would be the metal's outline on another scan.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from MetalArtifactReductionLib.nodes import compare
from MetalArtifactReductionLib.nodes.results import INPUT_ROLE, resultOf
from SpineMARLib.nodes.transient import sliceComposites

_FOUR_UP = 3  # vtkMRMLLayoutNode::SlicerLayoutFourUpView


class ResultViews:
    """Watches the slice views of a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    layoutNode : vtkMRMLLayoutNode
    onChange : callable
        Called when another volume, slice or layout is shown.
    """

    def __init__(self, scene: Any, layoutNode: Any, onChange: Callable[[], None]) -> None:
        self.pair: compare.Pair | None = None
        self._scene, self._layout, self._onChange = scene, layoutNode, onChange
        self._result: Any = None
        self._outlineShown = True
        self._before = _FOUR_UP
        self._busy = False
        self._observed: list[tuple[Any, int]] = []
        self._composites: dict[str, Any] = {}
        self._observe(layoutNode, "ModifiedEvent")
        self._observe(scene, scene.NodeRemovedEvent)
        self._observe(scene, scene.NodeAddedEvent)
        self._look()

    def setResult(self, correctedNode: Any) -> None:
        """Show the outline of a corrected volume in place of the last one's."""
        if self._result is not None and self._result is not correctedNode:
            _hide(resultOf(self._result).metal)
        self._result = correctedNode
        self._look()

    def showOutline(self, shown: bool) -> None:
        """Show the metal's outline, or hide it."""
        self._outlineShown = shown
        self._look()

    def compare(self, pair: compare.Pair) -> None:
        """Show a pair in the compare layout until the user leaves it."""
        if self.pair is not None and self.pair != pair:
            compare.release(self.pair)
        if self._layout.GetViewArrangement() != compare.LAYOUT_ID:
            self._before = self._layout.GetViewArrangement()
        self.pair = None
        compare.setLayout(self._layout)
        self.pair = pair
        self._look()

    def close(self) -> None:
        """Watch no more, and leave the compare layout if it is shown."""
        shown = self.pair is not None and self._layout.GetViewArrangement() == compare.LAYOUT_ID
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed.clear()
        self._composites.clear()
        compare.release(self.pair)
        self.pair = self._result = None
        if shown:
            self._layout.SetViewArrangement(self._before)

    def _observe(self, node: Any, event: Any, method: str = "_look") -> None:
        # Weakly: in a cycle with us, VTK would let Python's collector break all its observers.
        me = weakref.ref(self)

        def call(*_args: Any) -> None:
            owner = me()
            if owner is not None:
                getattr(owner, method)()

        self._observed.append((node, node.AddObserver(event, call)))

    def _look(self) -> None:
        """Put right what is wrong."""
        if self._busy:
            return
        self._busy = True
        try:
            self._findComposites()
            self._keepPair()
            self._keepOutline()
        finally:
            self._busy = False
        self._onChange()

    def _findComposites(self) -> None:
        for node in sliceComposites(self._scene):
            if node.GetID() not in self._composites:
                self._composites[node.GetID()] = node
                self._observe(node, "ModifiedEvent")
                view = self._scene.GetSingletonNode(node.GetLayoutName(), "vtkMRMLSliceNode")
                if view is not None:
                    self._observe(view, "ModifiedEvent", "_onChange")

    def _keepPair(self) -> None:
        if self.pair is None:
            return
        compared = self._layout.GetViewArrangement() == compare.LAYOUT_ID
        if compared and self.pair.complete:
            wanted = self.pair.columns
            composites = compare.compareComposites(self._scene)
            if any(
                node.GetBackgroundVolumeID() != wanted[column].GetID()
                for (_row, column), node in composites.items()
            ):
                compare.showVolumes(self._scene, self.pair)
            return
        pair, self.pair = self.pair, None
        compare.release(pair)
        if compared:  # one of the three is gone, and the columns would say what is not so
            self._layout.SetViewArrangement(self._before)

    def _keepOutline(self) -> None:
        node = self._result
        if node is None or node.GetScene() is None:
            return
        metal = resultOf(node).metal
        if metal is None or metal.GetDisplayNode() is None:
            return
        own = {n.GetID() for n in (node, node.GetNodeReference(INPUT_ROLE)) if n is not None}
        own.add(node.GetNodeReferenceID("SpineMAR.Difference"))
        if self.pair is not None:
            own.add(self.pair.before.GetID())
            own.add(self.pair.difference.GetID())
        views = [
            self._scene.GetSingletonNode(composite.GetLayoutName(), "vtkMRMLSliceNode")
            for composite in sliceComposites(self._scene)
            if composite.GetBackgroundVolumeID() in own
        ]
        _showIn(metal.GetDisplayNode(), [v.GetID() for v in views if v], self._outlineShown)


def _showIn(display: Any, sliceViews: list[str], shown: bool) -> None:
    """Show a segmentation in some slice views, and in all 3-D views."""
    scene = display.GetScene()
    count = scene.GetNumberOfNodesByClass("vtkMRMLViewNode")
    views = [scene.GetNthNodeByClass(n, "vtkMRMLViewNode").GetID() for n in range(count)]
    modifying = display.StartModify()
    display.SetVisibility(True)
    display.SetVisibility2D(shown and bool(sliceViews))
    wanted = [*views, *sliceViews]
    if list(display.GetViewNodeIDs()) != wanted:
        display.RemoveAllViewNodeIDs()
        for view in wanted:
            display.AddViewNodeID(view)
    display.EndModify(modifying)


def _hide(segmentationNode: Any) -> None:
    if segmentationNode is not None and segmentationNode.GetDisplayNode() is not None:
        segmentationNode.GetDisplayNode().SetVisibility(False)
