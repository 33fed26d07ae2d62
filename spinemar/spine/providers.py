"""Any segmentation the user already has becomes a spine model.

Named or numbered vertebrae keep their labels as they are. A single segment of the whole spine is
divided by the automatic segmentation of the CT, and keeps its own outline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.io.segmentations.vertebra_names import level_in_name
from spinemar.progress import CancelToken, ProgressCallback, ignore_progress
from spinemar.spine.anatomy.agreement.level_evidence import with_level_evidence
from spinemar.spine.anatomy.frames import frames_along, frames_from_labels
from spinemar.spine.anatomy.pelvis.femoral_heads import with_femoral_heads
from spinemar.spine.editing import with_first_level, with_names_of
from spinemar.spine.labels.conventions import find_naming, names_vertebrae
from spinemar.spine.labels.pelvic_parts import pelvic_parts
from spinemar.spine.model import SpineModel
from spinemar.spine.segmentation.segment import segment_spine
from spinemar.volume import CTVolume, LabelVolume

_SPINE_WORDS = ("spine", "column", "vertebra", "bone")
_REACH_MM = 8.0


def spine_from_segmentation(
    labels: LabelVolume,
    volume: CTVolume | None = None,
    *,
    naming: str | Mapping[int, str] = "auto",
    first_level: str | None = None,
    seeds: Mapping[str, ArrayLike] | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> SpineModel:
    """Build the spine model from whatever a segmentation holds.

    Parameters
    ----------
    labels : LabelVolume
        Vertebrae under any known numbering or names, or one segment of the whole spine.
    volume : CTVolume, optional
        The CT; needed to divide a single segment, and sharpens pedicles otherwise.
    naming : str or mapping of int to str
        As in `frames_from_labels`; names of segments by label value.
    first_level : str, optional
        Name of the uppermost vertebra. It settles the levels; without it, names are compared
        with the ribs and lengths in the CT.
    seeds : mapping of str to array-like (3,), optional
        As in `segment_spine`; only for a single segment.
    progress, cancel
        As everywhere.

    Raises
    ------
    InputError
        If nothing in it is a spine, or a single segment comes without its CT.
    """
    if names_vertebrae(labels, naming):
        model = frames_from_labels(labels, volume, naming=naming, progress=progress, cancel=cancel)
        model = with_pelvic_parts(settled_levels(model, volume, first_level), labels, naming)
        return model if volume is None else with_femoral_heads(model, volume)
    mask = _whole_spine(labels, naming)
    if volume is None:
        raise InputError(
            "A single segment of the spine can only be divided with its CT.", "Give the CT too."
        )
    if not labels.geometry.same_as(volume.geometry):
        raise InputError(
            "The segmentation does not lie on the CT's grid.",
            "Export it with the CT as its reference volume.",
        )
    model = segment_spine(
        volume, first_level=first_level, seeds=seeds, progress=progress, cancel=cancel
    )
    divided = LabelVolume(_divide(mask, model.labels), volume.ijk_to_ras)
    found = frames_along(divided, model.canal_ras, volume, cancel=cancel)
    return with_names_of(found, model)


def with_pelvic_parts(
    model: SpineModel, labels: LabelVolume, naming: str | Mapping[int, str] = "auto"
) -> SpineModel:
    """Return the spine with the hips and the lower sacrum of its segmentation, where it has any.

    Raises
    ------
    InputError
        If a hip lies on the other side than its name says.
    """
    return replace(model, pelvis=pelvic_parts(labels, find_naming(labels, naming)))


def settled_levels(
    model: SpineModel, volume: CTVolume | None, first_level: str | None
) -> SpineModel:
    """Return named vertebrae under the name the user states, or with what the CT says of theirs.

    Raises
    ------
    InputError
        If the stated level is none, or the vertebrae cannot be renamed so (`shift_levels`).
    """
    if first_level is not None:
        return with_first_level(model, first_level)
    return model if volume is None else with_level_evidence(model, volume)


def names_spine(name: str) -> bool:
    """Whether a segment's name says that it is the whole spine, and not one vertebra."""
    lower = name.lower()
    return level_in_name(name) is None and any(word in lower for word in _SPINE_WORDS)


def _whole_spine(labels: LabelVolume, naming: str | Mapping[int, str]) -> NDArray[np.bool_]:
    present = [int(v) for v in np.unique(labels.labels) if v != 0]
    names = naming if isinstance(naming, Mapping) else labels.names
    if any(value in names for value in present):
        chosen = [value for value in present if names_spine(names.get(value, ""))]
    else:
        chosen = present if len(present) == 1 else []
    if not chosen:
        raise InputError(
            "This segmentation names neither vertebrae nor a spine.",
            "Name its segments (for example 'L1 vertebra' or 'Spine'), or state what its numbers "
            "are (--naming).",
        )
    return np.isin(labels.labels, chosen)


def _divide(mask: NDArray[np.bool_], found: LabelVolume) -> NDArray[np.int16]:
    """Give each voxel of the mask the nearest vertebra's number, within reach."""
    spacing = found.geometry.spacing_mm[::-1]
    distance, nearest = ndimage.distance_transform_edt(
        found.labels == 0, sampling=spacing, return_indices=True
    )
    numbers = found.labels[tuple(nearest)]
    return np.where(mask & (distance <= _REACH_MM), numbers, 0).astype(np.int16)
