"""Each vertebra's own rigid motion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.progress import CancelToken
from spinemar.registration.grids import Mask, Picture, UprightGrid
from spinemar.registration.motions import (
    LAID_OVER,
    FloatArray,
    VertebraMotion,
    inverse,
    moved,
)
from spinemar.registration.rigid import RigidSteps, rigid_motion
from spinemar.registration.search import likeness_of
from spinemar.tomography.radon import available_threads
from spinemar.volume import LabelVolume

STEP_MM = 1.25
_RIM_MM = 4.0
"""What is compared reaches so far around a vertebra's label."""
_CHANGED_SHARE = 0.1
"""Of a vertebra's surroundings so much may have been changed by an operation."""
_SURE_LIKENESS = 0.9
_MOST_MOVED_MM = 15.0
_MARGIN_MM = 12.0
_LEAST_VOXELS = 400
_SEEN_SHARE = 0.15
_CUT_OFF_SHARE = 0.6
_ROUNDS = (
    RigidSteps((2, 1), (1.5, 0.7), 12_000, 2.0, 60),
    RigidSteps((1,), (0.7,), 20_000, 0.5, 60),
)


@dataclass(frozen=True, eq=False)
class Vertebra:
    """One vertebra of the earlier CT.

    Parameters
    ----------
    level : str
    number : int
        Its label.
    low, high : ndarray, shape (3,)
        Box of the label, RAS mm of the earlier CT.
    centre : ndarray, shape (3,)
    """

    level: str
    number: int
    low: FloatArray
    high: FloatArray
    centre: FloatArray

    @property
    def height_mm(self) -> float:
        """From foot to head, with its arch."""
        return float(self.high[2] - self.low[2])


def vertebrae_of(labels: LabelVolume, names: Mapping[int, str]) -> list[Vertebra]:
    """List the labelled vertebrae from head to foot."""
    found = []
    boxes = ndimage.find_objects(labels.labels)
    for number, name in names.items():
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is None:
            continue
        inside = np.argwhere(labels.labels[box] == number) + [part.start for part in box]
        ras = labels.geometry.to_ras(inside[:, ::-1])
        found.append(Vertebra(name, number, ras.min(axis=0), ras.max(axis=0), ras.mean(axis=0)))
    return sorted(found, key=lambda one: -one.centre[2])


def register_vertebrae(
    scan: Picture,
    earlier: Picture,
    labels: LabelVolume,
    wanted: list[Vertebra],
    body: FloatArray,
    *,
    cancel: CancelToken | None = None,
) -> list[VertebraMotion]:
    """Register vertebrae from neighbour to neighbour, each beginning where the last one ended.

    The first is the one of which most can be compared; from there one thread goes to the head and
    one to the feet, so that the result is the same with one.

    Parameters
    ----------
    scan, earlier : Picture
    labels : LabelVolume
        Of the earlier CT.
    wanted : list of Vertebra
        From head to foot.
    body : ndarray, shape (4, 4)
        Motion of the body as a whole, scan to earlier CT.
    cancel : CancelToken, optional
    """
    if not wanted:
        return []

    def chain(beside: VertebraMotion | None, numbers: Iterable[int]) -> list[VertebraMotion]:
        motions = []
        for n in numbers:
            if cancel is not None:
                cancel.raise_if_cancelled()
            starts = [beside.scan_to_earlier] if beside is not None and _trusted(beside) else []
            beside = _best(scan, earlier, labels, wanted[n], [*starts, body], body)
            motions.append(beside)
        return motions

    first = int(np.argmax([_usable_share(scan, one, body) for one in wanted]))
    middle = chain(None, [first])
    ways = (range(first - 1, -1, -1), range(first + 1, len(wanted)))
    with ThreadPoolExecutor(min(len(ways), available_threads())) as pool:
        up, down = pool.map(partial(chain, middle[0]), ways)
    found = [*reversed(up), *middle, *down]
    good = [n for n, one in enumerate(found) if _trusted(one) and not is_cut_off(n, wanted)]
    return [
        one if n in good else _like_neighbours(n, found, good, wanted, body)
        for n, one in enumerate(found)
    ]


def is_cut_off(n: int, wanted: Sequence[Vertebra]) -> bool:
    """Whether a vertebra shows too little of itself, beside its neighbours, to be registered alone.

    So little bone fits in several places: 4 mm off, and as alike as the others.

    Parameters
    ----------
    n : int
    wanted : sequence of Vertebra
        From head to foot.
    """
    beside = [wanted[m].height_mm for m in (n - 1, n + 1) if 0 <= m < len(wanted)]
    return wanted[n].height_mm < _CUT_OFF_SHARE * max(beside, default=0.0)


def _usable_share(scan: Picture, one: Vertebra, body: FloatArray) -> float:
    grid = _box(one, inverse(body), 4.0, 0.0)
    return float(scan.on(grid)[1].mean())


def _box(one: Vertebra, motion: FloatArray, step_mm: float, margin_mm: float) -> UprightGrid:
    """Grid around a vertebra where a motion takes it."""
    ends = np.array(
        [
            [r, a, s]
            for r in (one.low[0], one.high[0])
            for a in (one.low[1], one.high[1])
            for s in (one.low[2], one.high[2])
        ]
    )
    there = moved(motion, ends)
    return UprightGrid.over(there.min(axis=0) - margin_mm, there.max(axis=0) + margin_mm, step_mm)


