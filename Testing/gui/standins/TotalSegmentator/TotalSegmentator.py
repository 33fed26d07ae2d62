"""Stand-in for the TotalSegmentator extension: its panel's names, a run that a test fills in."""

from types import SimpleNamespace

import qt
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget


class TotalSegmentator(ScriptedLoadableModule):
    """The module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "Total Segmentator"


class TotalSegmentatorWidget(ScriptedLoadableModuleWidget):
    """Its panel: input, task, output, Apply."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.ran = []
        self.paint = lambda volumeNode, segmentationNode: None
        self.ui = SimpleNamespace(
            inputVolumeSelector=slicer.qMRMLNodeComboBox(),
            outputSegmentationSelector=slicer.qMRMLNodeComboBox(),
            taskComboBox=qt.QComboBox(),
            applyButton=qt.QPushButton("Apply"),
        )
        for selector, kind in (
            ("inputVolumeSelector", "vtkMRMLScalarVolumeNode"),
            ("outputSegmentationSelector", "vtkMRMLSegmentationNode"),
        ):
            combo = getattr(self.ui, selector)
            combo.nodeTypes = [kind]
            combo.noneEnabled = True
            combo.setMRMLScene(slicer.mrmlScene)
        for task in ("body", "total"):
            self.ui.taskComboBox.addItem(f"{task} task", task)
        for widget in vars(self.ui).values():
            self.layout.addWidget(widget)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)

    def onApply(self, _checked=False):
        output = self.ui.outputSegmentationSelector.currentNode()
        if output is None:
            output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "total")
            self.ui.outputSegmentationSelector.setCurrentNode(output)
        volume = self.ui.inputVolumeSelector.currentNode()
        self.ran.append((volume.GetName(), self.ui.taskComboBox.currentData))
        self.paint(volume, output)
