"""The panel's part about batches: a folder in, a folder out, in the background."""

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from MetalArtifactReductionLib.guards import sentence
from spinemar.errors import CancelledError, InputError, SpinemarError
from spinemar.jobs.engine import protocol
from spinemar.jobs.engine.process import JobProcess


class BatchPanel:
    """Runs one batch at a time; the button cancels while it runs."""

    def __init__(self, ui, prepare):
        """`prepare` makes packages available and returns (settings, worker's command)."""
        self.ui = ui
        self._prepare = prepare
        self._process = None
        self._timer = qt.QTimer()
        self._timer.setInterval(100)
        self._timer.connect("timeout()", self._onTimer)
        for line in (ui.batchSource, ui.batchTarget):
            line.filters = ctk.ctkPathLineEdit.Dirs
        ui.batchButton.connect("clicked()", self.onClicked)

    def onClicked(self):
        if self._process is not None:
            self._process.cancel()
            return
        try:
            self._start()
        except SpinemarError as error:
            slicer.util.errorDisplay(sentence(error), windowTitle=_("Batch"))

    def _start(self):
        source, target = self.ui.batchSource.currentPath, self.ui.batchTarget.currentPath
        if not source or not target:
            raise InputError(_("No folders are chosen."), _("Choose both folders first."))
        settings, command = self._prepare()
        job = settings.to_json()
        self._process = JobProcess(
            {"kind": "batch", "sources": [source], "folder": target, "settings": job}, command
        )
        self.ui.batchButton.text = _("Cancel batch")
        self.ui.batchLabel.text = _("Looking for volumes...")
        self._timer.start()

    def _onTimer(self):
        for event in self._process.poll():
            if event["event"] == "progress":
                progress = protocol.progress_of(event)
                text = _("{done} of {total} volumes")
                self.ui.batchLabel.text = text.format(done=progress.done, total=progress.total)
            elif event["event"] in protocol.ENDINGS:
                self._finish(event)

    def _finish(self, event):
        self._timer.stop()
        self._process = None
        self.ui.batchButton.text = _("&Run batch")
        if event["event"] == "done":
            rows = event["result"]["rows"]
            counts = {}
            for row in rows:
                counts[row["status"]] = counts.get(row["status"], 0) + 1
            parts = ", ".join(f"{count} {status}" for status, count in counts.items())
            text = _("{parts}. Summary: {path}")
            self.ui.batchLabel.text = text.format(parts=parts, path=event["result"]["summary"])
            return
        error = protocol.error_of(event)
        self.ui.batchLabel.text = error.problem
        if not isinstance(error, CancelledError):
            slicer.util.errorDisplay(sentence(error), windowTitle=_("Batch"))

    def close(self):
        self._timer.stop()
        if self._process is not None:
            self._process.close()
            self._process = None
