"""Frames of vertebrae with what the comparison of their labels with the CT says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.progress import CancelToken
from spinemar.spine.anatomy.agreement.labels_on_ct import agreement_of
from spinemar.spine.anatomy.agreement.seen_endplates import with_seen_endplates
from spinemar.spine.anatomy.shape import VertebraShape
from spinemar.spine.labels.levels import SACRUM, USUAL_LENGTHS_MM, VERSE_IDS
from spinemar.spine.model import Agreement, SpineModel, VertebraFrame
from spinemar.volume import CTVolume, LabelVolume

#: A body is as high as its level and its neighbours say, within these shares (training CTs: 0.88
#: to 1.14).
_PLAUSIBLE_HEIGHTS = (0.78, 1.35)
_NEIGHBOURS = 2
#: Where screws of S1 lie, from the middle of its body: right, anterior, superior, mm.
_S1_REACH_MM = np.array([[-30.0, -34.0, -12.0], [30.0, 30.0, 14.0]])


def compared_with_ct(
    model: SpineModel,
    volume: CTVolume,
    *,
    guessed: NDArray[np.bool_] | None = None,
    cancel: CancelToken | None = None,
) -> SpineModel:
    """Return the spine with the labels of every vertebra compared with this CT.

    What an earlier comparison said, of this CT or another one, is forgotten.

    Parameters
    ----------
    model : SpineModel
    volume : CTVolume
        On any grid.
    guessed : ndarray of bool, shape of `volume.hu`, optional
        Voxels whose HU nobody measured, such as what was filled in for metal: nothing is said of
        labels there.
    cancel : CancelToken, optional
    """
    found = []
    shown = volume
    if guessed is not None:
        shown = volume.with_hu(np.where(guessed, np.float32(np.nan), volume.hu))
    boxes = ndimage.find_objects(model.labels.labels, max_label=max(VERSE_IDS.values()))
    for frame in model.vertebrae:
        if cancel is not None:
            cancel.raise_if_cancelled()
        number = VERSE_IDS[frame.level]
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is None:
            found.append(_with(frame, Agreement(doubts=(_ABSENT,))))
            continue
        shape = VertebraShape.in_box(model.labels, number, box)
        found.append(_compared(with_seen_endplates(frame, volume), shape, model.labels, shown))
    return replace(model, vertebrae=plausible_heights(found))


_ABSENT = "The labels do not hold this vertebra."


def compared(
    frame: VertebraFrame, shape: VertebraShape, labels: LabelVolume, volume: CTVolume
) -> VertebraFrame:
    """Return one frame with the comparison of its labels with the CT, and its endplates there.

    Of a sacrum only the part around S1 is looked at: the joints with the hips are no edge of bone.
    """
    return _compared(with_seen_endplates(frame, volume), shape, labels, volume)


def _compared(
    frame: VertebraFrame, shape: VertebraShape, labels: LabelVolume, volume: CTVolume
) -> VertebraFrame:
    if frame.level == SACRUM:
        shape = shape.part(frame.body_centre_ras, frame.axes_ras, _S1_REACH_MM)
    return _with(frame, agreement_of(shape, labels, volume, frame))


def plausible_heights(frames: Sequence[VertebraFrame]) -> tuple[VertebraFrame, ...]:
    """Return the frames, those in doubt whose body is far lower or higher than its neighbours'.

    Heights are compared as shares of what is usual at each level; bodies that the volume's edge
    cuts are no measure.
    """
    shares = [
        np.nan if frame.cut_off else _height_mm(frame) / USUAL_LENGTHS_MM.get(frame.level, np.nan)
        for frame in frames
    ]
    result = []
    for n, frame in enumerate(frames):
        near = [*shares[max(n - _NEIGHBOURS, 0) : n], *shares[n + 1 : n + 1 + _NEIGHBOURS]]
        near = [share for share in near if np.isfinite(share)]
        ratio = shares[n] / float(np.median(near)) if near else np.nan
        low, high = _PLAUSIBLE_HEIGHTS
        if frame.agreement is None or not np.isfinite(ratio) or low <= ratio <= high:
            result.append(frame)
            continue
        doubt = (
            f"Its body is {_height_mm(frame):.0f} mm high, {100 * ratio:.0f} % of what its "
            "neighbours let expect: the labels may be cut off, or hold more than one vertebra."
        )
        old = frame.agreement
        result.append(_with(frame, replace(old, doubts=(*old.doubts, doubt))))
    return tuple(result)


def _height_mm(frame: VertebraFrame) -> float:
    """Height of the body; NaN of S1, which is fused with what lies below."""
    if "inferior" not in frame.endplates:
        return float("nan")
    gap = frame.endplates["superior"].point_ras - frame.endplates["inferior"].point_ras
    return float(gap @ frame.superior)


def _with(frame: VertebraFrame, agreement: Agreement) -> VertebraFrame:
    earlier = () if frame.agreement is None else frame.agreement.doubts
    kept = tuple(text for text in frame.warnings if text not in earlier)
    return replace(frame, agreement=agreement, warnings=(*kept, *agreement.doubts))
