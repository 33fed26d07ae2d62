"""Cement, hooks and wires of a drawn construct, placed by the pedicles alone.

A patient of a data set has pedicles, not always labels: a lamina of usual size is taken to lie
where laminae usually lie behind them. In pairs metal has to look right, not to hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spinemar.dataset.pair_settings import PairSettings
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.placement import (
    SIDES,
    STANDARD_CEMENT,
    STANDARD_HOOK,
    STANDARD_WIRE,
    Cement,
    Hook,
    Wire,
)
from spinemar.implants.shapes.solids import FloatArray, body_axes, perpendicular
from spinemar.planning.constructs.others import WAYS, Lamina, hook_on, wire_around, with_implants
from spinemar.planning.plans.plan import Plan
from spinemar.planning.trajectories.sites import PedicleSite
from spinemar.planning.vectors import as_point
from spinemar.spine.labels.levels import SACRUM, usual_isthmus_mm

#: A usual lamina from the middle of the canal: beside the middle, its front behind it, as thick,
#: its middle below the pedicles, half as high, and how far its front goes forwards for each mm up.
_BESIDE_MM, _BEHIND_MM, _THICK_MM, _BELOW_MM, _HALF_HEIGHT_MM, _SLOPE = (
    7.0,
    7.5,
    5.5,
    7.0,
    11.0,
    0.15,
)
#: Cement is so wide and deep for its height, and differs between surgeons.
_CEMENT_SHAPE, _CEMENT_SPREAD, _CEMENT_OFF_MM = np.array([1.25, 1.0, 0.8]), 0.15, 1.5
_CEMENT_ML = (1.5, 5.0)
_CEMENTED_LEVEL = 0.7


def with_further(
    plan: Plan,
    sites: Sequence[PedicleSite],
    catalogue: Catalogue,
    settings: PairSettings,
    rng: np.random.Generator,
) -> Plan:
    """Add cement, hooks and wires to a construct, each in the share of constructs that is set.

    Parameters
    ----------
    plan : Plan
        A construct of screws.
    sites : sequence of PedicleSite
        All pedicles of the patient, from head to foot.
    catalogue : Catalogue
    settings : PairSettings
    rng : numpy.random.Generator

    Returns
    -------
    Plan
        Rods that there are do not run through new hooks yet.
    """
    pairs: dict[str, dict[str, PedicleSite]] = {}
    for site in sites:
        pairs.setdefault(site.level, {})[site.side] = site
    items: list[Cement | Hook | Wire] = []
    if rng.random() < settings.cement_share:
        items += _cements(plan, pairs, catalogue, rng)
    if rng.random() < settings.hooks_share:
        items += _hooks(plan, pairs, catalogue, rng)
    if rng.random() < settings.wires_share:
        items += _wires(plan, pairs, catalogue, rng)
    return with_implants(plan, items)


def _cements(
    plan: Plan,
    pairs: Mapping[str, Mapping[str, PedicleSite]],
    catalogue: Catalogue,
    rng: np.random.Generator,
) -> list[Cement]:
    """Draw cement in most of the bodies that hold screws, as for screws in porous bone."""
    model = catalogue.cement(STANDARD_CEMENT)
    found = []
    for level in _levels_with_screws(plan):
        if rng.random() > _CEMENTED_LEVEL:
            continue
        site = next(iter(pairs[level].values()))
        axes = _axes(site)
        size = (rng.uniform(*_CEMENT_ML) * 1000.0 * 3.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
        shape = _CEMENT_SHAPE * np.exp(rng.normal(scale=_CEMENT_SPREAD, size=3))
        radii = size * shape / shape.prod() ** (1.0 / 3.0)
        centre = site.body_centre + rng.normal(scale=_CEMENT_OFF_MM, size=3) @ axes
        found.append(
            Cement(
                id=f"cement-{level}",
                level=level,
                centre=as_point(centre),
                right=as_point(axes[0]),
                anterior=as_point(axes[1]),
                radii_mm=as_point(radii),
                material=model.materials[0],
                model=model.id,
            )
        )
    return found


def _hooks(
    plan: Plan,
    pairs: Mapping[str, Mapping[str, PedicleSite]],
    catalogue: Catalogue,
    rng: np.random.Generator,
) -> list[Hook]:
    """Draw a hook on every side that has screws, a level above or below the construct."""
    levels = list(pairs)
    held = [n for n, level in enumerate(levels) if any(s.level == level for s in plan.screws)]
    ends = [n for n in (min(held) - 1, max(held) + 1) if 0 <= n < len(levels)]
    ends = [n for n in ends if levels[n] != SACRUM]
    if not ends:
        return []
    level, model = levels[int(rng.choice(ends))], catalogue.hook(STANDARD_HOOK)
    way = str(rng.choice(WAYS))
    metal = plan.screws[0].material
    material = metal if metal in model.materials else model.materials[0]
    sides = [side for side in SIDES if any(screw.side == side for screw in plan.screws)]
    made = []
    for side in sides:
        lamina, place = _usual_lamina(pairs[level], side)
        made.append(hook_on(lamina, place, level, side, way, model, material))
    return made


def _wires(
    plan: Plan,
    pairs: Mapping[str, Mapping[str, PedicleSite]],
    catalogue: Catalogue,
    rng: np.random.Generator,
) -> list[Wire]:
    """Draw wires on both sides of one level of the construct."""
    levels = _levels_with_screws(plan)
    if not levels:
        return []
    level, model = str(rng.choice(levels)), catalogue.wire(STANDARD_WIRE)
    material = str(rng.choice(model.materials))
    return [
        wire_around(*_usual_lamina(pairs[level], side), level, side, model, material)
        for side in SIDES
    ]


def _levels_with_screws(plan: Plan) -> list[str]:
    """Return the levels above the sacrum that hold screws, by name."""
    return sorted({screw.level for screw in plan.screws} - {"", SACRUM})


def _usual_lamina(
    pair: Mapping[str, PedicleSite], side: str
) -> tuple[Lamina, tuple[FloatArray, FloatArray]]:
    """Return where the lamina of a side usually lies behind pedicles: it, and origin and axes."""
    site = next(iter(pair.values()))
    axes = _axes(site)
    height = np.mean([one.isthmus @ site.superior for one in pair.values()])
    depth = np.mean([one.isthmus @ axes[1] for one in pair.values()])
    canal = np.array(
        [site.body_centre @ axes[0], depth - usual_isthmus_mm(site.level), height - _BELOW_MM]
    )
    local = np.array([_BESIDE_MM if side == "right" else -_BESIDE_MM, -_BEHIND_MM, 0.0])
    slope = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -_SLOPE], [0.0, _SLOPE, 1.0]])
    slope[1:] /= np.hypot(1.0, _SLOPE)
    lamina = Lamina(local, slope, 0.0, -_THICK_MM, -_HALF_HEIGHT_MM, _HALF_HEIGHT_MM)
    return lamina, (canal @ axes, axes)


def _axes(site: PedicleSite) -> FloatArray:
    """Return the axes of a vertebra as rows: right, anterior, superior."""
    right = perpendicular(site.superior, site.right)
    return body_axes(right, np.cross(site.superior, right))
