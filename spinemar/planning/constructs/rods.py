"""Rods contoured through tulips and hooks of a side; polyaxial heads turn to meet them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, RodModel
from spinemar.implants.checks import check_choice
from spinemar.implants.placement import STANDARD_ROD, Hook, Rod, Screw
from spinemar.implants.shapes.laminar import rod_seat
from spinemar.implants.shapes.rod import rod_curve, rod_length_mm
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import FloatArray, perpendicular, unit
from spinemar.planning.plans.plan import Plan
from spinemar.planning.vectors import as_point, within_cone

_TURNS = 6
_STEP_MM = 0.5


_USUAL_DIAMETER_MM = 5.5


@dataclass(frozen=True)
class RodSettings:
    """Which rod of the catalogue is bent; its model says how sharply, how long, how far beyond.

    Parameters
    ----------
    model : str
        Rod model of the catalogue.
    diameter_mm : float or None
        None: the model's diameter nearest to 5.5 mm.
    material : str or None
        None: the model's first.
    """

    model: str = STANDARD_ROD
    diameter_mm: float | None = None
    material: str | None = None

    @classmethod
    def of(cls, rod: Rod) -> RodSettings:
        """Return the settings that make a rod like one that there is."""
        return cls(rod.model, rod.diameter_mm, rod.material)

    def checked(self, catalogue: Catalogue) -> RodSettings:
        """Return the settings, with diameter and material of the model where they are open.

        Raises
        ------
        InputError
            If the catalogue has no such model, or it is not made in that size or material.
        """
        model = catalogue.rod(self.model)
        diameter, material = self._diameter_mm(model), self._material(model)
        if diameter not in model.diameters_mm:
            sizes = ", ".join(f"{size:g}" for size in model.diameters_mm)
            raise InputError(
                f"The rod {model.id!r} is not made with {diameter:g} mm.",
                f"Its diameters: {sizes} mm.",
            )
        check_choice(f"material of {model.id}", material, model.materials)
        return replace(self, diameter_mm=diameter, material=material)

    def _diameter_mm(self, model: RodModel) -> float:
        if self.diameter_mm is not None:
            return self.diameter_mm
        return min(model.diameters_mm, key=lambda size: abs(size - _USUAL_DIAMETER_MM))

    def _material(self, model: RodModel) -> str:
        return model.materials[0] if self.material is None else self.material


class RodTooLongError(InputError):
    """A rod through these screws would be longer than its model is sold."""


@dataclass(frozen=True)
class _Anchor:
    """What holds a rod: it runs `reach_mm` from `pivot` along an axis within a cone about `axis`.

    A hook holds it in its own place: it has no reach, and no cone.
    """

    holder: Screw | Hook
    place: FloatArray
    pivot: FloatArray
    axis: FloatArray
    reach_mm: float = 0.0
    cone_deg: float = 0.0


@dataclass(frozen=True)
class ContouredRod:
    """A rod, and the screws with their heads turned towards it."""

    rod: Rod
    screws: tuple[Screw, ...]


def contour_rod(
    screws: Sequence[Screw],
    catalogue: Catalogue,
    settings: RodSettings | None = None,
    rod_id: str | None = None,
    hooks: Sequence[Hook] = (),
) -> ContouredRod:
    """Bend a rod of the catalogue through tulips and the slots of hooks, as gently as it asks for.

    Parameters
    ----------
    screws : sequence of Screw
        Of one side; with the hooks at least two. They are ordered along the spine here.
    catalogue : Catalogue
        Of the screws, hooks and the rod.
    settings : RodSettings, optional
    rod_id : str, optional
    hooks : sequence of Hook, optional
        Of the same side.

    Returns
    -------
    ContouredRod
        Locked screws turn their heads too: a head is not the screw's position.

    Raises
    ------
    InputError
        If there are fewer than two screws or hooks, or the catalogue lacks a model.
    RodTooLongError
        If the rod would be longer than its model is sold.
    """
    settings = settings or RodSettings()
    model = catalogue.rod(settings.model)
    if len(screws) + len(hooks) < 2:
        raise InputError("A rod needs at least two screws.", "Add a screw on this side.")
    anchors = [
        *(_screw_anchor(screw, catalogue) for screw in screws),
        *(_hook_anchor(hook, catalogue) for hook in hooks),
    ]
    order = _along_spine(np.array([anchor.place for anchor in anchors]))
    ordered = [anchors[n] for n in order]
    points, heads, tangents = _meet(ordered, model)
    turned = tuple(
        replace(anchor.holder, head_axis=as_point(head), slot_axis=as_point(tangent))
        for anchor, head, tangent in zip(ordered, heads, tangents, strict=True)
        if isinstance(anchor.holder, Screw)
    )
    side = anchors[0].holder.side
    rod = Rod(
        id=rod_id or f"rod-{side}",
        side=side,
        control_points=tuple(as_point(p) for p in _with_overhang(points, model)),
        diameter_mm=settings._diameter_mm(model),
        material=settings._material(model),
        screw_ids=tuple(screw.id for screw in turned),
        model=model.id,
    )
    length = rod_length_mm(rod)
    if length > model.max_length_mm:
        raise RodTooLongError(
            f"The {side} rod would be {length:.0f} mm long; {model.id!r} is sold up to "
            f"{model.max_length_mm:g} mm.",
            "Choose a longer rod of the catalogue, or fewer levels.",
        )
    return ContouredRod(rod, turned)


def hooks_on_rod(plan: Plan, side: str) -> list[Hook]:
    """Return the hooks of a side that its rod runs through: those of levels without a screw there.

    Beside a screw a hook lies far nearer to the middle: no rod bends so sharply.
    """
    held = {screw.level for screw in plan.screws if screw.side == side}
    return [hook for hook in plan.hooks if hook.side == side and hook.level not in held]


def order_along_spine(screws: Sequence[Screw]) -> tuple[Screw, ...]:
    """Return screws in the order in which a rod meets them, from head to foot."""
    return tuple(screws[n] for n in _along_spine(np.array([screw.entry for screw in screws])))


def _along_spine(places: FloatArray) -> NDArray[np.intp]:
    """Return the order of places (n, 3) from head to foot."""
    centred = places - places.mean(axis=0)
    main = np.linalg.svd(centred, full_matrices=False)[2][0]
    downwards = main if main[2] <= 0 else -main
    return np.argsort(centred @ downwards, kind="stable")


def _screw_anchor(screw: Screw, catalogue: Catalogue) -> _Anchor:
    head = catalogue.screw(screw.model).head
    backwards, entry = -shank_axis(screw), np.asarray(screw.entry, float)
    pivot = entry + backwards * head.neck_mm
    return _Anchor(screw, entry, pivot, backwards, head.seat_mm, head.cone_deg)


def _hook_anchor(hook: Hook, catalogue: Catalogue) -> _Anchor:
    seat = rod_seat(hook, catalogue.hook(hook.model))
    return _Anchor(hook, np.asarray(hook.throat, float), seat, unit(hook.shaft))


def _seat_points(screws: Sequence[Screw], catalogue: Catalogue) -> FloatArray:
    """Return where each tulip holds the rod's axis, shape (n, 3)."""
    from spinemar.implants.shapes.screw import head_pose

    return np.array([head_pose(screw, catalogue.screw(screw.model)).seat for screw in screws])


