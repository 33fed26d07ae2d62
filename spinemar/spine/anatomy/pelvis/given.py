"""Hips and lower sacrum of somebody's segmentation, compared with the CT before they are used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.spine.anatomy.agreement.borders import EdgeScore, border_of
from spinemar.spine.anatomy.agreement.place import best_offset
from spinemar.spine.anatomy.sacrum.outline import sampled
from spinemar.spine.anatomy.shape import VertebraShape
from spinemar.spine.labels.pelvic_parts import HIPS
from spinemar.spine.model import SpineModel
from spinemar.volume import CTVolume, LabelVolume

#: Labels of a hip may lie so far off the bone, mm, and so much of their border has to lie on an
#: edge of bone: as of a vertebra, but for the joints, where there is none.
_MOST_OFFSET_MM, _LEAST_SHARE = 2.0, 0.6


def given_parts(
    spine: SpineModel, volume: CTVolume, ras: NDArray[np.float64]
) -> dict[int, NDArray[np.bool_]]:
    """Return the parts of the pelvis that a spine's segmentation holds, at points (..., 3).

    Parameters
    ----------
    spine : SpineModel
    volume : CTVolume
    ras : ndarray, shape (..., 3)

    Returns
    -------
    dict of int to ndarray of bool
        By the numbers of `pelvic_parts`, shape (...); empty where the segmentation has none.

    Raises
    ------
    InputError
        If the labels of a hip do not lie on the bone in the CT.
    """
    labels = spine.pelvis
    if labels is None:
        return {}
    for side, part in HIPS.items():
        _check(labels, volume, side, part)
    masks = {int(part): labels.labels == part for part in np.unique(labels.labels) if part}
    return {
        part: sampled(mask.astype(np.float32), labels.geometry, ras, 1, 0.0) > 0.5
        for part, mask in masks.items()
    }


def _check(labels: LabelVolume, volume: CTVolume, side: str, part: int) -> None:
    if not (labels.labels == part).any():
        return
    box = ndimage.find_objects((labels.labels == part).astype(np.int8), max_label=1)[0]
    shape = VertebraShape.in_box(labels, part, box)
    edges = EdgeScore(border_of(shape, labels), volume)
    offset, share = float(np.linalg.norm(best_offset(edges)[0])), edges.share()
    if offset < _MOST_OFFSET_MM and share >= _LEAST_SHARE:
        return
    what = (
        "the CT does not show their place"
        if not np.isfinite(offset) or not np.isfinite(share)
        else f"they lie {offset:.0f} mm off the bone, {100 * share:.0f} % of their border on its "
        "edge"
    )
    raise InputError(
        f"The labels of the {side} hip do not fit the CT: {what}.",
        "Use labels of this CT, or leave the hips out of them: they are outlined in the CT then.",
    )
