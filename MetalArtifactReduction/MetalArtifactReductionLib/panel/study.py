"""The panel's part about DICOM: a result as a derived series of its input's study."""

import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from MetalArtifactReductionLib.logic import writeDicom
from MetalArtifactReductionLib.nodes.results import INPUT_ROLE
from SpineMARLib.nodes.dicomfiles import cameFromDicom, sourceFiles
from SpineMARLib.panel.errors import guarded
from SpineMARLib.panel.fields import tell


class StudyPanel:
    """Sends a corrected volume to the study, or says why it cannot."""

    def __init__(self, ui):
        self.ui = ui
        self.node = None
        ui.dicomButton.connect("clicked()", self.onDicom)

    def setNode(self, node):
        """Offer a corrected volume; None for none."""
        self.node = node
        database = getattr(slicer, "dicomDatabase", None)
        foreign = node is not None and not cameFromDicom(_inputOf(node), database)
        self.ui.dicomButton.enabled = node is not None and not foreign
        why = _(
            "The input was not loaded from DICOM, so it belongs to no study: save the result as "
            "NRRD or NIfTI."
        )
        tell(self.ui.dicomLabel, why if foreign else "")

    def onDicom(self):
        """Write the derived series, and put it into Slicer's DICOM database if there is one."""
        guarded(self._send, _("Send to study as DICOM"))

    def _send(self):
        database = getattr(slicer, "dicomDatabase", None)
        files = sourceFiles(_inputOf(self.node), database)
        folder = _dicomFolder(files, database) / "SpineMAR"
        number = 1
        while folder.exists():
            number += 1
            folder = folder.with_name(f"SpineMAR_{number}")
        written = writeDicom(self.node, files, folder)
        if database is not None:
            for path in written:
                database.insert(str(path), False, False, True)
        text = _("{count} images were written as a new series of the study:\n{folder}")
        slicer.util.infoDisplay(
            text.format(count=len(written), folder=folder), windowTitle=_("DICOM series")
        )


def _inputOf(node):
    return node.GetNodeReference(INPUT_ROLE)


def _dicomFolder(files, database):
    """Choose where: the database's own folder, else beside the source series."""
    if database is not None and database.databaseDirectory:
        return Path(tempfile.mkdtemp(prefix="spinemar-", dir=database.databaseDirectory))
    return Path(files[0]).resolve().parent.parent
