"""Which implants a pair shows: a surgeon's construct, anything anywhere, or very little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.deformation import Deformation, FloatArray
from spinemar.dataset.sampling.further import with_further
from spinemar.dataset.sampling.pelvis import PelvicWay, rods_reach_pelvis, with_pelvic_screws
from spinemar.implants.catalogue import Catalogue, ScrewModel
from spinemar.implants.kinds import GROUPS, counts_of
from spinemar.implants.placement import Cage
from spinemar.implants.shapes.solids import unit
from spinemar.planning.constructs.assemble import (
    ConstructSettings,
    construct_from_pedicles,
    crosslink_model,
    with_rods,
)
from spinemar.planning.constructs.rods import RodSettings
from spinemar.planning.plans.plan import Plan, Screw
from spinemar.planning.sampling.random_plan import RandomSettings, random_plan
from spinemar.planning.sampling.variation import Spread, vary_plan
from spinemar.planning.trajectories.sites import PedicleSite
from spinemar.planning.vectors import as_point
from spinemar.volume import GridGeometry

# Metals of screws and rods with relative frequency: mostly titanium, and mixed constructs
# as they are sold.
_METALS = (
    ("Ti-6Al-4V", "Ti-6Al-4V", 0.40),
    ("316L", "316L", 0.18),
    ("CoCrMo", "CoCrMo", 0.14),
    ("Ti-6Al-4V", "CoCrMo", 0.18),
    ("Ti-6Al-4V", "316L", 0.10),
)
_TITANIUM = "Ti-6Al-4V"
# Levels on either side of the anchor, with relative frequency: short constructs are the most.
_MORE_LEVELS = ((0, 0.4), (1, 0.3), (2, 0.2), (3, 0.1))
_LEAST_LEVELS = 2
_VARIATIONS = 12
_THIN_ROD_MM = 4.5
_REALM_MM = 600.0


@dataclass(frozen=True)
class Placed:
    """Implants in the new patient.

    Parameters
    ----------
    plan : Plan
        RAS mm of the new patient.
    kind : {"realistic", "random"}
    mild : bool
        One small implant.
    """

    plan: Plan
    kind: str
    mild: bool


def draw_realistic(
    sites: Sequence[PedicleSite],
    anchor: str,
    catalogue: Catalogue,
    settings: PairSettings,
    mild: bool,
    rng: np.random.Generator,
    ways: Sequence[PelvicWay] = (),
) -> Placed | None:
    """Draw a construct about the level `anchor` as one of many surgeons would make it.

    `ways` are those into the ilium, for constructs that end at S1.

    None where no pedicle takes a screw, or nothing whole comes of it: a construct spans two levels
    or more, if the CT shows so many, and has all screws on rods, or no rods.
    """
    levels = list(dict.fromkeys(site.level for site in sites))
    first, last = _levels_about(levels.index(anchor), len(levels), rng)
    chosen = [site for site in sites if site.level in levels[first : last + 1]]
    construct = _draw_construct(catalogue, settings, rng)
    plan = construct_from_pedicles(chosen, catalogue, construct)
    if not plan.screws:
        return None
    if mild:
        return Placed(_mildest(_varied(plan, catalogue, rng), catalogue, rng), "realistic", mild)
    if len(chosen) > 2 and rng.random() < 0.2:
        plan = _with_cage(plan, chosen, catalogue, rng)
    plan = with_further(plan, sites, catalogue, settings, rng)
    plan = with_pelvic_screws(plan, ways, catalogue, settings, rng)
    fewest = min(_LEAST_LEVELS, len(levels))
    whole = _whole_variation(plan, catalogue, fewest, construct.with_rods and fewest > 1, rng)
    return None if whole is None else Placed(whole, "realistic", mild)


def _levels_about(middle: int, count: int, rng: np.random.Generator) -> tuple[int, int]:
    """Draw the first and the last of `count` levels about one of them, two or more if there are."""
    steps, weights = zip(*_MORE_LEVELS, strict=True)
    up, down = (int(step) for step in rng.choice(steps, size=2, p=weights))
    first, last = max(middle - up, 0), min(middle + down, count - 1)
    if first == last and (rng.random() < 0.5 or last == count - 1):
        first = max(first - 1, 0)
    if first == last:
        last = min(last + 1, count - 1)
    return first, last


def _whole_variation(
    plan: Plan, catalogue: Catalogue, fewest: int, with_rods: bool, rng: np.random.Generator
) -> Plan | None:
    """Vary a plan until it has so many levels and, if asked for, every screw on a rod.

    Rods of screws into the ilium bend most sharply; where one misses a tulip another one is drawn.
    """
    if with_rods and not plan.rods:
        return None
    for _ in range(_VARIATIONS):
        varied = _varied(plan, catalogue, rng)
        held = {screw_id for rod in varied.rods for screw_id in rod.screw_ids}
        if with_rods and any(screw.id not in held for screw in varied.screws):
            continue
        if with_rods and not rods_reach_pelvis(varied, catalogue):
            continue
        # Where the screws of a side were left out no hook stays without its rod.
        rodded = {rod.side for rod in varied.rods}
        if with_rods and any(hook.side not in rodded for hook in varied.hooks):
            varied = replace(
                varied, hooks=tuple(hook for hook in varied.hooks if hook.side in rodded)
            )
        if len(_levels(varied)) >= fewest:
            return varied
    return None


def _levels(plan: Plan) -> set[str]:
    """Return the levels that hold screws; the ilium is none."""
    return {screw.level for screw in plan.screws if not screw.in_pelvis}


def _draw_construct(
    catalogue: Catalogue, settings: PairSettings, rng: np.random.Generator
) -> ConstructSettings:
    """Draw implants and metals of a construct."""
    weights = np.array([weight for _, _, weight in _METALS])
    screw_metal, rod_metal, _ = _METALS[int(rng.choice(len(_METALS), p=weights / weights.sum()))]
    models = [m for m in catalogue.pedicle_screws if screw_metal in m.materials]
    model = models[int(rng.integers(len(models)))]
    # A thin rod of the neck does not hold in the tulip of a pedicle screw.
    rods = [
        m for m in catalogue.rods if rod_metal in m.materials and m.diameters_mm[0] > _THIN_ROD_MM
    ]
    rod = rods[int(rng.integers(len(rods)))]
    return ConstructSettings(
        screw_model=model.id,
        material=screw_metal,
        diameter_share=rng.uniform(0.7, 0.88),
        with_rods=bool(rng.random() >= settings.no_rods_share),
        with_crosslink=bool(rng.random() < 0.2),
        rod=RodSettings(rod.id, float(rng.choice(rod.diameters_mm)), rod_metal),
    )


def draw_from_plan(
    plan: Plan,
    deformation: Deformation,
    catalogue: Catalogue,
    mild: bool,
    rng: np.random.Generator,
) -> Placed | None:
    """Draw a variation of the patient's own plan, moved into the new patient.

    None where nothing whole comes of it: rods that the plan has are not lost.
    """
    moved = moved_plan(plan, deformation, catalogue)
    if mild:
        return Placed(_mildest(_varied(moved, catalogue, rng), catalogue, rng), "realistic", mild)
    fewest = min(_LEAST_LEVELS, len(_levels(plan)))
    whole = _whole_variation(moved, catalogue, fewest, bool(plan.rods), rng)
    return None if whole is None else Placed(whole, "realistic", mild)


def draw_random(
    centre: FloatArray, catalogue: Catalogue, mild: bool, rng: np.random.Generator
) -> Placed | None:
    """Draw implants of any pose about a point, shape (3,), RAS mm; None where none was drawn."""
    at = as_point(centre + rng.normal(scale=(18.0, 18.0, 5.0)))
    settings = RandomSettings(
        screws=(1, 1) if mild else (0, 4),
        rods=(0, 0) if mild else (0, 2),
        cages=(0, 0) if mild else (0, 1),
        crosslinks=(0, 0) if mild else (0, 1),
        centre=at,
        spread_mm=rng.uniform(15.0, 50.0),
    )
    affine = np.eye(4)
    affine[:3, 3] = centre - _REALM_MM / 2
    realm = GridGeometry((int(_REALM_MM),) * 3, affine)
    plan = random_plan(realm, int(rng.integers(2**31)), catalogue, settings=settings)
    if not any(plan.items()):
        return None
    return Placed(_mildest(plan, catalogue, rng) if mild else plan, "random", mild)


def moved_plan(plan: Plan, deformation: Deformation, catalogue: Catalogue) -> Plan:
    """Return a plan's screws, rods and crosslink in the new patient; lengths stay as sold."""
    screws = []
    for screw in plan.screws:
        entry, tip = deformation.to_new(np.array([screw.entry, screw.tip]))
        end = entry + screw.length_mm * unit(tip - entry)
        side = {"left": "right", "right": "left"}[screw.side]
        screws.append(
            replace(
                screw.without_grade(),
                side=side if deformation.mirrored else screw.side,
                entry=as_point(entry),
                tip=as_point(end),
                head_axis=None,
                slot_axis=None,
                locked=False,
            )
        )
    moved = Plan(levels=plan.levels, screws=tuple(screws), notes=plan.notes)
    if not plan.rods:
        return moved
    rod = RodSettings.of(plan.rods[0])
    return with_rods(moved, catalogue, rod, crosslink=crosslink_model(plan))


