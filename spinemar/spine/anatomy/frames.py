"""Frames and pedicles of every vertebra of a labelled spine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.spine.anatomy.agreement.compare import compared, plausible_heights
from spinemar.spine.anatomy.canal_contour import canal_contour
from spinemar.spine.anatomy.pedicle import Expectation, find_pedicle, pedicle_doubts
from spinemar.spine.anatomy.pedicle_outlines import Density
from spinemar.spine.anatomy.sacrum.frame import fit_sacrum
from spinemar.spine.anatomy.shape import VertebraShape
from spinemar.spine.anatomy.vertebral_body import BodyFit, canal_at, fit_body
from spinemar.spine.labels.conventions import renumbered, required_naming
from spinemar.spine.labels.levels import (
    RIBBED_WIDTH_MM,
    SACRUM,
    VERSE_IDS,
    WITHOUT_FRAME,
    level_position,
    usual_convergence,
    usual_isthmus_mm,
)
from spinemar.spine.model import Endplate, PedicleFrame, SpineModel, VertebraFrame
from spinemar.spine.straightening.canal import best_path, canal_score, ray_distances, smooth_track
from spinemar.spine.straightening.grid import PatientGrid
from spinemar.volume import CTVolume, GridGeometry, LabelVolume

_CANAL_GRID_MM = (2.0, 1.0, 1.0)
#: A track is held where its score reaches this share of its median.
_HELD_SHARE = 0.6
_CUT_OFF = 0.35
_FEWEST_VOXELS_MM3 = 1500.0
#: Left and right isthmus mirror each other within this, mm.
_MIRROR_MM = 4.0
#: The vertebra below which a sacrum is looked for.
_LAST_LUMBAR = {"L5", "L6"}


def frames_from_labels(
    labels: LabelVolume,
    volume: CTVolume | None = None,
    *,
    naming: str | Mapping[int, str] = "auto",
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> SpineModel:
    """Build the spine model from a segmentation of vertebrae by any software.

    Parameters
    ----------
    labels : LabelVolume
    volume : CTVolume, optional
        The CT itself (on any grid), which draws the pedicles' outlines finer than labels do.
    naming : str or mapping of int to str
        As in `find_naming`: "auto", a numbering, or names by label value.
    progress, cancel
        As everywhere.

    Returns
    -------
    SpineModel
        Labels under VerSe numbers; a frame for each vertebra whose body is visible. Levels that
        were recognised by bare numbers make no frame surer than that is.

    Raises
    ------
    InputError
        If no vertebra is named, its level cannot be told, or no canal runs beside the vertebrae.
    """
    found = required_naming(labels, naming)
    verse = renumbered(labels, found)
    canal = canal_of_labels(verse, cancel)
    model = frames_along(verse, canal, volume, progress=progress, cancel=cancel)
    frames = [
        replace(frame, confidence=min(frame.confidence, found.confidence))
        for frame in model.vertebrae
    ]
    return replace(model, vertebrae=type(model.vertebrae)(frames))


def canal_of_labels(verse: LabelVolume, cancel: CancelToken | None = None) -> NDArray[np.float64]:
    """Centre line of the canal between labelled vertebrae, RAS mm (n, 3), from head to foot.

    Raises
    ------
    InputError
        If only a sacrum is labelled, or less than two slices.
    """
    mask = (verse.labels > 0) & (verse.labels != VERSE_IDS[SACRUM])
    if not mask.any():
        raise InputError("Only a sacrum is labelled.", "Add the vertebrae above it.")
    box = _mask_box(mask, verse)
    grid = PatientGrid.around(verse.geometry, _CANAL_GRID_MM, box)
    # The sacrum guides the track beside the lowest vertebra, which has no arch below its pedicles.
    bone = grid.sample((verse.labels > 0).astype(np.float32), verse.geometry) > 0.5
    filled = np.flatnonzero(grid.sample(mask.astype(np.float32), verse.geometry).max((1, 2)) > 0.5)
    if len(filled) < 2:
        raise InputError(
            "The labelled vertebrae fill less than two slices.", "Label whole vertebrae."
        )
    distances = ray_distances(bone, _CANAL_GRID_MM[1], cancel)
    score = canal_score(distances, bone, _CANAL_GRID_MM[1])
    path = best_path(score, _CANAL_GRID_MM[1], _CANAL_GRID_MM[0])
    weight = score[np.arange(len(path)), path[:, 0], path[:, 1]].clip(min=0.05).astype(np.float64)
    smooth = smooth_track(path.astype(np.float64), weight, _CANAL_GRID_MM[0], 5.0)
    line = grid.to_ras(np.column_stack([np.arange(len(path)), smooth]))
    return line[_enclosed(weight)][::-1]


def _enclosed(score: NDArray[np.float64]) -> slice:
    """Return the slices between the first and the last that bone encloses.

    Beyond the last arch nothing holds the track, and it strays by centimetres.
    """
    held = np.flatnonzero(score >= _HELD_SHARE * np.median(score))
    return slice(int(held[0]), int(held[-1]) + 1)


def _mask_box(
    mask: NDArray[np.bool_], labels: LabelVolume
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """RAS corners of the box around a mask."""
    ranges = [
        np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))[[0, -1]]
        for axis in range(3)
    ]
    k, j, i = ranges
    corners = np.array([[a, b, c] for a in i for b in j for c in k], np.float64)
    ras = labels.geometry.to_ras(corners)
    return ras.min(axis=0), ras.max(axis=0)


def frames_along(
    verse: LabelVolume,
    canal_ras: NDArray[np.float64],
    ct: CTVolume | None = None,
    *,
    bodies: LabelVolume | None = None,
    trust: Mapping[str, float] | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> SpineModel:
    """Fit a frame to every vertebra of VerSe labels beside a known canal.

    `bodies` are labels on the same grid whose endplates are smoother, where there are any: axes and
    endplates are fitted to them. `trust` multiplies the confidence of single levels (how sure
    their segmentation is).

    `canal_ras` is the canal's centre line (n, 3), RAS mm.
    """
    boxes = ndimage.find_objects(verse.labels, max_label=max(VERSE_IDS.values()))
    body_boxes = [] if bodies is None else ndimage.find_objects(bodies.labels)
    voxel = float(abs(np.linalg.det(verse.ijk_to_ras[:3, :3])))
    levels = sorted(VERSE_IDS, key=level_position)
    density = None if ct is None else Density(ct)
    found: list[VertebraFrame] = []
    for done, level in enumerate(levels):
        progress(Progress("vertebrae", done, len(levels)))
        if cancel is not None:
            cancel.raise_if_cancelled()
        number = VERSE_IDS[level]
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is None or level in WITHOUT_FRAME:
            continue
        if np.count_nonzero(verse.labels[box] == number) * voxel < _FEWEST_VOXELS_MM3:
            continue
        shape = VertebraShape.in_box(verse, number, box)
        edge = verse.geometry if _touches_edge(box, verse.labels.shape) else None
        sure = (trust or {}).get(level, 1.0)
        if level == SACRUM:
            frame = _fit_below(found, shape, edge, sure)
        else:
            whole = shape
            if bodies is not None:
                whole = VertebraShape.in_box(bodies, number, body_boxes[number - 1])
            body = fit_body(whole, canal_ras)
            frame = None
            if body is not None:
                frame = _fit_vertebra(
                    shape, body, canal_ras, level, edge=edge, density=density, trust=sure
                )
        if frame is not None:
            found.append(frame if ct is None else compared(frame, shape, verse, ct))
    progress(Progress("vertebrae", len(levels), len(levels)))
    return SpineModel(verse, plausible_heights(_without_stumps(found)), canal_ras)


def _fit_below(
    found: list[VertebraFrame], shape: VertebraShape, edge: GridGeometry | None, trust: float
) -> VertebraFrame | None:
    """Fit S1 below the last lumbar vertebra; None where that has no frame."""
    if not found or found[-1].level not in _LAST_LUMBAR:
        return None
    return fit_sacrum(shape, found[-1], edge=edge, trust=trust)


def _touches_edge(box: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    return any(edge.start == 0 or edge.stop == size for edge, size in zip(box, shape, strict=True))


def _fit_vertebra(
    shape: VertebraShape,
    body: BodyFit,
    canal_ras: NDArray[np.float64],
    level: str,
    *,
    edge: GridGeometry | None = None,
    density: Density | None = None,
    trust: float = 1.0,
) -> VertebraFrame:
    """Fit one vertebra's frame to its body.

    `edge` is the whole volume's grid where the vertebra touches its edge, else None.

    `canal_ras` is the canal's centre line (n, 3), RAS mm; `trust` (0 to 1) multiplies the
    confidence.
    """
    # Pedicles leave the upper half of the body; the canal there is what screws must spare.
    height = float(np.linalg.norm(body.superior_point - body.inferior_point))
    beside, _ = canal_at(canal_ras, body.centre_ras + 0.2 * height * body.axes[2], body.axes[2])
    usual = Expectation(
        usual_convergence(level), usual_isthmus_mm(level), RIBBED_WIDTH_MM.get(level)
    )
    pedicles: dict[str, PedicleFrame] = {}
    for side in ("left", "right"):
        pedicle = find_pedicle(shape, body, side, usual, density)
        if pedicle is not None:
            pedicles[side] = pedicle
    if len(pedicles) == 2:
        doubt = _lopsided(pedicles["left"], pedicles["right"], body)
        pedicles = {s: replace(p, confidence=p.confidence * doubt) for s, p in pedicles.items()}
    if pedicles:
        middle = np.mean([p.isthmus_ras for p in pedicles.values()], axis=0)
        beside, _ = canal_at(canal_ras, middle, body.axes[2])
    contour = canal_contour(shape, beside, body.axes)
    if len(contour):
        beside = contour.mean(axis=0)
    cut_off = edge is not None and _body_leaves(body, edge)
    confidence, warnings = _judge(body, height, pedicles, cut_off)
    if edge is not None and not cut_off:
        confidence *= 0.9
        warnings.append("A process touches the volume's edge and may be cut off.")
    pedicles = {side: _scaled(p, trust, cut_off) for side, p in pedicles.items()}
    return VertebraFrame(
        level=level,
        body_centre_ras=body.centre_ras,
        axes_ras=body.axes,
        endplates={
            "superior": Endplate(body.superior_point, body.superior_normal),
            "inferior": Endplate(body.inferior_point, body.inferior_normal),
        },
        canal_centre_ras=beside,
        spinous_process_ras=_spinous_tip(shape, body),
        pedicles=pedicles,
        confidence=confidence * trust,
        warnings=tuple(warnings),
        canal_contour_ras=contour,
        cut_off=cut_off,
    )


def _body_leaves(body: BodyFit, volume: GridGeometry) -> bool:
    """Whether the rim of an endplate lies within a slice of the volume's edge or beyond."""
    right, anterior, _ = body.axes
    rim = [12 * right, -12 * right, 10 * anterior, -10 * anterior]
    points = [p + r for p in (body.superior_point, body.inferior_point) for r in rim]
    kji = volume.to_ijk(np.array(points))[:, ::-1]
    return bool((kji < 0.75).any() or (kji > np.array(volume.shape) - 1.75).any())