def _best(
    scan: Picture,
    earlier: Picture,
    labels: LabelVolume,
    one: Vertebra,
    starts: Sequence[FloatArray],
    body: FloatArray,
) -> VertebraMotion:
    """Register one vertebra from where its neighbour, or else the body, would take it."""
    frame = _Frame.around(earlier, labels, one)
    tried: list[VertebraMotion] = []
    for start in starts:
        tried.append(frame.registered(scan, start, body))
        if tried[-1].likeness >= _SURE_LIKENESS:
            break
    return max(tried, key=lambda motion: np.nan_to_num(motion.likeness, nan=-1.0))


def _trusted(motion: VertebraMotion) -> bool:
    """Whether both CTs are alike there, and the vertebra did not leave its place."""
    return motion.likeness >= LAID_OVER and motion.moved_mm <= _MOST_MOVED_MM


def _like_neighbours(
    n: int,
    found: list[VertebraMotion],
    good: list[int],
    wanted: list[Vertebra],
    body: FloatArray,
) -> VertebraMotion:
    """Move a vertebra as the nearest that can be trusted does."""
    nearest = min(good, key=lambda m: abs(m - n), default=None)
    motion = body if nearest is None else found[nearest].scan_to_earlier
    return replace(
        found[n],
        scan_to_earlier=motion,
        found="neighbours",
        moved_mm=_moved_mm(motion, body, wanted[n]),
    )


def _moved_mm(motion: FloatArray, body: FloatArray, one: Vertebra) -> float:
    there = moved(inverse(body), one.centre)
    return float(np.linalg.norm(moved(motion, there) - one.centre))


@dataclass(frozen=True, eq=False)
class _Frame:
    """A vertebra of the earlier CT, cut out."""

    one: Vertebra
    grid: UprightGrid
    hu: tuple[NDArray[np.float32], Mask]
    labels: LabelVolume

    @classmethod
    def around(cls, earlier: Picture, labels: LabelVolume, one: Vertebra) -> _Frame:
        grid = _box(one, np.eye(4), STEP_MM, _MARGIN_MM + _MOST_MOVED_MM / 2)
        return cls(one, grid, earlier.on(grid), labels)

    def registered(self, scan: Picture, start: FloatArray, body: FloatArray) -> VertebraMotion:
        motion = start
        grid = _box(self.one, inverse(start), STEP_MM, _MARGIN_MM)
        hu, usable = scan.on(grid)
        for steps in _ROUNDS:
            where = usable & self._compared(grid, motion)
            if where.sum() < _LEAST_VOXELS:
                break
            centre = moved(inverse(motion), self.one.centre)
            motion = rigid_motion((hu, where), grid, self.hu, self.grid, motion, centre, steps)
        likeness, residual = self._judged(hu, usable, grid, motion)
        return VertebraMotion(
            self.one.level,
            motion,
            "registered",
            likeness,
            residual,
            _moved_mm(motion, body, self.one),
        )

    def _compared(self, grid: UprightGrid, motion: FloatArray) -> Mask:
        """Take the vertebra's surroundings in the scan, without what is its neighbours'."""
        index = self.labels.geometry.to_ijk(moved(motion, grid.points()))
        there = ndimage.map_coordinates(
            self.labels.labels, np.moveaxis(index, -1, 0)[::-1], order=0, mode="constant"
        )
        mine = there == self.one.number
        near = ndimage.distance_transform_edt(~mine, sampling=grid.step_mm) <= _RIM_MM
        return np.asarray(near & (mine | (there == 0)), dtype=np.bool_)

    def _judged(
        self, hu: NDArray[np.float32], usable: Mask, grid: UprightGrid, motion: FloatArray
    ) -> tuple[float, float]:
        """How alike both CTs are in and around the vertebra, and by how much they differ."""
        index = self.grid.index(moved(motion, grid.points()))
        there = ndimage.map_coordinates(self.hu[0], index, order=1, mode="nearest")
        seen = ndimage.map_coordinates(
            self.hu[1].astype(np.float32), index, order=1, mode="constant"
        )
        compared = self._compared(grid, motion)
        where = compared & usable & (seen > 0.99)
        if where.sum() < max(_LEAST_VOXELS, _SEEN_SHARE * compared.sum()):
            return float("nan"), float("nan")
        difference = (hu[where] - there[where]).astype(np.float64)
        return (
            likeness_of(hu, there, where, _CHANGED_SHARE),
            float(np.median(np.abs(difference))),
        )


def regions_in_scan(
    labels: LabelVolume, motions: list[tuple[int, FloatArray]], grid: UprightGrid
) -> NDArray[np.int16]:
    """Labels of the moved vertebrae on a grid in the scan.

    Parameters
    ----------
    labels : LabelVolume
        Of the earlier CT.
    motions : list of (number, scan to earlier CT)
    grid : UprightGrid
    """
    found = np.zeros(grid.shape, dtype=np.int16)
    points = grid.points()
    for number, motion in motions:
        index = labels.geometry.to_ijk(moved(motion, points))
        there = ndimage.map_coordinates(
            labels.labels, np.moveaxis(index, -1, 0)[::-1], order=0, mode="constant"
        )
        found[(there == number) & (found == 0)] = number
    return found
