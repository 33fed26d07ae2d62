"""The panel's two maps of a result: where not to read, and where the earlier CT was believed."""

from MetalArtifactReductionLib.nodes.maps import (
    AGREEMENT_ROLE,
    UNCERTAINTY_ROLE,
    mapOf,
    showMap,
)


class MapsPanel:
    """Shows a result's maps, one at a time: a view has room for one.

    Parameters
    ----------
    ui : object
        Widgets by name.
    """

    def __init__(self, ui):
        self._boxes = {
            UNCERTAINTY_ROLE: ui.uncertaintyCheckBox,
            AGREEMENT_ROLE: ui.agreementCheckBox,
        }
        self._result = None
        for role, box in self._boxes.items():
            box.connect("toggled(bool)", lambda shown, role=role: self._show(role, shown))
        self.setResult(None)

    def setResult(self, correctedNode):
        """Offer what maps a result has; those of the one before are taken away."""
        if self._result is not None and self._result is not correctedNode:
            for box in self._boxes.values():
                box.checked = False
        self._result = correctedNode
        for role, box in self._boxes.items():
            box.visible = mapOf(correctedNode, role) is not None

    def _show(self, role, shown):
        if self._result is None or self._result.GetScene() is None:
            return
        if shown:
            for other, box in self._boxes.items():
                if other != role:
                    box.checked = False
        showMap(self._result.GetScene(), self._result, role, shown)