def _judge(
    body: BodyFit, height: float, pedicles: Mapping[str, PedicleFrame], cut_off: bool
) -> tuple[float, list[str]]:
    confidence, warnings = 1.0, []
    if cut_off:
        confidence = _CUT_OFF
        warnings.append("The body is cut off by the volume's edge.")
    if not 8.0 <= height <= 42.0 or body.residual_mm > 2.0:
        confidence *= 0.6
        warnings.append("The endplates are unclear.")
    doubt, said = pedicle_doubts(pedicles)
    return confidence * doubt, [*warnings, *said]


def _scaled(pedicle: PedicleFrame, trust: float, cut_off: bool) -> PedicleFrame:
    return replace(pedicle, confidence=pedicle.confidence * trust * (0.6 if cut_off else 1.0))


def _lopsided(left: PedicleFrame, right: PedicleFrame, body: BodyFit) -> float:
    """Factor of confidence: 1 where left and right mirror each other, down to 0.4 where not."""
    one = (left.isthmus_ras - body.canal_ras) @ body.axes.T * [-1.0, 1.0, 1.0]
    two = (right.isthmus_ras - body.canal_ras) @ body.axes.T
    gap = float(np.linalg.norm(one - two))
    ratio = abs(float(np.log(max(left.width_mm, 1.0) / max(right.width_mm, 1.0))))
    doubt = max(gap - _MIRROR_MM, 0.0) / _MIRROR_MM + max(ratio - 0.35, 0.0) / 0.35
    return float(np.clip(np.exp(-0.7 * doubt), 0.4, 1.0))


def _spinous_tip(shape: VertebraShape, body: BodyFit) -> NDArray[np.float64] | None:
    """Most posterior bone near the middle plane, None where the arch ends before it."""
    local = (shape.points_ras - body.canal_ras) @ body.axes.T
    middle = local[np.abs(local[:, 0]) < 9]
    if len(middle) < 20:
        return None
    tip = middle[np.argsort(middle[:, 1])[:20]].mean(axis=0)
    if tip[1] > -14:
        return None
    result: NDArray[np.float64] = tip @ body.axes + body.canal_ras
    return result


def _without_stumps(frames: list[VertebraFrame]) -> list[VertebraFrame]:
    """Drop cut-off vertebrae of which less than half the body's height is left."""
    whole = [frame for frame in frames if "inferior" in frame.endplates]
    heights = [
        float(np.linalg.norm(f.endplates["superior"].point_ras - f.endplates["inferior"].point_ras))
        for f in whole
    ]
    usual = float(np.median(heights)) if heights else 0.0
    stumps = [
        frame
        for frame, height in zip(whole, heights, strict=True)
        if frame.confidence <= _CUT_OFF and height <= 0.5 * usual
    ]
    return [frame for frame in frames if frame not in stumps]
