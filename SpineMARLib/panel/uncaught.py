"""One rule for every slot: what it raises is a sentence for the user, and a traceback in the log.

PythonQt (``PythonQt::handleError``) and VTK (``vtkPythonCommand``) print what a callback raises
with ``PyErr_Print``, which asks ``sys.excepthook``: the one place that every button, timer, signal
and observer of a panel ends in, also those that a later change connects.
"""

import logging
import sys
from pathlib import Path

from SpineMARLib.panel.errors import showError

_SHARED = Path(__file__).resolve().parents[1]


class UncaughtErrors:
    """Shows what the callbacks of one module raise, from `watch` to `leave`.

    Parameters
    ----------
    moduleFile : path
        The module's script; its library is the folder beside it with ``Lib`` at its name's end.
    title : str
        Of the message boxes.
    """

    def __init__(self, moduleFile, title):
        script = Path(moduleFile).resolve()
        self._script, self._folders = script, (script.with_name(f"{script.stem}Lib"), _SHARED)
        self._title = title
        self._watching = self._showing = False
        self._before = None

    def watch(self):
        """Begin; whatever has been asked so far is still asked about what is not ours."""
        if not self._watching:
            self._watching = True
            self._before, sys.excepthook = sys.excepthook, self._tell

    def leave(self):
        """End; what was asked before is asked again, also where others came in between."""
        self._watching = False
        if sys.excepthook == self._tell:
            sys.excepthook = self._before

    def _tell(self, kind, error, trace):
        if not self._watching or not issubclass(kind, Exception) or not self._isOurs(trace):
            self._before(kind, error, trace)
            return
        logging.error(self._title, exc_info=(kind, error, trace))
        if self._showing:  # a timer or an observer goes on while the message box is open
            return
        self._showing = True
        try:
            showError(error, self._title)
        finally:
            self._showing = False

    def _isOurs(self, trace):
        while trace is not None:
            source = Path(trace.tb_frame.f_code.co_filename)
            if source == self._script or any(folder in source.parents for folder in self._folders):
                return True
            trace = trace.tb_next
        return False
