"""Sample data: entries in Slicer's Sample Data module, and volumes shown as bones want it."""

import slicer

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
