"""A whole construct straight from pedicles: screws, heads, rods and a crosslink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spinemar.implants.catalogue import Catalogue, ScrewModel
from spinemar.implants.placement import STANDARD_CROSSLINK, Crosslink, Rod, Screw
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.screw import head_pose
from spinemar.implants.shapes.solids import unit
from spinemar.planning.constructs.rods import (
    RodSettings,
    RodTooLongError,
    contour_rod,
    hooks_on_rod,
)
from spinemar.planning.plans.plan import Plan
from spinemar.planning.trajectories.sites import MIDLINE_GAP_MM, PedicleSite
from spinemar.planning.vectors import as_point


@dataclass(frozen=True)
class ConstructSettings:
    """Choices for a construct; lengths in mm.

    `diameter_share` is the screw's share of the pedicle's width, `tip_gap_mm` how far
    its tip stays behind the anterior cortex.
    """

    screw_model: str = "generic-polyaxial"
    material: str = "Ti-6Al-4V"
    diameter_share: float = 0.8
    tip_gap_mm: float = 4.0
    with_rods: bool = True
    with_crosslink: bool = False
    crosslink_model: str = STANDARD_CROSSLINK
    rod: RodSettings = field(default_factory=RodSettings)


def construct_from_pedicles(
    sites: Sequence[PedicleSite],
    catalogue: Catalogue,
    settings: ConstructSettings | None = None,
) -> Plan:
    """Plan a screw along the axis of every pedicle, and a rod through those of a side.

    No image is looked at, so it takes milliseconds; `plan_construct` optimises.
    Pedicles too narrow for the thinnest screw are left out with a warning.

    Parameters
    ----------
    sites : sequence of PedicleSite
        Of `sites_from_frames` or `sites_from_landmarks`.
    catalogue : Catalogue
        Whose models are placed; `load_catalogue` reads it.
    settings : ConstructSettings, optional

    Returns
    -------
    Plan
        Its screws are not graded.

    Raises
    ------
    InputError
        If the catalogue has no such model, or the rod is not made in that size or material.
    """
    settings = settings or ConstructSettings()
    model = catalogue.screw(settings.screw_model)
    screws, warnings = [], []
    for site in sites:
        screw = _screw_for_site(site, settings, model)
        if screw is None:
            warnings.append(
                f"The {site.side} pedicle of {site.level} is {site.width_mm:.1f} mm wide: too "
                f"narrow for a screw of {min(model.diameters_mm):g} mm."
            )
        else:
            screws.append(screw)
    levels = tuple(dict.fromkeys(site.level for site in sites))
    plan = Plan(levels=levels, screws=tuple(screws), warnings=tuple(warnings))
    if not settings.with_rods:
        return plan
    rod = settings.rod.checked(catalogue)
    link = settings.crosslink_model if settings.with_crosslink else None
    return with_rods(plan, catalogue, rod, crosslink=link)


def _screw_for_site(
    site: PedicleSite, settings: ConstructSettings, model: ScrewModel
) -> Screw | None:
    """Return the screw along a pedicle's axis, None if no size of the model fits."""
    diameter = model.diameter_for(settings.diameter_share * site.width_mm)
    if diameter is None and site.width_mm >= min(model.diameters_mm):
        diameter = min(model.diameters_mm)
    length = model.length_for(
        min(site.anterior_mm - settings.tip_gap_mm, _to_midline_mm(site, diameter or 0.0))
    )
    if diameter is None or length is None:
        return None
    name = f"{site.level}-{site.side}"
    size = (diameter, length)
    return model.placed(name, site.level, site.side, site.entry, site.axis, size, settings.material)


def _to_midline_mm(site: PedicleSite, diameter_mm: float) -> float:
    """Return how long a screw may be before it nears the one from the other side."""
    lateral = float((site.entry - site.body_centre) @ site.lateral)
    inwards = -float(site.axis @ site.lateral)
    if inwards <= 1e-3:
        return 200.0
    return max((lateral - MIDLINE_GAP_MM / 2 - diameter_mm / 2) / inwards, 15.0)


