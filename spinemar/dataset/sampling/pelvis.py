"""Screws into the ilium of drawn constructs: ways are searched once a CT and move with the anatomy.

A way is searched as the planner does, in sacrum and hips outlined in the CT; that takes far longer
than a pair, so that a patient is prepared with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.deformation import Deformation, FloatArray
from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, ScrewModel
from spinemar.implants.placement import COURSES, SIDES, STANDARD_PELVIC, Screw
from spinemar.implants.shapes.solids import unit
from spinemar.planning.constructs.rods import seat_mismatch_mm
from spinemar.planning.grades.pelvic_bone import pelvic_field
from spinemar.planning.plans.plan import Plan
from spinemar.planning.trajectories.pelvic import COURSE, pelvic_trajectories
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import CONFIDENT, SpineModel, VertebraFrame
from spinemar.volume import CTVolume

#: Share of S2-alar-iliac screws among those into the ilium; no source gives one.
_S2AI_SHARE = 0.65
#: How much thinner than what would fit a surgeon takes them, mm.
_THINNER_MM = 1.5
#: The head of an iliac screw is sunk so deep into a notch that is cut into the posterior superior
#: spine, mm: on top of it it would lie beneath the skin.
_SUNK_MM = (8.0, 15.0)
#: A rod that passes a tulip by more than this was not laid into it, mm.
_SEATED_MM = 2.0


@dataclass(frozen=True)
class PelvicWay:
    """A way of a screw into the ilium, and the thickest and longest screw that it takes.

    Parameters
    ----------
    course : str
        One of `COURSES`.
    side : {"left", "right"}
    entry, tip : ndarray, shape (3,)
        RAS mm.
    diameter_mm : float
    """

    course: str
    side: str
    entry: FloatArray
    tip: FloatArray
    diameter_mm: float


def is_trusted(sacrum: VertebraFrame) -> bool:
    """Whether the planner does not doubt a sacrum that it was given or found itself."""
    agreed = sacrum.agreement is not None and not sacrum.agreement.doubts
    return agreed and not sacrum.cut_off and sacrum.confidence >= CONFIDENT


def find_pelvic_ways(
    spine: SpineModel, volume: CTVolume, catalogue: Catalogue
) -> tuple[PelvicWay, ...]:
    """Search both iliac bones for ways of screws that lie in bone; none where they are in doubt.

    Parameters
    ----------
    spine : SpineModel
        With S1 and, where the CT shows them, femoral heads.
    volume : CTVolume
    catalogue : Catalogue

    Returns
    -------
    tuple of PelvicWay
        Several a side and course, the best first.
    """
    try:
        if not is_trusted(spine.vertebra(SACRUM)):
            return ()
        field = pelvic_field(spine, volume)
    except InputError:
        return ()
    model = catalogue.screw(STANDARD_PELVIC)
    return tuple(
        PelvicWay(course, side, way.entry, way.tip, way.diameter_mm)
        for course in COURSES
        for side in SIDES
        for way in pelvic_trajectories(field, side, course, model)
        if way.margin_mm >= 0.0
    )


def moved_way(way: PelvicWay, deformation: Deformation) -> PelvicWay:
    """Return a way where it lies in the new patient; mirrored, it changes sides."""
    entry, tip = deformation.to_new(np.array([way.entry, way.tip]))
    other = {"left": "right", "right": "left"}[way.side]
    return replace(way, side=other if deformation.mirrored else way.side, entry=entry, tip=tip)


def with_pelvic_screws(
    plan: Plan,
    ways: Sequence[PelvicWay],
    catalogue: Catalogue,
    settings: PairSettings,
    rng: np.random.Generator,
) -> Plan:
    """Add screws into the ilium to a construct that ends at S1, in the share that is set.

    Parameters
    ----------
    plan : Plan
    ways : sequence of PelvicWay
        Of the patient; empty where its CT shows no pelvis.
    catalogue : Catalogue
    settings : PairSettings
    rng : numpy.random.Generator

    Returns
    -------
    Plan
        Rods that there are do not run to them yet.
    """
    if not ways or not any(screw.level == SACRUM for screw in plan.screws):
        return plan
    if rng.random() >= settings.pelvic_share:
        return plan
    course = COURSES[0] if rng.random() < _S2AI_SHARE else COURSES[1]
    metal = plan.screws[0].material
    made = [m for m in catalogue.screws if m.place == "pelvis"]
    made = [m for m in made if metal in m.materials] or made
    model = made[int(rng.integers(len(made)))]
    thinner, sunk = rng.uniform(0.0, _THINNER_MM), rng.uniform(*_SUNK_MM)
    screws = []
    for side in SIDES:
        offers = [way for way in ways if (way.course, way.side) == (course, side)]
        if offers:
            way = offers[int(rng.integers(len(offers)))]
            if COURSE[course].from_spine:
                way = replace(way, entry=way.entry + sunk * unit(way.tip - way.entry))
            screws += _screws_on(way, model, way.diameter_mm - thinner, metal)
    return replace(plan, screws=(*plan.screws, *screws))


def _screws_on(way: PelvicWay, model: ScrewModel, diameter_mm: float, metal: str) -> list[Screw]:
    """Return the screw of a model that lies on a way; none where the way is too short."""
    length = model.length_for(float(np.linalg.norm(way.tip - way.entry)) + 1e-6)
    if length is None:
        return []
    diameter = model.diameter_for(diameter_mm) or min(model.diameters_mm)
    material = metal if metal in model.materials else model.materials[0]
    name, along = f"{way.course}-{way.side}", unit(way.tip - way.entry)
    size = (diameter, length)
    return [model.placed(name, "", way.side, way.entry, along, size, material, way.course)]


def rods_reach_pelvis(plan: Plan, catalogue: Catalogue) -> bool:
    """Whether rods lie in the tulips of all screws into the ilium; true of a plan without any."""
    screws = {screw.id: screw for screw in plan.screws if screw.in_pelvis}
    for rod in plan.rods:
        own = [screws[name] for name in rod.screw_ids if name in screws]
        gaps = seat_mismatch_mm(rod, own, catalogue) if own else {}
        if any(gap > _SEATED_MM for gap in gaps.values()):
            return False
    return True
