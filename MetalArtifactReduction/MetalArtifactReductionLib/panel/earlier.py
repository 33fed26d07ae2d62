"""The panel's part about the earlier CT: choose one, see what was made of it."""

import slicer
from slicer.i18n import tr as _

from MetalArtifactReductionLib.nodes.earlier import earlierWords, factsOf
from SpineMARLib.nodes.earlier import Candidates


class EarlierPanel:
    """Keeps the earlier CT's combo box and the parameter in step; says what a result made of it.

    Parameters
    ----------
    ui : object
        Widgets by name.
    patientOf : callable
        Takes a volume node; the patient's identifier, "" where DICOM does not tell.
    onChosen : callable
        Takes the chosen volume node, or None.
    """

    def __init__(self, ui, patientOf, onChosen):
        self.ui = ui
        self.nodes = [None]
        self._candidates = Candidates(slicer.mrmlScene, patientOf)
        self._onChosen = onChosen
        ui.earlierCombo.connect("currentIndexChanged(int)", self._choose)
        self.setResult(None)

    def refresh(self, inputNode, chosen):
        """List what can be the earlier CT of an input, and choose one of them, or none.

        A chosen volume that cannot be it any more, as it is another patient's, is let go.
        """
        combo = self.ui.earlierCombo
        wasBlocked = combo.blockSignals(True)
        combo.clear()
        self.nodes = [None, *self._candidates.of(inputNode)]
        for node in self.nodes:
            combo.addItem(_("(none)") if node is None else node.GetName())
        kept = chosen if chosen in self.nodes else None
        combo.setCurrentIndex(self.nodes.index(kept))
        combo.enabled = len(self.nodes) > 1
        combo.blockSignals(wasBlocked)
        if kept is not chosen:
            self._onChosen(None)

    def setResult(self, correctedNode):
        """Show what a correction made of its earlier CT; nothing where it had none."""
        facts = None if correctedNode is None else factsOf(correctedNode)
        self.ui.earlierLabel.text = earlierWords(facts)
        self.ui.earlierLabel.visible = facts is not None

    def _choose(self, index):
        if 0 <= index < len(self.nodes):
            self._onChosen(self.nodes[index])
