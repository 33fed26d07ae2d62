"""A trivial scripted module, written against documented Slicer API only (Slicer's template)."""

import enum
from typing import Annotated, Optional

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

from slicer import vtkMRMLScalarVolumeNode


class Polarity(enum.Enum):
    Above = "above"
    Below = "below"

    def label(self) -> str:
        return {"Above": _("Keep above"), "Below": _("Keep below")}[self.name]


class TrivialThreshold(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Trivial Threshold")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Examples")]
        self.parent.dependencies = []
        self.parent.contributors = ["The SpineMAR developers"]
        self.parent.helpText = _("Sets voxels on one side of a threshold to zero.")
        slicer.app.connect("startupCompleted()", registerSampleData)


registered = []


def registerSampleData():
    registered.append("TrivialThreshold")


@parameterNodeWrapper
class TrivialThresholdParameterNode:
    inputVolume: vtkMRMLScalarVolumeNode
    outputVolume: Optional[vtkMRMLScalarVolumeNode]
    imageThreshold: Annotated[float, WithinRange(-100, 500)] = 100
    polarity: Polarity = Polarity.Above
    announce: bool = False
    repeats: Annotated[int, WithinRange(1, 9), Default(2)]


class TrivialThresholdWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/TrivialThreshold.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = TrivialThresholdLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()

    def exit(self) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(
                self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply
            )
            self._parameterNode = None

    def onSceneStartClose(self, caller, event) -> None:
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        if self.parent.isVisible():
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, inputParameterNode) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(
                self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply
            )
        self._parameterNode = inputParameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
            self._checkCanApply()

    def _checkCanApply(self, caller=None, event=None) -> None:
        ready = self._parameterNode and self._parameterNode.inputVolume
        self.ui.applyButton.enabled = bool(ready)
        self.ui.applyButton.toolTip = _("Compute output volume") if ready else _("Select input")

    def onApplyButton(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("Failed to compute results."), waitCursor=True):
            node = self._parameterNode
            if not node.outputVolume:
                node.outputVolume = slicer.mrmlScene.AddNewNodeByClass(
                    "vtkMRMLScalarVolumeNode", "Thresholded"
                )
            self.logic.process(
                node.inputVolume, node.outputVolume, node.imageThreshold, node.polarity
            )


class TrivialThresholdLogic(ScriptedLoadableModuleLogic):
    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)

    def getParameterNode(self):
        return TrivialThresholdParameterNode(super().getParameterNode())

    def process(self, inputVolume, outputVolume, threshold, polarity=Polarity.Above) -> None:
        if not inputVolume or inputVolume is outputVolume:
            raise ValueError("Input and output volume must be two volumes")
        voxels = slicer.util.arrayFromVolume(inputVolume)
        keep = voxels > threshold if polarity is Polarity.Above else voxels <= threshold
        slicer.util.updateVolumeFromArray(outputVolume, np.where(keep, voxels, 0))
        outputVolume.CopyOrientation(inputVolume)
        slicer.util.setSliceViewerLayers(background=outputVolume)


class TrivialThresholdTest(ScriptedLoadableModuleTest):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_threshold()

    def test_threshold(self):
        self.delayDisplay("Starting the test")
        volume = slicer.util.addVolumeFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
        output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        TrivialThresholdLogic().process(volume, output, 10)
        self.assertEqual(slicer.util.arrayFromVolume(output).sum(), sum(range(11, 24)))
        self.delayDisplay("Test passed")
