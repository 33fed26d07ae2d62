"""What a user corrects in a segmented spine: all levels' names, one vertebra, or its voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinemar.errors import GeometryError, InputError
from spinemar.progress import CancelToken, ProgressCallback, ignore_progress
from spinemar.spine.anatomy.frames import frames_along
from spinemar.spine.labels.levels import LEVELS, VERSE_IDS, level_position, shift_level
from spinemar.spine.model import SpineModel
from spinemar.spine.segmentation.segment import segment_spine
from spinemar.volume import CTVolume, LabelVolume


def shift_levels(model: SpineModel, steps: int) -> SpineModel:
    """Rename all vertebrae `steps` further towards the feet (negative: the head).

    Raises
    ------
    InputError
        If a vertebra would run past C1 or the sacrum.
    """
    numbers = np.zeros(max(VERSE_IDS.values()) + 1, np.int16)
    present = set(np.unique(model.labels.labels).tolist()) - {0}
    for level in LEVELS:
        if VERSE_IDS[level] in present:
            numbers[VERSE_IDS[level]] = VERSE_IDS[shift_level(level, steps)]
    labels = LabelVolume(numbers[model.labels.labels], model.labels.ijk_to_ras)
    frames = tuple(replace(f, level=shift_level(f.level, steps)) for f in model.vertebrae)
    return SpineModel(labels, frames, model.canal_ras)


def correct_vertebra(
    volume: CTVolume,
    model: SpineModel,
    level: str,
    point: ArrayLike,
    *,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> SpineModel:
    """Segment one vertebra again from a point in its body; all others stay as they are.

    Parameters
    ----------
    volume : CTVolume
    model : SpineModel
        Labels on the volume's grid.
    level : str
    point : array-like, shape (3,)
        RAS mm, in the body of that vertebra.
    progress, cancel
        As everywhere.

    Raises
    ------
    InputError
        If the point does not lie in the spine, or contradicts the other vertebrae.
    """
    if not model.labels.geometry.same_as(volume.geometry):
        raise InputError(
            "The segmentation does not lie on the CT's grid.", "Segment this CT first."
        )
    seeds: dict[str, ArrayLike] = {f.level: f.body_centre_ras for f in model.vertebrae}
    seeds[level] = point
    again = segment_spine(volume, seeds=seeds, progress=progress, cancel=cancel)
    number = VERSE_IDS[level]
    old = model.labels.labels
    free = (old == 0) | (old == number)
    numbers = np.where(old == number, 0, old)
    numbers = np.where(free & (again.labels.labels == number), number, numbers)
    labels = LabelVolume(numbers.astype(np.int16), volume.ijk_to_ras)
    mended = refit_vertebrae(volume, model, labels, [level], cancel=cancel)
    if level not in mended.levels:
        raise InputError(
            f"No vertebral body was found around this point for {level}.",
            "Set it in the middle of the body.",
        )
    return mended


def changed_levels(old: LabelVolume, new: LabelVolume) -> tuple[str, ...]:
    """Return the levels whose voxels differ between two segmentations on one grid.

    Raises
    ------
    GeometryError
        If they lie on different grids.
    """
    if not old.geometry.same_as(new.geometry):
        raise GeometryError(
            "The edited segmentation lies on another grid.", "Edit it on the CT's own grid."
        )
    differs = old.labels != new.labels
    touched = set(np.unique(old.labels[differs]).tolist()) | set(
        np.unique(new.labels[differs]).tolist()
    )
    levels = sorted(VERSE_IDS, key=level_position)
    return tuple(level for level in levels if VERSE_IDS[level] in touched)


def refit_vertebrae(
    volume: CTVolume | None,
    model: SpineModel,
    labels: LabelVolume,
    levels: Sequence[str],
    *,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> SpineModel:
    """Fit the frames of some vertebrae anew to edited labels; all others stay as they are.

    Parameters
    ----------
    volume : CTVolume, optional
        The CT, as in `frames_from_labels`.
    model : SpineModel
        As it was before the edit.
    labels : LabelVolume
        The edited labels under VerSe numbers.
    levels : sequence of str
        Those that were edited; one that has no body any more loses its frame.
    progress, cancel
        As everywhere.
    """
    wanted = [VERSE_IDS[level] for level in levels]
    numbers: NDArray[np.int16] = np.where(np.isin(labels.labels, wanted), labels.labels, 0)
    alone = LabelVolume(numbers.astype(np.int16), labels.ijk_to_ras)
    fitted = frames_along(alone, model.canal_ras, volume, progress=progress, cancel=cancel)
    kept = [frame for frame in model.vertebrae if frame.level not in levels]
    ordered = sorted([*kept, *fitted.vertebrae], key=lambda frame: level_position(frame.level))
    return SpineModel(labels, tuple(ordered), model.canal_ras)
