"""Sample data: entries in Slicer's Sample Data module, and volumes shown as bones want it."""

import slicer

CATEGORY = "SpineMAR"
_WINDOW, _LEVEL = 1500, 300


def register(name, description, nodeName, thumbnail, load):
    """Tell Slicer's Sample Data module of a sample that `load` loads; nothing where it has none."""
    try:
        import SampleData
    except ImportError:  # Slicer built without it
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=name,
        sampleDescription=description,
        uris="",
        fileNames="",
        nodeNames=nodeName,
        thumbnailFileName=thumbnail,
        customDownloader=lambda source: load(),
    )


def loadVolume(path, name):
    """Load a volume without showing it, in a window for bones."""
    node = slicer.util.loadVolume(str(path), {"name": name, "show": False})
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(_WINDOW, _LEVEL)
    return node
