"""Stand-in for Slicer's Segment Editor: what other modules hand to it, and nothing else."""

import qt
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget


class Editor:
    """qMRMLSegmentEditorWidget, as far as it is told what to edit."""

    def __init__(self):
        self.segmentationNode = self.sourceVolumeNode = self.segmentId = None

    def setSegmentationNode(self, node):
        self.segmentationNode = node

    def setSourceVolumeNode(self, node):
        self.sourceVolumeNode = node

    def setCurrentSegmentID(self, name):
        self.segmentId = name


class SegmentEditor(ScriptedLoadableModule):
    """The module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "Segment Editor"


class SegmentEditorWidget(ScriptedLoadableModuleWidget):
    """Its panel."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.editor = Editor()
        self.layout.addWidget(qt.QLabel("The editor's effects"))
