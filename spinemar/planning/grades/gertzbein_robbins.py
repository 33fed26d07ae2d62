"""Gertzbein-Robbins grades of screws, with direction, from a vertebra's distance field.

References
----------
Gertzbein and Robbins, Accuracy of pedicular screw placement in vivo, Spine 1990. Heary et al.,
Thoracic pedicle screws: postoperative computerized tomography scanning assessment, J Neurosurg
Spine 2004.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinemar.implants.placement import PELVIS, Grade, Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import FloatArray, perpendicular
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.grades.gradable import missed_pedicle, unsafe_ground
from spinemar.planning.plans.plan import Plan
from spinemar.spine.model import SpineModel, VertebraFrame

#: Lower limits in mm of grades B to E by the largest breach; A is no breach.
GRADE_LIMITS_MM = ((6.0, "E"), (4.0, "D"), (2.0, "C"))
_IN_LATERAL_MASS = "A screw in a lateral mass has no grade: look at it in slices."
_GOOD = ("A", "B")
#: A screw can be dragged away from its vertebra altogether; farther than this says no more.
FAR_MM = 100.0
#: A breach below this cannot be told from the voxels' edge and counts as none.
RESOLVED_MM = 0.25

_STATION_MM = 0.5
_ANGLES = 24
# The point of a screw narrows over this length to this share of its radius.
_TIP_MM, _TIP_SHARE = 5.0, 0.25
# The canal's wall counts from here behind the isthmus: further back a screw enters.
_BEHIND_ISTHMUS_MM = 8.0
_CANAL_HALF_HEIGHT_MM = 10.0
# Between canal and body lies a wall; so far before the canal's middle without its contour.
_WALL_MM, _USUAL_WALL_MM = 2.0, 10.0


@dataclass(frozen=True)
class ScrewPoints:
    """Points on the surface of a screw's shank.

    Parameters
    ----------
    depth_mm : ndarray, shape (n,)
        Way from the entry along the axis.
    local : ndarray, shape (n, 3)
        Vertebra coordinates (right, anterior, superior) in mm.
    """

    depth_mm: FloatArray
    local: FloatArray


@dataclass(frozen=True)
class Assessment:
    """Everything that grading finds out about a screw.

    `breach_mm` maps medial, lateral, superior, inferior and anterior to the largest
    breach that way; only breaches are listed.
    """

    grade: Grade
    breach_mm: Mapping[str, float]


def letter_for(breach_mm: float) -> str:
    """Return the Gertzbein-Robbins letter of a breach in mm.

    Examples
    --------
    >>> [letter_for(breach_mm) for breach_mm in (0.0, 1.9, 2.0, 5.0, 6.0)]
    ['A', 'B', 'C', 'D', 'E']
    """
    if breach_mm <= 0.0:
        return "A"
    return next((letter for limit, letter in GRADE_LIMITS_MM if breach_mm >= limit), "B")


def assess_screw(screw: Screw, field: BoneField) -> Assessment:
    """Grade a screw in the distance field of its vertebra.

    The screw counts as a smooth cylinder of its outer diameter with a tapered point.
    Its surface is looked at from just behind the isthmus of the pedicle to the tip: at
    the entry every screw leaves the bone. The breach is the largest distance from that
    surface back to the bone.

    Parameters
    ----------
    screw : Screw
    field : BoneField
        Of the screw's own vertebra.
    """
    points = screw_points(screw, field.frame, _start_mm(screw, field.frame))
    outside = field.distance_local_mm(points.local)
    found = assess_surface(screw, field, points, outside)
    heary = _heary(points, outside, screw, field, found.grade.canal_intrusion_mm)
    return replace(found, grade=replace(found.grade, heary=heary))


def assess_surface(
    screw: Screw, field: BoneField, points: ScrewPoints, outside: FloatArray
) -> Assessment:
    """Grade a screw by where its surface leaves a bone, pedicle or ilium.

    Parameters
    ----------
    screw : Screw
    field : BoneField
    points : ScrewPoints
        The part of its surface that counts.
    outside : ndarray, shape (n,)
        How far these points lie outside the bone, mm; negative inside.
    """
    breach = float(outside.max())
    breaches: dict[str, float] = {}
    if breach > RESOLVED_MM:
        breaches = _by_direction(points.local, outside, screw, field)
    largest = max(breaches.values(), default=0.0)
    canal = canal_intrusion_mm(screw, field.frame)
    towards = max(breaches, key=lambda name: breaches[name]) if breaches else None
    if breaches and canal > RESOLVED_MM:
        towards = "medial"  # whatever else the screw leaves, the canal is what matters
    grade = Grade(
        letter=letter_for(largest),
        breach_mm=min(largest, FAR_MM),
        direction=towards,
        margin_mm=float(np.clip(-breach, -FAR_MM, FAR_MM)),
        canal_intrusion_mm=canal,
    )
    return Assessment(grade, breaches)


def _heary(
    points: ScrewPoints, outside: FloatArray, screw: Screw, field: BoneField, canal_mm: float
) -> str:
    """Return the class of Heary by where a screw leaves the bone, the gravest; "" if it has none.

    I nowhere; II laterally at the pedicle, with its tip in the body; III at the body, to the front
    or the side; IV medially or inferiorly at the pedicle. V, what endangers nerves or vessels, is
    for a surgeon to say; of a breach upwards Heary says nothing.
    """
    chosen = np.flatnonzero(outside > RESOLVED_MM)
    if len(chosen) == 0:
        return "I"
    local = points.local[chosen]
    names = np.array(_direction_names(field.outward_local(local), screw.side))
    at_pedicle = local[:, 1] <= back_wall_mm(field.frame)

    def leaves(where: NDArray[np.bool_], *ways: str) -> bool:
        """Whether it leaves there mainly in one of these ways: edges have normals of their own."""
        if not where.any():
            return False
        deepest = outside[chosen][where].max()
        main = where & np.isin(names, ways)
        return bool(main.any() and outside[chosen][main].max() > 0.8 * deepest)

    if canal_mm > RESOLVED_MM or leaves(at_pedicle, "medial", "inferior"):
        return "IV"
    if leaves(~at_pedicle, "anterior", "lateral"):
        return "III"
    return "II" if leaves(at_pedicle, "lateral") else ""


def back_wall_mm(frame: VertebraFrame) -> float:
    """Return where the body begins before the canal, local mm."""
    if len(frame.canal_contour_ras):
        return float(frame.to_local(frame.canal_contour_ras)[:, 1].max()) + _WALL_MM
    return float(frame.to_local(frame.canal_centre_ras)[1]) + _USUAL_WALL_MM


def grade_screw(screw: Screw, field: BoneField) -> Grade:
    """Return the grade of a screw; see `assess_screw`."""
    return assess_screw(screw, field).grade


def graded_screw(
    screw: Screw, field: BoneField | None, frames: Iterable[VertebraFrame] = ()
) -> Screw:
    """Return the screw with its grade, or with the reason why it has none.

    Nothing is graded on ground that is not safe; a screw that misses its pedicle has no good
    letter (A or B), however much bone is around it. A bad one stands. What lies in a canal that
    is known is told of a screw without a grade too. Where the CT that a screw was found in forbids
    a grade, it has none as long as it lies there.

    Parameters
    ----------
    screw : Screw
    field : BoneField or None
        Of the screw's own vertebra; None where that was not segmented.
    frames : iterable of VertebraFrame, optional
        Of the other vertebrae, whose canals a screw without a grade may lie in.
    """
    if screw.in_pelvis:
        return _graded_in_pelvis(screw, field)
    own = () if field is None else (field.frame,)
    if screw.in_lateral_mass:
        return _ungraded_screw(screw, _IN_LATERAL_MASS, (*own, *frames))
    seen = screw.sighting
    reason = "" if seen is None else seen.hindrance
    reason = reason or unsafe_ground(screw, *own or (None,))
    if field is not None and not reason:
        grade = grade_screw(screw, field)
        reason = missed_pedicle(screw, field.frame) if grade.letter in _GOOD else ""
        if not reason:
            return with_level_standing(replace(screw.without_grade(), grade=grade), field.frame)
    return _ungraded_screw(screw, reason, (*own, *frames))


def with_level_standing(screw: Screw, frame: VertebraFrame | None) -> Screw:
    """Return a screw whose grade says whether the name of its vertebra is confirmed.

    That changes where somebody states the levels, and the letter does not.
    """
    if screw.grade is None or frame is None:
        return screw
    return replace(screw, grade=replace(screw.grade, level_confirmed=frame.level_confirmed))


def _ungraded_screw(screw: Screw, reason: str, frames: Iterable[VertebraFrame]) -> Screw:
    """Return the screw without a grade, with the reason and how deep it lies in a canal."""
    found = [canal_intrusion_mm(screw, frame) for frame in frames]
    return screw.without_grade(reason, min(max(found, default=0.0), FAR_MM))


def grade_plan(
    plan: Plan, spine: SpineModel, fields: Mapping[str, BoneField] | None = None
) -> Plan:
    """Return the plan with every screw graded that can be; see `graded_screw`.

    Locks do not matter: grading moves nothing. Screws that end in the ilium need the field of the
    pelvis (`pelvic_field`) under `PELVIS`.
    """
    known = dict(fields or {})
    screws = []
    for screw in plan.screws:
        if screw.in_lateral_mass:
            screws.append(_ungraded_screw(screw, _IN_LATERAL_MASS, spine.vertebrae))
            continue
        if screw.in_pelvis:
            screws.append(_graded_in_pelvis(screw, known.get(PELVIS)))
            continue
        frame = spine.vertebra(screw.level) if screw.level in spine.levels else None
        reason = unsafe_ground(screw, frame)
        if frame is None or reason:
            screws.append(_ungraded_screw(screw, reason, spine.vertebrae))
            continue
        if screw.level not in known:
            known[screw.level] = bone_field(spine.labels, frame)
        screws.append(graded_screw(screw, known[screw.level], spine.vertebrae))
    return replace(plan, screws=tuple(screws))


def _graded_in_pelvis(screw: Screw, field: BoneField | None) -> Screw:
    # Not above: that file counts with this one's points and letters.
    from spinemar.planning.grades.pelvic import graded_in_pelvis
    from spinemar.planning.grades.pelvic_bone import PelvicField

    return graded_in_pelvis(screw, field if isinstance(field, PelvicField) else None)


def screw_points(screw: Screw, frame: VertebraFrame, start_mm: float) -> ScrewPoints:
    """Return rings of surface points from a depth to the tip, and the tip itself."""
    axis = shank_axis(screw)
    length = screw.length_mm
    depth = np.linspace(min(start_mm, length), length, max(2, int(length / _STATION_MM) + 1))
    taper = np.clip((length - depth) / _TIP_MM, 0.0, 1.0)
    radius = screw.diameter_mm / 2 * (_TIP_SHARE + (1.0 - _TIP_SHARE) * taper)
    first = perpendicular(axis, frame.right)
    second = np.cross(axis, first)
    angle = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    ring = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    centres = np.asarray(screw.entry) + depth[:, None] * axis
    rings = centres[:, None] + radius[:, None, None] * ring
    points = np.concatenate([rings.reshape(-1, 3), centres[-1:]])
    depths = np.concatenate([np.repeat(depth, _ANGLES), depth[-1:]])
    return ScrewPoints(depths, frame.to_local(points))


def _start_mm(screw: Screw, frame: VertebraFrame) -> float:
    """Return the depth from which on a screw has to stay in bone.

    Without a pedicle on its side, the canal's centre tells how far in the isthmus lies.
    """
    axis, entry = shank_axis(screw), np.asarray(screw.entry)
    pedicle = frame.pedicles.get(screw.side)
    if pedicle is not None:
        isthmus = float((pedicle.isthmus_ras - entry) @ axis)
    else:
        forwards = max(float(axis @ frame.anterior), 0.3)
        isthmus = float((frame.canal_centre_ras - entry) @ frame.anterior) / forwards
    return float(np.clip(isthmus - _BEHIND_ISTHMUS_MM, 0.0, 0.5 * screw.length_mm))


def _by_direction(
    local: FloatArray, outside: FloatArray, screw: Screw, field: BoneField
) -> dict[str, float]:
    """Return the largest breach per direction: anatomy tells in the canal, the bone elsewhere.

    Of local points (n, 3) and their distances outside of the bone (n,), mm.
    """
    chosen = np.flatnonzero(outside > RESOLVED_MM)
    normal = field.outward_local(local[chosen])
    names = _direction_names(normal, screw.side)
    # The canal lies medially, whichever way the nearest bone of its wall faces.
    for n in np.flatnonzero(_in_canal(local[chosen], field.frame)):
        names[n] = "medial"
    found: dict[str, float] = {}
    for name in dict.fromkeys(names):
        found[name] = float(outside[chosen][[n == name for n in names]].max())
    return found


def _direction_names(normal: FloatArray, side: str) -> list[str]:
    """Return medial, lateral, superior, inferior or anterior for outward vectors (n, 3)."""
    rightwards = 1.0 if side == "right" else -1.0
    scores = np.stack(
        [-rightwards * normal[:, 0], rightwards * normal[:, 0], normal[:, 2], -normal[:, 2],
         normal[:, 1]],
        axis=1,
    )  # fmt: skip
    names = ("medial", "lateral", "superior", "inferior", "anterior")
    return [names[n] for n in np.argmax(scores, axis=1)]


def canal_intrusion_mm(screw: Screw, frame: VertebraFrame) -> float:
    """Return how deep a screw reaches into the canal of its vertebra, 0 if it does not.

    The canal is the prism over its contour at the height of the pedicles.
    """
    points = screw_points(screw, frame, 0.0).local
    inside = points[_in_canal(points, frame), :2]
    if len(inside) == 0:
        return 0.0
    return float(_to_polygon_mm(inside, frame.to_local(frame.canal_contour_ras)[:, :2]).max())


def _in_canal(local: FloatArray, frame: VertebraFrame) -> NDArray[np.bool_]:
    """Tell which local points (n, 3) lie in the canal: the prism over its contour."""
    if len(frame.canal_contour_ras) < 3:
        return np.zeros(len(local), dtype=bool)
    contour = frame.to_local(frame.canal_contour_ras)
    inside: NDArray[np.bool_] = np.abs(local[:, 2] - contour[:, 2].mean()) <= _CANAL_HALF_HEIGHT_MM
    inside[inside] = _in_polygon(local[inside, :2], contour[:, :2])
    return inside


def _in_polygon(points: FloatArray, polygon: FloatArray) -> NDArray[np.bool_]:
    """Tell which points (n, 2) lie in a closed polygon (m, 2): even-odd rule."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    spans = (a[:, 1] > y) != (b[:, 1] > y)
    result: NDArray[np.bool_] = ((spans & (x < crossing)).sum(axis=1) % 2).astype(bool)
    return result


def _to_polygon_mm(points: FloatArray, polygon: FloatArray) -> FloatArray:
    """Return the distance of points (n, 2) to the outline of a polygon (m, 2)."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    along = b - a
    share = ((points[:, None] - a) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    nearest = a + np.clip(share, 0.0, 1.0)[..., None] * along
    result: FloatArray = np.linalg.norm(points[:, None] - nearest, axis=-1).min(axis=1)
    return result
