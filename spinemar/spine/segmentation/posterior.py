"""Arches, processes and ribs: which vertebra each voxel of bone behind the bodies belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.progress import CancelToken
from spinemar.spine.segmentation.column import ColumnWall
from spinemar.spine.segmentation.profiles import Profiles
from spinemar.spine.segmentation.random_walker import walk
from spinemar.spine.straightening.straight import StraightSpine, chain

BONE_HU = 150.0
_HOLE_MM2 = 60.0
_PRIOR_WEIGHT = 0.004
_RIB_PRIOR_WEIGHT = 0.05
_LAMINA_HU = 220.0
#: Anterior coordinate where spinous processes leave the laminae.
_ROOT_MM = -10.0
#: Ribs lie in front of and beside the line from the pedicle to the transverse process's tip:
#: right + anterior > this many mm (with the canal's centre at 0).
_RIB_LINE_MM = 18.0
#: Articular pillars reach this far from the middle.
_PILLAR_MM = 18.0
_PEDICLE_SHARE, _PEDICLE_MM = 0.28, (6.5, 9.0)


@dataclass(frozen=True)
class Arches:
    """Pedicle levels and spinous slopes; entry n belongs to body label n + 1.

    Parameters
    ----------
    centre : ndarray, shape (m,)
        Place s of the pedicles.
    length : ndarray, shape (m,)
        Distance of the discs around the vertebra, mm.
    root : ndarray, shape (m,)
        Place s of the spinous process 10 mm behind the canal's centre.
    slope : ndarray, shape (m,)
        Descent of the spinous process, mm per mm backwards.
    """

    centre: NDArray[np.float64]
    length: NDArray[np.float64]
    root: NDArray[np.float64]
    slope: NDArray[np.float64]


def find_arches(spine: StraightSpine, profiles: Profiles, boundaries: NDArray[np.intp]) -> Arches:
    """Locate pedicles between the discs, and how the spinous processes slope.

    `boundaries` (discs,) are the disc centres.
    """
    centre = []
    for low, high in pairwise(boundaries):
        length = high - low
        s = np.arange(int(low + 0.3 * length), min(int(low + 1.02 * length), len(spine)))
        weight = np.clip(profiles.pedicles[s] - 0.35, 0, None) ** 2 + 1e-6
        centre.append(float((weight * s).sum() / weight.sum()))
    lengths = np.diff(boundaries).astype(np.float64)
    lengths = np.concatenate([lengths[:1], lengths, lengths[-1:]])
    places = np.array([centre[0] - lengths[0], *centre, centre[-1] + lengths[-1]])
    root, slope = _spinous_processes(spine, places, lengths)
    return Arches(places, lengths, root, slope)


def _spinous_processes(
    spine: StraightSpine, centre: NDArray[np.float64], length: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Root and slope of each spinous process: the shear that lines bright stripes up best."""
    middle = np.abs(spine.right) <= 2
    back = np.arange(-27.0, _ROOT_MM + 1.5)
    rows = np.searchsorted(spine.anterior, back)
    image = np.clip(spine.hu[:, rows][:, :, middle].mean(axis=-1), -50, 400)
    slopes = np.arange(-0.2, 2.41, 0.1)
    s = np.arange(len(spine), dtype=np.float64)
    columns = np.broadcast_to(np.arange(len(back)), (len(s), len(back)))
    score, stripes = np.zeros((len(centre), len(slopes))), np.zeros((len(slopes), len(s)))
    for n, slope in enumerate(slopes):
        place = s[:, None] - slope * (_ROOT_MM - back)
        inside = (place >= 0) & (place <= len(spine) - 1)
        moved = ndimage.map_coordinates(image, [place, columns], order=1, mode="nearest")
        profile = (moved * inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
        stripes[n] = ndimage.gaussian_filter1d(profile, 1.5, mode="nearest")
        contrast = (profile - ndimage.gaussian_filter1d(profile, 15, mode="nearest")) ** 2
        for m in range(len(centre)):
            near = np.exp(-0.5 * ((s - (centre[m] - 0.4 * length[m])) / (0.8 * length[m])) ** 2)
            score[m, n] = (near * contrast).sum() / near.sum()
    score /= np.maximum(score.max(axis=1, keepdims=True), 1e-6)
    best = chain(score, 0.05)
    root = np.empty(len(centre))
    for m, n in enumerate(best):
        share = (s - centre[m]) / length[m]
        likely = stripes[n] - 250.0 * (share + 0.42) ** 2
        likely[(share < -0.8) | (share > 0.0)] = -np.inf
        root[m] = s[int(likely.argmax())] if np.isfinite(likely).any() else np.nan
    usual = centre - 0.42 * length
    return np.where(np.isfinite(root), root, usual), slopes[best]


def _usual_index(spine: StraightSpine, arches: Arches) -> NDArray[np.float32]:
    """Body label that bone at each voxel usually belongs to, continuous, (n, na, nr).

    Articular pillars lie beside their pedicle, laminae hang below it, spinous processes slope.
    """
    s = np.arange(len(spine), dtype=np.float64)
    hang = np.clip((-spine.anterior - 4) / 9, 0, 1)
    behind = np.clip(_ROOT_MM - spine.anterior, 0, None)
    result = np.empty(spine.hu.shape, np.float32)
    right = np.abs(spine.right)
    outside, middle = np.clip((right - 11) / 4, 0, 1), np.clip((7 - right) / 3, 0, 1)
    beside = _index_along(s, arches.centre, arches.length)[:, None]
    for column in range(len(spine.anterior)):
        laminae = arches.centre - 0.27 * arches.length * hang[column]
        processes = arches.root - arches.slope * behind[column]
        far = min(behind[column] / 4, 1.0)
        inner = middle * max(far, hang[column])
        between = _index_along(s, laminae, arches.length)[:, None]
        central = _index_along(s, processes, arches.length)[:, None]
        # Behind the laminae everything near the middle is a spinous process.
        inner = np.maximum(inner, far * (right < 14) * min(behind[column] / 10, 1.0))
        mixed = between * (1 - outside) + beside * outside
        result[:, column] = mixed * (1 - inner) + central * inner
    return result


def _index_along(
    s: NDArray[np.float64], centre: NDArray[np.float64], length: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Labels 1, 2, ... at `centre`, linear between and beyond."""
    centre = np.maximum.accumulate(centre + np.arange(len(centre)) * 1e-3)
    index = np.interp(s, centre, np.arange(1.0, len(centre) + 1))
    index = np.where(s < centre[0], 1 + (s - centre[0]) / length[0], index)
    beyond = len(centre) + (s - centre[-1]) / length[-1]
    result: NDArray[np.float64] = np.where(s > centre[-1], beyond, index)
    return result


def _canal_of(spine: StraightSpine, smooth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Inside of the canal: what its centre sees in each slice, openings closed by neighbours.

    `smooth` is HU (s, a, r); so is the shape of the result.
    """
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radii = np.arange(2.0, 18.0, 0.5)
    s = np.arange(len(spine), dtype=np.float64)[:, None, None]
    view = StraightSpine(spine.frame, smooth, spine.anterior, spine.right)
    values = view.at(s, radii * np.sin(angles)[:, None], radii * np.cos(angles)[:, None])
    hit = values > BONE_HU
    radius = np.where(hit.any(axis=-1), radii[hit.argmax(axis=-1)], np.nan)
    seen = np.isfinite(radius).sum(axis=1, keepdims=True) >= 12
    usual = np.nanmedian(np.where(seen, radius, 9.0), axis=1, keepdims=True)
    radius = np.where(np.isfinite(radius), np.minimum(radius, 1.35 * usual), usual)
    wrapped = np.concatenate([radius[:, -2:], radius, radius[:, :2]], axis=1)
    radius = ndimage.median_filter(wrapped, (3, 3), mode="nearest")[:, 2:-2]
    a, r = spine.anterior[:, None], spine.right[None]
    turn = np.mod(np.arctan2(a, r), 2 * np.pi) / (2 * np.pi) * len(angles)
    nearest = np.rint(turn).astype(np.intp) % len(angles)
    result: NDArray[np.bool_] = np.hypot(a, r) < radius[:, nearest] - 0.25
    return result


def _bone_of(
    spine: StraightSpine, smooth: NDArray[np.float32], canal: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Bone with its marrow: dense voxels, and small holes in slices filled.

    `smooth` is HU and `canal` its mask, both (s, a, r); so is the shape of the result.
    """
    bone = (smooth > BONE_HU) & ~canal
    for n in range(len(bone)):
        closed = ndimage.binary_closing(bone[n]) | bone[n]
        holes, count = ndimage.label(ndimage.binary_fill_holes(closed) & ~bone[n])
        if count:
            small = np.bincount(holes.ravel()) <= _HOLE_MM2
            small[np.unique(holes[canal[n]])] = False
            small[0] = False
            bone[n] |= small[holes]
    return bone


def _canal_edge(spine: StraightSpine, canal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of the canal's side walls from its centre, mm, shape (n, 1, 1)."""
    level = (spine.anterior >= -2) & (spine.anterior <= 3)
    half = canal[:, level].sum(axis=2).mean(axis=1) / 2
    half = ndimage.median_filter(half, 15, mode="nearest")
    return np.asarray(ndimage.gaussian_filter1d(half, 6, mode="nearest")[:, None, None])


def _rib_side(
    spine: StraightSpine, arches: Arches, edge: NDArray[np.float64]
) -> NDArray[np.float32]:
    """How far bone lies on the ribs' side, mm (negative: the vertebra's side), (n, na, nr).

    At the height of a transverse process ribs lie in front of it; above and below there is no
    process, and all bone beside the articular pillars is rib.
    """
    s = np.arange(len(spine), dtype=np.float64)
    nearest = np.abs(s[:, None] - arches.centre + 0.08 * arches.length).argmin(axis=1)
    share = (s - arches.centre[nearest]) / arches.length[nearest] + 0.08
    off_process = np.clip((np.abs(share) - 0.27) / 0.1, 0, 1)[:, None, None]
    a, r = spine.anterior[None, :, None], np.abs(spine.right)[None, None, :]
    before = r + a - _RIB_LINE_MM
    beside = r - _PILLAR_MM
    side = np.maximum(before, beside * off_process + before * (1 - off_process))
    # Beside a pedicle lies the neck of a rib; the pedicle itself is no wider than this.
    level = np.clip((a + 4) / 3, 0, 1)
    length = np.interp(s, arches.centre, arches.length)[:, None, None]
    widest = edge + np.clip(_PEDICLE_SHARE * length, *_PEDICLE_MM)
    side = side * (1 - level) + np.maximum(side, r - widest) * level
    return np.asarray(side, dtype=np.float32)


def beside_canal(
    spine: StraightSpine, canal: NDArray[np.bool_], reach_mm: float
) -> NDArray[np.bool_]:
    """Return what lies within `reach_mm` of the canal's side walls where pedicles are, (n, na, nr).

    `canal` is its mask, of the same shape.
    """
    level = (spine.anterior > -4)[None, :, None]
    near = np.abs(spine.right)[None, None, :] < _canal_edge(spine, canal) + reach_mm
    return np.asarray(level & near, dtype=np.bool_)


@dataclass(frozen=True)
class PosteriorLabels:
    """Result of `label_posterior`.

    Parameters
    ----------
    labels : ndarray of int16, shape (n, na, nr)
        Body labels with their arches and processes, ribs taken off.
    ribs : ndarray of int16, shape (n, na, nr)
        Bone that looks like a rib, under the label of its vertebra.
    canal : ndarray of bool, shape (n, na, nr)
        Inside of the spinal canal.
    """

    labels: NDArray[np.int16]
    ribs: NDArray[np.int16]
    canal: NDArray[np.bool_]


def label_posterior(
    spine: StraightSpine,
    bodies: NDArray[np.int16],
    wall: ColumnWall,
    profiles: Profiles,
    arches: Arches,
    *,
    cancel: CancelToken | None = None,
) -> PosteriorLabels:
    """Give each voxel of bone beside and behind the bodies to a vertebra or to a rib.

    `bodies` are their labels (s, a, r).
    """
    smooth = ndimage.gaussian_filter(spine.hu, 0.5)
    canal = _canal_of(spine, smooth)
    bone = _bone_of(spine, smooth, canal)
    s = np.arange(len(spine), dtype=np.float64)[:, None, None]
    a, r = spine.anterior[None, :, None], np.abs(spine.right)[None, None, :]
    front = profiles.wall[:, None, None]
    bodies = np.where(canal, 0, bodies).astype(np.int16)
    body = bodies > 0
    free = bone & (a > -64) & (a < front + 12)
    free &= ~wall.inside(spine, 1.0) | ((a < front + 3) & (r > 5))
    free &= (r < 24) | (a < 8)
    domain = (free & ~body) | (body & ndimage.binary_dilation(free & ~body))
    index = _usual_index(spine, arches)
    edge = _canal_edge(spine, canal)
    rib_side = _rib_side(spine, arches, edge)
    seeds = bodies.copy()
    for label, (centre, length) in enumerate(zip(arches.centre, arches.length, strict=True), 1):
        share = (s - centre) / length
        pedicle = (np.abs(share) < 0.13) & (r > edge) & (r < edge + 5) & (a > -4) & (a < front + 2)
        lamina = (share > -0.42) & (share < -0.05) & (a < -7) & (a > -14) & (r > 5) & (r < 11)
        along = s - (arches.root[label - 1] - arches.slope[label - 1] * (_ROOT_MM - a))
        process = (np.abs(along) < 0.12 * length) & (r < 3) & (a < -9) & (a > -25)
        dense = (lamina & (smooth > _LAMINA_HU)) | (process & bone)
        seeds[(pedicle | dense) & (seeds == 0)] = label
    rib = domain & (seeds == 0) & ((rib_side > 12) | ((rib_side > 4) & (a > 0) & (r > 16)))
    fixed = domain & ((seeds > 0) | rib)
    number = np.where(rib, index, seeds).astype(np.float32)
    solved = walk(domain, fixed, number, smooth, prior=(index, _PRIOR_WEIGHT), cancel=cancel)
    usual_rib = (1 / (1 + np.exp(-rib_side / 2))).astype(np.float32)
    toward = (usual_rib, _RIB_PRIOR_WEIGHT)
    is_rib = walk(domain, fixed, rib.astype(np.float32), smooth, prior=toward, cancel=cancel)
    labels = np.rint(solved).astype(np.int16)
    # What belongs to vertebrae beyond the first and last is nobody's.
    labels[~domain | (labels > len(arches.centre))] = 0
    ribs = np.where((is_rib > 0.5) & ~body, labels, 0).astype(np.int16)
    labels[ribs > 0] = 0
    labels[body] = bodies[body]
    return PosteriorLabels(labels, ribs, canal)
