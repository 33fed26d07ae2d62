"""Step 6 of the panel, second part: data sets of training pairs, made in the background."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

from SpineImplantPlannerLib.jobs import pairs as pairsjob
from SpineImplantPlannerLib.panel import reasons, tables
from spinemar.errors import InputError
from SpineMARLib.nodes.guards import checkInput
from SpineMARLib.panel.fields import chooseFolders

_PLACEMENTS = ("realistic", "random", "mix")


class PairsStep:
    """Collects the settings, makes or goes on with a store, shows its contact sheet."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        self.sheets = []
        tables.choices(ui.placementCombo, _PLACEMENTS, "mix")
        tables.choices(ui.matrixCombo, (128, 256, 512), 512)
        ui.pairsButton.connect("clicked()", self.onMake)
        ui.sheetButton.connect("clicked()", self.onSheet)
        ui.placementCombo.connect("activated(int)", self.refresh)
        chooseFolders(ui.storePath)
        ui.storePath.connect("currentPathChanged(QString)", self.refresh)

    def refresh(self, _value=None):
        """Offer what can be done."""
        ui = self.ui
        ui.realisticSpinBox.enabled = ui.placementCombo.currentText == "mix"
        store = str(ui.storePath.currentPath).strip()
        begun = bool(store) and pairsjob.isBegun(Path(store))
        ui.pairsButton.text = _("Go on") if begun else _("Make pairs")
        noCt = (self.panel.planner.volumeNode is None, _("Choose a CT in step 1."))
        busy = (self.panel.runner.run is not None, _("Wait for what runs, or cancel it."))
        noSheet = (not self.sheets, _("The contact sheet comes with the first pairs."))
        reasons.allow(
            ui.pairsReason,
            ((ui.pairsButton,), reasons.first(noCt, busy)),
            ((ui.sheetButton,), reasons.first(noSheet)),
        )

    def wanted(self):
        """Read the panel into the settings of a data set.

        Raises
        ------
        InputError
            If a number is no number, or no folder is chosen.
        """
        ui = self.ui
        store = str(ui.storePath.currentPath).strip()
        if not store:
            raise InputError("No folder is chosen for the data set.", "Choose one beside 'Store'.")
        share = {"realistic": 1.0, "random": 0.0}.get(
            ui.placementCombo.currentText, float(ui.realisticSpinBox.value)
        )
        try:
            photons = (float(ui.photonsLowEdit.text), float(ui.photonsHighEdit.text))
        except ValueError as error:
            raise InputError("The photons per ray are no numbers.", "Write 1e5, say.") from error
        return pairsjob.PairsWanted(
            store=Path(store),
            pairs=int(ui.pairsSpinBox.value),
            seed=int(ui.seedSpinBox.value),
            realisticShare=share,
            warpMm=float(ui.warpSlider.value),
            photons=photons,
            thicknessMm=(float(ui.thicknessLow.value), float(ui.thicknessHigh.value)),
            boneDensity=(float(ui.densityLow.value), float(ui.densityHigh.value)),
            matrix=int(ui.matrixCombo.currentText),
            workers=int(ui.workersSpinBox.value),
            scheduler=str(ui.schedulerEdit.text).strip(),
        )

    def onMake(self):
        planner = self.panel.planner

        def start():
            self.panel.ensurePackages(pairs=True)
            checkInput(planner.volumeNode)
            spine = planner.session.spine
            labels = None if spine is None else spine.labels
            wanted = self.wanted()
            wanted.settings()  # refused here, before a worker starts
            return pairsjob.start(planner.plannerJobs, wanted, planner.ct(), labels)

        def finish(facts):
            self.sheets = [Path(path) for path in facts["sheets"]]
            self.ui.pairsLabel.text = _("{pairs} pairs, {now} of them made now.").format(
                pairs=facts["pairs"], now=facts["made_now"]
            )
            self.refresh()

        self.panel.runner.start(start, finish)

    def onSheet(self):
        """Open the contact sheets in the system's own viewer."""
        for path in self.sheets[:1]:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))
