"""The worker's command line inside this Slicer."""

import slicer

from spinemar.base.interpreter import choose_interpreter, worker_command


def workerCommand():
    """Return the command line of a worker that this Slicer's own Python runs."""
    return worker_command(choose_interpreter(slicer.app.applicationDirPath()))
