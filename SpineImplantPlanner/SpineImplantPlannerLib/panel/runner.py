"""The panel's part about the background: one job at a time, its progress, its end."""

import qt
import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.shared import sentence
from spinemar.errors import CancelledError, SpinemarError

POLL_MS = 50


class Runner:
    """Runs `JobRun`s, shows their progress, and says errors in message boxes."""

    def __init__(self, ui, title, onChange):
        self.ui = ui
        self.run = None
        self._title = title
        self._onChange = onChange
        self._finish = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.poll)
        ui.cancelButton.connect("clicked()", self.cancel)

    def start(self, makeRun, finish):
        """Start a job; `finish` takes its result when it is there."""
        if self.run is not None:
            slicer.util.infoDisplay(
                _("Something still runs in the background: wait for it, or cancel it."),
                windowTitle=self._title,
            )
            return
        run = self.guarded(makeRun)
        if run is None:
            return
        self.run, self._finish = run, finish
        self.ui.statusLabel.text = _("Preparing...")
        self._timer.start()
        self._show(True)

    def poll(self):
        if self.run is None:
            return
        if self.run.running:
            progress = self.run.progress
            self.ui.progressBar.maximum = progress.total if progress.total > 1 else 0
            self.ui.progressBar.value = progress.done
            text = progress.stage
            if progress.total > 1:
                text = _("{stage}: {done} of {total}").format(
                    stage=progress.stage, done=progress.done, total=progress.total
                )
            self.ui.statusLabel.text = text
            return
        run, self.run = self.run, None
        finish, self._finish = self._finish, None
        self._timer.stop()
        self.ui.statusLabel.text = ""
        self._show(False)
        if isinstance(run.error, CancelledError):
            self.ui.statusLabel.text = _("Cancelled; nothing was changed.")
        elif run.error is not None:
            self.showError(run.error, run.log)
        else:
            self.guarded(lambda: finish(run.result))
        self._onChange()

    def cancel(self):
        if self.run is not None:
            self.ui.statusLabel.text = _("Stopping...")
            self.run.cancel()

    def stop(self):
        """End what runs, without a word, for a scene or a program that closes."""
        self._timer.stop()
        if self.run is not None:
            self.run.close()
            self.run = None
            self._show(False)

    def guarded(self, action):
        """Do something; an error of ours becomes a message box. Return what it returns."""
        try:
            return action()
        except SpinemarError as error:
            self.showError(error)
        except OSError as error:
            slicer.util.errorDisplay(
                _("A file could not be written or read: {error}").format(error=error),
                windowTitle=self._title,
            )
        return None

    def showError(self, error, log=""):
        options = {"detailedText": log} if log else {}
        slicer.util.errorDisplay(sentence(error), windowTitle=self._title, **options)

    def _show(self, running):
        self.ui.progressBar.visible = running
        self.ui.cancelButton.visible = running
        self._onChange()
