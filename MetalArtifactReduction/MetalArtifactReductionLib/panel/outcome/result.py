"""The panel's part about results: choose one, compare it, look at it."""

import qt
import slicer
from slicer.i18n import tr as _

from MetalArtifactReductionLib.choices.device import ranText
from MetalArtifactReductionLib.nodes import compare
from MetalArtifactReductionLib.nodes.places import focusOf
from MetalArtifactReductionLib.nodes.results import INPUT_ROLE, provenanceOf, resultOf, resultsOf
from MetalArtifactReductionLib.nodes.resultviews import ResultViews
from MetalArtifactReductionLib.panel.outcome.slicetable import SliceTable
from MetalArtifactReductionLib.panel.outcome.viewtexts import ViewTexts
from MetalArtifactReductionLib.panel.study import StudyPanel
from SpineMARLib.nodes.firstlook import BONE_WINDOW
from SpineMARLib.nodes.volumes import setWindow
from SpineMARLib.panel.fields import tell

SOFT_WINDOW = (400.0, 40.0)
_NEED_A_RESULT = ("compareButton", "toggleButton", "boneWindowButton", "softWindowButton",
                  "beforeCombo", "outlineCheckBox")  # fmt: skip


class ResultPanel:
    """Shows one corrected volume; everything is disabled, and says why, while there is none."""

    def __init__(self, ui):
        self.ui = ui
        self.node = self.before = self.views = None
        self._others = []
        self._texts = ViewTexts()
        self._table = SliceTable(ui.resultTable)
        self._study = StudyPanel(ui)
        ui.compareButton.connect("clicked()", self.showCompare)
        ui.toggleButton.connect("clicked()", self.toggle)
        ui.boneWindowButton.connect("clicked()", lambda: self._setWindow(*BONE_WINDOW))
        ui.softWindowButton.connect("clicked()", lambda: self._setWindow(*SOFT_WINDOW))
        ui.outlineCheckBox.connect("toggled(bool)", self.showOutline)
        ui.beforeCombo.connect("currentIndexChanged(int)", self._onBefore)
        ui.outputSelector.addAttribute("vtkMRMLScalarVolumeNode", "SpineMAR.Method")
        self.setNode(None)

    # Which result.

    def setNode(self, node):
        """Show a corrected volume; one that is none counts as no volume."""
        if node is not None and (provenanceOf(node) is None or _inputOf(node) is None):
            node = None
        self.node = node
        self.before = None if node is None else _inputOf(node)
        if node is None:
            self.closeViews()
        else:
            self._openViews()
            self.ui.resultCollapsibleButton.collapsed = False
        self._listOthers()
        self._table.setNode(node)
        self._study.setNode(node)
        self._tell()

    def _openViews(self):
        if self.views is None:
            layoutNode = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
            self.views = ResultViews(self.node.GetScene(), layoutNode, self._onViews)
        self.views.setResult(self.node)

    def closeViews(self):
        """Let go of the views."""
        if self.views is not None:
            self.views.close()
            self.views = None
        self._texts.clear()

    def close(self):
        """Let go of the views, and send nothing more."""
        self.closeViews()
        self._study.close()

    def _listOthers(self):
        """List what the result can be compared with: its input, and the other results of it."""
        combo = self.ui.beforeCombo
        wasBlocked = combo.blockSignals(True)
        combo.clear()
        self._others = []
        if self.node is not None:
            found = resultsOf(self.node.GetScene(), self.before)
            self._others = [self.before, *(n for n in found if n is not self.node)]
        combo.addItems([node.GetName() for node in self._others])
        combo.blockSignals(wasBlocked)

    def _onBefore(self, index):
        if self.node is None or not 0 <= index < len(self._others):
            return
        self.before = self._others[index]
        if self.views.pair is not None:
            self.showCompare()

    def _tell(self):
        """Say what is shown, and why what is disabled is."""
        there = self.node is not None
        for name in _NEED_A_RESULT:
            getattr(self.ui, name).enabled = there
        why = "" if there else _("Nothing is corrected yet: click Correct artifacts.")
        tell(self.ui.noResultLabel, why)
        ran = ""
        if there:
            table = resultOf(self.node).table
            message = table.GetAttribute("SpineMAR.Message") if table else ""
            ran = f"{ranText(provenanceOf(self.node))}. {message or ''}"
        tell(self.ui.statusChip, ran)

    # Views.

    def showCompare(self):
        if self.node is None:
            return
        if self.before.GetScene() is None:  # it was removed; the input is what is left
            self.setNode(self.node)
        self.views.compare(compare.pairOf(self.node, self.before))
        # The views get their sizes when the layout is done, and the field of view needs them.
        qt.QTimer.singleShot(0, self._focus)

    def _focus(self):
        if self.node is not None and self.node.GetScene() is not None:
            compare.focus(self.node.GetScene(), focusOf(self.node))
            self._onViews()

    def _onViews(self):
        if self.node is not None and _inputOf(self.node) is None:  # it was removed
            self.setNode(None)
        if self.views is not None:
            self._texts.show(self.views.pair)

    def showOutline(self, shown):
        if self.views is not None:
            self.views.showOutline(bool(shown))

    def toggle(self):
        if self.node is None:
            return
        shown = compare.toggle(self.node.GetScene(), self.before, self.node)
        name = {"before": self.before, "after": self.node}[shown].GetName()
        slicer.util.showStatusMessage(_("Showing {name}").format(name=name), 2000)

    def _setWindow(self, window, level):
        for node in {_inputOf(self.node), self.before, self.node}:
            setWindow(node, window, level)


def _inputOf(node):
    """Return the input of a result, None where it is no longer in the scene."""
    found = node.GetNodeReference(INPUT_ROLE)
    return found if found is not None and found.GetScene() is not None else None
