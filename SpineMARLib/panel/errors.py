"""Errors in message boxes: the problem, and its remedy on a line of its own."""

import logging

import ctk
import qt
import slicer

from spinemar.base.explain import explained
from spinemar.errors import SpinemarError


def sentence(error: BaseException) -> str:
    """Say an error to the user: the problem, then the remedy on a line of its own."""
    told = explained(error)
    return f"{told.problem}\n\n{told.remedy}".strip()


def showError(error, title, log=""):
    """Show an error in a message box, the worker's last lines behind its button."""
    options = {"detailedText": log} if log else {}
    slicer.util.errorDisplay(sentence(error), windowTitle=title, **options)


def guarded(action, title):
    """Do something and return what it returns; None where it failed, which is shown.

    What is no error of ours goes into Slicer's log with its traceback, too.
    """
    try:
        return action()
    except Exception as error:
        if not isinstance(error, SpinemarError):
            logging.exception(title)
        showError(error, title)
    return None


def confirmed(text, title, unwise=False):
    """Ask a question; *No* is the default answer where going on is most likely a mistake."""
    if slicer.app.testingEnabled():  # Slicer's own questions are not asked either
        return True
    box = ctk.ctkMessageBox(slicer.util.mainWindow())
    box.text = text
    box.windowTitle = title
    box.icon = qt.QMessageBox.Warning if unwise else qt.QMessageBox.Question
    box.standardButtons = qt.QMessageBox.Yes | qt.QMessageBox.No
    box.setDefaultButton(qt.QMessageBox.No if unwise else qt.QMessageBox.Yes)
    box.deleteLater()
    return box.exec_() == qt.QMessageBox.Yes
