"""The panel's last section: a postoperative CT in, the implants that lie in it out."""

import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.jobs import found as foundjob
from SpineImplantPlannerLib.jobs.handing import Ct
from SpineImplantPlannerLib.panel import reasons
from SpineImplantPlannerLib.panel.runner import CT
from spinemar.errors import InputError
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
        ui.afterStep.connect("contentsCollapsed(bool)", self.refresh)
        ui.boneCombo.connect("activated(int)", self.onBone)
        ui.findImplantsButton.connect("clicked()", self.onFind)

    def refresh(self, _value=None):
        """Offer what can be done."""
        planner, ui = self.panel.planner, self.ui
        if ui.afterStep.collapsed:
            return  # every volume of the scene is looked at for metal, once
        self._listBones()
        noCt = (planner.volumeNode is None, _("Choose the CT after the operation in step 1."))
        locked = (planner.session.locked, _("Unlock the plan in step 4."))
        busy = (self.panel.runner.run is not None, _("Wait for what runs, or cancel it."))
        spine = planner.session.spine
        noBone = (
            ui.boneCombo.currentIndex == _STEP_1 and spine is None,
            _("There are no vertebrae in step 1: choose other bone."),
        )
        reasons.allow(
            ui.afterReason, ((ui.findImplantsButton,), reasons.first(noCt, locked, busy, noBone))
        )

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
        """Correct the CT, find its screws and rods, and take them over as a plan."""
        planner = self.panel.planner

        def start():
            if not self.panel.acceptsInput():
                return None
            self.panel.ensurePackages(networks=True)
            node, spine = self.earlierNode(), None
            if self.ui.boneCombo.currentIndex == _STEP_1:
                spine = planner.requireSpine()
            earlier = None if node is None else Ct(arrayOf(node), ijkToRas(node))
            return foundjob.start(
                planner.plannerJobs, planner.ct(), earlier, spine, self.settings()
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
            self.ui.foundLabel.text = self._said(planner.plan)

        self.panel.runner.start(start, finish, about=(CT,))

    def _said(self, plan):
        ungraded = sum(screw.grade is None for screw in plan.screws)
        text = _("{screws} screws and {rods} rods were found.").format(
            screws=len(plan.screws), rods=len(plan.rods)
        )
        if ungraded:
            text += " " + _("{count} are not gradable: their rows say why.").format(count=ungraded)
        return " ".join((text, *plan.warnings))
