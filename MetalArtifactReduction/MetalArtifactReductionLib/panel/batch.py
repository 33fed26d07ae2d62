"""The panel's part about batches: a folder in, a folder out, in the background."""

import slicer
from slicer.i18n import tr as _

from spinemar.errors import CancelledError, InputError
from SpineMARLib.jobrun import JobRun, factsAlone
from SpineMARLib.panel.errors import guarded, showError
from SpineMARLib.panel.fields import chooseFolders, tell
from SpineMARLib.panel.jobwatch import JobWatch


class BatchPanel:
    """Runs one batch at a time; the button cancels while it runs."""

    def __init__(self, ui, prepare):
        """`prepare` makes packages available and returns (settings, worker's command)."""
        self.ui = ui
        self._prepare = prepare
        self._watch = JobWatch(self._showProgress, self._finish)
        chooseFolders(ui.batchSource, ui.batchTarget)
        ui.batchButton.connect("clicked()", self.onClicked)

    def onClicked(self):
        if self._watch.run is not None:
            self._watch.cancel()
        else:
            guarded(self._start, _("Batch"))

    def _start(self):
        source, target = self.ui.batchSource.currentPath, self.ui.batchTarget.currentPath
        if not source or not target:
            raise InputError(_("No folders are chosen."), _("Choose both folders first."))
        settings, command = self._prepare()
        given = settings.to_json()
        job = {"kind": "batch", "sources": [source], "folder": target, "settings": given}
        run = JobRun(lambda _folder: job, factsAlone, slicer.app.temporaryPath, command)
        self.ui.batchButton.text = _("Cancel batch")
        tell(self.ui.batchLabel, _("Looking for volumes..."))
        self._watch.start(run)

    def _showProgress(self, run):
        progress = run.progress
        if progress.total > 1 or progress.done:
            text = _("{done} of {total} volumes")
            tell(self.ui.batchLabel, text.format(done=progress.done, total=progress.total))

    def _finish(self, run):
        self.ui.batchButton.text = _("&Run batch")
        if run.error is not None:
            tell(self.ui.batchLabel, run.error.problem)
            if not isinstance(run.error, CancelledError):
                showError(run.error, _("Batch"), run.log)
            return
        counts = {}
        for row in run.result["rows"]:
            counts[row["status"]] = counts.get(row["status"], 0) + 1
        parts = ", ".join(f"{count} {status}" for status, count in counts.items())
        text = _("{parts}. Summary: {path}")
        tell(self.ui.batchLabel, text.format(parts=parts, path=run.result["summary"]))

    def close(self):
        self._watch.close()
