"""Pedicles of one vertebra: isthmus, centre line, width and height from its shape.

The pedicle is the bridge of bone beside the canal. Its cross-sections, taken square to its own
axis, are smallest at the isthmus; body and articular pillar make them larger on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.anatomy.pedicle_outlines import BoneSections, Density, calipers, without_rib
from spinemar.spine.anatomy.shape import VertebraShape
from spinemar.spine.anatomy.vertebral_body import BodyFit
from spinemar.spine.model import CONFIDENT, PedicleFrame

_STEP_MM = 0.5
#: Search box beside the canal in the vertebra's frame, mm.
_LATERAL = (2.5, 26.0)
_BEHIND = -9.0
_USUAL_ABOVE_MM = 4.5
_AROUND = (-11.0, 11.0)
_ROUNDS = 3
_USUAL_SPREAD = 2.5
_ENOUGH_CLEARANCE = 4.5
_CONVERGENCE_SPREAD, _SLOPE_SPREAD = 15.0, 12.0
#: Convergence towards the middle and slope along the spine that a pedicle can have, degrees.
_CONVERGENCE = (-12.0, 42.0)
_SLOPE = (-30.0, 30.0)
_PLAUSIBLE_WIDTH = (2.0, 20.0)
_PLAUSIBLE_HEIGHT = (5.0, 26.0)
_SMALLEST_AREA = 14.0
#: Pedicles leave the upper half of the body: centre at 0.2 of its height above the middle.
_SHARES = (-0.18, 0.58)


@dataclass(frozen=True)
class _Section:
    """One cross-section: its place along the axis, area, centroid and mask."""

    along: float
    area: float
    centre: tuple[float, float]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class _View:
    """The vertebra's axes, the side (+1 right) and the convergence to expect, degrees."""

    axes: NDArray[np.float64]
    sign: float
    convergence: float


@dataclass(frozen=True)
class _Frame:
    """Where cross-sections are taken: a centre, the axis and two directions square to it."""

    centre: NDArray[np.float64]
    axis: NDArray[np.float64]
    lateral: NDArray[np.float64]
    up: NDArray[np.float64]


@dataclass(frozen=True)
class Expectation:
    """Where the pedicles of a level usually lie and point.

    Parameters
    ----------
    convergence : float
        Degrees towards the middle.
    isthmus_mm : float
        Anterior coordinate of the isthmus, from the canal's centre.
    width_mm : float or None
        Where ribs lie against the pedicles.
    """

    convergence: float = 10.0
    isthmus_mm: float = 1.5
    width_mm: float | None = None


def find_pedicle(
    shape: VertebraShape,
    body: BodyFit,
    side: str,
    usual: Expectation,
    density: Density | None = None,
) -> PedicleFrame | None:
    """Return one pedicle of a vertebra, None where no bridge of bone is seen.

    Parameters
    ----------
    shape : VertebraShape
    body : BodyFit
    side : str
        "left" or "right".
    usual : Expectation
    density : Density, optional
        The CT, where there is one: it draws the pedicle's outline finer than labels do.
    """
    sign = 1.0 if side == "right" else -1.0
    right, anterior, superior = body.axes
    out = sign * right
    canal_ras = body.canal_ras
    view = _View(body.axes, sign, usual.convergence)
    frame = _Frame(canal_ras, anterior, out, superior)
    along = np.arange(_BEHIND, body.posterior_wall_mm + 4.0, _STEP_MM)
    bone = BoneSections(shape, density)
    height = float((body.superior_point - body.inferior_point) @ superior)
    low, high = (share * height for share in _SHARES)
    sections = _sections(bone, frame, along, (_LATERAL, (low, high)), None, usual.width_mm)
    narrow = _narrowest(sections, usual.isthmus_mm)
    if narrow is None:
        return None
    centre = _point(frame, narrow)
    for _ in range(_ROUNDS):
        frame = _square_to(_axis_of(shape, centre, view), centre, superior, out)
        along = np.arange(-6.0, 6.01, _STEP_MM)
        here = float((centre - canal_ras) @ superior)
        window = (_AROUND, (low - here, high - here))
        sections = _sections(bone, frame, along, window, (0.0, 0.0), usual.width_mm)
        drift = usual.isthmus_mm - float((centre - canal_ras) @ anterior)
        found = _narrowest(sections, drift)
        if found is None:
            break
        narrow, centre = found, _point(frame, found)
    beside = float((centre - canal_ras) @ out)
    if not _LATERAL[0] + 1.5 <= beside <= _LATERAL[1]:
        return None
    axis = _axis_of(shape, centre, view)
    width, height = calipers(narrow.mask, _STEP_MM)
    entry = _exit_point(shape, centre, -axis)
    return PedicleFrame(
        side=side,
        isthmus_ras=centre,
        entry_ras=entry,
        axis_ras=axis,
        width_mm=width,
        height_mm=height,
        confidence=_confidence(width, height, sections, narrow),
    )


def _sections(
    bone: BoneSections,
    frame: _Frame,
    along: NDArray[np.float64],
    window: tuple[tuple[float, float], tuple[float, float]],
    seed: tuple[float, float] | None,
    usual_width_mm: float | None,
) -> list[_Section]:
    """Cut the shape square to the frame's axis; one component per cut, the pedicle's."""
    u, v = (np.arange(low, high + _STEP_MM / 2, _STEP_MM) for low, high in window)
    t, vv, uu = np.meshgrid(along, v, u, indexing="ij")
    points = (
        frame.centre
        + t[..., None] * frame.axis
        + uu[..., None] * frame.lateral
        + vv[..., None] * frame.up
    )
    inside, hu = bone.cut(points)
    found: list[_Section] = []
    for n, image in enumerate(inside):
        mask = _component(image, u, v, seed)
        if mask is None:
            continue
        if hu is not None and usual_width_mm is not None:
            mask = without_rib(mask, hu[n], _STEP_MM, usual_width_mm)
        rows, columns = np.nonzero(mask)
        centre = (float(u[columns].mean()), float(v[rows].mean()))
        found.append(_Section(float(along[n]), float(mask.sum()) * _STEP_MM**2, centre, mask))
    return found