def seat_mismatch_mm(rod: Rod, screws: Sequence[Screw], catalogue: Catalogue) -> dict[str, float]:
    """Return, per screw, how far its seat lies from the rod's axis."""
    curve = rod_curve(rod.control_points, 0.1)
    seats = _seat_points(screws, catalogue)
    gaps = [float(np.linalg.norm(curve - seat, axis=1).min()) for seat in seats]
    return {screw.id: gap for screw, gap in zip(screws, gaps, strict=True)}


def min_bend_radius_mm(rod: Rod) -> float:
    """Return the smallest bend radius along a rod; infinite for a straight one."""
    return float(1.0 / max(_curvature_per_mm(rod_curve(rod.control_points)).max(), 1e-9))


def _curvature_per_mm(curve: FloatArray) -> FloatArray:
    """Return 1/radius (n - 2,) at the inner points of an evenly sampled curve (n, 3) in mm."""
    if len(curve) < 3:
        return np.zeros(1)
    first = (curve[2:] - curve[:-2]) / 2
    second = curve[2:] - 2 * curve[1:-1] + curve[:-2]
    speed = np.linalg.norm(first, axis=1)
    result: FloatArray = np.linalg.norm(np.cross(first, second), axis=1) / speed**3
    return result


def _meet(anchors: Sequence[_Anchor], rod: RodModel) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Turn heads and smooth the rod in turn until both fit: points, heads, tangents."""
    shanks = np.array([anchor.axis for anchor in anchors])
    reach = np.array([anchor.reach_mm for anchor in anchors])
    balls = np.array([anchor.pivot for anchor in anchors])
    cones = [anchor.cone_deg for anchor in anchors]
    common = unit(shanks.mean(axis=0))
    heads = np.array([within_cone(common, a, c) for a, c in zip(shanks, cones, strict=True)])
    points = balls + heads * reach[:, None]
    tangents = heads
    for _ in range(_TURNS):
        points = _bendable(balls + heads * reach[:, None], rod)
        tangents = _tangents(points)
        wanted = points - balls
        wanted = wanted - tangents * (wanted * tangents).sum(axis=1, keepdims=True)
        # What has no reach does not turn.
        wanted = np.where(reach[:, None] > 0, wanted, shanks)
        heads = np.array(
            [within_cone(w, a, c) for w, a, c in zip(wanted, shanks, cones, strict=True)]
        )
    slots = np.array([perpendicular(h, t) for h, t in zip(heads, tangents, strict=True)])
    return points, heads, slots


def _bendable(points: FloatArray, rod: RodModel) -> FloatArray:
    """Smooth points just enough that the rod through them keeps its bend radius."""
    if len(points) == 2:
        return points
    limit = 1.0 / rod.min_bend_radius_mm
    smooth, weight = points, 0.0
    while _sharpest(smooth, rod) > limit:
        weight = 2.0 * weight if weight else 0.01
        smooth = _smoothed(points, weight)
        if weight > 1e6:
            break
    return smooth


def _sharpest(points: FloatArray, rod: RodModel) -> float:
    curve = rod_curve(_with_overhang(points, rod), 2 * _STEP_MM)
    return float(_curvature_per_mm(curve).max())


def _smoothed(points: FloatArray, weight: float) -> FloatArray:
    """Minimise sum |q - p|^2 + weight * mean spacing^2 * sum |change of slope|^2."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    bends = np.zeros((len(points) - 2, len(points)))
    for n in range(len(bends)):
        before, after = steps[n], steps[n + 1]
        bends[n, n : n + 3] = [1 / before, -1 / before - 1 / after, 1 / after]
    scale = weight * float(np.mean(steps)) ** 2
    matrix = np.eye(len(points)) + scale * bends.T @ bends
    return np.asarray(np.linalg.solve(matrix, points), dtype=np.float64)


def _tangents(points: FloatArray) -> FloatArray:
    """Return unit tangents of the rod at its points, from head to foot."""
    if len(points) == 2:
        slope: FloatArray = np.tile(points[1] - points[0], (2, 1))
    else:
        from scipy.interpolate import CubicSpline

        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        places = np.concatenate([[0.0], np.cumsum(steps)])
        slope = np.asarray(CubicSpline(places, points, bc_type="natural")(places, 1), float)
    result: FloatArray = slope / np.linalg.norm(slope, axis=1, keepdims=True)
    return result


def _with_overhang(points: FloatArray, rod: RodModel) -> FloatArray:
    """Add the ends that stick out beyond the outer tulips."""
    if rod.overhang_mm <= 0:
        return points
    ends = _tangents(points)
    first = points[0] - rod.overhang_mm * ends[0]
    last = points[-1] + rod.overhang_mm * ends[-1]
    return np.concatenate([first[None], points, last[None]])
