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

# The core lies beside the module where it is installed, and one folder up in the source tree.
for _folder in (Path(__file__).resolve().parent, Path(__file__).resolve().parents[1]):
    if (_folder / "spinemar" / "__init__.py").is_file() and str(_folder) not in sys.path:
        sys.path.append(str(_folder))

from MetalArtifactReductionLib import dependencies, device, guards, samples  # noqa: E402
from MetalArtifactReductionLib.batchpanel import BatchPanel  # noqa: E402
from MetalArtifactReductionLib.logic import (  # noqa: E402
    INSTANCE_UIDS,
    CorrectionLogic,
    sourceImages,
)
from MetalArtifactReductionLib.modelpanel import ModelPanel  # noqa: E402
from MetalArtifactReductionLib.parameters import (  # noqa: E402
    MetalArtifactReductionParameterNode,
    previewThreshold,
    settingsOf,
)
from MetalArtifactReductionLib.preview import MetalPreview  # noqa: E402
from MetalArtifactReductionLib.qualitypanel import QualityPanel  # noqa: E402
from MetalArtifactReductionLib.resultpanel import ResultPanel  # noqa: E402
from MetalArtifactReductionLib.results import provenanceOf  # noqa: E402
from MetalArtifactReductionLib.settings import MetalSource  # noqa: E402

from spinemar.base.interpreter import choose_interpreter, worker_command  # noqa: E402
from spinemar.errors import CancelledError, SpinemarError  # noqa: E402

POLL_MS = 50


