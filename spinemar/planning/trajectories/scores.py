"""How good are candidate trajectories through a pedicle? Thousands at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.implants.catalogue import ScrewModel
from spinemar.implants.shapes.solids import FloatArray
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.grades.hu_profile import sample_hu
from spinemar.planning.trajectories.sites import MIDLINE_GAP_MM
from spinemar.planning.trajectories.targets import Target
from spinemar.spine.model import PedicleFrame
from spinemar.volume import CTVolume

# Candidates are sampled along their axis from here to there, in mm from the isthmus.
_BACK_MM, _FORTH_MM, _STEP_MM = 32.0, 55.0, 1.0
# The narrow part of the pedicle on both sides of its isthmus.
_NARROW_MM = 8.0
_LONGEST_ENTRY_MM = 30.0
# So much bone beside a screw is as good as any more.
_ENOUGH_MM = 1.0
_BODY_EXTRA_MM = 1.0
# A bicortical screw passes the cortex at its tip by this much; there it is to leave the bone.
_THROUGH_MM, _EXIT_MM = (0.4, 1.6), 6.0
# Bone that ends nearer by this than the cortex that is passed ends at another wall.
_OTHER_WALL_MM = 1.0
# A mean of so many HU along the track is as good as any more.
_DENSE_HU = 400.0


@dataclass(frozen=True)
class Weights:
    """Shares of the goals in a score; they need not add up to 1."""

    margin: float = 0.40
    convergence: float = 0.12
    sagittal: float = 0.12
    density: float = 0.08
    length: float = 0.10
    diameter: float = 0.20
    centre: float = 0.30


@dataclass(frozen=True)
class Pedicle:
    """What the search needs to know: field, pedicle, goals, sizes and CT.

    `diameter_step` asks for so many catalogue sizes less than the width allows; a `bicortical`
    screw passes the cortex at its tip, instead of staying `tip_gap_mm` behind it.
    """

    field: BoneField
    pedicle: PedicleFrame
    target: Target
    model: ScrewModel
    volume: CTVolume | None = None
    weights: Weights = Weights()
    tip_gap_mm: float = 4.0
    diameter_share: float = 0.8
    diameter_step: int = 0
    bicortical: bool = False

    @property
    def side_sign(self) -> float:
        """+1 for the right side, -1 for the left."""
        return 1.0 if self.pedicle.side == "right" else -1.0

    @property
    def diameter_mm(self) -> float:
        """Catalogue diameter for the pedicle's width, less `diameter_step` sizes."""
        wanted = self.diameter_share * self.pedicle.width_mm
        sizes = [d for d in self.model.diameters_mm if d <= wanted]
        if len(sizes) <= self.diameter_step:
            return min(self.model.diameters_mm)
        return sizes[-1 - self.diameter_step]


@dataclass(frozen=True)
class Scores:
    """Results of many candidates, each array of shape (n,).

    `total` is -inf where no screw fits; `entry_mm` lies along the axis, from the point
    at the isthmus (negative: behind it).
    """

    total: FloatArray
    terms: Mapping[str, FloatArray]
    entry_mm: FloatArray
    length_mm: FloatArray
    diameter_mm: FloatArray
    margin_mm: FloatArray


def directions(pedicle: Pedicle, candidates: FloatArray) -> FloatArray:
    """Return local unit axes (n, 3) of candidates (n, 4)."""
    alpha, beta = np.radians(candidates[:, 0]), np.radians(candidates[:, 1])
    return np.stack(
        [
            -pedicle.side_sign * np.sin(alpha) * np.cos(beta),
            np.cos(alpha) * np.cos(beta),
            np.sin(beta),
        ],
        axis=1,
    )


def crossings(pedicle: Pedicle, candidates: FloatArray) -> FloatArray:
    """Return the local points (n, 3) at which candidates cross the isthmus."""
    isthmus = pedicle.field.frame.to_local(pedicle.pedicle.isthmus_ras)
    shift = np.stack(
        [candidates[:, 2] * pedicle.side_sign, np.zeros(len(candidates)), candidates[:, 3]], axis=1
    )
    result: FloatArray = isthmus + shift
    return result


