"""Lay an earlier CT over a scan: the body as a whole, each vertebra, then soft tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.registration.field import DisplacementField, blended_field
from spinemar.registration.grids import Mask, Picture, UprightGrid, box_of, corners
from spinemar.registration.laid import Laid
from spinemar.registration.motions import FloatArray, Registration, VertebraMotion, inverse, moved
from spinemar.registration.rigid import RigidSteps, rigid_motion
from spinemar.registration.search import likely_shifts, likeness_of
from spinemar.registration.soft_tissue import sampled, tissue_drift
from spinemar.registration.trust import (
    check_same_patient,
    none_registered,
    other_patient,
    warnings_about,
)
from spinemar.registration.vertebrae import (
    Vertebra,
    regions_in_scan,
    register_vertebrae,
    vertebrae_of,
)
from spinemar.volume import CTVolume, GridGeometry, LabelVolume

_SEARCH_MM, _BODY_MM, _FIELD_MM = 6.0, 4.0, 3.0
_SEARCH_REACH_MM, _BODY_REACH_MM, REACH_MM = 120.0, 40.0, 60.0
_WINDOW_HU = (-200.0, 500.0)
_CANDIDATES, _APART_MM, _LEAST_OVERLAP = 4, 15.0, 0.25
_BODY_STEPS = RigidSteps((2, 1), (4.0, 2.0), 30_000, 4.0, 80)
_LABEL_REACH_MM = 45.0
_DOUBT_RIM_MM = 6.0
_STEPS = 4
_STAGE = "Registering the earlier CT"


def lay_over(
    scan: CTVolume,
    metal: Mask,
    earlier: CTVolume,
    *,
    labels: LabelVolume | None = None,
    given: Registration | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Laid:
    """Register an earlier CT of the same patient with a scan.

    Parameters
    ----------
    scan : CTVolume
        With metal, its artifacts reduced.
    metal : ndarray of bool, shape of the scan
    earlier : CTVolume
    labels : LabelVolume, optional
        Vertebrae of the earlier CT; segmented by default.
    given : Registration, optional
        Rigid motions to keep as they are.
    progress, cancel
        As everywhere.

    Raises
    ------
    InputError
        If the CTs do not show the same region of the same patient.
    """
    steps = _Steps(progress, cancel)
    near = _extent(metal, scan.geometry)
    here, there = Picture.of(scan, metal), Picture.of(earlier)
    if given is None:
        body, likeness = _body_motion(here, there, near)
    else:
        body, likeness = given.scan_to_earlier, given.likeness
    overlap = _overlap(near, scan.geometry, there, body)
    check_same_patient(likeness, overlap)
    steps.done()
    verse, names, warnings, notes = _labelled(earlier, labels, near, body, cancel)
    steps.done()
    wanted = _wanted(verse, names, near, body)
    motions = _motions(here, there, verse, wanted, body, given, cancel)
    if given is None and other_patient(motions, likeness):
        raise InputError(
            "The vertebrae of the earlier CT are not those of the scan.",
            "Give a CT of the same patient that shows the levels with metal.",
        )
    if given is None and none_registered(motions):
        raise InputError(
            "None of the vertebrae of the earlier CT could be laid over the scan's.",
            "Give a CT of the same patient that shows the levels with metal.",
        )
    steps.done()
    numbers = {one.level: one.number for one in wanted}
    chosen = {numbers[one.level]: one for one in motions}
    grid = _within(near, scan.geometry, REACH_MM, _FIELD_MM, whole_slices=False)
    regions = _regions(verse, chosen, grid)
    field = blended_field(
        grid, body, regions, {n: one.scan_to_earlier for n, one in chosen.items()}
    )
    field = field.with_drift(tissue_drift(here.on(grid), there, field, regions > 0))
    steps.done()
    registration = Registration(
        body, tuple(motions), likeness, overlap, (*warnings, *warnings_about(motions, overlap))
    )
    return Laid(registration, field, there, verse, _doubtful(regions, chosen), notes)


class _Steps:
    """Reports progress and asks for cancellation between steps."""

    def __init__(self, progress: ProgressCallback, cancel: CancelToken | None) -> None:
        self._progress, self._cancel, self._done = progress, cancel, 0
        progress(Progress(_STAGE, 0, _STEPS))

    def done(self) -> None:
        self._done += 1
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()
        self._progress(Progress(_STAGE, self._done, _STEPS))


def _extent(metal: Mask, geometry: GridGeometry) -> tuple[FloatArray, FloatArray]:
    """Upright box of the metal, RAS mm."""
    ijk = np.argwhere(metal)[:, ::-1]
    if not len(ijk):
        raise InputError("There is no metal to register around.", "Correct a CT with metal.")
    ras = geometry.to_ras(ijk.astype(np.float64))
    return ras.min(axis=0), ras.max(axis=0)


def _within(
    near: tuple[FloatArray, FloatArray],
    geometry: GridGeometry,
    reach_mm: float,
    step_mm: float,
    *,
    whole_slices: bool,
) -> UprightGrid:
    """Grid around the metal, no larger than the scan."""
    low, high = box_of(geometry)
    first, last = np.maximum(near[0] - reach_mm, low), np.minimum(near[1] + reach_mm, high)
    if whole_slices:
        first[:2], last[:2] = low[:2], high[:2]
    return UprightGrid.over(first, last, step_mm)


def _body_motion(
    scan: Picture, earlier: Picture, near: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, float]:
    """Find the rigid motion of the body around the metal, and how alike the CTs are then."""
    coarse = _within(near, scan.geometry, _SEARCH_REACH_MM, _SEARCH_MM, whole_slices=True)
    whole = UprightGrid.over(*box_of(earlier.geometry), _SEARCH_MM)
    shifts = likely_shifts(
        _windowed(scan.on(coarse)),
        coarse,
        _windowed(earlier.on(whole)),
        whole,
        least_overlap=_LEAST_OVERLAP,
        apart_mm=_APART_MM,
        count=_CANDIDATES,
    )
    grid = _within(near, scan.geometry, _BODY_REACH_MM, _BODY_MM, whole_slices=True)
    there = UprightGrid.over(*box_of(earlier.geometry), _BODY_MM)
    earlier = earlier.averaged(_BODY_MM)
    fixed, moving = _windowed(scan.on(grid)), _windowed(earlier.on(there))
    centre = (grid.origin + grid.high) / 2
    best, likeness = np.eye(4), -1.0
    for shift in shifts:
        start = np.eye(4)
        start[:3, 3] = shift.ras_mm
        motion = rigid_motion(fixed, grid, moving, there, start, centre, _BODY_STEPS)
        for one in (start, motion):
            found = _likeness(fixed, grid, earlier, one)
            if found > likeness:
                best, likeness = one, found
    return best, likeness


def _windowed(picture: tuple[NDArray[np.float32], Mask]) -> tuple[NDArray[np.float32], Mask]:
    return np.clip(picture[0], *_WINDOW_HU), picture[1]


def _likeness(
    fixed: tuple[NDArray[np.float32], Mask], grid: UprightGrid, earlier: Picture, motion: FloatArray
) -> float:
    still = DisplacementField(grid, motion, np.zeros((3, 1, 1, 1), np.float32))
    there, seen = sampled(earlier, still, grid)
    where = fixed[1] & seen
    if where.sum() < _LEAST_OVERLAP / 2 * fixed[1].sum():
        return -1.0
    return likeness_of(fixed[0], np.clip(there, *_WINDOW_HU), where)


def _overlap(
    near: tuple[FloatArray, FloatArray], geometry: GridGeometry, earlier: Picture, body: FloatArray
) -> float:
    """Share of the metal's height that the earlier CT shows."""
    centre = (near[0] + near[1]) / 2
    heights = np.arange(near[0][2], near[1][2] + 1.0, 1.0)
    points = np.stack([np.array([centre[0], centre[1], z]) for z in heights])
    ijk = earlier.geometry.to_ijk(moved(body, points))
    size = np.array(earlier.geometry.shape[::-1]) - 1
    return float(((ijk >= -0.5) & (ijk <= size + 0.5)).all(axis=1).mean())