def draw_height(plan: Plan, edge: bool, rng: np.random.Generator) -> float:
    """Draw z (mm) of a slice through the implants, or at an end of all of them."""
    spans = np.array(_spans(plan))
    if edge:
        top = bool(rng.random() < 0.5)
        return float(spans[:, 1].max() if top else spans[:, 0].min())
    # Screws make the artifacts worth learning; rods alone are the easy slices between them.
    weights = np.array([3.0] * len(plan.screws) + [1.0] * (len(spans) - len(plan.screws)))
    low, high = spans[int(rng.choice(len(spans), p=weights / weights.sum()))]
    return float(rng.uniform(low, high))


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Count implants, for the sidecar table."""
    return {f"n_{group}": count for group, count in counts_of(plan).items()}


def _spans(plan: Plan) -> list[tuple[float, float]]:
    """Return lowest and highest z of every metal part that is drawn here, screws first."""
    found = [_ordered(s.entry[2], s.tip[2], s.diameter_mm / 3) for s in plan.screws]
    for rod in plan.rods:
        heights = [point[2] for point in rod.control_points]
        found.append(_ordered(min(heights), max(heights), 0.0))
    found += [_ordered(c.centre[2], c.centre[2], c.height_mm / 2) for c in plan.cages]
    for hook in plan.hooks:
        found.append(_ordered(hook.throat[2], hook.throat[2], 6.0))
    for wire in plan.wires:
        heights = [point[2] for point in wire.points]
        found.append(_ordered(min(heights), max(heights), 0.0))
    found += [_ordered(x.start[2], x.end[2], x.diameter_mm / 3) for x in plan.crosslinks]
    return found


def _ordered(a: float, b: float, reach: float) -> tuple[float, float]:
    return min(a, b) - reach, max(a, b) + reach


def _varied(plan: Plan, catalogue: Catalogue, rng: np.random.Generator) -> Plan:
    spread = Spread(misplaced=0.02, revision_plan=0.05).scaled(rng.uniform(0.2, 0.7))
    return vary_plan(plan, catalogue, spread, int(rng.integers(2**31)))


def _mildest(plan: Plan, catalogue: Catalogue, rng: np.random.Generator) -> Plan:
    """Return one screw of the plan alone, of titanium as a whole where that is sold."""
    screw: Screw = plan.screws[int(rng.integers(len(plan.screws)))]
    models = [catalogue.screw(screw.model), *catalogue.pedicle_screws]
    titanium = next((model for model in models if _is_titanium(model)), None)
    alone = replace(screw, head_axis=None, slot_axis=None)
    if titanium is not None:
        diameter = min(titanium.diameters_mm, key=lambda d: abs(d - screw.diameter_mm))
        length = min(titanium.lengths_mm, key=lambda x: abs(x - screw.length_mm))
        along = np.subtract(screw.tip, screw.entry)
        alone = titanium.placed(
            screw.id,
            screw.level,
            screw.side,
            screw.entry,
            along,
            (diameter, length),
            _TITANIUM,
            screw.course,
        )
    none: dict[str, Any] = dict.fromkeys(GROUPS, ())
    return replace(plan, **none | {"screws": (alone,)})


def _is_titanium(model: ScrewModel) -> bool:
    return _TITANIUM in model.materials and model.head_material in (None, _TITANIUM)


def _with_cage(
    plan: Plan, sites: Sequence[PedicleSite], catalogue: Catalogue, rng: np.random.Generator
) -> Plan:
    """Add an interbody cage between two neighbouring levels."""
    bodies = list({site.level: site for site in sites}.values())
    if len(bodies) < 2:
        return plan
    n = int(rng.integers(len(bodies) - 1))
    above, below = bodies[n], bodies[n + 1]
    superior = unit(above.body_centre - below.body_centre)
    right = unit(above.right - superior * (superior @ above.right))
    model = catalogue.cages[int(rng.integers(len(catalogue.cages)))]
    cage = Cage(
        id=f"cage-{above.level}-{below.level}",
        level=above.level,
        centre=as_point(
            (above.body_centre + below.body_centre) / 2 + rng.normal(scale=1.5, size=3)
        ),
        right=as_point(right),
        anterior=as_point(np.cross(superior, right)),
        width_mm=float(rng.choice(model.widths_mm)),
        depth_mm=float(rng.choice(model.depths_mm)),
        height_mm=float(rng.choice(model.heights_mm)),
        lordosis_deg=float(rng.choice(model.lordoses_deg)),
        shape=model.shape,
        material=str(rng.choice(model.materials)),
        marker_material=model.marker_material,
    )
    return replace(plan, cages=(cage,))
