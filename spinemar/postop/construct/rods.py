"""Rods between the heads that were found: course, ends and diameter, traced through the metal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spinemar.implants.placement import Screw
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.solids import FloatArray, perpendicular, unit
from spinemar.planning.constructs.rods import order_along_spine
from spinemar.planning.vectors import as_point
from spinemar.postop.metal_share import MetalShare

_STEP_MM, _DISC_MM, _CELL_MM, _TURNS = 1.0, 6.0, 0.6, 3
# Between neighbouring heads a rod is free of them this far from either.
_FREE_MM = 8.0
_LEAST_MM2, _ENDS_SHARE, _LONGEST_END_MM = 6.0, 0.4, 40.0
_NEAREST_MM, _FARTHEST_MM = 9.0, 90.0
_DIAMETERS_MM = (3.0, 7.0)
# From the entry outwards to where a head holds its rod: neck and seat of usual screws.
_TO_SEAT_MM = 12.0


@dataclass(frozen=True, eq=False)
class TracedRod:
    """A rod as it lies.

    Parameters
    ----------
    points : tuple of (float, float, float)
        From head to foot, RAS mm: its ends, and places where it is free of heads or held by one.
    diameter_mm : float
    screw_ids : tuple of str
    """

    side: str
    points: tuple[tuple[float, float, float], ...]
    diameter_mm: float
    screw_ids: tuple[str, ...]


def trace_rods(screws: Sequence[Screw], metal: MetalShare) -> tuple[TracedRod, ...]:
    """Trace the rods of each side; two heads are on one rod where metal runs from one to the other.

    Parameters
    ----------
    screws : sequence of Screw
        As they were fitted.
    metal : MetalShare
    """
    found: list[TracedRod] = []
    for side in ("left", "right"):
        own = [screw for screw in screws if screw.side == side]
        if len(own) < 2:
            continue
        ordered = order_along_spine(own)
        group: list[Screw] = [ordered[0]]
        pieces: list[FloatArray] = []
        for above, below in pairwise(ordered):
            piece = _between(_seat(above), _seat(below), metal)
            if piece is None:
                found += _traced(side, group, pieces, metal)
                group, pieces = [below], []
                continue
            group.append(below)
            pieces.append(piece)
        found += _traced(side, group, pieces, metal)
    return tuple(found)


def _seat(screw: Screw) -> FloatArray:
    entry = np.asarray(screw.entry)
    return np.asarray(entry - unit(np.subtract(screw.tip, entry)) * _TO_SEAT_MM, np.float64)


def _between(start: FloatArray, end: FloatArray, metal: MetalShare) -> FloatArray | None:
    """Return the rod's middle line (n, 4: point and cross-section) between two heads."""
    length = float(np.linalg.norm(end - start))
    if not _NEAREST_MM <= length <= _FARTHEST_MM:
        return None
    beside = min(_FREE_MM, length / 3)
    free = np.linspace(beside, length - beside, max(4, int(length - 2 * beside) + 1))
    axis = unit(end - start)
    line = start + free[:, None] * axis
    area = np.zeros(len(line))
    for turn in range(_TURNS):
        line, area = _centred(line, axis, metal, _DISC_MM * (1.6 if turn == 0 else 1.0))
    if np.median(area) < _LEAST_MM2 or (area < _LEAST_MM2 / 2).mean() > 0.2:
        return None
    return np.column_stack([line, area])


def _centred(
    line: FloatArray, axis: FloatArray, metal: MetalShare, reach_mm: float
) -> tuple[FloatArray, FloatArray]:
    """Move points (n, 3) to the middle of the metal across the line; also its area in mm2."""
    first = perpendicular(axis, (1.0, 0.0, 0.0))
    second = np.cross(axis, first)
    step = np.arange(-reach_mm, reach_mm + 1e-6, _CELL_MM)
    across, up = np.meshgrid(step, step)
    disc = np.hypot(across, up) <= reach_mm
    flat = np.stack([across[disc], up[disc]], axis=1)
    share = metal.at(line[:, None] + flat @ np.stack([first, second]))
    total = share.sum(axis=1)
    centre = share @ flat / np.maximum(total, 1e-6)[:, None]
    held = np.where((total * _CELL_MM**2 >= _LEAST_MM2 / 2)[:, None], centre, 0.0)
    return line + held @ np.stack([first, second]), total * _CELL_MM**2


def _traced(
    side: str, group: list[Screw], pieces: list[FloatArray], metal: MetalShare
) -> list[TracedRod]:
    if len(group) < 2:
        return []
    middles = [np.median(piece[:, :3], axis=0) for piece in pieces]
    area = float(np.median(np.concatenate([piece[:, 3] for piece in pieces])))
    diameter = float(np.clip(2.0 * np.sqrt(area / np.pi), *_DIAMETERS_MM))
    ends = [_end(pieces[0][::-1], metal, area), _end(pieces[-1], metal, area)]
    points = np.array([ends[0], *middles, ends[1]])
    kept = [points[0]]
    kept += [p for p in points[1:] if np.linalg.norm(p - kept[-1]) > 1.0]
    curve = rod_curve(np.array(kept), 2.0) if len(kept) > 1 else np.array(kept)
    if len(curve) < 2:
        return []
    ids = tuple(screw.id for screw in group)
    return [TracedRod(side, tuple(as_point(p) for p in kept), diameter, ids)]


def _end(piece: FloatArray, metal: MetalShare, usual_mm2: float) -> FloatArray:
    """Follow the rod on from the last free piece, through the outermost head, to its end."""
    half = max(2, len(piece) // 2)
    axis = unit(piece[-1, :3] - piece[-half, :3])
    depth = np.arange(0.0, 2 * _FREE_MM + _LONGEST_END_MM, _STEP_MM)
    line = piece[-1, :3] + depth[:, None] * axis
    _, area = _centred(line, axis, metal, _DISC_MM / 2 + 1.0)
    ended = np.flatnonzero(area < _ENDS_SHARE * usual_mm2)
    last = int(ended[0]) if len(ended) else len(depth) - 1
    return np.asarray(line[last], np.float64)
