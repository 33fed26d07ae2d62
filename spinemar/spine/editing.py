"""What a user corrects in a segmented spine: all levels' names, one vertebra, or its voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinemar.errors import GeometryError, InputError
from spinemar.progress import CancelToken, ProgressCallback, ignore_progress
from spinemar.spine.anatomy.agreement.compare import compared_with_ct
from spinemar.spine.anatomy.frames import frames_along
from spinemar.spine.labels.levels import (
    GUESSED_LEVELS,
    SACRUM,
    UNCONFIRMED_LEVELS,
    VERSE_IDS,
    level_position,
    parse_level,
    shift_level,
    sort_levels,
    steps_between,
)
from spinemar.spine.model import SpineModel, VertebraFrame
from spinemar.spine.segmentation.segment import segment_spine
from spinemar.volume import CTVolume, LabelVolume


def shift_levels(model: SpineModel, steps: int) -> SpineModel:
    """Rename all vertebrae `steps` further towards the feet (negative: the head).

    Whoever does so states the names, by 0 steps too: what was said against them is forgotten.

    Raises
    ------
    InputError
        If a vertebra would run past C1, if two would get one name, or if a sacrum would become a
        vertebra or a vertebra the sacrum.
    """
    labels, frames = model.labels, tuple(_level_stated(frame) for frame in model.vertebrae)
    if steps:
        names = _new_names(model, steps)
        labels = _renamed(model, names)
        frames = tuple(replace(frame, level=names[frame.level]) for frame in frames)
    return replace(model, labels=labels, vertebrae=frames)


_ANEW = "If that is wrong, segment the CT with its first level named (segment --first-level)."


def _new_names(model: SpineModel, steps: int) -> dict[str, str]:
    """Return the new name of every level that has labels or a frame."""
    labelled = {level for level, number in VERSE_IDS.items() if number in model.boxes}
    levels = sort_levels(labelled | set(model.levels))
    # A sacrum is found and measured by its own shape, and so are vertebrae by theirs.
    if SACRUM in levels:
        raise InputError(
            "S1 is labelled here: a sacrum does not become a vertebra, and the vertebrae are "
            "counted from it.",
            _ANEW,
        )
    names = {level: shift_level(level, steps) for level in levels}
    if SACRUM in names.values():
        raise InputError(f"{levels[-1]} would become S1, but it was not found as a sacrum.", _ANEW)
    twice = [name for name in names.values() if list(names.values()).count(name) > 1]
    if twice:
        raise InputError(
            f"Two vertebrae would be called {twice[0]}.",
            "Name the vertebrae one by one in the segmentation, and read it again.",
        )
    return names


def _renamed(model: SpineModel, names: Mapping[str, str]) -> LabelVolume:
    """Return the labels renamed, vertebra by vertebra: most of a large volume is empty."""
    old = model.labels.labels
    numbers = np.zeros(old.shape, old.dtype)  # not zeros_like, which writes to all of it
    for level, name in names.items():
        box = model.boxes.get(VERSE_IDS[level])
        if box is not None:
            np.copyto(numbers[box], VERSE_IDS[name], where=old[box] == VERSE_IDS[level])
    return LabelVolume(numbers, model.labels.ijk_to_ras)


def renamed_by(old: SpineModel, new: SpineModel) -> int | None:
    """Return by how many levels `shift_levels` made a spine of another; None where it did not.

    By 0 where both have the very same labels. Voxels are not looked at: two spines whose
    vertebrae have the same places and other names differ in nothing else.
    """
    if new.labels is old.labels and new.levels == old.levels:
        return 0
    pairs = list(zip(old.vertebrae, new.vertebrae, strict=False))
    if len(old.vertebrae) != len(new.vertebrae) or not pairs:
        return None
    steps = steps_between(old.levels[0], new.levels[0])
    moved = (_levels_on(a.level, steps) != b.level or not _same_place(a, b) for a, b in pairs)
    return None if steps == 0 or any(moved) else steps


def _levels_on(level: str, steps: int) -> str:
    """Return the level so many further on; "" past the ends."""
    try:
        return shift_level(level, steps)
    except InputError:
        return ""


def _same_place(one: VertebraFrame, other: VertebraFrame) -> bool:
    return np.array_equal(one.body_centre_ras, other.body_centre_ras) and np.array_equal(
        one.canal_contour_ras, other.canal_contour_ras
    )


def with_first_level(model: SpineModel, level: str) -> SpineModel:
    """Name the uppermost vertebra, and all others with it: then the levels are no guess any more.

    Raises
    ------
    InputError
        If this is no level, there is no vertebra, or they cannot be renamed so (`shift_levels`).
    """
    if not model.vertebrae:
        raise InputError("No vertebra was found to be named.", "Segment the spine first.")
    wanted = parse_level(level)
    named = shift_levels(model, steps_between(model.levels[0], wanted))
    if named.levels[0] != wanted:
        raise InputError(
            f"Levels are not counted from {wanted}, which few people have.",
            "Name the first level as a regular one.",
        )
    return named


def _level_stated(frame: VertebraFrame) -> VertebraFrame:
    """Return the frame without what speaks against its name."""
    doubts = _said_of_level(frame)
    kept = tuple(text for text in frame.warnings if text not in doubts)
    return replace(frame, warnings=kept, level_doubt="")


def _said_of_level(frame: VertebraFrame) -> tuple[str, ...]:
    """Return the warnings of a frame that are about its name."""
    doubts = {GUESSED_LEVELS, UNCONFIRMED_LEVELS, frame.level_doubt}
    return tuple(text for text in frame.warnings if text in doubts)


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

    With a CT, all labels are compared with it.

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
    # S1 is looked for below the vertebra above it.
    context = ("L5", "L6") if SACRUM in levels else ()
    wanted = [VERSE_IDS[level] for level in (*levels, *context)]
    numbers: NDArray[np.int16] = np.where(np.isin(labels.labels, wanted), labels.labels, 0)
    alone = LabelVolume(numbers.astype(np.int16), labels.ijk_to_ras)
    fitted = frames_along(alone, model.canal_ras, volume, progress=progress, cancel=cancel)
    kept = [frame for frame in model.vertebrae if frame.level not in levels]
    new = [_named_as(frame, model) for frame in fitted.vertebrae if frame.level in levels]
    ordered = sorted([*kept, *new], key=lambda frame: level_position(frame.level))
    refitted = replace(model, labels=labels, vertebrae=tuple(ordered))
    return refitted if volume is None else compared_with_ct(refitted, volume, cancel=cancel)


def with_names_of(fitted: SpineModel, model: SpineModel) -> SpineModel:
    """Return a spine that was fitted anew with what was said of the names in its column."""
    frames = tuple(_named_as(frame, model) for frame in fitted.vertebrae)
    return replace(fitted, vertebrae=frames)


def _named_as(frame: VertebraFrame, model: SpineModel) -> VertebraFrame:
    """Return a new frame with what is said of the names in its column."""
    if not model.vertebrae:
        return frame
    other = model.vertebrae[0]
    said = (*frame.warnings, *_said_of_level(other))
    return replace(frame, level_doubt=other.level_doubt, warnings=said)
