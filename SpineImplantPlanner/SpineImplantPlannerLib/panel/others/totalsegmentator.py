"""TotalSegmentator's own module, run on the CT through its panel, whose names versions share."""

import slicer
from slicer.i18n import tr as _

from spinemar.errors import InputError
from spinemar.io.segmentations.vertebra_names import level_in_name

MODULE = "TotalSegmentator"
# Its task that has the vertebrae.
_TASK = "total"


def run(volumeNode):
    """Run it, and return its segmentation; None where it made none with vertebrae.

    It asks for consent before it installs its packages, and shows its own errors.

    Raises
    ------
    InputError
        If the installed version cannot be driven from here.
    """
    ui = _ui()
    try:
        ui.inputVolumeSelector.setCurrentNode(volumeNode)
        index = ui.taskComboBox.findData(_TASK)
        if index >= 0:
            ui.taskComboBox.setCurrentIndex(index)
        # A segmentation of its own: what was made before is not overwritten.
        ui.outputSegmentationSelector.setCurrentNode(None)
        ui.applyButton.click()
    except AttributeError as error:
        raise InputError(
            _("This version of TotalSegmentator cannot be started from here."),
            _("Click Apply in its panel, then the button above it that leads back."),
        ) from error
    return result()


def result():
    """Return the segmentation chosen in its panel, if it names vertebrae."""
    node = getattr(_ui(), "outputSegmentationSelector", None)
    node = None if node is None else node.currentNode()
    if node is None:
        return None
    segmentation = node.GetSegmentation()
    names = [
        segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())
    ]
    return node if any(level_in_name(name) for name in names) else None


def _ui():
    module = getattr(slicer.modules, MODULE.lower())
    return module.widgetRepresentation().self().ui
