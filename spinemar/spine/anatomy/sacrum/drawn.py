"""A segmented spine with its sacrum drawn anew, and measured on that."""

from __future__ import annotations

from dataclasses import replace

from scipy import ndimage

from spinemar.progress import CancelToken
from spinemar.spine.anatomy.agreement.compare import compared
from spinemar.spine.anatomy.sacrum.endplate import fit_plate
from spinemar.spine.anatomy.sacrum.frame import fit_sacrum
from spinemar.spine.anatomy.sacrum.outline import outlined_sacrum
from spinemar.spine.anatomy.shape import VertebraShape
from spinemar.spine.labels.levels import SACRUM, VERSE_IDS
from spinemar.spine.model import SpineModel
from spinemar.volume import CTVolume, LabelVolume


def with_drawn_sacrum(
    model: SpineModel, volume: CTVolume, cancel: CancelToken | None = None
) -> SpineModel:
    """Return the spine with the outline of its sacrum in the CT, and the frame of S1 in that.

    A spine without a frame of S1 stays as it is, and so does one whose sacrum the CT does not show.
    The canal's centre line has to run through the sacrum.
    """
    if len(model.vertebrae) < 2 or model.vertebrae[-1].level != SACRUM:
        return model
    others = model.vertebrae[:-1]
    plate = fit_plate(_sacrum(model.labels), others[-1])
    if plate is None:
        return model
    if cancel is not None:
        cancel.raise_if_cancelled()
    labels = outlined_sacrum(model.labels, volume, plate, model.canal_ras)
    if not (labels.labels == VERSE_IDS[SACRUM]).any():
        return model
    shape = _sacrum(labels)
    # Drawn anew it may reach an edge that the rough one did not.
    frame = fit_sacrum(shape, others[-1], edge=labels.geometry)
    if frame is None:
        return replace(model, labels=labels, vertebrae=others)
    return replace(
        model, labels=labels, vertebrae=(*others, compared(frame, shape, labels, volume))
    )


def _sacrum(labels: LabelVolume) -> VertebraShape:
    number = VERSE_IDS[SACRUM]
    box = ndimage.find_objects(labels.labels == number, max_label=1)[0]
    return VertebraShape.in_box(labels, number, box)
