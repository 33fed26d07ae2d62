"""A whole construct planned by itself: best screws, aligned tulips, rods, grades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, ScrewModel
from spinemar.implants.checks import check_choice
from spinemar.implants.placement import COURSES, PELVIS, STANDARD_CROSSLINK, STANDARD_PELVIC, Screw
from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.planning.constructs.assemble import with_rods
from spinemar.planning.constructs.rods import RodSettings
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.grades.findings import with_findings
from spinemar.planning.grades.gertzbein_robbins import grade_plan
from spinemar.planning.grades.pelvic_bone import PelvicField, pelvic_field
from spinemar.planning.plans.plan import Plan
from spinemar.planning.trajectories.pelvic import pelvic_trajectories
from spinemar.planning.trajectories.search import Pedicle, Trajectory, Weights, best_trajectories
from spinemar.planning.trajectories.sites import usual_width_mm
from spinemar.planning.trajectories.targets import TRADITIONAL, target_for
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.spine.labels.levels import SACRUM, level_range, sort_levels
from spinemar.spine.model import PedicleFrame, SpineModel
from spinemar.volume import CTVolume

# A screw that would breach deeper than this is not offered: the pedicle is too narrow.
_REFUSED_MM = 1.5
# A pedicle below this share of its level's usual width may be a wrong one.
_NARROW_SHARE = 0.5
# What 1 mm^2 of kink between neighbouring tulips costs of the mean score.
_KINK_COST = 0.004


@dataclass(frozen=True)
class PlanSettings:
    """Choices for an automatic plan; lengths in mm.

    `aligned` lets tulips of a side line up at the price of slightly lower scores;
    `bicortical_sacrum` lets screws of S1 pass the cortex before them by about a millimetre;
    `pelvic` ("S2AI" or "iliac", "" for none) adds a screw into the ilium on both sides, of
    `pelvic_model`.
    """

    trajectory: str = TRADITIONAL
    screw_model: str = "generic-polyaxial"
    material: str = "Ti-6Al-4V"
    diameter_share: float = 0.8
    tip_gap_mm: float = 4.0
    alternatives: int = 8
    aligned: bool = True
    bicortical_sacrum: bool = False
    pelvic: str = ""
    pelvic_model: str = STANDARD_PELVIC
    with_rods: bool = True
    with_crosslink: bool = False
    crosslink_model: str = STANDARD_CROSSLINK
    weights: Weights = field(default_factory=Weights)
    rod: RodSettings = field(default_factory=RodSettings)


@dataclass(frozen=True)
class AutomaticPlan:
    """A plan with what was weighed for it.

    `alternatives` maps a screw's id to its trajectories, best first; `fields` maps a
    level, or `PELVIS`, to its bone field, for grading on.
    """

    plan: Plan
    alternatives: Mapping[str, tuple[Trajectory, ...]]
    fields: Mapping[str, BoneField]


def plan_construct(
    spine: SpineModel,
    volume: CTVolume | None,
    levels: Sequence[str] | str,
    catalogue: Catalogue,
    settings: PlanSettings | None = None,
    *,
    locked: Plan | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Plan:
    """Plan screws in both pedicles of some levels, rods through them, and grade them.

    Screws into the ilium come with them where the settings ask for them.

    Parameters
    ----------
    spine : SpineModel
    volume : CTVolume or None
        The CT, for the density along the track.
    levels : str or sequence of str
        "T11-L2", or names.
    catalogue : Catalogue
        Whose models are placed; `load_catalogue` reads it.
    settings : PlanSettings, optional
    locked : Plan, optional
        A plan whose locked screws are kept where they are.
    progress, cancel
        As everywhere.

    Returns
    -------
    Plan
        Its warnings name pedicles without a screw and what to check.

    Raises
    ------
    InputError
        If a level is not in the spine model, the catalogue lacks a model, or the rod is not made
        in that size or material.
    """
    return plan_with_alternatives(
        spine, volume, levels, catalogue, settings, locked=locked, progress=progress, cancel=cancel
    ).plan


def plan_with_alternatives(
    spine: SpineModel,
    volume: CTVolume | None,
    levels: Sequence[str] | str,
    catalogue: Catalogue,
    settings: PlanSettings | None = None,
    *,
    locked: Plan | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> AutomaticPlan:
    """Do what `plan_construct` does and return the alternatives and fields as well.

    Raises
    ------
    InputError
        If no level is named.
    """
    settings = settings or PlanSettings()
    model, rod = catalogue.screw(_model_id(settings)), settings.rod.checked(catalogue)
    link = catalogue.crosslink(settings.crosslink_model).id if settings.with_crosslink else None
    wanted = level_range(levels) if isinstance(levels, str) else sort_levels(list(levels))
    if not wanted:
        raise InputError("There is no level to plan.", "Name levels such as T11-L2.")
    check_choice("way into the pelvis", settings.pelvic, ("", *COURSES))
    kept = {
        s.id: s
        for s in (locked.screws if locked else ())
        if s.locked and (s.level in wanted or (s.course and s.course == settings.pelvic))
    }
    known: dict[str, BoneField] = {}
    found: dict[str, tuple[Trajectory, ...]] = {}
    warnings: list[str] = []
    for n, level in enumerate(wanted):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(Progress("planning screws", n, len(wanted)))
        vertebra = spine.vertebra(level)
        known[level] = bone_field(spine.labels, vertebra)
        for side in ("left", "right"):
            if f"{level}-{side}" in kept:
                continue
            offers, warning = _offers(known[level], side, volume, settings, model)
            warnings += [warning] if warning else []
            if offers:
                found[f"{level}-{side}"] = offers
    progress(Progress("planning screws", len(wanted), len(wanted)))
    screws = [*kept.values(), *_screws(found, settings, model)]
    if settings.pelvic:
        if cancel is not None:
            cancel.raise_if_cancelled()
        field_ = _field_of_pelvis(spine, volume)
        known[PELVIS] = field_
        ways, unplaced = _pelvic_offers(field_, settings, catalogue, kept)
        found |= ways
        warnings += unplaced
        screws += [_pelvic_screw(n, w[0], settings, catalogue) for n, w in ways.items()]
    order = {f"{level}-{side}": n for n, (level, side) in enumerate(_places(wanted))}
    screws.sort(key=lambda s: order.get(s.id, order.get(f"{s.level}-{s.side}", len(order))))
    plan = Plan(levels=wanted, screws=tuple(screws), warnings=tuple(warnings))
    if settings.with_rods:
        plan = with_rods(plan, catalogue, rod, crosslink=link)
    plan = with_findings(grade_plan(plan, spine, known), spine, catalogue)
    return AutomaticPlan(plan, found, known)


def without_screws(spine: SpineModel, levels: Sequence[str] | str) -> AutomaticPlan:
    """Return an empty plan of some levels, for cages and what else needs no screws.

    Raises
    ------
    InputError
        If a level is not in the spine model.
    """
    wanted = level_range(levels) if isinstance(levels, str) else sort_levels(list(levels))
    for level in wanted:
        spine.vertebra(level)
    return AutomaticPlan(Plan(levels=wanted), {}, {})


def _model_id(settings: PlanSettings) -> str:
    """Return the screw model; a cortical trajectory has its own unless another was chosen."""
    if settings.trajectory != TRADITIONAL and settings.screw_model == "generic-polyaxial":
        return "generic-cortical"
    return settings.screw_model


def _places(levels: Sequence[str]) -> list[tuple[str, str]]:
    return [(level, side) for level in levels for side in ("left", "right")]


def _offers(
    field_: BoneField, side: str, volume: CTVolume | None, settings: PlanSettings, model: ScrewModel
) -> tuple[tuple[Trajectory, ...], str]:
    """Return the trajectories of one pedicle, and why there are none or what is doubtful."""
    vertebra = field_.frame
    pedicle = vertebra.pedicles.get(side)
    if pedicle is None:
        return (), f"No {side} pedicle of {vertebra.level} was found: it has no screw."
    search = Pedicle(
        field_,
        pedicle,
        target_for(settings.trajectory, vertebra, pedicle),
        model,
        volume,
        settings.weights,
        settings.tip_gap_mm,
        settings.diameter_share,
        bicortical=settings.bicortical_sacrum and vertebra.level == SACRUM,
    )
    offers = best_trajectories(search, settings.alternatives)
    safe = tuple(t for t in offers if t.margin_mm >= -_REFUSED_MM)
    if safe:
        return safe, _doubt(vertebra.level, pedicle)
    if not offers and search.bicortical:
        return (), (
            f"The {side} pedicle of {vertebra.level} has no way for a screw that passes the cortex "
            "at its tip: plan it without."
        )
    if not offers:
        return (), (
            f"The {side} pedicle of {vertebra.level} has no way for a screw of "
            f"{min(model.lengths_mm):g} mm."
        )
    thinnest = min(model.diameters_mm)
    place = f"The {side} pedicle of {vertebra.level} ({pedicle.width_mm:.1f} mm)"
    if pedicle.width_mm < thinnest:
        return (), f"{place} is too narrow for the thinnest screw of {thinnest:g} mm."
    return (), f"{place} has no way on which the thinnest screw of {thinnest:g} mm stays in bone."


def _doubt(level: str, pedicle: PedicleFrame) -> str:
    """Return what speaks against the pedicle that was found, "" if nothing does."""
    place = f"the {pedicle.side} pedicle of {level}"
    if pedicle.width_mm < _NARROW_SHARE * usual_width_mm(level):
        return (
            f"Look at {place}: it was found {pedicle.width_mm:.1f} mm wide, where "
            f"{usual_width_mm(level):.0f} mm are usual."
        )
    return ""


def _screws(
    found: Mapping[str, tuple[Trajectory, ...]],
    settings: PlanSettings,
    model: ScrewModel,
) -> list[Screw]:
    screws = []
    for side in ("left", "right"):
        names = [name for name in found if name.endswith(side)]
        chosen = [0] * len(names)
        if settings.aligned:
            chosen = _aligned([found[name] for name in names], model)
        for name, n in zip(names, chosen, strict=True):
            screws.append(_screw_of(name, found[name][n], settings.material, model))
    return screws


def _screw_of(screw_id: str, trajectory: Trajectory, material: str, model: ScrewModel) -> Screw:
    """Return the screw that follows a trajectory; its id is "level-side"."""
    level, side = screw_id.rsplit("-", 1)
    size = (trajectory.diameter_mm, trajectory.length_mm)
    along = trajectory.tip - trajectory.entry
    return model.placed(screw_id, level, side, trajectory.entry, along, size, material)


def _aligned(offers: Sequence[Sequence[Trajectory]], model: ScrewModel) -> list[int]:
    """Choose one trajectory per level so that heads line up: exact, by dynamic programming.

    The cost is the lost score plus the squared kink of every three neighbouring heads.
    """
    if len(offers) < 3:
        return [0] * len(offers)
    heads = [np.array([_head(t, model) for t in level]) for level in offers]
    losses = [np.array([level[0].score - t.score for t in level]) for level in offers]
    # best[a, b]: least cost so far with choices a and b at the last two levels.
    best = losses[0][:, None] + losses[1][None]
    steps: list[NDArray[np.intp]] = []
    for n in range(2, len(offers)):
        kink = heads[n - 2][:, None, None] - 2 * heads[n - 1][None, :, None] + heads[n][None, None]
        # Only across the spine: levels may be unevenly tall.
        cost = best[:, :, None] + _KINK_COST * (kink[..., :2] ** 2).sum(axis=-1)
        steps.append(cost.argmin(axis=0))
        best = cost.min(axis=0) + losses[n][None]
    a, b = np.unravel_index(int(best.argmin()), best.shape)
    chosen = [int(b), int(a)]
    for step in reversed(steps):
        chosen.append(int(step[chosen[-1], chosen[-2]]))
    return chosen[::-1]


def _head(trajectory: Trajectory, model: ScrewModel) -> FloatArray:
    axis = unit(trajectory.tip - trajectory.entry)
    result: FloatArray = trajectory.entry - axis * model.head.neck_mm
    return result


def _field_of_pelvis(spine: SpineModel, volume: CTVolume | None) -> PelvicField:
    if volume is None:
        raise InputError(
            "Screws into the ilium need the CT: the hips are outlined in it.", "Load the CT too."
        )
    return pelvic_field(spine, volume)


def _pelvic_offers(
    field_: PelvicField, settings: PlanSettings, catalogue: Catalogue, kept: Mapping[str, Screw]
) -> tuple[dict[str, tuple[Trajectory, ...]], list[str]]:
    """Return the ways into both iliac bones by the screws' ids, and why there is none."""
    model, offers, warnings = catalogue.screw(settings.pelvic_model), {}, []
    for side in ("left", "right"):
        name = f"{settings.pelvic}-{side}"
        if name in kept:
            continue
        ways = pelvic_trajectories(field_, side, settings.pelvic, model)
        ways = tuple(way for way in ways if way.margin_mm >= -_REFUSED_MM)
        if ways:
            offers[name] = ways
        else:
            warnings.append(
                f"The {side} ilium has no way for a screw of {min(model.diameters_mm):g} x "
                f"{min(model.lengths_mm):g} mm, or is not seen: it has no {settings.pelvic} screw."
            )
    return offers, warnings


def _pelvic_screw(
    name: str, way: Trajectory, settings: PlanSettings, catalogue: Catalogue
) -> Screw:
    model, side = catalogue.screw(settings.pelvic_model), name.rsplit("-", 1)[1]
    material = settings.material if settings.material in model.materials else model.materials[0]
    size = (way.diameter_mm, way.length_mm)
    return model.placed(
        name, "", side, way.entry, way.tip - way.entry, size, material, settings.pelvic
    )