def with_rods(
    plan: Plan,
    catalogue: Catalogue,
    settings: RodSettings | None = None,
    *,
    crosslink: str | None = None,
) -> Plan:
    """Return the plan with new rods through screws and hooks of each side, heads turned to them.

    Rods that are locked, and rods of another side, stay. A side with one anchor has none; nor
    has one whose rod would be longer than it is sold: the plan's warnings say so. `crosslink`
    is the model of a crosslink between them, None for none.
    """
    warnings = list(plan.warnings)
    kept = tuple(rod for rod in plan.rods if rod.locked or rod.side == "")
    held = {screw_id for rod in kept for screw_id in rod.screw_ids}
    screws = {screw.id: screw for screw in plan.screws}
    rods: list[Rod] = list(kept)
    for side in ("left", "right"):
        free = [s for s in plan.screws if s.side == side and s.id not in held]
        # A hook belongs to the one rod of its side.
        taken = any(rod.side == side for rod in kept)
        hooks = [] if taken else hooks_on_rod(plan, side)
        if len(free) + len(hooks) < 2:
            continue
        try:
            contoured = contour_rod(free, catalogue, settings, hooks=hooks)
        except RodTooLongError as error:
            warnings.append(str(error))
            continue
        rods.append(contoured.rod)
        screws.update({screw.id: screw for screw in contoured.screws})
    plan = replace(
        plan,
        screws=tuple(screws.values()),
        rods=tuple(rods),
        crosslinks=(),
        warnings=tuple(dict.fromkeys(warnings)),
    )
    return plan if crosslink is None else add_crosslink(plan, catalogue, crosslink)


def crosslink_model(plan: Plan) -> str | None:
    """Return the model of a plan's crosslink, None without one."""
    return plan.crosslinks[0].model if plan.crosslinks else None


def add_crosslink(plan: Plan, catalogue: Catalogue, model_id: str = STANDARD_CROSSLINK) -> Plan:
    """Return the plan with a crosslink at the middle of its rods, where one fits.

    It lies as far as it can from every tulip, and as square to both rods as they allow.
    """
    model = catalogue.crosslink(model_id)
    left = next((rod for rod in plan.rods if rod.side == "left"), None)
    right = next((rod for rod in plan.rods if rod.side == "right"), None)
    if left is None or right is None:
        return plan
    poses = [head_pose(screw, catalogue.screw(screw.model)) for screw in plan.screws]
    a, b = rod_curve(left.control_points, 1.0), rod_curve(right.control_points, 1.0)
    gaps = np.linalg.norm(a[:, None] - b[None], axis=-1)
    partner = gaps.argmin(axis=1)
    seats = np.array([pose.seat for pose in poses])
    room = np.minimum(
        np.linalg.norm(a[:, None] - seats, axis=-1).min(axis=1),
        np.linalg.norm(b[partner][:, None] - seats, axis=-1).min(axis=1),
    )
    middle = np.abs(np.linspace(-1.0, 1.0, len(a)))
    fits = (gaps.min(axis=1) >= model.min_length_mm) & (gaps.min(axis=1) <= model.max_length_mm)
    if not fits.any():
        return plan
    best = int(np.argmax(np.where(fits, np.minimum(room, 14.0) - 4.0 * middle, -np.inf)))
    posterior = unit(np.mean([pose.axis for pose in poses], axis=0))
    link = Crosslink(
        id=f"crosslink-{len(plan.crosslinks) + 1}",
        start=as_point(a[best]),
        end=as_point(b[partner[best]]),
        posterior=as_point(posterior),
        diameter_mm=model.diameter_mm,
        rod_diameter_mm=left.diameter_mm,
        material=left.material if left.material in model.materials else model.materials[0],
        rod_ids=(left.id, right.id),
        model=model.id,
    )
    return replace(plan, crosslinks=(*plan.crosslinks, link))