def score(pedicle: Pedicle, candidates: FloatArray) -> Scores:
    """Score candidates.

    Parameters
    ----------
    pedicle : Pedicle
    candidates : ndarray, shape (n, 4)
        Convergence and sagittal angle in degrees, shifts at the isthmus outwards and
        upwards in mm.
    """
    way = np.arange(-_BACK_MM, _FORTH_MM + _STEP_MM / 2, _STEP_MM)
    axis = directions(pedicle, candidates)
    points = crossings(pedicle, candidates)[:, None] + way[:, None] * axis[:, None]
    depth = -pedicle.field.distance_local_mm(points)
    entry, front = _ends(depth, way)
    radius = pedicle.diameter_mm / 2
    midline = _midline(pedicle, candidates, axis)
    if pedicle.bicortical:
        length = _lengths(pedicle, np.minimum(front + _THROUGH_MM[1], midline) - entry)
        passes = entry + length >= front + _THROUGH_MM[0]
        length = np.where(passes & _below_plate(pedicle, points, way, front), length, 0.0)
        held = ~_passed(pedicle, points, axis, front[:, None] - way, depth)
    else:
        length = _lengths(pedicle, np.minimum(front - pedicle.tip_gap_mm, midline) - entry)
        held = np.ones(points.shape[:2], bool)
    in_pedicle = np.where(np.abs(way) <= _NARROW_MM, depth, np.inf).min(axis=1) - radius
    before = (entry + length)[:, None] - way
    tapered = radius * (0.25 + 0.75 * np.clip(before / 5.0, 0.0, 1.0))
    in_body = np.where((way > _NARROW_MM) & (before >= 0) & held, depth - tapered, np.inf)
    in_body = in_body.min(axis=1)
    terms = {
        "margin": _margin_term(in_pedicle, in_body),
        "density": _density_term(pedicle, points, (way >= entry[:, None]) & (before >= 0)),
        "length": np.clip((length - 20.0) / 25.0, 0.0, 1.0),
        "diameter": np.full(len(candidates), max(1.0 - _share_lost(pedicle) / 0.3, 0.0)),
        **_aim_terms(pedicle, candidates),
    }
    usable = (length > 0) & np.isfinite(entry)
    total = np.where(usable, _weighted(pedicle.weights, terms), -np.inf)
    diameter = np.full(len(candidates), pedicle.diameter_mm)
    return Scores(total, terms, entry, length, diameter, np.minimum(in_pedicle, in_body))


