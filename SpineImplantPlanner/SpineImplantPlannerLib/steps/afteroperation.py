"""The panel's last section: a postoperative CT in, the implants that lie in it out."""

import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.jobs import found as foundjob
from SpineImplantPlannerLib.jobs.handing import Ct
from SpineImplantPlannerLib.panel import reasons
from SpineImplantPlannerLib.panel.after.foundscrews import FoundScrews
from SpineImplantPlannerLib.panel.after.operationplan import OperationPlan
from SpineImplantPlannerLib.panel.runner import CT, SPINE
from spinemar.errors import InputError
from spinemar.spine.labels.levels import steps_between
from SpineMARLib.nodes.dicomfiles import patientOf
from SpineMARLib.nodes.earlier import Candidates
from SpineMARLib.nodes.volumes import arrayOf, ijkToRas

_ANEW, _STEP_1 = range(2)


class AfterOperationStep:
    """Chooses the bone that screws are graded in, and has the worker find the implants."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        database = getattr(slicer, "dicomDatabase", None)
        self._candidates = Candidates(slicer.mrmlScene, lambda node: patientOf(node, database))
        self._earlier = []
        ui = self.ui
        self.operationPlan = OperationPlan(ui.operationPlanCombo, panel)
        self.foundScrews = FoundScrews(panel)
        ui.afterStep.connect("contentsCollapsed(bool)", self.refresh)
        ui.boneCombo.connect("activated(int)", self.onBone)
        ui.findImplantsButton.connect("clicked()", self.onFind)
        ui.nameLevelsButton.connect("clicked()", self.onNameLevels)

    def refresh(self, _value=None):
        """Offer what can be done."""
        planner, ui = self.panel.planner, self.ui
        if ui.afterStep.collapsed:
            return  # every volume of the scene is looked at for metal, once
        self._listBones()
        self.operationPlan.refresh()
        self.foundScrews.refresh()
        noCt = (planner.volumeNode is None, _("Choose the CT after the operation in step 1."))
        locked = (planner.session.locked, _("Unlock the plan in step 4."))
        busy = (self.panel.runner.run is not None, _("Wait for what runs, or cancel it."))
        noBone = (
            ui.boneCombo.currentIndex == _STEP_1 and planner.session.spine is None,
            _("There are no vertebrae in step 1: choose other bone."),
        )
        reasons.allow(
            ui.afterReason,
            ((ui.findImplantsButton,), reasons.first(noCt, locked, busy, noBone)),
            ((ui.nameLevelsButton,), reasons.first(locked, busy)),
        )
        ui.operationPlanCombo.enabled = self.earlierNode() is not None

    def _listBones(self):
        combo, chosen = self.ui.boneCombo, self.panel.parameters.earlierCt
        index = _STEP_1 if combo.currentIndex == _STEP_1 else _ANEW
        self._earlier = self._candidates.of(self.panel.planner.volumeNode)
        wasBlocked = combo.blockSignals(True)
        combo.clear()
        combo.addItem(_("this CT, segmented once corrected"))
        combo.addItem(_("vertebrae of step 1"))
        for node in self._earlier:
            combo.addItem(_("earlier CT: {name}").format(name=node.GetName()))
        if chosen in self._earlier:
            index = 1 + _STEP_1 + self._earlier.index(chosen)
        combo.setCurrentIndex(index)
        combo.blockSignals(wasBlocked)

    def onBone(self, _index):
        """Remember the earlier CT that was chosen, or that none was."""
        self.panel.parameters.earlierCt = self.earlierNode()
        self.refresh()

    def earlierNode(self):
        """The earlier CT that is chosen; None where none is."""
        place = self.ui.boneCombo.currentIndex - 1 - _STEP_1
        return self._earlier[place] if 0 <= place < len(self._earlier) else None

    def settings(self):
        """Return the settings of the search: what the screws are written down as."""
        return {
            "screw_model": self.ui.screwModelCombo.currentText,
            "material": self.ui.materialCombo.currentText,
        }

    def onFind(self):
        """Correct the CT, find the implants in it, and take them over as a plan."""
        planner = self.panel.planner

        def start():
            if not self.panel.acceptsInput():
                return None
            self.panel.ensurePackages(networks=True)
            node, spine = self.earlierNode(), None
            if self.ui.boneCombo.currentIndex == _STEP_1:
                spine = planner.requireSpine()
            earlier = None if node is None else Ct(arrayOf(node), ijkToRas(node))
            planned = None if node is None else self.operationPlan.plan
            return foundjob.start(
                planner.plannerJobs, planner.ct(), earlier, spine, self.settings(), planned
            )

        def finish(found):
            if not found.plan.screws:
                raise InputError(
                    "No pedicle screw was found in this CT.",
                    "Give the CT as it was scanned, with the metal in it.",
                )
            self.panel.parameters.segmentation = planner.useFound(found)
            self.panel.fillLevels()
            planner.select(found.plan.screws[0].id)
            self.panel.views.showConstruct()
            self.foundScrews.take(found)

        self.panel.runner.start(start, finish, about=(CT,))

    def onNameLevels(self):
        """Count all levels from the one that the uppermost screw is said to lie in."""
        planner = self.panel.planner

        def start():
            wanted = self.ui.topScrewCombo.currentText
            steps = steps_between(planner.plan.screws[0].level, wanted)
            return planner.plannerJobs.shiftLevels(planner.requireSpine(), steps)

        def finish(spine):
            planner.takeShifted(spine)
            self.panel.fillLevels()

        self.panel.runner.start(start, finish, about=(SPINE,))
