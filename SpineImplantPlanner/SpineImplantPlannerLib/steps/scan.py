"""Step 6 of the panel, first part: metal into the CT, its scan, and on to the correction."""

import time

import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.nodes import metal as metalnodes
from SpineImplantPlannerLib.panel import reasons, tables
from SpineImplantPlannerLib.panel.runner import CT
from spinemar.errors import InputError
from spinemar.physics.scanner_settings import KERNELS
from spinemar.physics.spectra import tube_voltages
from SpineMARLib.nodes.guards import checkInput
from SpineMARLib.nodes.lookup import nodesOfClass
from SpineMARLib.nodes.volumes import geometryOf

_DOSES = {"low (2e5)": 2e5, "usual (1e6)": 1e6, "high (2e6)": 2e6}


class ScanStep:
    """Voxelises, previews, scans, hands over."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        self._metalNode = None
        tables.choices(ui.kvpCombo, tube_voltages(), 120)
        tables.choices(ui.doseCombo, _DOSES, "usual (1e6)")
        tables.choices(ui.kernelCombo, KERNELS, "standard")
        for name, slot in (
            ("metal", self.onMetal),
            ("preview", self.onPreview),
            ("scan", self.onScan),
            ("correct", self.onCorrect),
        ):
            getattr(ui, f"{name}Button").connect("clicked()", slot)
        ui.scanStep.connect("contentsCollapsed(bool)", self.expectScan)

    def expectScan(self, _collapsed=False):
        """Have a worker wait for the next scan while this step is open and a plan is there."""
        if self.ui.previewButton.enabled and not self.ui.scanStep.collapsed:
            self.panel.planner.plannerJobs.expectScan()

    def settings(self):
        """Return the scanner's settings as the worker takes them."""
        return {
            "kvp": int(self.ui.kvpCombo.currentText),
            "photons_per_ray": _DOSES[self.ui.doseCombo.currentText],
            "kernel": self.ui.kernelCombo.currentText,
        }

    def scans(self):
        """Return the simulated scans of the scene."""
        scene = self.panel.planner.scene
        nodes = nodesOfClass(scene, "vtkMRMLScalarVolumeNode")
        return [node for node in nodes if node.GetAttribute(metalnodes.SIMULATED_ATTRIBUTE)]

    def chosenScan(self):
        """Return the scan chosen for correction; None if there is none."""
        found, index = self.scans(), self.ui.scanCombo.currentIndex
        return found[index] if 0 <= index < len(found) else None

    def refresh(self):
        """Offer what can be done."""
        planner, ui = self.panel.planner, self.ui
        plan = planner.plan
        busy = (self.panel.runner.run is not None, _("Wait for what runs, or cancel it."))
        some = any(plan.items())
        reasons.allow(
            ui.scanReason,
            (
                (ui.metalButton, ui.previewButton, ui.scanButton),
                reasons.first(
                    (planner.volumeNode is None, _("Choose a CT in step 1.")),
                    (not some, _("Plan an implant first.")),
                    busy,
                ),
            ),
        )
        names = [node.GetName() for node in self.scans()]
        tables.choices(ui.scanCombo, names or [_("no scan yet")])
        noScan = (not names, _("Scan the whole CT first."))
        reasons.allow(ui.correctReason, ((ui.correctButton,), reasons.first(noScan, busy)))
        self.expectScan()

    def onMetal(self):
        planner = self.panel.planner

        def finish(fractions):
            if not fractions:
                raise InputError("No implant lies inside the CT.", "Check plan and CT.")
            node = self._metalNode
            present = node is not None and planner.scene.IsNodePresent(node)
            self._metalNode = metalnodes.addMetal(
                planner.scene, planner.volumeNode, fractions, node if present else None
            )
            metalnodes.addFractions(planner.scene, planner.volumeNode, fractions)

        def start():
            self.panel.ensurePackages()
            return planner.plannerJobs.voxelize(geometryOf(planner.volumeNode), planner.plan)

        self.panel.runner.start(start, finish, about=(CT,))

    def onPreview(self):
        """Scan the slices at the red view's plane; shown over the CT until the plan changes."""
        planner = self.panel.planner
        begun = time.monotonic()

        def start():
            self.panel.ensurePackages()
            checkInput(planner.volumeNode)
            slices = self._slicesOfRedView()
            return planner.plannerJobs.scan(planner.ct(), planner.plan, self.settings(), slices)

        def finish(scanned):
            planner.showPreview(scanned)
            self.ui.statusLabel.text = _("{count} slices in {seconds:.1f} s.").format(
                count=len(scanned.voxels), seconds=time.monotonic() - begun
            )

        self.panel.runner.start(start, finish, about=(CT,))

    def _slicesOfRedView(self):
        """Return the slice of the red view with its neighbours, first and one past the last."""
        planner = self.panel.planner
        red = planner.scene.GetSingletonNode("Red", "vtkMRMLSliceNode")
        matrix = red.GetSliceToRAS()
        place = [matrix.GetElement(n, 3) for n in range(3)]
        geometry = geometryOf(planner.volumeNode)
        k = round(float(geometry.to_ijk(place)[2]))
        if not 0 <= k < geometry.shape[0]:
            raise InputError("The red view shows no slice of the CT.", "Move it into the CT.")
        return max(k - 1, 0), min(k + 2, geometry.shape[0])

    def onScan(self):
        planner = self.panel.planner

        def start():
            self.panel.ensurePackages()
            checkInput(planner.volumeNode)
            return planner.plannerJobs.scan(planner.ct(), planner.plan, self.settings())

        def finish(scanned):
            planner.preview.remove()
            node = metalnodes.addScan(planner.scene, planner.volumeNode, scanned)
            slicer.util.setSliceViewerLayers(background=node)
            self.refresh()
            tables.choices(self.ui.scanCombo, [n.GetName() for n in self.scans()], node.GetName())

        self.panel.runner.start(start, finish, about=(CT,))

    def onCorrect(self):
        """Open the other module on the scan, and click its button."""
        scan = self.chosenScan()
        if scan is None:
            return
        if not hasattr(slicer.modules, "metalartifactreduction"):
            slicer.util.errorDisplay(
                _(
                    "The module Metal Artifact Reduction is not loaded.\n\nInstall the whole "
                    "extension SpineMAR, or add its folder to the module paths."
                ),
                windowTitle=self.panel.title,
            )
            return
        slicer.util.selectModule("MetalArtifactReduction")
        widget = slicer.modules.metalartifactreduction.widgetRepresentation().self()
        widget.ui.inputSelector.setCurrentNode(scan)
        widget.ui.correctButton.click()