def _ends(depth: FloatArray, way: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return where axes leave the bone at the back and at the front, NaN where they do not.

    Small gaps at the isthmus itself do not count: a thin pedicle's axis may graze them.
    """
    back, front = way <= -_NARROW_MM / 2, way >= _NARROW_MM
    behind = depth[:, back][:, ::-1]
    out = behind <= 0.0
    first = out.argmax(axis=1)
    entry = -_NARROW_MM / 2 - (first - _fraction(behind, first)) * _STEP_MM
    entry = np.where(out.any(axis=1) & (entry > -_LONGEST_ENTRY_MM), entry, np.nan)
    before = depth[:, front]
    left = before <= 0.0
    last = left.argmax(axis=1)
    leaves = _NARROW_MM + (last - _fraction(before, last)) * _STEP_MM
    return entry, np.where(left.any(axis=1), leaves, np.nan)


def _fraction(depth: FloatArray, index: NDArray[np.intp]) -> FloatArray:
    """Return the share of a step by which the surface lies before sample `index`."""
    rows = np.arange(len(depth))
    after, previous = depth[rows, index], depth[rows, np.maximum(index - 1, 0)]
    share = np.where(previous > after, -after / np.maximum(previous - after, 1e-6), 0.0)
    result: FloatArray = np.where(index > 0, np.clip(share, 0.0, 1.0), 0.0)
    return result


def _midline(pedicle: Pedicle, candidates: FloatArray, axis: FloatArray) -> FloatArray:
    """Return how far along their axes screws stay on their own side of the vertebra, in mm.

    The other side's screw lies there: half of `MIDLINE_GAP_MM` is kept to the middle plane.
    """
    outwards = crossings(pedicle, candidates)[:, 0] * pedicle.side_sign
    inwards = -axis[:, 0] * pedicle.side_sign
    gap = outwards - MIDLINE_GAP_MM / 2 - pedicle.diameter_mm / 2
    return np.where(inwards > 1e-3, gap / np.maximum(inwards, 1e-3), np.inf)


def _below_plate(
    pedicle: Pedicle, points: FloatArray, way: FloatArray, front: FloatArray
) -> NDArray[np.bool_]:
    """Tell whose axes leave the bone at the front, not through the upper endplate."""
    plate = pedicle.field.frame.endplates["superior"]
    index = np.searchsorted(way, np.nan_to_num(front)).clip(max=len(way) - 1)
    exits = pedicle.field.frame.to_ras(points[np.arange(len(points)), index])
    below = (plate.point_ras - exits) @ plate.normal_ras
    return np.asarray(below >= _EXIT_MM)


def _passed(
    pedicle: Pedicle, points: FloatArray, axis: FloatArray, before: FloatArray, depth: FloatArray
) -> NDArray[np.bool_]:
    """Tell where bone (n, m) is thin because of the cortex that an axis passes at the front.

    Shortly before it the nearest wall is that cortex: as near as its plane at the exit lets expect.
    Any nearer wall is another one, which a screw has to keep away from there as elsewhere.

    Parameters
    ----------
    pedicle : Pedicle
    points : ndarray, shape (n, m, 3)
    axis : ndarray, shape (n, 3)
    before : ndarray, shape (n, m)
        How far points lie before the exit, mm; NaN without one.
    depth : ndarray, shape (n, m)
    """
    exits = points[:, 0] + np.nan_to_num(before[:, :1]) * axis
    lean = np.clip((pedicle.field.outward_local(exits) * axis).sum(axis=1), 0.0, 1.0)
    near = before < _EXIT_MM
    return np.asarray(near & (depth > before * lean[:, None] - _OTHER_WALL_MM))


def _lengths(pedicle: Pedicle, room: FloatArray) -> FloatArray:
    """Return the longest catalogue length that fits into the room, 0 where none does."""
    sizes = np.array(pedicle.model.lengths_mm)
    sizes = sizes[sizes <= pedicle.target.longest_mm]
    place = np.searchsorted(sizes, np.nan_to_num(room, nan=0.0) + 1e-6, side="right") - 1
    result: FloatArray = np.where(place >= 0, sizes[np.maximum(place, 0)], 0.0)
    return result


def _aim_terms(pedicle: Pedicle, candidates: FloatArray) -> dict[str, FloatArray]:
    """Return how well the angles and the isthmus' centre are met: 1 fully, less if not."""
    target = pedicle.target
    convergence = np.abs(candidates[:, 0] - target.convergence_deg)
    sagittal = np.abs(candidates[:, 1] - target.sagittal_deg)
    off_axis = np.hypot(candidates[:, 2], candidates[:, 3] - target.up_mm)
    return {
        "convergence": 1.0 - np.maximum(convergence - target.free_deg, 0.0) / 15.0,
        "sagittal": 1.0 - np.maximum(sagittal - target.free_deg, 0.0) / 15.0,
        "centre": 1.0 - off_axis / target.centre_mm,
    }


def _share_lost(pedicle: Pedicle) -> float:
    """Return by how much of the pedicle's width the screw is thinner than wanted."""
    width = max(pedicle.pedicle.width_mm, 1.0)
    reachable = min(pedicle.diameter_share, max(pedicle.model.diameters_mm) / width)
    return max(reachable - pedicle.diameter_mm / width, 0.0)


def _margin_term(in_pedicle: FloatArray, in_body: FloatArray) -> FloatArray:
    """Return 1 with enough bone around; below zero every mm of breach costs a lot."""
    # In the body there is room: more is wanted there.
    margin = np.minimum(in_pedicle, in_body - _BODY_EXTRA_MM)
    safe = 0.5 + 0.5 * np.sqrt(np.clip(margin / _ENOUGH_MM, 0.0, 1.0))
    result: FloatArray = np.where(margin >= 0.0, safe, 0.5 + 1.5 * margin)
    return result


def _density_term(pedicle: Pedicle, local: FloatArray, inside: NDArray[np.bool_]) -> FloatArray:
    """Return 0 to 1 for the mean HU along the track; 0.5 without a CT."""
    if pedicle.volume is None:
        return np.full(len(local), 0.5)
    hu = np.nan_to_num(sample_hu(pedicle.volume, pedicle.field.frame.to_ras(local)))
    mean = (hu * inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    result: FloatArray = np.clip(mean / _DENSE_HU, 0.0, 1.0)
    return result


def _weighted(weights: Weights, terms: Mapping[str, FloatArray]) -> FloatArray:
    total = sum(getattr(weights, name) for name in terms)
    shares = [getattr(weights, name) / total * value for name, value in terms.items()]
    result: FloatArray = np.sum(shares, axis=0)
    return result
