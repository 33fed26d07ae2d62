"""What touches what must not: implants among themselves, and the joints next door."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import ndimage

from spinemar.implants.catalogue import Catalogue, ScrewModel
from spinemar.implants.placement import Rod, Screw
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.screw import head_pose
from spinemar.implants.shapes.solids import FloatArray, perpendicular
from spinemar.planning.grades.contacts.solid_contacts import solid_contacts
from spinemar.planning.plans.plan import Plan
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import LabelVolume

SCREW_SCREW, TULIP_TULIP = "screw-screw", "tulip-tulip"
SCREW_ROD, FACET = "screw-rod", "screw-facet"

_STEP_MM = 1.0
# So little of a neighbouring vertebra's labels may be the labels' own error.
_FACET_VOXELS = 4


@dataclass(frozen=True)
class Collision:
    """Two things that overlap by `overlap_mm`; `second` may be a vertebra's level."""

    kind: str
    first: str
    second: str
    overlap_mm: float


def find_collisions(
    plan: Plan, catalogue: Catalogue, labels: LabelVolume | None = None
) -> tuple[Collision, ...]:
    """Return every collision of a plan.

    Parameters
    ----------
    plan : Plan
    catalogue : Catalogue
        Of its models.
    labels : LabelVolume, optional
        VerSe labels; with them screws and tulips are tested against the joints of the
        neighbouring vertebrae.
    """
    models = {screw.id: catalogue.screw(screw.model) for screw in plan.screws}
    found = [
        *_between_screws(plan.screws, models),
        *_with_rods(plan, models),
        *(Collision(*contact) for contact in solid_contacts(plan, catalogue)),
    ]
    if labels is not None:
        for screw in plan.screws:
            found += facet_violations(screw, models[screw.id], labels)
    return tuple(found)


def _between_screws(screws: Sequence[Screw], models: dict[str, ScrewModel]) -> Iterator[Collision]:
    pairs = list(combinations(range(len(screws)), 2))
    if not pairs:
        return
    shanks = _apart_mm(np.array([(screw.entry, screw.tip) for screw in screws]), pairs)
    heads = _apart_mm(np.array([_tulip(screw, models[screw.id]) for screw in screws]), pairs)
    for (n, m), shank, head in zip(pairs, shanks.tolist(), heads.tolist(), strict=True):
        a, b = screws[n], screws[m]
        overlap = (a.diameter_mm + b.diameter_mm) / 2 - shank
        if overlap > 0:
            yield Collision(SCREW_SCREW, a.id, b.id, overlap)
        # Along the rod a tulip is narrower than across it.
        overlap = (models[a.id].head.along_mm + models[b.id].head.along_mm) / 2 - head
        if overlap > 0:
            yield Collision(TULIP_TULIP, a.id, b.id, overlap)


def _apart_mm(segments: FloatArray, pairs: Sequence[tuple[int, int]]) -> FloatArray:
    """Return the distances of pairs out of segments of the shape (n, 2, 3)."""
    first, second = (segments[list(index)] for index in zip(*pairs, strict=True))
    return _distances_mm(first[:, 0], first[:, 1], second[:, 0], second[:, 1])


def _tulip(screw: Screw, model: ScrewModel) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper end of a tulip's axis."""
    pose = head_pose(screw, model)
    floor = pose.ball - pose.axis * 1.25 * model.head.ball_mm
    return floor, floor + pose.axis * model.head.height_mm


def _with_rods(plan: Plan, models: dict[str, ScrewModel]) -> Iterator[Collision]:
    for rod in plan.rods:
        curve = rod_curve(rod.control_points, _STEP_MM)
        for screw in plan.screws:
            overlap = _rod_overlap(rod, curve, screw, models[screw.id])
            if overlap > 0:
                yield Collision(SCREW_ROD, screw.id, rod.id, overlap)


def _rod_overlap(rod: Rod, curve: FloatArray, screw: Screw, model: ScrewModel) -> float:
    """Return how deep a rod lies in a shank, or in the tulip of a screw it does not hold."""
    reach = rod.diameter_mm / 2
    overlap = reach + screw.diameter_mm / 2 - _to_segment(curve, screw.entry, screw.tip)
    if screw.id not in rod.screw_ids:
        start, end = _tulip(screw, model)
        tulip = reach + model.head.width_mm / 2 - _to_segment(curve, start, end)
        overlap = max(overlap, tulip)
    return float(overlap)


