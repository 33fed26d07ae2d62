"""The panel's part about the earlier CT: choose one, see what was made of it."""

import slicer
from slicer.i18n import tr as _

from MetalArtifactReductionLib.nodes.earlier import (
    AGREEMENT_ROLE,
    earlierWords,
    factsOf,
    showAgreement,
)
from SpineMARLib.nodes.earlier import Candidates


class EarlierPanel:
    """Keeps the earlier CT's combo box and the parameter in step; shows a result's agreement.

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
        self._result = None
        ui.earlierCombo.connect("currentIndexChanged(int)", self._choose)
        ui.agreementCheckBox.connect("toggled(bool)", self._showAgreement)
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
        if self._result is not None and self._result is not correctedNode:
            self.ui.agreementCheckBox.checked = False
        self._result = correctedNode
        facts = None if correctedNode is None else factsOf(correctedNode)
        self.ui.earlierLabel.text = earlierWords(facts)
        self.ui.earlierLabel.visible = facts is not None
        agreement = (
            None if correctedNode is None else correctedNode.GetNodeReference(AGREEMENT_ROLE)
        )
        self.ui.agreementCheckBox.visible = agreement is not None

    def _choose(self, index):
        if 0 <= index < len(self.nodes):
            self._onChosen(self.nodes[index])

    def _showAgreement(self, shown):
        if self._result is not None and self._result.GetScene() is not None:
            showAgreement(self._result.GetScene(), self._result, shown)
