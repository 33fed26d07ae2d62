"""From a CT to a labelled spine with frames, without learned weights.

The steps: track the canal, straighten the spine along it, find the discs, the column's wall, the
endplates, hand arches and processes to their vertebrae, name the levels, bring the labels back to
the CT's grid, peel off what lies beyond the cortex, and fit a frame to each vertebra.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.spine.anatomy.agreement.level_evidence import CLEAR, naming_lead
from spinemar.spine.anatomy.frames import frames_along
from spinemar.spine.anatomy.pelvis.femoral_heads import with_femoral_heads
from spinemar.spine.anatomy.sacrum.drawn import with_drawn_sacrum
from spinemar.spine.labels.levels import (
    GUESSED_LEVELS,
    LEVELS,
    LUMBAR,
    SACRUM,
    VERSE_IDS,
    level_position,
    parse_level,
)
from spinemar.spine.model import SpineModel, VertebraFrame
from spinemar.spine.segmentation.column import ColumnWall, column_wall
from spinemar.spine.segmentation.endplates import DiscSurfaces, body_labels, fit_endplates
from spinemar.spine.segmentation.label_cleaning import clean_labels
from spinemar.spine.segmentation.level_identification import LevelGuess, guess_levels, read_signs
from spinemar.spine.segmentation.posterior import (
    Arches,
    PosteriorLabels,
    beside_canal,
    find_arches,
    label_posterior,
)
from spinemar.spine.segmentation.profiles import Profiles, measure_profiles
from spinemar.spine.segmentation.spacing import Evidence, find_boundaries, waist
from spinemar.spine.straightening.cortex import peeled_to_cortex
from spinemar.spine.straightening.rasterise import to_grid
from spinemar.spine.straightening.straight import StraightSpine, straighten
from spinemar.spine.straightening.track import (
    METAL_HU,
    centred_canal,
    coarse_canal,
    usable,
    working_volume,
)
from spinemar.volume import CTVolume, LabelVolume

_STEPS = 9
#: Less of a vertebra than this share is not labelled.
_LEAST_SHARE = 0.3
_SURE_GUESS = 0.6
_SEED_REACH_MM = 60.0
_METAL_MM3 = 30.0
_METAL_DOUBT = 0.7
#: Lumbar transverse processes end this far from the middle.
_PROCESS_MM = 50.0
#: Pedicles of T12 are so wide (landmarks of the training CTs: 8.2 to 9.6 mm).
_T12_PEDICLE_MM = 9.5


@dataclass(frozen=True)
class _Column:
    """The straightened spine, divided into vertebrae (labels from feet to head)."""

    spine: StraightSpine
    profiles: Profiles
    boundaries: NDArray[np.intp]
    wall: ColumnWall
    discs: list[DiscSurfaces]
    arches: Arches
    posterior: PosteriorLabels


class _Steps:
    """Reports progress and asks for cancellation between steps."""

    def __init__(self, progress: ProgressCallback, cancel: CancelToken | None) -> None:
        self._progress, self.cancel, self._done = progress, cancel, 0
        progress(Progress("spine", 0, _STEPS))

    def check(self) -> None:
        if self.cancel is not None:
            self.cancel.raise_if_cancelled()

    def done(self) -> None:
        self._done += 1
        self.check()
        self._progress(Progress("spine", self._done, _STEPS))


def segment_spine(
    volume: CTVolume,
    *,
    first_level: str | None = None,
    seeds: Mapping[str, ArrayLike] | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> SpineModel:
    """Segment the spine in a CT.

    Parameters
    ----------
    volume : CTVolume
    first_level : str, optional
        Name of the uppermost vertebra in the result; guessed from ribs, sacrum and lengths if
        neither this nor `seeds` is given.
    seeds : mapping of str to array-like (3,), optional
        A point (RAS mm) in the body of each vertebra that the user marked, by level; one is
        enough to name the spine, two or more fix how many vertebrae lie between them.
    progress, cancel
        As everywhere.

    Returns
    -------
    SpineModel
        Labels on the CT's grid under VerSe numbers; frames with confidence and warnings.

    Raises
    ------
    InputError
        If there is no spine to be seen, seeds contradict each other, or levels cannot be counted
        from those that are named.
    """
    for name in (*(seeds or {}), *(() if first_level is None else (first_level,))):
        _check_countable(parse_level(name))
    volume = usable(volume)
    steps = _Steps(progress, cancel)
    coarse = coarse_canal(volume, cancel)
    steps.done()
    grid, hu = working_volume(volume, coarse)
    spine = straighten(grid, hu, centred_canal(grid, hu, coarse))
    steps.done()
    placed = _place_seeds(spine, seeds or {})
    column = _divide(spine, placed, steps)
    guess = _name(column, first_level, placed)
    model = _measured(column, guess.levels, volume, steps)
    steps.done()
    if first_level is None and not placed:
        guess, model = _weighed(column, guess, model, volume, steps)
    steps.done()
    model = with_drawn_sacrum(model, volume, cancel)
    steps.done()
    return _finished(model, volume, guess)


def _measured(
    column: _Column, levels: tuple[str, ...], volume: CTVolume, steps: _Steps
) -> SpineModel:
    """Bring the labels to the CT's grid under names from feet to head, and measure them.

    Raises
    ------
    InputError
        If no vertebra is whole enough.
    """
    labels = _named_labels(column, levels)
    steps.check()
    numbers = to_grid(column.spine, labels, volume.geometry)
    stiff = LabelVolume(numbers, volume.ijk_to_ras)
    # Endplates are stiff surfaces there; what is peeled off them follows single voxels.
    verse = peeled_to_cortex(stiff, volume)
    steps.check()
    canal = column.spine.frame.points[::-1]
    trust = _trust(column, levels)
    model = frames_along(verse, canal, volume, bodies=stiff, trust=trust, cancel=steps.cancel)
    if not model.vertebrae:
        raise InputError(
            "No vertebra is whole enough in this volume to be measured.",
            "Load a CT that shows more of the spine.",
        )
    return model


def _weighed(
    column: _Column, guess: LevelGuess, model: SpineModel, volume: CTVolume, steps: _Steps
) -> tuple[LevelGuess, SpineModel]:
    """Move guessed names to where ribs and processes clearly put them, and say how sure they are.

    Beside a sacrum they stay: they are counted from it.
    """
    step, lead = naming_lead(model.vertebrae, volume)
    if lead >= CLEAR and SACRUM not in guess.levels:
        names = tuple(_sacral_shift(level, step) for level in guess.levels)
        guess = LevelGuess(names, 0.0)
        model = _measured(column, names, volume, steps)
        _, lead = naming_lead(model.vertebrae, volume)
    if lead <= -CLEAR:
        guess = replace(guess, confidence=1.0)
    elif lead >= CLEAR:
        guess = replace(guess, confidence=0.0)
    return guess, model


def _check_countable(level: str) -> None:
    """Refuse a T13 or L6 to count from: what lies beside it is not told by its name."""
    if level not in LEVELS:
        raise InputError(
            f"Vertebrae are not counted from {level}.",
            "Name one from C1 to L5 that you are sure of.",
        )


def _place_seeds(spine: StraightSpine, seeds: Mapping[str, ArrayLike]) -> dict[str, int]:
    """Place s along the canal of each seed, by level from feet to head."""
    placed: dict[str, int] = {}
    for name, point in seeds.items():
        ras = np.asarray(point, dtype=np.float64)
        if ras.shape != (3,) or not np.isfinite(ras).all():
            raise InputError(f"The seed of {name} is no point.", "Give R, A and S in mm.")
        s, a, r = spine.frame.from_ras(ras)
        if not (0 <= s < len(spine)) or np.hypot(a, r) > _SEED_REACH_MM:
            raise InputError(
                f"The seed of {name} does not lie in the spine.", "Set it in the vertebral body."
            )
        placed[parse_level(name)] = round(float(s))
    order = sorted(placed, key=level_position, reverse=True)
    places = [placed[level] for level in order]
    if any(low >= high for low, high in pairwise(places)):
        raise InputError(
            "The seeds are not in the order of their levels.", "Check their names and places."
        )
    return {level: placed[level] for level in order}


def _divide(spine: StraightSpine, placed: Mapping[str, int], steps: _Steps) -> _Column:
    """Find discs, bodies and arches."""
    core, margin = spine.core, spine.margin
    profiles = measure_profiles(core)
    steps.done()
    ordinals = None
    if len(placed) > 1:
        lowest = level_position(next(iter(placed)))
        ordinals = {s - margin: int(lowest - level_position(n)) for n, s in placed.items()}
    flat = Evidence(profiles.pedicles, np.zeros(len(core)), profiles.disc, 9.0, 0.0)
    boundaries = find_boundaries(flat, ordinals)
    for _ in range(2):
        wall = column_wall(core, profiles.wall, boundaries)
        width = waist(wall.radius, wall.angles)
        boundaries = find_boundaries(Evidence(profiles.pedicles, width, profiles.disc), ordinals)
    if len(boundaries) < 2:
        raise InputError(
            "No whole vertebra was found in this volume."
            if not ordinals
            else "The seeds do not fit the vertebrae that can be seen.",
            "Load a CT that shows at least one whole vertebra, or mark each vertebra.",
        )
    steps.done()
    # From here on with the corners that a leaning canal leaves beyond its ends.
    profiles, wall = profiles.with_margin(margin), wall.with_margin(margin)
    boundaries = boundaries + margin
    discs = fit_endplates(spine, wall, boundaries, profiles.disc, profiles.disc_tilt)
    bodies = body_labels(spine, wall, discs)
    steps.done()
    arches = find_arches(spine, profiles, boundaries)
    posterior = label_posterior(spine, bodies, wall, profiles, arches, cancel=steps.cancel)
    steps.done()
    return _Column(spine, profiles, boundaries, wall, discs, arches, posterior)


def _kept(column: _Column) -> tuple[int, int]:
    """First and last label of which enough is in the volume."""
    count = len(column.arches.centre)
    margin = column.spine.margin
    bottom = (column.boundaries[0] - margin) / column.arches.length[0]
    top = (len(column.spine) - margin - column.boundaries[-1]) / column.arches.length[-1]
    return (1 if bottom >= _LEAST_SHARE else 2), (count if top >= _LEAST_SHARE else count - 1)


def _name(column: _Column, first_level: str | None, placed: Mapping[str, int]) -> LevelGuess:
    """Levels of all labels from feet to head."""
    count = len(column.arches.centre)
    if placed:
        level, s = next(iter(placed.items()))
        label = int(np.searchsorted(column.boundaries, s)) + 1
        names = tuple(_sacral_shift(level, label - n) for n in range(1, count + 1))
        return LevelGuess(names, 1.0)
    if first_level is not None:
        top = _kept(column)[1]
        names = tuple(_sacral_shift(parse_level(first_level), top - n) for n in range(1, count + 1))
        return LevelGuess(names, 1.0)
    signs = read_signs(column.spine, column.arches, column.boundaries, column.posterior.ribs)
    return guess_levels(signs)


def _sacral_shift(level: str, steps: int) -> str:
    """Level `steps` below; everything below S1 is S1, what would lie above C1 is C1."""
    place = int(level_position(level)) + steps
    return LEVELS[min(max(place, 0), len(LEVELS) - 1)]


def _named_labels(column: _Column, levels: tuple[str, ...]) -> NDArray[np.int16]:
    """Tidy labels in the straightened spine under VerSe numbers."""
    posterior = column.posterior
    signs = read_signs(column.spine, column.arches, column.boundaries, posterior.ribs)
    labels, ribs = posterior.labels.copy(), posterior.ribs.copy()
    for label, level in enumerate(levels, 1):
        lumbar = level in LUMBAR[1:] or level == SACRUM
        if lumbar or (level == "L1" and not (signs.ribs[label - 1] > 0).all()):
            # Below the ribs what lies beside the arch is the transverse process.
            own = (ribs == label) & (np.abs(column.spine.right) < _PROCESS_MM)
            labels[own], ribs[own] = label, 0
        elif level == "T12":
            # Before the levels are known, pedicles end where those above T12 do: too early here.
            own = (ribs == label) & beside_canal(column.spine, posterior.canal, _T12_PEDICLE_MM)
            labels[own], ribs[own] = label, 0
    first, last = _kept(column)
    labels[(labels < first) | (labels > last)] = 0
    labels = clean_labels(column.spine, labels, (ribs > 0) | posterior.canal)
    numbers = np.array([0, *(VERSE_IDS[level] for level in levels)], np.int16)
    return numbers[labels]


def _trust(column: _Column, levels: tuple[str, ...]) -> dict[str, float]:
    """How clearly each vertebra's discs were seen, 0.6 to 1."""
    clear = [float(np.clip(disc.score / 0.8, 0, 1)) for disc in column.discs]
    clear = [clear[0], *clear, clear[-1]]
    return {
        level: 0.6 + 0.2 * (clear[n] + clear[n + 1])
        for n, level in enumerate(levels)
        if level != SACRUM
    }


