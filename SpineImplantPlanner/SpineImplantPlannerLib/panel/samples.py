"""The sample data: a spine CT with a segmentation of its vertebrae."""

import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.nodes.spine import addLevels, newSegmentation
from SpineMARLib.panel import samples

NAME = "SpineCT"
CT_NAME = "Spine CT"


def register(thumbnail, prepare):
    """Tell Slicer's Sample Data module.

    Parameters
    ----------
    thumbnail : str
    prepare : callable
        Makes the packages of the readers available and returns the worker's command line.
    """
    title = _("Spine CT to plan in")
    samples.register(NAME, title, CT_NAME, thumbnail, lambda: load(prepare))


def load(prepare):
    """Get the sample once, load it, and return the CT and the segmentation of its vertebrae."""
    command = prepare()
    from spinemar.io import read_labels
    from spinemar.spine.labels.boxes import label_boxes
    from spinemar.spine.labels.conventions import to_verse

    files = samples.made({"kind": "sample-files"}, command, _("Getting the sample CT..."))
    labels = to_verse(read_labels(files["labels"]), "auto")
    volume = samples.loadVolume(files["ct"], CT_NAME)
    segmentation = newSegmentation(slicer.mrmlScene, f"{CT_NAME} vertebrae")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    addLevels(segmentation, labels, label_boxes(labels.labels))
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return [volume, segmentation]
