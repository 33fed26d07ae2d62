"""The sample data: a spine CT with a segmentation of its vertebrae."""

import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.nodes.spine import addLevels, newSegmentation
from spinemar.demo.sample_data import sample_ct, sample_labels
from spinemar.errors import SpinemarError
from SpineMARLib.panel import samples

NAME = "SpineCT"
CT_NAME = "Spine CT"


def register(thumbnail):
    """Tell Slicer's Sample Data module."""
    samples.register(NAME, _("Spine CT to plan in"), CT_NAME, thumbnail, load)


def load():
    """Get the sample once, load it, and return the CT and the segmentation of its vertebrae."""
    from spinemar.io import read_labels
    from spinemar.spine.labels.conventions import to_verse

    try:
        ct, labels = sample_ct(), to_verse(read_labels(sample_labels()), "auto")
    except SpinemarError as error:
        raise RuntimeError(str(error)) from error
    volume = samples.loadVolume(ct, CT_NAME)
    segmentation = newSegmentation(slicer.mrmlScene, f"{CT_NAME} vertebrae")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    addLevels(segmentation, labels)
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return [volume, segmentation]
