"""The sample data: a spine CT with a segmentation of its vertebrae."""

import slicer
from slicer.i18n import tr as _

from spinemar.errors import SpinemarError
from spinemar.sample_data import sample_ct, sample_labels

CATEGORY = "SpineMAR"
NAME = "SpineCT"
CT_NAME = "Spine CT"


def register(thumbnail):
    """Tell Slicer's Sample Data module."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=NAME,
        sampleDescription=_("Spine CT to plan in"),
        uris="",
        fileNames="",
        nodeNames=CT_NAME,
        thumbnailFileName=thumbnail,
        customDownloader=lambda source: load(),
    )


def load():
    """Get the sample once, load it, and return CT and labels."""
    try:
        paths = sample_ct(), sample_labels()
    except SpinemarError as error:
        raise RuntimeError(str(error)) from error
    ct = slicer.util.loadVolume(str(paths[0]), {"name": CT_NAME, "show": False})
    labels = slicer.util.loadVolume(
        str(paths[1]), {"name": f"{CT_NAME} labels", "labelmap": True, "show": False}
    )
    ct.CreateDefaultDisplayNodes()
    ct.GetDisplayNode().SetAutoWindowLevel(False)
    ct.GetDisplayNode().SetWindowLevel(1500, 300)
    slicer.util.setSliceViewerLayers(background=ct, fit=True)
    return [ct, labels]
