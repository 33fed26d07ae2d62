"""From metal and vertebrae to a plan of what lies in the patient, graded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, ScrewModel
from spinemar.implants.placement import Rod, Screw, Sighting
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import FloatArray, perpendicular, unit
from spinemar.planning.grades.gertzbein_robbins import back_wall_mm
from spinemar.planning.grades.surroundings import Surroundings, surroundings_of
from spinemar.planning.plans.plan import Plan
from spinemar.planning.vectors import as_point, within_cone
from spinemar.postop.bone import Bone
from spinemar.postop.construct.rods import TracedRod, trace_rods
from spinemar.postop.construct.sorting import sort_metal
from spinemar.postop.fit import FittedShank, fit_shank
from spinemar.postop.grades import GradedScrew, grade_found
from spinemar.postop.metal_share import HALF, MetalShare
from spinemar.postop.shanks import Shank, find_shanks, gap_mm
from spinemar.postop.sizes import NearestSize, nearest_size, outer_diameter_mm, with_one_blur
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.spine.model import SpineModel

_STAGE = "Fitting screws"
# Shares of a voxel that a rendered screw leaves unexplained; more is no screw of this shape.
_WORST_RESIDUAL = 0.22
# A shank that is seen in part may be short of its head, but it does not begin in the body.
_BEGINS_MM = 2.0
# Two fits whose axes meet so nearly are one screw.
_SAME_MM = 3.0
# Around a screw so much may be metal or its glow; more leaves no bone to be seen.
_HIDDEN_SHARE, _AROUND_MM = 0.5, 4.0


@dataclass(frozen=True, eq=False)
class FoundScrew:
    """A screw that was found: where it lies, how sure that is, and how it is graded.

    `near` says what it comes near to; None where it is not gradable.
    """

    screw: Screw
    fitted: FittedShank
    nearest: NearestSize
    graded: GradedScrew
    near: Surroundings | None = None


@dataclass(frozen=True, eq=False)
class FoundImplants:
    """What was found in a scan.

    Parameters
    ----------
    plan : Plan
        Screws, rods, crosslinks and cages as the planner knows them; screws that are not gradable
        have no grade.
    screws : tuple of FoundScrew
        In the plan's order.
    unexplained_mm3 : float
        Metal near the spine that is none of these.
    """

    plan: Plan
    screws: tuple[FoundScrew, ...]
    unexplained_mm3: float


def find_implants(
    metal: MetalShare,
    bone: Bone,
    catalogue: Catalogue,
    *,
    screw_model: str = "generic-polyaxial",
    material: str = "Ti-6Al-4V",
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> FoundImplants:
    """Find the implants of a scan, fit its screws and rods and grade the screws.

    Parameters
    ----------
    metal : MetalShare
    bone : Bone
        Vertebrae on the same scan.
    catalogue : Catalogue
    screw_model, material : str
        What they are written down as: an image does not tell.
    progress, cancel
        As everywhere.

    Returns
    -------
    FoundImplants
        With no screw where there is none: metal elsewhere in the body is no implant of the spine.

    Raises
    ------
    InputError
        If the catalogue has no such model, or it is not made of that material.
    """
    model = model_of(catalogue, screw_model, material)
    shanks = find_shanks(metal, bone.spine)
    fits = []
    for n, shank in enumerate(shanks):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(Progress(_STAGE, n, len(shanks)))
        fits.append(fit_shank(shank, metal, tuple(s for s in shanks if s is not shank)))
    progress(Progress(_STAGE, len(shanks), len(shanks)))
    shaped = [fit for fit in fits if fit is not None and fit.residual <= _WORST_RESIDUAL]
    kept = with_one_blur(_distinct([fit for fit in shaped if _from_behind(fit, bone.spine)]))
    names = _names([fit.shank for fit in kept])
    placed = [_placed(fit, name, model, material) for fit, name in zip(kept, names, strict=True)]
    traced = trace_rods(placed, metal)
    screws = []
    for screw, fit in zip(placed, kept, strict=True):
        graded = grade_found(screw, fit, bone, _sees_bone(fit, screw.diameter_mm / 2, metal))
        turned = _turned(_graded(screw, graded), traced, model)
        near = _near(turned, model, bone)
        screws.append(FoundScrew(turned, fit, nearest_size(screw, model), graded, near))
    rods = tuple(_rod(rod, n, material) for n, rod in enumerate(traced))
    found = tuple(one.screw for one in screws)
    further = sort_metal(metal, bone.spine, found, rods, material)
    plan = Plan(
        levels=tuple(dict.fromkeys(screw.level for screw in found)),
        screws=found,
        rods=rods,
        crosslinks=further.crosslinks,
        cages=further.cages,
        warnings=tuple(dict.fromkeys((*bone.warnings, *_warnings(screws)))),
    )
    places = (*_places(found, rods), further.places)
    return FoundImplants(plan, tuple(screws), _unexplained_mm3(metal, bone, places))


def model_of(catalogue: Catalogue, screw_model: str, material: str) -> ScrewModel:
    """Return the model that screws are written down as.

    Raises
    ------
    InputError
        If the catalogue has no such model, or it is not made of that material.
    """
    model = catalogue.screw(screw_model)
    if material not in model.materials:
        raise InputError(
            f"The screw {screw_model!r} is not made of {material}.",
            f"It is made of: {', '.join(model.materials)}.",
        )
    return model


def _from_behind(fit: FittedShank, spine: SpineModel) -> bool:
    """Whether a shank begins before the body: what begins in it, as a cage's edge, is no screw."""
    frame = spine.vertebra(fit.shank.level)
    return bool(frame.to_local(fit.neck)[1] <= back_wall_mm(frame) + _BEGINS_MM)


