"""The panel's part about a result: compare, toggle, windows, facts, DICOM."""

import tempfile
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from MetalArtifactReductionLib.logic import writeDicom
from MetalArtifactReductionLib.nodes import compare
from MetalArtifactReductionLib.nodes.results import INPUT_ROLE, provenanceOf, resultOf
from spinemar.errors import SpinemarError
from SpineMARLib.nodes.dicomfiles import sourceFiles
from SpineMARLib.nodes.volumes import setWindow
from SpineMARLib.panel.errors import showError

BONE_WINDOW = (2000.0, 500.0)
SOFT_WINDOW = (400.0, 40.0)


class ResultPanel:
    """Shows one corrected volume; everything is disabled while there is none."""

    def __init__(self, ui):
        self.ui = ui
        self.node = None
        ui.compareButton.connect("clicked()", self.showCompare)
        ui.toggleButton.connect("clicked()", self.toggle)
        ui.boneWindowButton.connect("clicked()", self.showBone)
        ui.softWindowButton.connect("clicked()", self.showSoftTissue)
        ui.dicomButton.connect("clicked()", self.onDicom)
        self.setNode(None)

    def setNode(self, node):
        """Show a corrected volume; one that is none counts as no volume."""
        if node is not None and (provenanceOf(node) is None or self._inputOf(node) is None):
            node = None
        self.node = node
        for name in ("compare", "toggle", "boneWindow", "softWindow", "dicom"):
            getattr(self.ui, f"{name}Button").enabled = node is not None
        self.ui.factsTable.setMRMLTableNode(resultOf(node).table if node else None)
        if node is not None:
            self.ui.resultCollapsibleButton.collapsed = False

    def _inputOf(self, node):
        return node.GetNodeReference(INPUT_ROLE)

    def showCompare(self):
        if self.node is None:
            return
        layoutManager = slicer.app.layoutManager()
        compare.setLayout(layoutManager.layoutLogic().GetLayoutNode())
        compare.showVolumes(self.node.GetScene(), self.node)
        # The views get their sizes when the layout is done, and the field of view needs them.
        qt.QTimer.singleShot(0, self._focus)

    def _focus(self):
        if self.node is not None and self.node.GetScene() is not None:
            compare.focus(self.node.GetScene(), self.node)

    def toggle(self):
        if self.node is None:
            return
        shown = compare.toggle(self.node.GetScene(), self.node)
        texts = {"before": _("Showing the input"), "after": _("Showing the corrected volume")}
        if shown:
            slicer.util.showStatusMessage(texts[shown], 2000)

    def showBone(self):
        self._setWindow(*BONE_WINDOW)

    def showSoftTissue(self):
        self._setWindow(*SOFT_WINDOW)

    def _setWindow(self, window, level):
        for node in (self._inputOf(self.node), self.node):
            setWindow(node, window, level)

    def onDicom(self):
        """Write the derived series, and put it into Slicer's DICOM database if there is one."""
        database = getattr(slicer, "dicomDatabase", None)
        try:
            files = sourceFiles(self._inputOf(self.node), database)
            folder = self._dicomFolder(files, database) / "SpineMAR"
            number = 1
            while folder.exists():
                number += 1
                folder = folder.with_name(f"SpineMAR_{number}")
            written = writeDicom(self.node, files, folder)
        except SpinemarError as error:
            showError(error, _("Send to study as DICOM"))
            return
        if database is not None:
            for path in written:
                database.insert(str(path), False, False, True)
        text = _("{count} images were written as a new series of the study:\n{folder}")
        slicer.util.infoDisplay(
            text.format(count=len(written), folder=folder), windowTitle=_("DICOM series")
        )

    def _dicomFolder(self, files, database):
        """Choose where: the database's own folder, else beside the source series."""
        if database is not None and database.databaseDirectory:
            return Path(tempfile.mkdtemp(prefix="spinemar-", dir=database.databaseDirectory))
        return Path(files[0]).resolve().parent.parent
