"""Sort the metal that is neither screw, head nor rod: crosslinks, cages, and what is none of them.

A crosslink is a thin bar behind the canal that runs across from one rod to the other; a cage lies
between two bodies. What fits neither (wires, clips, plates, markers elsewhere) is counted only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from spinemar.implants.placement import Cage, Crosslink, Rod, Screw
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.planning.vectors import as_point
from spinemar.postop.metal_share import MetalShare
from spinemar.spine.model import SpineModel, VertebraFrame

# So far around shanks, heads and rods metal and its glow are theirs.
_SHANK_RIM_MM, _HEAD_MM, _HEAD_FROM_MM, _HEAD_TO_MM, _ROD_RIM_MM = 3.0, 11.0, -3.0, 22.0, 4.0
# Metal so far from every canal's middle is not of the spine.
_OF_SPINE_MM = 60.0
# Smaller pieces are noise or glow.
_LEAST_MM3 = 4.0
# A bar: thin, mostly from side to side, its free middle so long, and ending near the rods.
_BAR_MM, _BAR_MM2, _ACROSS, _TO_ROD_MM = 6.0, 90.0, 0.7, 14.0
# A cage: so much metal in a disc, and no thinner than a screw; a disc begins so far inside the
# endplates' planes, and a body is so wide and deep.
_CAGE_MM3, _BROAD_MM = 100.0, 7.0
_INTO_BODY_MM, _HALF_BODY_MM, _BEFORE_CANAL_MM, _BODY_DEPTH_MM = 4.0, 26.0, 4.0, 50.0
_CAGE_SIZES_MM = ((5.0, 70.0), (5.0, 60.0), (3.0, 60.0))
_BAR_DIAMETERS_MM = (2.0, 10.0)


@dataclass(frozen=True, eq=False)
class SortedMetal:
    """What further metal is.

    Parameters
    ----------
    crosslinks : tuple of Crosslink
    cages : tuple of Cage
        Each as large as the box of its metal along the endplates.
    places : ndarray, shape (n, 3)
        RAS mm of the voxels that are theirs.
    """

    crosslinks: tuple[Crosslink, ...]
    cages: tuple[Cage, ...]
    places: FloatArray


@dataclass(frozen=True, eq=False)
class _Piece:
    """A connected piece: places of its voxels, RAS mm (n, 3), and the metal in each, mm3 (n,)."""

    points: FloatArray
    mm3: FloatArray

    @property
    def centre(self) -> FloatArray:
        centre: FloatArray = np.average(self.points, axis=0, weights=self.mm3)
        return centre


def sort_metal(
    metal: MetalShare,
    spine: SpineModel,
    screws: Sequence[Screw],
    rods: Sequence[Rod],
    material: str,
) -> SortedMetal:
    """Sort what is left of the metal near the spine.

    Parameters
    ----------
    metal : MetalShare
    spine : SpineModel
    screws : sequence of Screw
    rods : sequence of Rod
        That were found in it.
    material : str
        What they are written down as.
    """
    pieces = list(_pieces(metal, spine, screws, rods))
    crosslinks: list[Crosslink] = []
    cages: list[Cage] = []
    left: list[_Piece] = []
    places = [np.zeros((0, 3))]
    for piece in pieces:
        link = _crosslink(piece, spine, rods, len(crosslinks) + 1, material)
        if link is None:
            left.append(piece)
            continue
        crosslinks.append(link)
        places.append(piece.points)
    for above, below in pairwise(spine.vertebrae):
        inside = [piece for piece in left if _in_disc(piece.centre, above, below)]
        cage = _cage(inside, above, below, material)
        if cage is not None:
            cages.append(cage)
            places += [piece.points for piece in inside]
    return SortedMetal(tuple(crosslinks), tuple(cages), np.concatenate(places))


def _pieces(
    metal: MetalShare, spine: SpineModel, screws: Sequence[Screw], rods: Sequence[Rod]
) -> Iterator[_Piece]:
    """Yield connected pieces of the metal near the spine that belongs to no screw or rod."""
    from scipy.spatial import cKDTree

    points = metal.points
    if not len(points) or not spine.vertebrae:
        return
    centres = np.array([frame.canal_centre_ras for frame in spine.vertebrae])
    free = np.asarray(cKDTree(centres).query(points)[0] <= _OF_SPINE_MM)
    for line, reach in _claimed(screws, rods):
        free[free] = cKDTree(line).query(points[free])[0] > reach
    if not free.any():
        return
    index = metal.inside[free]
    first = index.min(axis=0)
    mask = np.zeros(index.max(axis=0) - first + 1, dtype=np.bool_)
    mask[tuple((index - first).T)] = True
    numbers, count = ndimage.label(mask, np.ones((3, 3, 3)))
    of = numbers[tuple((index - first).T)]
    mm3 = metal.weights[free] * metal.voxel_mm3
    for number in range(1, count + 1):
        own = of == number
        if mm3[own].sum() >= _LEAST_MM3:
            yield _Piece(points[free][own], mm3[own])


def _claimed(screws: Sequence[Screw], rods: Sequence[Rod]) -> Iterator[tuple[FloatArray, float]]:
    """Yield lines (n, 3) and how far around them metal is a screw's, a head's or a rod's."""
    for screw in screws:
        axis, entry = shank_axis(screw), np.asarray(screw.entry)
        shank = np.linspace(0.0, screw.length_mm + 2.0, 60)
        yield entry + shank[:, None] * axis, screw.diameter_mm / 2 + _SHANK_RIM_MM
        head = np.linspace(_HEAD_FROM_MM, _HEAD_TO_MM, 30)
        yield entry - head[:, None] * axis, _HEAD_MM
    for rod in rods:
        yield rod_curve(rod.control_points, 1.0), rod.diameter_mm / 2 + _ROD_RIM_MM