def workerCommand():
    """Return the command line of a worker inside this Slicer."""
    return worker_command(choose_interpreter(slicer.app.applicationDirPath()))


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
        thumbnail = self.resourcePath("Icons/MetalArtifactReduction.png")
        try:
            samples.register(thumbnail, workerCommand)
        except ImportError:  # Slicer built without its Sample Data module
            return


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
        self.run = None
        self._runInput = None
        self._parameterNode = None
        self._guiTag = None
        self._shortcuts = []
        self._lastRan = ""
        self._ranChoice = None

    # Slicer's life cycle.

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MetalArtifactReduction.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MetalArtifactReductionLogic()
        self.preview = MetalPreview(slicer.mrmlScene)
        self.modelPanel = ModelPanel(self.ui, self.onModelChanged)
        self.resultPanel = ResultPanel(self.ui)
        self.qualityPanel = QualityPanel(self.ui)
        self.batchPanel = BatchPanel(self.ui, self.prepareBatch)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.onTimer)
        self._driver = device.hasNvidiaDriver()
        self.ui.correctButton.connect("clicked()", self.onCorrect)
        self.ui.cancelButton.connect("clicked()", self.onCancel)
        self.ui.segmentSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onSegmentChanged)
        self.ui.segmentSelector.connect("currentSegmentChanged(QString)", self.onSegmentChanged)
        for event, callback in (
            (slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose),
            (slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose),
            (slicer.mrmlScene.EndImportEvent, self.onSceneEndClose),
        ):
            self.addObserver(slicer.mrmlScene, event, callback)
        self.initializeParameterNode()

    def cleanup(self):
        self.stopRun()
        self.batchPanel.close()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()
        window = slicer.util.mainWindow()
        for keys, slot in (
            ("B", self.resultPanel.toggle),
            ("M", self.ui.previewCheckBox.toggle),
            ("Ctrl+Return", self.ui.correctButton.click),
            ("Esc", self.onCancel),
        ):
            shortcut = qt.QShortcut(qt.QKeySequence(keys), window or self.parent)
            shortcut.connect("activated()", slot)
            self._shortcuts.append(shortcut)
        self.updateButtons()

    def exit(self):
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
        self.preview.remove()

    def onSceneStartClose(self, caller, event):
        self.stopRun()
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
            self.preview.remove()
        self._parameterNode = parameterNode
        if parameterNode is None:
            self.resultPanel.setNode(None)
            self.qualityPanel.close()
            return
        self._guiTag = parameterNode.connectGui(self.ui)
        self.ui.segmentSelector.setCurrentNode(parameterNode.metalSegmentation)
        self.ui.segmentSelector.setCurrentSegmentID(parameterNode.metalSegmentId)
        self.modelPanel.choose(parameterNode.model)
        node = parameterNode.parameterNode
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParameters)
        self.onParameters()

    def onParameters(self, caller=None, event=None):
        p = self._parameterNode
        self.ui.thresholdSlider.enabled = p.metalSource is MetalSource.threshold
        self.ui.segmentSelector.enabled = p.metalSource is MetalSource.segment
        self.ui.methodDescription.text = p.method.description()
        threshold = previewThreshold(p)
        if p.showPreview and p.inputVolume is not None and threshold is not None:
            self.preview.show(p.inputVolume, threshold)
        else:
            self.preview.remove()
        if p.outputVolume is not self.resultPanel.node:
            self.resultPanel.setNode(p.outputVolume)
            self.qualityPanel.setNode(self.resultPanel.node)
        if self._ranChoice != (p.inputVolume, p.method, p.device, p.model):
            self._lastRan = ""
        self.updateButtons()

    def onSegmentChanged(self, *_args):
        if self._parameterNode is not None:
            self._parameterNode.metalSegmentation = self.ui.segmentSelector.currentNode()
            self._parameterNode.metalSegmentId = self.ui.segmentSelector.currentSegmentID()

    def onModelChanged(self):
        if self._parameterNode is not None:
            model = self.modelPanel.chosen
            self._parameterNode.model = model.reference if model else ""

    def updateButtons(self):
        running = self.run is not None
        p = self._parameterNode
        ready = p is not None and p.inputVolume is not None
        self.ui.correctButton.enabled = ready and not running
        self.ui.correctButton.toolTip = (
            _("Correct the input volume in the background (shortcut Ctrl+Return).")
            if ready
            else _("Choose an input volume first.")
        )
        for name in ("inputsCollapsibleButton", "metalCollapsibleButton"):
            getattr(self.ui, name).enabled = not running
        self.ui.cancelButton.visible = running
        self.ui.progressBar.visible = running
        for shortcut in self._shortcuts[3:]:
            shortcut.enabled = running  # Esc belongs to Slicer while nothing runs
        if p is not None:
            hasModel = self.modelPanel.chosen is not None
            planned = device.plannedText(p.method, p.device, hasModel, self._driver)
            self.showChip(self._lastRan or planned, bool(self._lastRan))

    def showChip(self, text, ran):
        colours = ("#dff0e0", "#1d5c2a") if ran else ("#e4ecf7", "#1f4373")
        self.ui.statusChip.setStyleSheet(
            f"background: {colours[0]}; color: {colours[1]}; border-radius: 6px; padding: 4px;"
        )
        self.ui.statusChip.text = text

    # A run.

    def onCorrect(self):
        self._lastRan = ""
        try:
            self.startRun()
        except SpinemarError as error:
            self.showError(error)
        self.updateButtons()

    def startRun(self):
        p = self._parameterNode
        modality = self.modalityOf(p.inputVolume)
        images = self.imagesOf(p.inputVolume)
        for question in guards.checkInput(p.inputVolume, modality, images):
            if not slicer.util.confirmYesNoDisplay(question.text, windowTitle=self.title):
                return
        settings = settingsOf(p)
        self.ensurePackages(settings)
        corrections = self.logic.corrections(slicer.mrmlScene)
        if p.metalSource is MetalSource.segment:
            node, segment = p.metalSegmentation, p.metalSegmentId
            if node is None:
                guards.refuseMissingSegment()
            self.run = corrections.start(p.inputVolume, settings, node, segment)
        else:
            self.run = corrections.start(p.inputVolume, settings)
        self._corrections, self._runInput = corrections, p.inputVolume
        self.preview.remove()
        self.ui.progressLabel.text = _("Preparing...")
        self._timer.start()

    @property
    def title(self):
        return _("Metal Artifact Reduction")

    def modalityOf(self, node):
        database = getattr(slicer, "dicomDatabase", None)
        uids = (node.GetAttribute(INSTANCE_UIDS) or "").split() if node is not None else []
        return database.instanceValue(uids[0], "0008,0060") if database and uids else ""

    def imagesOf(self, node):
        database = getattr(slicer, "dicomDatabase", None)
        return [] if node is None else sourceImages(node, database)

    def ensurePackages(self, settings):
        hasModel = self.modelPanel.chosen is not None
        effective = device.effectiveMethod(settings.method, hasModel)
        path = Path(self.resourcePath("requirements.txt"))
        dependencies.ensure(path, effective == "generator", self._driver, self.installPackages)

    def installPackages(self, requirements):
        packaging = getattr(slicer, "packaging", None)
        if packaging is not None and hasattr(packaging, "pip_ensure"):
            packaging.pip_ensure(requirements, requester=dependencies.REQUESTER)
            return
        text = _("SpineMAR needs these Python packages: {names}. Install them now?")
        if not slicer.util.confirmOkCancelDisplay(text.format(names=", ".join(requirements))):
            raise RuntimeError(_("declined"))
        for requirement in requirements:
            slicer.util.pip_install(requirement)

    def prepareBatch(self):
        settings = settingsOf(self._parameterNode)
        self.ensurePackages(settings)
        return settings, workerCommand()

    def onTimer(self):
        if self.run is None:
            return
        if self.run.running:
            self.showProgress()
            return
        run, self.run = self.run, None
        self._timer.stop()
        self.ui.progressLabel.text = ""
        try:
            self.finish(run)
        except CancelledError:
            self.ui.progressLabel.text = _("Cancelled; nothing was changed.")
        except SpinemarError as error:
            self.showError(error, run.log)
        self.updateButtons()

    def showProgress(self):
        progress, left = self.run.progress, self.run.secondsLeft
        self.ui.progressBar.maximum = progress.total if progress.total > 1 else 0
        self.ui.progressBar.value = progress.done
        text = progress.stage
        if progress.total > 1:
            text = _("{stage}: {done} of {total} slices").format(
                stage=progress.stage, done=progress.done, total=progress.total
            )
        if left is not None:
            text += _(", about {seconds} s left").format(seconds=max(round(left), 1))
        self.ui.progressLabel.text = text

    def finish(self, run):
        nodes = self._corrections.finish(run, self._runInput, self._parameterNode.outputVolume)
        facts = run.result.facts
        p = self._parameterNode
        self._ranChoice = (p.inputVolume, p.method, p.device, p.model)
        self._lastRan = device.ranText(facts["provenance"])
        self.ui.progressLabel.text = facts["message"]
        if nodes is None:
            slicer.util.infoDisplay(facts["message"], windowTitle=self.title)
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
            self.run.cancel()

    def stopRun(self):
        self._timer.stop()
        if self.run is not None:
            self.run.close()
            self.run = None

    def showError(self, error, log=""):
        options = {"detailedText": log} if log else {}
        slicer.util.errorDisplay(guards.sentence(error), windowTitle=self.title, **options)


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
        from MetalArtifactReductionLib.selftest import drawnVolume, waitFor

        from spinemar.mar.settings import CorrectionSettings

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
