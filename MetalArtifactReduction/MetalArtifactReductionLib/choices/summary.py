"""All choices in one line, for a panel that hides them until they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from MetalArtifactReductionLib.choices.device import plannedText
from MetalArtifactReductionLib.choices.settings import MetalSource

if TYPE_CHECKING:
    from MetalArtifactReductionLib.choices.parameters import MetalArtifactReductionParameterNode


def summaryText(
    parameters: MetalArtifactReductionParameterNode, hasModel: bool, driver: bool
) -> str:
    """Say where the metal comes from and what will run."""
    planned = plannedText(parameters.method, parameters.device, hasModel, driver)
    return f"{_metalText(parameters)}. {planned}."


def _metalText(parameters: MetalArtifactReductionParameterNode) -> str:
    from slicer.i18n import tr as _

    if parameters.metalSource is MetalSource.threshold:
        return _("Metal from {hu} HU on").format(hu=f"{parameters.metalThresholdHu:.0f}")
    if parameters.metalSource is MetalSource.segment:
        node, segmentId = parameters.metalSegmentation, parameters.metalSegmentId
        segment = node.GetSegmentation().GetSegment(segmentId) if node is not None else None
        if segment is None:
            return _("Metal from a segment, which is not chosen yet")
        return _("Metal from the segment {name}").format(name=segment.GetName())
    if parameters.metalSource is MetalSource.implants:
        return _("Metal from the implants that the planner has in this CT")
    return _("Metal found automatically")


def durationText(seconds: float) -> str:
    """Say how long something will still take, no finer than one can know.

    Examples
    --------
    >>> durationText(0.2), durationText(42.4), durationText(95), durationText(600)
    ('about 1 s', 'about 42 s', 'about 2 min', 'about 10 min')
    """
    if seconds < 90:
        return f"about {max(round(seconds), 1)} s"
    return f"about {round(seconds / 60)} min"
