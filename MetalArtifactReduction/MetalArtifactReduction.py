"""The Slicer module: a clinician clicks *Correct artifacts*."""

import sys
from pathlib import Path

import qt
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

from MetalArtifactReductionLib.choices import device  # noqa: E402
from MetalArtifactReductionLib.choices.parameters import (  # noqa: E402
    MetalArtifactReductionParameterNode,
    settingsOf,
)
from MetalArtifactReductionLib.choices.settings import Device, MetalSource  # noqa: E402
from MetalArtifactReductionLib.choices.summary import durationText, summaryText  # noqa: E402
from MetalArtifactReductionLib.logic import CorrectionLogic  # noqa: E402
from MetalArtifactReductionLib.nodes.results import provenanceOf  # noqa: E402
from MetalArtifactReductionLib.panel import samples  # noqa: E402
from MetalArtifactReductionLib.panel.batch import BatchPanel  # noqa: E402
from MetalArtifactReductionLib.panel.earlier import EarlierPanel  # noqa: E402
from MetalArtifactReductionLib.panel.firstrun import FirstRunPanel  # noqa: E402
from MetalArtifactReductionLib.panel.metal import MetalPanel  # noqa: E402
from MetalArtifactReductionLib.panel.model import ModelPanel  # noqa: E402
from MetalArtifactReductionLib.panel.outcome.maps import MapsPanel  # noqa: E402
from MetalArtifactReductionLib.panel.outcome.quality import QualityPanel  # noqa: E402
from MetalArtifactReductionLib.panel.outcome.result import ResultPanel  # noqa: E402

from spinemar.errors import CancelledError, SpinemarError  # noqa: E402
from SpineMARLib.nodes import guards  # noqa: E402
from SpineMARLib.nodes.dicomfiles import modalityOf, patientOf, sourceImages  # noqa: E402
from SpineMARLib.nodes.firstlook import makeVisible  # noqa: E402
from SpineMARLib.panel import packages  # noqa: E402
from SpineMARLib.panel.errors import confirmed, guarded, showError  # noqa: E402
from SpineMARLib.panel.fields import keepEmptyHidden  # noqa: E402
from SpineMARLib.panel.jobwatch import JobWatch  # noqa: E402
from SpineMARLib.panel.shortcuts import Shortcuts  # noqa: E402
from SpineMARLib.panel.uncaught import UncaughtErrors  # noqa: E402
from SpineMARLib.panel.worker import workerCommand  # noqa: E402


class MetalArtifactReduction(ScriptedLoadableModule):
    """What the module says about itself."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Metal Artifact Reduction")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Filtering")]
        self.parent.dependencies = []
        self.parent.contributors = ["The SpineMAR developers"]
        self.parent.helpText = _(
            "Removes the streaks and shadows of screws, rods and cages from a spine CT. Choose "
            "the CT and click <b>Correct artifacts</b>; the input is never changed. Not for "
            "primary diagnosis: always look at the original, too."
        )
        self.parent.acknowledgementText = _("Research software. No data leave this computer.")
        slicer.app.connect("startupCompleted()", self.registerSampleData)

    def registerSampleData(self):
        icon = self.resourcePath("Icons/MetalArtifactReduction.png")
        guarded(lambda: samples.register(icon, self.prepareSample), self.parent.title)

    def prepareSample(self):
        packages.ensure(Path(self.resourcePath("MetalArtifactReduction/requirements.txt")))
        return workerCommand()


class MetalArtifactReductionLogic(ScriptedLoadableModuleLogic):
    """The module's logic for other modules: typed parameters and corrections in a scene."""

    def getParameterNode(self):
        return MetalArtifactReductionParameterNode(super().getParameterNode())

    def corrections(self, scene):
        """Return the logic that corrects volumes of a scene."""
        return CorrectionLogic(scene, slicer.app.temporaryPath, workerCommand())


class MetalArtifactReductionWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel. It asks the logic to work and shows what comes back."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._runInput = None
        self._runEarlier = None
        self._parameterNode = None
        self._guiTag = None
        self._shortcuts = Shortcuts(self.parent)
        self._uncaught = UncaughtErrors(__file__, self.title)
        self._lastInput = None

    # Slicer's life cycle.

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self._uncaught.watch()
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MetalArtifactReduction.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MetalArtifactReductionLogic()
        self._driver = device.hasNvidiaDriver()
        self.modelPanel = ModelPanel(self.ui, self.onModelChanged)
        self.resultPanel = ResultPanel(self.ui)
        self.qualityPanel = QualityPanel(self.ui)
        self.batchPanel = BatchPanel(self.ui, self.prepareBatch)
        self.earlierPanel = EarlierPanel(self.ui, self.patientOf, self.onEarlierChosen)
        self.mapsPanel = MapsPanel(self.ui)
        self.metalPanel = MetalPanel(self.ui, slicer.mrmlScene, self.findMetal)
        self.firstRunPanel = FirstRunPanel(self.ui, self.missingPackages, self.ensurePackages)
        self._watch = JobWatch(self.showProgress, self.onRunEnded)
        self.ui.correctButton.connect("clicked()", self.onCorrect)
        self.ui.cancelButton.connect("clicked()", self.onCancel)
        self.ui.segmentSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onSegmentChanged)
        self.ui.segmentSelector.connect("currentSegmentChanged(QString)", self.onSegmentChanged)
        for event, callback in (
            (slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose),
            (slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose),
            (slicer.mrmlScene.EndImportEvent, self.onSceneEndClose),
            (slicer.mrmlScene.NodeAddedEvent, self.onVolumes),
            (slicer.mrmlScene.NodeRemovedEvent, self.onVolumes),
        ):
            self.addObserver(slicer.mrmlScene, event, callback)
        for part in ("inputs", "settings", "result", "quality", "batch"):
            keepEmptyHidden(getattr(self.ui, f"{part}CollapsibleButton"))
        self.initializeParameterNode()

    def cleanup(self):
        self._watch.close()
        self.batchPanel.close()
        self.setParameterNode(None)
        self.resultPanel.close()
        self.removeObservers()
        self._uncaught.leave()

    def enter(self):
        self.initializeParameterNode()
        self._shortcuts.enable(
            {
                "B": self.resultPanel.toggle,
                "M": self.ui.previewCheckBox.toggle,
                "Ctrl+Return": self.ui.correctButton.click,
                "Esc": self.onCancel,
            }
        )
        self.firstRunPanel.refresh()
        self.updateButtons()

    def exit(self):
        self._shortcuts.disable()
        self.metalPanel.hide()

    def onSceneStartClose(self, caller, event):
        self._watch.close()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.visible:
            self.initializeParameterNode()

    # Parameters.

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if self._parameterNode.inputVolume is None:
            active = slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID()
            self._parameterNode.inputVolume = guards.likelyInput(slicer.mrmlScene, active)

    def setParameterNode(self, parameterNode):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            node = self._parameterNode.parameterNode
            self.removeObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParameters)
            self.metalPanel.close()
        self._parameterNode = parameterNode
        if parameterNode is None:
            self.ui.progressLabel.text = ""
            self.resultPanel.setNode(None)
            self.earlierPanel.setResult(None)
            self.mapsPanel.setResult(None)
            self.qualityPanel.close()
            return
        self._guiTag = parameterNode.connectGui(self.ui)
        # The selector tells of its first segment before it hears which one is meant.
        segmentation, segmentId = parameterNode.metalSegmentation, parameterNode.metalSegmentId
        wasBlocked = self.ui.segmentSelector.blockSignals(True)
        self.ui.segmentSelector.setCurrentNode(segmentation)
        self.ui.segmentSelector.setCurrentSegmentID(segmentId)
        self.ui.segmentSelector.blockSignals(wasBlocked)
        self.modelPanel.choose(parameterNode.model)
        node = parameterNode.parameterNode
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParameters)
        self.onParameters()

    def onParameters(self, caller=None, event=None):
        p = self._parameterNode
        if p.inputVolume is not self._lastInput:
            self._lastInput = p.inputVolume
            self.ui.progressLabel.text = ""  # what it says is about another volume
            if p.inputVolume is not None:
                makeVisible(p.inputVolume)
        self.ui.thresholdSlider.enabled = p.metalSource is MetalSource.threshold
        self.ui.segmentSelector.enabled = p.metalSource is MetalSource.segment
        self.ui.methodDescription.text = p.method.description()
        if self.run is None:
            self.metalPanel.update(p)
        if p.outputVolume is not self.resultPanel.node:
            self.resultPanel.setNode(p.outputVolume)
            self.qualityPanel.setNode(self.resultPanel.node)
        self.earlierPanel.setResult(self.resultPanel.node)
        self.mapsPanel.setResult(self.resultPanel.node)
        self.offerEarlier()
        self.updateButtons()

    def onSegmentChanged(self, *_args):
        if self._parameterNode is not None:
            self._parameterNode.metalSegmentation = self.ui.segmentSelector.currentNode()
            self._parameterNode.metalSegmentId = self.ui.segmentSelector.currentSegmentID()

    def onEarlierChosen(self, node):
        if self._parameterNode is not None:
            self._parameterNode.earlierCt = node

    def onVolumes(self, caller, event):
        """A volume that comes or goes may be an earlier CT; its voxels come after it."""
        if self.parent.visible and not slicer.mrmlScene.IsBatchProcessing():
            qt.QTimer.singleShot(0, self.offerEarlier)

    def offerEarlier(self):
        p = self._parameterNode
        if p is not None and self.run is None:
            self.earlierPanel.refresh(p.inputVolume, p.earlierCt)

    def onModelChanged(self):
        if self._parameterNode is not None:
            model = self.modelPanel.chosen
            self._parameterNode.model = model.reference if model else ""

    def updateButtons(self):
        running = self.run is not None
        p = self._parameterNode
        ready = p is not None and p.inputVolume is not None
        self.ui.correctButton.enabled = ready and not running
        self.ui.correctButton.toolTip = _(
            "Correct the input volume in the background (shortcut Ctrl+Return)."
        )
        self.ui.reasonLabel.visible = not ready
        for name in ("inputsCollapsibleButton", "settingsCollapsibleButton"):
            getattr(self.ui, name).enabled = not running
        self.ui.cancelButton.visible = running
        self.ui.progressBar.visible = running
        self._shortcuts.setEnabled("Esc", running)  # it is Slicer's while nothing runs
        if p is not None:
            hasModel = self.modelPanel.chosen is not None
            self.ui.summaryLabel.text = summaryText(p, hasModel, self._driver)

    # A run.

    def onCorrect(self):
        guarded(self.startRun, self.title)
        self.updateButtons()

    def startRun(self):
        p = self._parameterNode
        modality = self.modalityOf(p.inputVolume)
        images = self.imagesOf(p.inputVolume)
        for question in guards.checkInput(p.inputVolume, modality, images):
            if not confirmed(question.text, self.title, question.unwise):
                return
        settings = settingsOf(p)
        self.ensurePackages()
        corrections = self.logic.corrections(slicer.mrmlScene)
        if p.metalSource is MetalSource.segment:
            node, segment = p.metalSegmentation, p.metalSegmentId
            if node is None:
                guards.refuseMissingSegment()
            run = corrections.start(p.inputVolume, settings, node, segment, p.earlierCt)
        else:
            ofPlanner = p.metalSource is MetalSource.implants
            run = corrections.start(
                p.inputVolume, settings, earlierNode=p.earlierCt, ofPlanner=ofPlanner
            )
        self._corrections, self._runInput = corrections, p.inputVolume
        self._runEarlier = p.earlierCt
        self.metalPanel.hide()
        self.ui.progressLabel.text = _("Preparing...")
        self._watch.start(run)

    @property
    def run(self):
        """The correction that is under way; None while nothing runs."""
        return self._watch.run

    @property
    def title(self):
        return _("Metal Artifact Reduction")

    def modalityOf(self, node):
        return modalityOf(node, getattr(slicer, "dicomDatabase", None))

    def patientOf(self, node):
        """Return the patient's identifier, "" where DICOM does not tell."""
        return patientOf(node, getattr(slicer, "dicomDatabase", None))

    def imagesOf(self, node):
        database = getattr(slicer, "dicomDatabase", None)
        return [] if node is None else sourceImages(node, database)

    def findMetal(self, volume):
        return self.logic.corrections(slicer.mrmlScene).findMetal(volume)

    def needsRuntime(self):
        """Whether networks will run."""
        p = self._parameterNode
        method = p.method.value if p is not None else "auto"
        hasModel = self.modelPanel.chosen is not None
        return device.effectiveMethod(method, hasModel) == "generator"

    @property
    def requirementsPath(self):
        return Path(self.resourcePath("MetalArtifactReduction/requirements.txt"))

    def missingPackages(self):
        return packages.missing(self.requirementsPath, self.needsRuntime(), self.usesGpu())

    def ensurePackages(self):
        packages.ensure(self.requirementsPath, self.needsRuntime(), self.usesGpu())
        self.firstRunPanel.refresh()

    def usesGpu(self):
        """Whether networks may run on a GPU: there is one, and the CPU was not asked for."""
        p = self._parameterNode
        return self._driver and (p is None or p.device is not Device.cpu)

    def prepareBatch(self):
        self.ensurePackages()
        return settingsOf(self._parameterNode), workerCommand()

    def onRunEnded(self, run):
        self.ui.progressLabel.text = ""
        if isinstance(run.error, CancelledError):
            self.ui.progressLabel.text = _("Cancelled; nothing was changed.")
        elif run.error is not None:
            showError(run.error, self.title, run.log)
        else:
            guarded(lambda: self.finish(run), self.title)
        if self._parameterNode is not None:
            self.metalPanel.update(self._parameterNode)
        self.updateButtons()

    def showProgress(self, run):
        progress, left = run.progress, run.secondsLeft
        self.ui.progressBar.maximum = progress.total if progress.total > 1 else 0
        self.ui.progressBar.value = progress.done
        text = progress.stage
        if progress.total > 1:
            text = _("{stage}: {done} of {total} slices").format(
                stage=progress.stage, done=progress.done, total=progress.total
            )
        if left is not None:
            text += _(", {time} left").format(time=durationText(left))
        self.ui.progressLabel.text = text

    def finish(self, run):
        nodes = self._corrections.finish(run, self._runInput, self._runEarlier)
        if nodes is None:
            self.ui.progressLabel.text = run.result.facts["message"]
            slicer.util.infoDisplay(run.result.facts["message"], windowTitle=self.title)
            return
        self._parameterNode.outputVolume = nodes.volume
        self.resultPanel.setNode(nodes.volume)
        self.qualityPanel.setNode(nodes.volume)
        if self._parameterNode.showCompare:
            self.resultPanel.showCompare()
        else:
            slicer.util.setSliceViewerLayers(background=nodes.volume)

    def onCancel(self):
        if self.run is not None:
            self.ui.progressLabel.text = _("Stopping...")
            self._watch.cancel()


class MetalArtifactReductionTest(ScriptedLoadableModuleTest):
    """The self test: a drawn body with metal, corrected in a worker."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_correct()
        self.setUp()
        self.test_guard()

    def test_correct(self):
        from MetalArtifactReductionLib.panel.selftest import drawnVolume

        from spinemar.mar.settings import CorrectionSettings
        from SpineMARLib.panel.selftest import waitFor

        self.delayDisplay("Correcting a drawn body")
        volume = drawnVolume(slicer.mrmlScene)
        corrections = MetalArtifactReductionLogic().corrections(slicer.mrmlScene)
        run = corrections.start(volume, CorrectionSettings("li"))
        waitFor(lambda: not run.running)
        nodes = corrections.finish(run, volume)
        assert provenanceOf(nodes.volume)["method"] == "li"
        assert nodes.volume.GetImageData().GetDimensions() == (96, 96, 5)
        self.delayDisplay("Test passed")

    def test_guard(self):
        self.delayDisplay("Refusing a volume that is no CT")
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
        with self.assertRaises(SpinemarError):  # noqa: PT027 - there is no pytest in Slicer
            guards.checkInput(volume)
        self.delayDisplay("Test passed")
