"""The panel's part about models: choose one, see its hash, import another."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from MetalArtifactReductionLib.choices.models import MANIFEST, importModel, listModels
from spinemar.errors import SpinemarError
from SpineMARLib.panel.errors import showError


def storeFolder() -> Path:
    """Return the folder for imported models, beside the user's settings."""
    settings = slicer.app.userSettings().fileName()
    return Path(settings).parent / "SpineMAR" / "Models"


class ModelPanel:
    """Keeps the model combo box and the parameter in step."""

    def __init__(self, ui, onChanged):
        self.ui = ui
        self.models = ()
        self._onChanged = onChanged
        self.refresh()
        ui.modelCombo.connect("currentIndexChanged(int)", self._onChosen)
        ui.importModelButton.connect("clicked()", self.onImport)

    @property
    def chosen(self):
        """The chosen model, None where there is none."""
        index = self.ui.modelCombo.currentIndex
        return self.models[index] if 0 <= index < len(self.models) else None

    def refresh(self, reference=""):
        """List the models again and choose the one of that reference, else the first."""
        self.models = listModels(storeFolder())
        combo = self.ui.modelCombo
        wasBlocked = combo.blockSignals(True)
        combo.clear()
        for model in self.models:
            combo.addItem(model.label)
        combo.enabled = bool(self.models)
        if not self.models:
            combo.addItem(_("(none installed)"))
        self.choose(reference)
        combo.blockSignals(wasBlocked)

    def choose(self, reference):
        """Choose the model that a parameter names; an empty one means the first."""
        known = [model.reference for model in self.models]
        self.ui.modelCombo.setCurrentIndex(known.index(reference) if reference in known else 0)
        self._showHash()

    def onImport(self):
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Import model"), "", f"{MANIFEST} (*.json)"
        )
        if not path:
            return
        try:
            model = importModel(Path(path), storeFolder())
        except SpinemarError as error:
            showError(error, _("Import model"))
            return
        self.refresh(model.reference)
        self._onChanged()

    def _onChosen(self, index):
        self._showHash()
        self._onChanged()

    def _showHash(self):
        model = self.chosen
        digest = model.sha256 if model else ""
        self.ui.modelHash.text = (
            _("SHA-256 {hash}").format(hash=" + ".join(h[:16] + "…" for h in digest.split("+")))
            if digest
            else _("Without a model, NMAR and linear interpolation can be used.")
        )
        self.ui.modelHash.toolTip = digest.replace("+", "\n")
