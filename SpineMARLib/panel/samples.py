"""Sample data: entries in Slicer's Sample Data module, and volumes shown as bones want it."""

import time

import slicer

from SpineMARLib.jobrun import JobRun, factsAlone
from SpineMARLib.panel.errors import guarded

CATEGORY = "SpineMAR"
_WINDOW, _LEVEL = 1500, 300


def register(name, description, nodeName, thumbnail, load):
    """Tell Slicer's Sample Data module of a sample that `load` loads; nothing where it has none.

    The module calls it in a slot, where an error would end unseen: it is shown. `description` is
    the title of that message; Slicer's own entry has the name alone.
    """
    try:
        import SampleData
    except ImportError:  # Slicer built without it
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=name,
        uris="",
        fileNames="",
        nodeNames=nodeName,
        thumbnailFileName=thumbnail,
        customDownloader=lambda source: guarded(load, description),
    )


def loadVolume(path, name):
    """Load a volume without showing it, in a window for bones."""
    node = slicer.util.loadVolume(str(path), {"name": name, "show": False})
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(_WINDOW, _LEVEL)
    return node


def made(job, command, text):
    """Return what a job in a worker returns, behind a dialog with its progress.

    Parameters
    ----------
    job : dict
    command : list of str
        The worker's command line.
    text : str
        What the dialog says at first.

    Raises
    ------
    SpinemarError
        If the job failed or the user cancelled it.
    """
    dialog = slicer.util.createProgressDialog(labelText=text, maximum=100)
    run = JobRun(lambda _folder: job, factsAlone, slicer.app.temporaryPath, command)
    try:
        while run.running:
            dialog.labelText = run.progress.stage
            dialog.value = int(100 * run.progress.fraction)
            if dialog.wasCanceled:
                run.cancel()
            slicer.app.processEvents()
            time.sleep(0.02)
        if run.error is not None:
            raise run.error
    finally:
        run.close()
        dialog.close()
    return run.result
