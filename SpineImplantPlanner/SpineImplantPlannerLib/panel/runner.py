"""The panel's part about the background: one job at a time, its progress, its end."""

import slicer
from slicer.i18n import tr as _

from spinemar.errors import CancelledError, InputError
from SpineMARLib.panel import errors
from SpineMARLib.panel.jobwatch import JobWatch

CT, SPINE = "CT", "spine"
_CHANGED = {
    CT: "The CT was changed meanwhile.",
    SPINE: "The spine was changed meanwhile.",
}


class Runner:
    """Runs `JobRun`s, shows their progress, and says errors in message boxes.

    `subjects` are what a job can be about, by their names: callables that return it as it is now.
    """

    def __init__(self, ui, title, onChange, subjects):
        self.ui = ui
        self._title = title
        self._onChange = onChange
        self._subjects = subjects
        self._finish = None
        self._about = {}
        self._watch = JobWatch(self._showProgress, self._end)
        ui.cancelButton.connect("clicked()", self.cancel)

    @property
    def run(self):
        """The job that is under way; None while nothing runs."""
        return self._watch.run

    def start(self, makeRun, finish, about=()):
        """Start a job; `finish` takes its result when it is there.

        `about` names the subjects whose result it is: where one was changed meanwhile, the result
        is of something else, and is not taken.
        """
        if self.run is not None:
            slicer.util.infoDisplay(
                _("Something still runs in the background: wait for it, or cancel it."),
                windowTitle=self._title,
            )
            return
        run = self.guarded(makeRun)
        if run is None:
            return
        self._finish = finish
        self._about = {name: self._subjects[name]() for name in about}
        self.ui.statusLabel.text = _("Preparing...")
        self._watch.start(run)
        self._show(True)

    def _showProgress(self, run):
        progress = run.progress
        self.ui.progressBar.maximum = progress.total if progress.total > 1 else 0
        self.ui.progressBar.value = progress.done
        text = progress.stage
        if progress.total > 1:
            text = _("{stage}: {done} of {total}").format(
                stage=progress.stage, done=progress.done, total=progress.total
            )
        left = run.secondsLeft
        if left is not None:
            text += _(", about {seconds} s left").format(seconds=max(round(left), 1))
        self.ui.statusLabel.text = text

    def _end(self, run):
        finish, self._finish = self._finish, None
        about, self._about = self._about, {}
        self._show(False)
        if isinstance(run.error, CancelledError):
            self.ui.statusLabel.text = _("Cancelled; nothing was changed.")
        elif run.error is not None:
            self.ui.statusLabel.text = str(run.error)
            self.showError(run.error, run.log)
        else:
            self.ui.statusLabel.text = _("Done.")
            self.guarded(lambda: self._take(finish, about, run))
        self._onChange()

    def _take(self, finish, about, run):
        for name, was in about.items():
            if self._subjects[name]() is not was:
                raise InputError(_CHANGED[name], "Nothing was taken over: start it again.")
        finish(run.result)

    def cancel(self):
        if self.run is not None:
            self.ui.statusLabel.text = _("Stopping...")
            self._watch.cancel()

    def stop(self):
        """End what runs, without a word, for a scene or a program that closes."""
        running = self.run is not None
        self._watch.close()
        if running:
            self._show(False)

    def guarded(self, action):
        """Do something; an error becomes a message box. Return what it returns."""
        return errors.guarded(action, self._title)

    def showError(self, error, log=""):
        errors.showError(error, self._title, log)

    def _show(self, running):
        self.ui.progressBar.visible = running
        self.ui.cancelButton.visible = running
        self._onChange()