def facet_violations(screw: Screw, model: ScrewModel, labels: LabelVolume) -> Iterator[Collision]:
    """Yield the neighbouring vertebrae that a screw or its tulip cuts into, and how deep."""
    own = VERSE_IDS.get(screw.level)
    if own is None:
        return
    points, depth = _volume_points(screw, model)
    ijk = labels.geometry.to_ijk(points)
    found = ndimage.map_coordinates(labels.labels, ijk[:, ::-1].T, order=0, cval=0)
    names = {number: level for level, number in VERSE_IDS.items()}
    for number in np.unique(found):
        hit = found == number
        if number in (0, own) or number not in names or hit.sum() < _FACET_VOXELS:
            continue
        yield Collision(FACET, screw.id, names[int(number)], float(depth[hit].max()))


def _volume_points(screw: Screw, model: ScrewModel) -> tuple[FloatArray, FloatArray]:
    """Return points within shank and tulip, and their depth below the surface."""
    start, end = _tulip(screw, model)
    shank = _rod_points(np.asarray(screw.entry), np.asarray(screw.tip), screw.diameter_mm / 2)
    tulip = _rod_points(start, end, model.head.along_mm / 2)
    both = [np.concatenate(pair) for pair in zip(shank, tulip, strict=True)]
    return both[0], both[1]


def _rod_points(start: FloatArray, end: FloatArray, radius: float) -> tuple[FloatArray, FloatArray]:
    axis = (end - start) / np.linalg.norm(end - start)
    first = perpendicular(axis, (1.0, 0.0, 0.0))
    second = np.cross(axis, first)
    angle = np.arange(16) * np.pi / 8
    ring = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    along = np.arange(0.0, float(np.linalg.norm(end - start)) + 1e-6, _STEP_MM)
    radii = np.arange(0.5, radius, _STEP_MM)
    points = (
        start + along[:, None, None, None] * axis + radii[None, :, None, None] * ring[None, None]
    )
    depth = np.broadcast_to(radius - radii[None, :, None], points.shape[:3])
    return points.reshape(-1, 3), depth.reshape(-1)


def segment_distance_mm(
    a0: FloatArray | Sequence[float],
    a1: FloatArray | Sequence[float],
    b0: FloatArray | Sequence[float],
    b1: FloatArray | Sequence[float],
) -> float:
    """Return the smallest distance of two straight segments in space.

    Ends a0, a1 and b0, b1 have the shape (3,), in mm.
    """
    ends = (np.asarray(end, dtype=np.float64)[None] for end in (a0, a1, b0, b1))
    return float(_distances_mm(*ends)[0])


def _distances_mm(a0: FloatArray, a1: FloatArray, b0: FloatArray, b1: FloatArray) -> FloatArray:
    """Return the smallest distances of pairs of segments with ends (n, 3), all at once."""
    u, v, w = a1 - a0, b1 - b0, a0 - b0
    uu, uv, vv, uw, vw = (
        np.einsum("ij,ij->i", a, b) for a, b in ((u, u), (u, v), (v, v), (u, w), (v, w))
    )
    # Least squares of |a0 + s u - b0 - t v| over the square; its edges where it leaves it.
    determinant = uu * vv - uv * uv
    skew = determinant > 1e-12 * uu * vv
    below = np.where(skew, determinant, 1.0)
    s, t = (uv * vw - vv * uw) / below, (uu * vw - uv * uw) / below
    inside = skew & (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
    none, one = np.zeros_like(s), np.ones_like(s)
    nearest = [
        (s, t),
        (np.clip(-uw / uu, 0, 1), none),
        (np.clip((uv - uw) / uu, 0, 1), one),
        (none, np.clip(vw / vv, 0, 1)),
        (one, np.clip((vw + uv) / vv, 0, 1)),
    ]
    apart = [np.linalg.norm(w + s[:, None] * u - t[:, None] * v, axis=1) for s, t in nearest]
    apart[0] = np.where(inside, apart[0], np.inf)
    smallest: FloatArray = np.min(apart, axis=0)
    return smallest


def _to_segment(points: FloatArray, start: object, end: object) -> float:
    a, b = np.asarray(start, float), np.asarray(end, float)
    along = b - a
    share = np.clip((points - a) @ along / (along @ along), 0.0, 1.0)
    return float(np.linalg.norm(points - a - share[:, None] * along, axis=1).min())