def _finished(model: SpineModel, volume: CTVolume, guess: LevelGuess) -> SpineModel:
    """Take metal out of the labels, say what is uncertain, look for the femoral heads."""
    labels, frames = model.labels, list(model.vertebrae)
    metal = volume.hu > METAL_HU
    voxel = float(abs(np.linalg.det(volume.ijk_to_ras[:3, :3])))
    if metal.sum() * voxel > _METAL_MM3:
        parts, _ = ndimage.label(metal)
        large = np.bincount(parts.ravel()) * voxel > _METAL_MM3
        large[0] = False
        metal = large[parts]
        held = set(np.unique(model.labels.labels[metal]).tolist())
        labels = LabelVolume(np.where(metal, 0, labels.labels), labels.ijk_to_ras)
        note = "Metal lies in this vertebra: its outline and pedicles are less certain."
        frames = [
            _doubted(f, note, _METAL_DOUBT) if VERSE_IDS[f.level] in held else f for f in frames
        ]
    if guess.confidence < _SURE_GUESS:
        frames = [_doubted(f, GUESSED_LEVELS, 1.0) for f in frames]
    finished = replace(model, labels=labels, vertebrae=tuple(frames))
    return with_femoral_heads(finished, volume)


def _doubted(frame: VertebraFrame, note: str, factor: float) -> VertebraFrame:
    """Lower the confidence of a frame, of its pedicles even more, and say why."""
    pedicles = {
        side: replace(p, confidence=p.confidence * factor**2) for side, p in frame.pedicles.items()
    }
    return replace(
        frame,
        confidence=frame.confidence * factor,
        pedicles=pedicles,
        warnings=(*frame.warnings, note),
    )
