"""The panel's part about DICOM: a result as a derived series of its input's study."""

import tempfile
import time
from functools import partial
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from MetalArtifactReductionLib.nodes.results import INPUT_ROLE, provenanceOf
from SpineMARLib.derivedseries import startWriting
from SpineMARLib.nodes.dicomfiles import cameFromDicom, sourceFiles
from SpineMARLib.panel.errors import guarded, showError
from SpineMARLib.panel.fields import tell
from SpineMARLib.panel.jobwatch import JobWatch
from SpineMARLib.panel.worker import workerCommand

# The database takes files only here, in Slicer's own thread: so long at a time.
_LOT_S = 0.1


class StudyPanel:
    """Sends a corrected volume to the study, or says why it cannot."""

    def __init__(self, ui):
        self.ui = ui
        self.node = None
        self._sending = False
        self._watch = JobWatch(self._showProgress, self._end)
        ui.dicomButton.connect("clicked()", self.onDicom)

    def setNode(self, node):
        """Offer a corrected volume; None for none."""
        self.node = node
        self._offer()

    def _offer(self):
        """Say what can be sent, and why what cannot."""
        database = getattr(slicer, "dicomDatabase", None)
        foreign = self.node is not None and not cameFromDicom(_inputOf(self.node), database)
        self.ui.dicomButton.enabled = not (self.node is None or foreign or self._sending)
        why = _(
            "The input was not loaded from DICOM, so it belongs to no study: save the result as "
            "NRRD or NIfTI."
        )
        if not self._sending:
            tell(self.ui.dicomLabel, why if foreign else "")

    def close(self):
        """Stop writing, without a word, for a program that closes."""
        self._watch.close()
        self._sending = False

    def onDicom(self):
        """Write the derived series, and put it into Slicer's DICOM database if there is one."""
        guarded(self._send, _title())

    def _send(self):
        database = getattr(slicer, "dicomDatabase", None)
        files = sourceFiles(_inputOf(self.node), database)
        folder = _dicomFolder(files, database) / "SpineMAR"
        number = 1
        while folder.exists():
            number += 1
            folder = folder.with_name(f"SpineMAR_{number}")
        provenance = provenanceOf(self.node)
        run = startWriting(
            self.node,
            files,
            folder,
            slicer.app.temporaryPath,
            workerCommand(),
            provenance=provenance,
        )
        self._sending = True
        self._offer()
        tell(self.ui.dicomLabel, _("Writing the series..."))
        self._watch.start(run)

    def _showProgress(self, run):
        done, total = run.progress.done, run.progress.total
        if total > 1:
            text = _("Writing the series: {done} of {total}").format(done=done, total=total)
            tell(self.ui.dicomLabel, text)

    def _end(self, run):
        if run.error is not None:
            self._ended()
            showError(run.error, _title(), run.log)
            return
        self._insert(run.result, 0)

    def _insert(self, written, first):
        """Put files into the database, a lot at a time."""
        database = getattr(slicer, "dicomDatabase", None)
        if not self._sending:
            return  # the panel was closed meanwhile
        began, count = time.monotonic(), first
        while database is not None and count < len(written):
            database.insert(str(written[count]), False, False, True)
            count += 1
            if time.monotonic() - began > _LOT_S and count < len(written):
                text = _("Into the database: {done} of {total}")
                tell(self.ui.dicomLabel, text.format(done=count, total=len(written)))
                qt.QTimer.singleShot(0, partial(self._insert, written, count))
                return
        self._ended()
        text = _("{count} images were written as a new series of the study:\n{folder}")
        slicer.util.infoDisplay(
            text.format(count=len(written), folder=written[0].parent),
            windowTitle=_("DICOM series"),
        )

    def _ended(self):
        self._sending = False
        tell(self.ui.dicomLabel, "")
        self._offer()


def _title():
    return _("Send to study as DICOM")


def _inputOf(node):
    return node.GetNodeReference(INPUT_ROLE)


def _dicomFolder(files, database):
    """Choose where: the database's own folder, else beside the source series."""
    if database is not None and database.databaseDirectory:
        return Path(tempfile.mkdtemp(prefix="spinemar-", dir=database.databaseDirectory))
    return Path(files[0]).resolve().parent.parent
