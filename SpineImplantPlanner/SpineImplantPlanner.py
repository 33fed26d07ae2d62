"""The Slicer module: a surgeon plans implants, a researcher makes scans and data of them."""

import sys
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# In a checkout the core and what the modules share lie one folder up; installed, beside this file.
_CHECKOUT = Path(__file__).resolve().parents[1]
if (_CHECKOUT / "SpineMARLib" / "__init__.py").is_file() and str(_CHECKOUT) not in sys.path:
    sys.path.append(str(_CHECKOUT))

from SpineImplantPlannerLib.logic import PlannerLogic  # noqa: E402
from SpineImplantPlannerLib.nodes import planstore  # noqa: E402
from SpineImplantPlannerLib.nodes.parameters import SpineImplantPlannerParameterNode  # noqa: E402
from SpineImplantPlannerLib.panel import samples, tables  # noqa: E402
from SpineImplantPlannerLib.panel.planviews import Views  # noqa: E402
from SpineImplantPlannerLib.panel.runner import CT, SPINE, Runner  # noqa: E402
from SpineImplantPlannerLib.steps.afteroperation import AfterOperationStep  # noqa: E402
from SpineImplantPlannerLib.steps.automatic import AutomaticStep  # noqa: E402
from SpineImplantPlannerLib.steps.check import CheckStep  # noqa: E402
from SpineImplantPlannerLib.steps.export import ExportStep  # noqa: E402
from SpineImplantPlannerLib.steps.pairs import PairsStep  # noqa: E402
from SpineImplantPlannerLib.steps.rods import RodsStep  # noqa: E402
from SpineImplantPlannerLib.steps.scan import ScanStep  # noqa: E402
from SpineImplantPlannerLib.steps.screws import ScrewsStep  # noqa: E402
from SpineImplantPlannerLib.steps.spine import SpineStep  # noqa: E402

from SpineMARLib.nodes.firstlook import makeVisible  # noqa: E402
from SpineMARLib.nodes.guards import checkInput, likelyInput  # noqa: E402
from SpineMARLib.panel import packages  # noqa: E402
from SpineMARLib.panel.errors import guarded  # noqa: E402
from SpineMARLib.panel.shortcuts import Shortcuts  # noqa: E402
from SpineMARLib.panel.uncaught import UncaughtErrors  # noqa: E402
from SpineMARLib.panel.worker import workerCommand  # noqa: E402


class SpineImplantPlanner(ScriptedLoadableModule):
    """What the module says about itself."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Spine Implant Planner")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Planning")]
        self.parent.dependencies = []
        self.parent.contributors = ["The SpineMAR developers"]
        self.parent.helpText = _(
            "Plans pedicle screws, rods and cages in a spine CT, puts the metal into the CT, and "
            "simulates the scan. Six steps, each of which can be used alone; after an operation "
            "the implants are found in the CT. For research: a plan is no instruction for an "
            "operation."
        )
        self.parent.acknowledgementText = _("Research software. No data leave this computer.")
        slicer.app.connect("startupCompleted()", self.registerSampleData)

    def registerSampleData(self):
        icon = self.resourcePath("Icons/SpineImplantPlanner.png")
        guarded(lambda: samples.register(icon, self.prepareSample), self.parent.title)

    def prepareSample(self):
        packages.ensure(Path(self.resourcePath("SpineImplantPlanner/requirements.txt")))
        return workerCommand()


class SpineImplantPlannerLogic(ScriptedLoadableModuleLogic):
    """The module's logic for other modules: parameters, and planners for scenes."""

    def getParameterNode(self):
        return SpineImplantPlannerParameterNode(super().getParameterNode())

    def planner(self, scene):
        """Return a planner for a scene."""
        return PlannerLogic(scene, slicer.app.temporaryPath, workerCommand())


class SpineImplantPlannerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it holds the six steps and tells them of changes."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self.planner = self.parameters = self.runner = None
        self._guiTag = None
        self._shortcuts = Shortcuts(self.parent)
        self._uncaught = UncaughtErrors(__file__, self.title)
        self._planSteps = self._actionSteps = ()

    # Slicer's life cycle.

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self._uncaught.watch()
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/SpineImplantPlanner.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SpineImplantPlannerLogic()
        subjects = {
            CT: lambda: self.planner.volumeNode,
            SPINE: lambda: self.planner.session.spine,
        }
        self.runner = Runner(self.ui, self.title, self.refreshActions, subjects)
        self.makePlanner()
        self.spine = SpineStep(self)
        self.rods = RodsStep(self)
        self.automatic = AutomaticStep(self)
        self.screws = ScrewsStep(self)
        self.views = Views(self)
        self.check = CheckStep(self)
        self.scan = ScanStep(self)
        self.export = ExportStep(self)
        self.pairs = PairsStep(self)
        self.after = AfterOperationStep(self)
        # What a change of the plan alone concerns, and what every change does.
        self._planSteps = (self.screws, self.rods, self.check)
        self._actionSteps = (
            self.spine, self.automatic, self.scan, self.export, self.pairs, self.after,
        )  # fmt: skip
        self.ui.undoButton.connect("clicked()", self.onUndo)
        self.ui.redoButton.connect("clicked()", self.onRedo)
        for combo in (self.ui.upperCombo, self.ui.lowerCombo):
            combo.connect("activated(int)", self.onLevels)
        scene = slicer.mrmlScene
        for event, callback in (
            (scene.StartCloseEvent, self.onSceneStartClose),
            (scene.EndCloseEvent, self.onSceneEndClose),
            (scene.EndImportEvent, self.onSceneEndImport),
        ):
            self.addObserver(scene, event, callback)
        self.initializeParameterNode()
        self.planner.rebuild()
        self.fillLevels()
        self.refresh()

    def makePlanner(self):
        """Begin with an empty plan in the present scene."""
        if self.planner is not None:
            self.planner.release()
        self.planner = self.logic.planner(slicer.mrmlScene)
        self.planner.onPlan = self.refresh
        self.planner.onMoving = self.onMoving
        self.planner.onSelected = self.onSelected
        self.planner.onRefused = self.runner.showError

    def cleanup(self):
        self.runner.stop()
        self.automatic.close()
        self.check.close()
        self.spine.close()
        self.views.close()
        self.setParameterNode(None)
        self.planner.release()
        self.removeObservers()
        self._uncaught.leave()

    def enter(self):
        self.initializeParameterNode()
        screws, ui = self.screws, self.ui
        slots = {
            "Ctrl+Z": self.onUndo,
            "Ctrl+Y": self.onRedo,
            "Ctrl+Shift+Z": self.onRedo,
            "P": ui.planButton.click,
            "N": ui.placeButton.click,
            "V": ui.probeButton.click,
            "Shift+V": ui.rodViewButton.click,
            "H": ui.profileButton.click,
            "M": ui.mirrorButton.click,
            "L": screws.onLock,
            "Del": screws.onDelete,
            "[": lambda: screws.step(diameter=-1),
            "]": lambda: screws.step(diameter=1),
            "-": lambda: screws.step(length=-1),
            "=": lambda: screws.step(length=1),
            ",": lambda: screws.stepSelection(-1),
            ".": lambda: screws.stepSelection(1),
            "Ctrl+Up": lambda: self.views.stepDepth(-1.0),
            "Ctrl+Down": lambda: self.views.stepDepth(1.0),
            "Ctrl+Shift+Up": lambda: self.views.stepTurn(-15.0),
            "Ctrl+Shift+Down": lambda: self.views.stepTurn(15.0),
            "Esc": self.onEscape,
        }
        self._shortcuts.enable(slots)
        self.refresh()

    def exit(self):
        self._shortcuts.disable()
        self.ui.placeButton.checked = self.ui.mendButton.checked = False

    def onSceneStartClose(self, caller, event):
        self.runner.stop()
        self.automatic.close()
        self.setParameterNode(None)
        self.planner.release()

    def onSceneEndClose(self, caller, event):
        self.makePlanner()
        self.views.forget()
        self.check.forget()
        if self.parent.visible:
            self.initializeParameterNode()
        self.refresh()

    def onSceneEndImport(self, caller, event):
        """Take the plan of a loaded scene over, exactly as it was saved."""
        self.makePlanner()
        self.runner.guarded(self.planner.rebuild)
        self.initializeParameterNode()
        self.fillLevels()
        self.refresh()

    # Parameters.

    @property
    def title(self):
        return _("Spine Implant Planner")

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if self.parameters.inputVolume is None:
            active = slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID()
            self.parameters.inputVolume = likelyInput(slicer.mrmlScene, active)

    def setParameterNode(self, parameters):
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
            node = self.parameters.parameterNode
            self.removeObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParameters)
        self.parameters = parameters
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            node = parameters.parameterNode
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParameters)
            self.onParameters()

    def onParameters(self, caller=None, event=None):
        volume = self.parameters.inputVolume
        if volume is not None and volume is not self.planner.volumeNode:
            makeVisible(volume)
        self.planner.setVolume(volume)
        node = self.parameters.segmentation
        if node is not None and node is not self.planner.spineNode:
            self.spine.choose(node)
        self.refreshActions()

    def fillLevels(self):
        """Offer the levels that the spine has; T11 to L2 where there are such."""
        spine = self.planner.session.spine
        levels = [] if spine is None else [v.level for v in spine.vertebrae if v.pedicles]
        planned = self.planner.plan.levels
        upper = self.parameters.upperLevel or (planned[0] if planned else "T11")
        lower = self.parameters.lowerLevel or (planned[-1] if planned else "L2")
        ends = levels[:1] + levels[-1:] or ["", ""]
        upper = upper if upper in levels else ends[0]
        lower = lower if lower in levels else ends[-1]
        tables.choices(self.ui.upperCombo, levels, upper)
        tables.choices(self.ui.lowerCombo, levels, lower)
        self.automatic.fillSites(levels)
        self.rods.fillLevels(levels)

    def onLevels(self, _index):
        self.parameters.upperLevel = self.ui.upperCombo.currentText
        self.parameters.lowerLevel = self.ui.lowerCombo.currentText

    # Changes.

    def refresh(self):
        """Show the plan as it is now."""
        if not self._actionSteps:
            return
        for step in self._planSteps:
            step.refresh()
        self.refreshActions()
        self.views.refresh()

    def refreshActions(self):
        """Show what can be done now."""
        if not self._actionSteps:
            return
        history, ui = self.planner.session.history, self.ui
        free = not self.planner.session.locked
        ui.undoButton.enabled = free and history.undo_description is not None
        ui.redoButton.enabled = free and history.redo_description is not None
        ui.historyLabel.text = history.undo_description or ""
        for step in self._actionSteps:
            step.refresh()

    def onMoving(self, screw):
        self.screws.showMoving(screw)
        self.views.showMoving(screw)

    def onSelected(self, _name):
        if self._actionSteps:
            screw = self.planner.selectedScrew()
            if screw is not None:
                self.automatic.chooseSite(screw.level, screw.side)
            self.screws.showSelected()

    def onUndo(self):
        self.planner.undo()

    def onRedo(self):
        self.planner.redo()

    def onEscape(self):
        """Give up clicking points, or stop what runs in the background."""
        waiting = [b for b in (self.ui.placeButton, self.ui.mendButton) if b.checked]
        for button in waiting:
            button.checked = False
        if not waiting:
            self.runner.cancel()

    def acceptsInput(self):
        """Check the CT, and ask about what is unusual in it; False where that is declined."""
        return all(
            slicer.util.confirmYesNoDisplay(question.text, windowTitle=self.title)
            for question in checkInput(self.planner.volumeNode)
        )

    def ensurePackages(self, pairs=False, networks=False):
        """Install what the core needs, data sets and networks besides, with the user's consent."""
        for name in ("requirements.txt", *(("requirements-pairs.txt",) if pairs else ())):
            packages.ensure(Path(self.resourcePath(f"SpineImplantPlanner/{name}")), networks)