def _distinct(fits: Sequence[FittedShank]) -> list[FittedShank]:
    """Keep the longer of two fits that are one screw."""
    kept: list[FittedShank] = []
    for fit in sorted(fits, key=lambda one: (-one.has_head, -one.length_mm)):
        middle = (fit.neck + fit.tip) / 2
        if all(gap_mm(middle, other.tip, other.axis) > _SAME_MM for other in kept):
            kept.append(fit)
    return [fit for fit in fits if fit in kept]


def _names(shanks: Sequence[Shank]) -> list[str]:
    """Name screws by level and side; a second one there gets a number."""
    names: list[str] = []
    for shank in shanks:
        name, n = f"{shank.level}-{shank.side}", 2
        while name in names:
            name, n = f"{shank.level}-{shank.side}-{n}", n + 1
        names.append(name)
    return names


def _placed(fit: FittedShank, name: str, model: ScrewModel, material: str) -> Screw:
    diameter_mm = float(np.clip(outer_diameter_mm(fit), 2.0, 12.0))
    size = (round(diameter_mm, 2), round(fit.length_mm, 2))
    return model.placed(name, fit.shank.level, fit.shank.side, fit.neck, fit.axis, size, material)


def _graded(screw: Screw, graded: GradedScrew) -> Screw:
    """Write down how a screw lies, and what stands against a grade as long as it lies there."""
    where = (screw.entry, screw.tip, screw.diameter_mm)
    seen = Sighting(*where, graded.source, graded.best, graded.worst, graded.reason)
    screw = screw.without_grade(graded.reason, graded.canal_mm)
    return replace(screw, grade=graded.grade, found=seen)


def _near(screw: Screw, model: ScrewModel, bone: Bone) -> Surroundings | None:
    if screw.grade is None:
        return None
    return surroundings_of(screw, model, bone.fields[screw.level], bone.spine.labels)


def _turned(screw: Screw, rods: Sequence[TracedRod], model: ScrewModel) -> Screw:
    """Turn a head towards the rod that it holds."""
    rod = next((rod for rod in rods if screw.id in rod.screw_ids), None)
    if rod is None:
        return screw
    outwards = -shank_axis(screw)
    ball = np.asarray(screw.entry) + outwards * model.head.neck_mm
    curve = rod_curve(rod.points, 0.5)
    n = int(np.argmin(np.linalg.norm(curve - ball, axis=1)))
    along = unit(curve[min(n + 1, len(curve) - 1)] - curve[max(n - 1, 0)])
    towards = curve[n] - ball
    towards = towards - along * (towards @ along)
    head = within_cone(towards, outwards, model.head.cone_deg)
    return replace(
        screw,
        head_axis=as_point(head),
        slot_axis=as_point(perpendicular(head, along)),
    )


def _rod(rod: TracedRod, n: int, material: str) -> Rod:
    return Rod(
        id=f"rod-{n + 1}-{rod.side}",
        side=rod.side,
        control_points=rod.points,
        diameter_mm=round(rod.diameter_mm, 2),
        material=material,
        screw_ids=rod.screw_ids,
    )


def _sees_bone(fit: FittedShank, radius_mm: float, metal: MetalShare) -> bool:
    """Whether around most of a shank something other than metal is left to be seen."""
    first = perpendicular(fit.axis, (1.0, 0.0, 0.0))
    second = np.cross(fit.axis, first)
    angle = np.arange(16) * np.pi / 8
    ring = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    depth = np.linspace(0.3, 0.8, 11) * fit.length_mm
    centres = fit.neck + depth[:, None] * fit.axis
    share = metal.at(centres[:, None] + ring * (radius_mm + _AROUND_MM))
    return bool((share >= HALF).mean() <= _HIDDEN_SHARE)


def _warnings(screws: Sequence[FoundScrew]) -> list[str]:
    said = []
    for one in screws:
        name = one.screw.id
        if not one.fitted.has_head:
            said.append(f"{name}: no head was found behind it; its length is a lower limit.")
        if one.graded.reason:
            said.append(f"{name} is not gradable. {one.graded.reason}")
    if any(one.graded.estimated for one in screws):
        said.append(
            "The bone is estimated from the corrected scan, where metal hides its surface: an "
            "earlier CT without metal makes grades surer."
        )
    return said


def _places(screws: Sequence[Screw], rods: Sequence[Rod]) -> Iterator[FloatArray]:
    """Yield points (n, 3) along screws with their heads, and along rods."""
    for s in screws:
        yield np.linspace(np.asarray(s.entry) - shank_axis(s) * 20.0, s.tip, 60)
    for rod in rods:
        yield rod_curve(rod.control_points, 1.0)


def _unexplained_mm3(metal: MetalShare, bone: Bone, places: Sequence[FloatArray]) -> float:
    """Return the metal within reach of the vertebrae that belongs to nothing that was found."""
    from scipy.spatial import cKDTree

    points = metal.points
    if not len(points):
        return 0.0
    centres = np.array([frame.canal_centre_ras for frame in bone.spine.vertebrae])
    near = cKDTree(centres).query(points)[0] <= 60.0
    known = np.concatenate(places)
    if len(known):
        near &= cKDTree(known).query(points)[0] > 10.0
    return float(metal.weights[near].sum() * metal.voxel_mm3)