def _component(
    image: NDArray[np.bool_],
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    seed: tuple[float, float] | None,
) -> NDArray[np.bool_] | None:
    labels, count = ndimage.label(image)
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel()) * _STEP_MM**2
    best, best_cost = 0, np.inf
    for label in range(1, count + 1):
        if sizes[label] < _SMALLEST_AREA:
            continue
        rows, columns = np.nonzero(labels == label)
        if seed is None:
            # Beside the canal: near its wall, and not a process far above or below.
            cost = float(u[columns].min()) + 0.6 * abs(float(v[rows].mean()) - _USUAL_ABOVE_MM)
        else:
            cost = float(np.hypot(u[columns] - seed[0], v[rows] - seed[1]).min())
            cost = cost if cost <= 3.0 else np.inf
        if cost < best_cost:
            best, best_cost = label, cost
    return (labels == best) if best else None


def _narrowest(sections: list[_Section], usual: float) -> _Section | None:
    """Return the section of smallest area, preferring those near the usual place on the axis."""
    if len(sections) < 3:
        return None
    area = np.array([section.area for section in sections])
    along = np.array([section.along for section in sections])
    smooth = ndimage.gaussian_filter1d(area, 2.0, mode="nearest")
    cost = smooth * (1 + 0.5 * ((along - usual) / _USUAL_SPREAD) ** 2)
    return sections[int(cost.argmin())]


def _point(frame: _Frame, section: _Section) -> NDArray[np.float64]:
    u, v = section.centre
    result: NDArray[np.float64] = (
        frame.centre + section.along * frame.axis + u * frame.lateral + v * frame.up
    )
    return result


def _axis_of(
    shape: VertebraShape,
    centre: NDArray[np.float64],
    view: _View,
) -> NDArray[np.float64]:
    """Direction through the isthmus that keeps the largest clearance to the cortex.

    Mean clearance along the line, with a prior on convergence and slope: short sections alone
    swing a line by tens of degrees.
    """
    t = np.arange(-9.0, 15.1, 1.0)
    converge, slope = np.meshgrid(
        np.radians(np.arange(*_CONVERGENCE, 3.0)),
        np.radians(np.arange(*_SLOPE, 3.0)),
        indexing="ij",
    )
    local = np.stack(
        [
            -view.sign * np.sin(converge) * np.cos(slope),
            np.cos(converge) * np.cos(slope),
            np.sin(slope),
        ],
        axis=-1,
    )
    directions = local @ view.axes
    points = centre + t[:, None] * directions[..., None, :]
    clearance = np.clip(-shape.distance(points), -1.0, _ENOUGH_CLEARANCE).mean(axis=-1)
    unlikely = ((np.degrees(converge) - view.convergence) / _CONVERGENCE_SPREAD) ** 2
    unlikely += (np.degrees(slope) / _SLOPE_SPREAD) ** 2
    best = int(np.argmax(clearance - 0.5 * unlikely))
    result: NDArray[np.float64] = directions.reshape(-1, 3)[best]
    return result


def _square_to(
    axis: NDArray[np.float64],
    centre: NDArray[np.float64],
    superior: NDArray[np.float64],
    out: NDArray[np.float64],
) -> _Frame:
    up = superior - axis * (superior @ axis)
    up /= np.linalg.norm(up)
    lateral = np.cross(axis, up)
    lateral = lateral if lateral @ out > 0 else -lateral
    return _Frame(centre, axis, lateral, up)


def _exit_point(
    shape: VertebraShape, start: NDArray[np.float64], direction: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Walk through bone (gaps up to 1.5 mm allowed) and return where it ends."""
    t = np.arange(0.0, 45.0, 0.25)
    inside = shape.distance(start + t[:, None] * direction) < 0
    last = 0.0
    for distance, hit in zip(t, inside, strict=True):
        if hit:
            last = float(distance)
        elif distance - last > 1.5:
            break
    result: NDArray[np.float64] = start + last * direction
    return result


def _confidence(width: float, height: float, sections: list[_Section], narrow: _Section) -> float:
    """Between 0 and 1: plausible size, and a true minimum between body and articular pillar."""
    size = float(
        _PLAUSIBLE_WIDTH[0] <= width <= _PLAUSIBLE_WIDTH[1]
        and _PLAUSIBLE_HEIGHT[0] <= height <= _PLAUSIBLE_HEIGHT[1]
        and height > 0.7 * width
    )
    before = [s.area for s in sections if s.along < narrow.along - 1]
    after = [s.area for s in sections if s.along > narrow.along + 1]
    rises = [max(side, default=0.0) / max(narrow.area, 1.0) for side in (before, after)]
    clear = float(np.clip((min(rises) - 1.0) / 0.25, 0, 1))
    return 0.15 + 0.5 * size + 0.35 * clear


def pedicle_doubts(pedicles: Mapping[str, PedicleFrame]) -> tuple[float, list[str]]:
    """Return a factor for a vertebra's confidence, and a sentence for each doubtful pedicle."""
    factor, said = 1.0, []
    for side in ("left", "right"):
        if side not in pedicles:
            factor *= 0.7
            said.append(f"The {side} pedicle was not found.")
        elif pedicles[side].confidence < CONFIDENT:
            factor *= 0.85
            said.append(f"The {side} pedicle is uncertain.")
    return factor, said