def _crosslink(
    piece: _Piece, spine: SpineModel, rods: Sequence[Rod], number: int, material: str
) -> Crosslink | None:
    """Return the crosslink that a piece is the middle of; None where it is none."""
    frame = _nearest(piece.centre, spine)
    behind = frame.to_local(piece.centre)[1] < frame.to_local(frame.canal_centre_ras)[1]
    sides = [[rod for rod in rods if rod.side == side] for side in ("left", "right")]
    if not behind or not all(sides) or len(piece.points) < 3:
        return None
    spread = (piece.points - piece.centre) * np.sqrt(piece.mm3)[:, None]
    axis = unit(np.linalg.svd(spread, full_matrices=False)[2][0])
    along = (piece.points - piece.centre) @ axis
    length = float(np.ptp(along))
    if length < _BAR_MM or abs(float(axis @ frame.right)) < _ACROSS:
        return None
    area = float(piece.mm3.sum()) / length
    if area > _BAR_MM2:
        return None
    ends = [
        min((_on_rod(rod, piece.centre, axis) for rod in own), key=lambda one: one.gap_mm)
        for own in sides
    ]
    if any(one.gap_mm > _TO_ROD_MM for one in ends):
        return None
    start, end = (one.place for one in ends)
    across = unit(end - start)
    posterior = -frame.anterior
    diameter = 2.0 * np.sqrt(area / np.pi)
    return Crosslink(
        id=f"crosslink-{number}",
        start=as_point(start),
        end=as_point(end),
        posterior=as_point(unit(posterior - across * (posterior @ across))),
        diameter_mm=round(float(np.clip(diameter, *_BAR_DIAMETERS_MM)), 2),
        rod_diameter_mm=ends[0].rod.diameter_mm,
        material=material,
        rod_ids=(ends[0].rod.id, ends[1].rod.id),
    )


@dataclass(frozen=True, eq=False)
class _OnRod:
    """The point of a rod nearest to a line, and how far the line passes it."""

    rod: Rod
    place: FloatArray
    gap_mm: float


def _on_rod(rod: Rod, centre: FloatArray, axis: FloatArray) -> _OnRod:
    curve = rod_curve(rod.control_points, 0.5)
    relative = curve - centre
    gaps = np.linalg.norm(relative - (relative @ axis)[:, None] * axis, axis=1)
    n = int(np.argmin(gaps))
    return _OnRod(rod, curve[n], float(gaps[n]))


def _nearest(point: FloatArray, spine: SpineModel) -> VertebraFrame:
    return min(spine.vertebrae, key=lambda one: float(np.linalg.norm(one.canal_centre_ras - point)))


def _in_disc(point: FloatArray, above: VertebraFrame, below: VertebraFrame) -> bool:
    """Whether a point lies between two bodies."""
    if "inferior" not in above.endplates or "superior" not in below.endplates:
        return False
    roof, floor = above.endplates["inferior"], below.endplates["superior"]
    local = above.to_local(point)
    before = local[1] - above.to_local(above.canal_centre_ras)[1]
    return bool(
        (point - roof.point_ras) @ roof.normal_ras <= _INTO_BODY_MM
        and (floor.point_ras - point) @ floor.normal_ras <= _INTO_BODY_MM
        and abs(local[0]) <= _HALF_BODY_MM
        and _BEFORE_CANAL_MM <= before <= _BODY_DEPTH_MM
    )


def _cage(
    pieces: Sequence[_Piece], above: VertebraFrame, below: VertebraFrame, material: str
) -> Cage | None:
    """Return the cage that the metal in a disc is; None where there is too little."""
    total = sum(float(piece.mm3.sum()) for piece in pieces)
    if total < _CAGE_MM3:
        return None
    points = np.concatenate([piece.points for piece in pieces])
    roof, floor = above.endplates["inferior"], below.endplates["superior"]
    superior = unit(roof.normal_ras + floor.normal_ras)
    right = unit(above.right - superior * (above.right @ superior))
    anterior = np.cross(superior, right)
    axes = np.stack([right, anterior, superior])
    local = points @ axes.T
    low, high = local.min(axis=0), local.max(axis=0)
    if sorted(high - low)[1] < _BROAD_MM:
        return None
    sizes = [
        float(np.clip(size, *limits))
        for size, limits in zip(high - low, _CAGE_SIZES_MM, strict=True)
    ]
    disc = f"{above.level}/{below.level}"
    return Cage(
        id=f"cage-{disc}",
        level=disc,
        centre=as_point(((low + high) / 2) @ axes),
        right=as_point(right),
        anterior=as_point(anterior),
        width_mm=round(sizes[0], 1),
        depth_mm=round(sizes[1], 1),
        height_mm=round(sizes[2], 1),
        material=material,
        marker_material=None,
    )
