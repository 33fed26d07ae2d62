"""Where hooks, wires, cement and cages run into other implants: their solids are compared.

A rod in the slot of its hook overlaps nothing, since the slot is cut out of the solid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from spinemar.implants.catalogue import Catalogue
from spinemar.implants.kinds import implants_of
from spinemar.implants.placement import Hook, Rod
from spinemar.implants.shapes.laminar import rod_seat
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.solids import Bounds, FloatArray, Solid
from spinemar.planning.plans.plan import Plan

#: Names of kinds in a contact, by the plan's group. Screws and rods among themselves are looked at
#: elsewhere, and a crosslink grasps its rods.
_NAMES = {
    "screws": "screw", "rods": "rod", "hooks": "hook", "wires": "wire", "cements": "cement",
    "cages": "cage",
}  # fmt: skip
_BY_THEMSELVES = {"screws", "rods"}
#: Cement is put around screws.
_MEANT = ({"cements", "screws"},)
#: Points so far apart are looked at; nearer in thin wires.
_STEP_MM, _FINE_STEP_MM = 0.6, 0.25
#: Less than this is the grid's own error, and the play of a rod in a slot.
_LEAST_MM = 0.4


@dataclass(frozen=True)
class _Body:
    """The solids of one implant, and the box around them."""

    group: str
    name: str
    solids: Sequence[Solid]
    box: Bounds


def solid_contacts(plan: Plan, catalogue: Catalogue) -> Iterator[tuple[str, str, str, float]]:
    """Yield the kinds, both names and the overlap in mm of implants whose solids overlap.

    Parameters
    ----------
    plan : Plan
    catalogue : Catalogue
        Of its models.
    """
    if not any(getattr(plan, group) for group in _NAMES if group not in _BY_THEMSELVES):
        return
    for one, other in combinations(_bodies(plan, catalogue), 2):
        groups = {one.group, other.group}
        if groups <= _BY_THEMSELVES or groups in _MEANT:
            continue
        overlap = _overlap_mm(one, other)
        if overlap >= _LEAST_MM:
            yield f"{_NAMES[one.group]}-{_NAMES[other.group]}", one.name, other.name, overlap


def hook_gaps_mm(rod: Rod, hooks: Sequence[Hook], catalogue: Catalogue) -> dict[str, float]:
    """Return, per hook, how far the middle of its slot lies from the rod's axis."""
    curve = rod_curve(rod.control_points, 0.1)
    seats = {hook.id: rod_seat(hook, catalogue.hook(hook.model)) for hook in hooks}
    return {name: float(np.linalg.norm(curve - seat, axis=1).min()) for name, seat in seats.items()}


def _bodies(plan: Plan, catalogue: Catalogue) -> list[_Body]:
    bodies = []
    for kind, item in implants_of(plan):
        if kind.group not in _NAMES:
            continue
        solids = [part.solid for part in kind.parts(item, catalogue)]
        boxes = [solid.bounds() for solid in solids]
        low = np.min([box[0] for box in boxes], axis=0)
        high = np.max([box[1] for box in boxes], axis=0)
        bodies.append(_Body(kind.group, item.id, solids, (low, high)))
    return bodies


def _overlap_mm(one: _Body, other: _Body) -> float:
    """Return how deep two bodies lie in each other: twice the depth of the deepest point in both.

    Of two parallel walls, or two round bars, that is how far one would have to move.
    """
    low = np.maximum(one.box[0], other.box[0])
    high = np.minimum(one.box[1], other.box[1])
    if (high - low <= 0).any():
        return 0.0
    step = _FINE_STEP_MM if "wires" in (one.group, other.group) else _STEP_MM
    axes = [np.arange(a + step / 2, b, step) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    depth = -_outside_mm(one, points)
    near = depth > 0
    if not near.any():
        return 0.0
    both = np.minimum(depth[near], -_outside_mm(other, points[near]))
    return 2.0 * max(float(both.max()), 0.0)


def _outside_mm(body: _Body, points: FloatArray) -> FloatArray:
    """Return the distance of points (n, 3) from a body, negative inside."""
    smallest: FloatArray = np.min([solid.distance(points) for solid in body.solids], axis=0)
    return smallest