class SpineImplantPlannerTest(ScriptedLoadableModuleTest):
    """The self test: a construct on a drawn spine, planned in the worker, moved and undone."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_construct()

    def test_construct(self):
        from SpineImplantPlannerLib.panel.selftest import drawnCt, drawnSpine

        from spinemar.planning.constructs.automatic import PlanSettings
        from spinemar.planning.plans.commands import MoveScrew, ReplacePlan
        from SpineMARLib.panel.selftest import waitFor

        self.delayDisplay("Planning a construct on a drawn spine")
        planner = SpineImplantPlannerLogic().planner(slicer.mrmlScene)
        spine = drawnSpine("L1-L2")
        planner.setVolume(drawnCt(slicer.mrmlScene, spine))
        planner.useSpine(spine)
        run = planner.plannerJobs.plan(planner.ct(), spine, spine.levels, PlanSettings())
        waitFor(lambda: not run.running)
        assert run.error is None, run.error
        planner.takePlanned(run.result)
        planner.do(ReplacePlan(run.result.plan))
        assert len(planner.plan.screws) == 4
        assert {screw.grade.letter for screw in planner.plan.screws} == {"A"}
        before = planner.plan
        screw = before.screw("L1-right")
        moved = [
            tuple(p - (7, 0, 0)[n] for n, p in enumerate(end)) for end in (screw.entry, screw.tip)
        ]
        planner.do(MoveScrew(screw.id, *moved))
        assert planner.plan.screw(screw.id).grade.direction == "medial"
        planner.undo()
        assert planner.plan == before
        assert planstore.keptPlan(slicer.mrmlScene) == before
        planner.release()
        self.delayDisplay("Test passed")