def _labelled(
    earlier: CTVolume,
    labels: LabelVolume | None,
    near: tuple[FloatArray, FloatArray],
    body: FloatArray,
    cancel: CancelToken | None,
) -> tuple[LabelVolume | None, dict[int, str], list[str], tuple[str, ...]]:
    """Return the earlier CT's vertebrae under VerSe numbers; segmented if not given.

    Behind them: their names, what speaks against them, and what is said of their names.
    """
    from spinemar.spine.labels.conventions import to_verse
    from spinemar.spine.labels.levels import GUESSED_LEVELS, VERSE_IDS
    from spinemar.spine.segmentation.segment import segment_spine

    names = {number: level for level, number in VERSE_IDS.items()}
    if labels is not None:
        return to_verse(labels), names, [], ()
    try:
        spine = segment_spine(_around(earlier, near, body), cancel=cancel)
    except InputError as error:
        said = f"No vertebrae were found in the earlier CT, so it moves as one piece. {error}"
        return None, names, [said], ()
    guessed = any(GUESSED_LEVELS in one.warnings for one in spine.vertebrae)
    return spine.labels, names, [], (GUESSED_LEVELS,) if guessed else ()


def _around(earlier: CTVolume, near: tuple[FloatArray, FloatArray], body: FloatArray) -> CTVolume:
    """Cut the slices out of the earlier CT that show the metal's levels and their neighbours."""
    ends = np.array(
        [[r, a, s] for r in _side(near, 0) for a in _side(near, 1) for s in _side(near, 2)]
    )
    there = moved(body, ends)[:, 2]
    low, high = there.min() - _LABEL_REACH_MM, there.max() + _LABEL_REACH_MM
    normal = earlier.ijk_to_ras[2, :3]
    axis = int(np.argmax(np.abs(normal)))  # in (i, j, k) order
    found = earlier.geometry.to_ijk(
        np.array([[*corners(earlier.geometry).mean(axis=0)[:2], z] for z in (low, high)])
    )[:, axis]
    size = earlier.hu.shape[2 - axis]
    first = int(np.clip(np.floor(found.min()), 0, size - 1))
    stop = int(np.clip(np.ceil(found.max()) + 1, first + 1, size))
    cut = [slice(None)] * 3
    cut[2 - axis] = slice(first, stop)
    affine = earlier.ijk_to_ras.copy()
    affine[:3, 3] += first * affine[:3, axis]
    return CTVolume(earlier.hu[tuple(cut)], affine)


def _side(near: tuple[FloatArray, FloatArray], axis: int) -> tuple[float, float]:
    return float(near[0][axis]), float(near[1][axis])


def _wanted(
    labels: LabelVolume | None,
    names: dict[int, str],
    near: tuple[FloatArray, FloatArray],
    body: FloatArray,
) -> list[Vertebra]:
    """Choose the vertebrae with metal in reach."""
    if labels is None:
        return []
    back = inverse(body)
    chosen = []
    for one in vertebrae_of(labels, names):
        there = moved(back, np.array([one.low, one.high, one.centre]))[:, 2]
        if there.max() >= near[0][2] - 15.0 and there.min() <= near[1][2] + 15.0:
            chosen.append(one)
    return chosen


def _motions(
    scan: Picture,
    earlier: Picture,
    labels: LabelVolume | None,
    wanted: list[Vertebra],
    body: FloatArray,
    given: Registration | None,
    cancel: CancelToken | None,
) -> list[VertebraMotion]:
    if labels is None:
        return []
    if given is None:
        return register_vertebrae(scan, earlier, labels, wanted, body, cancel=cancel)
    levels = {one.level for one in wanted}
    return [replace(one, found="given") for one in given.vertebrae if one.level in levels]


def _regions(
    labels: LabelVolume | None, motions: dict[int, VertebraMotion], grid: UprightGrid
) -> NDArray[np.int16]:
    if labels is None:
        return np.zeros(grid.shape, dtype=np.int16)
    moves = [(number, one.scan_to_earlier) for number, one in motions.items()]
    return regions_in_scan(labels, moves, grid)


def _doubtful(regions: NDArray[np.int16], motions: dict[int, VertebraMotion]) -> Mask:
    """Where vertebrae lie whose registration failed, with a rim."""
    failed = [number for number, one in motions.items() if one.found == "neighbours"]
    inside = np.isin(regions, failed)
    if not inside.any():
        return inside
    away = ndimage.distance_transform_edt(~inside, sampling=_FIELD_MM)
    return np.asarray(away <= _DOUBT_RIM_MM, dtype=np.bool_)


__all__ = ["REACH_MM", "lay_over"]
