"""Implants besides screws, rods and cages: cement in a body, hooks and wires at a lamina."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spinemar.errors import InputError
from spinemar.implants.catalogue import CementModel, HookModel, WireModel
from spinemar.implants.checks import check_choice
from spinemar.implants.kinds import kind_of
from spinemar.implants.placement import SIDES, Cement, Hook, Wire
from spinemar.implants.shapes.solids import FloatArray
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.plans.plan import Plan
from spinemar.planning.vectors import as_point
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import SpineModel

#: Half axes of cement to the side, forwards and up, as shares of each other; it keeps away from the
#: cortex of the body.
_CEMENT_SHAPE, _CEMENT_GAP_MM = np.array([1.25, 1.0, 0.8]), 1.0
#: A lamina is looked for beside the midline, behind the canal, in these ranges, mm.
_BESIDE_MM, _BEHIND_MM, _UP_MM, _STEP_MM = 7.0, (-1.0, 18.0), 26.0, 0.5
#: A hook's throat is as much deeper than the lamina is thick; a wire lies so far off it.
_ROOM_MM, _CLEARANCE_MM = 0.5, 0.4
#: The twist of a wire stands so far behind the lamina.
_TWIST_MM = 9.0
WAYS = ("up", "down")


def with_implants(plan: Plan, items: Iterable[Cement | Hook | Wire]) -> Plan:
    """Return the plan with implants besides those that it has."""
    for item in items:
        group = kind_of(item).group
        kept = tuple(old for old in getattr(plan, group) if old.id != item.id)
        groups: dict[str, Any] = {group: (*kept, item)}
        plan = replace(plan, **groups)
    return plan


def cement_in_body(spine: SpineModel, level: str, model: CementModel, volume_ml: float) -> Cement:
    """Return cement in the middle of a vertebral body.

    Parameters
    ----------
    spine : SpineModel
    level : str
    model : CementModel
        Of the catalogue; its first material is taken.
    volume_ml : float

    Raises
    ------
    InputError
        If the body holds no such amount; the remedy says how much it holds.
    """
    vertebra = spine.vertebra(level)
    field = bone_field(spine.labels, vertebra)
    # Of a unit ball's shape the volume grows with the cube.
    unit_ml = 4.0 / 3.0 * np.pi * _CEMENT_SHAPE.prod() / 1000.0
    radii = _CEMENT_SHAPE * (volume_ml / unit_ml) ** (1.0 / 3.0)
    if _room_mm(field, radii) < _CEMENT_GAP_MM:
        fitting = [
            ml
            for ml in model.volumes_ml
            if _room_mm(field, _CEMENT_SHAPE * (ml / unit_ml) ** (1.0 / 3.0)) >= _CEMENT_GAP_MM
        ]
        most = f"Its body holds {max(fitting):g} ml." if fitting else "Its body holds none of them."
        raise InputError(f"{volume_ml:g} ml of cement do not fit into {level}.", most)
    return Cement(
        id=f"cement-{level}",
        level=level,
        centre=as_point(vertebra.body_centre_ras),
        right=as_point(vertebra.right),
        anterior=as_point(vertebra.anterior),
        radii_mm=as_point(radii),
        material=model.materials[0],
        model=model.id,
    )


def _room_mm(field: BoneField, radii: FloatArray) -> float:
    """Return the least depth in bone of the surface of an ellipsoid in a body's middle."""
    angles = np.linspace(0.0, np.pi, 13), np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    polar, around = (one.ravel() for one in np.meshgrid(*angles))
    ball = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=1
    )
    return float(-field.distance_local_mm(ball * radii).max())


@dataclass(frozen=True)
class Lamina:
    """One side of a lamina in its vertebra's own axes, mm.

    `beside` is how far right of the middle it was measured, `front` and `back` where it lies
    there, `low` and `high` its edges.
    """

    beside: float
    front: float
    back: float
    low: float
    high: float


def lamina_of(field: BoneField, side: str) -> Lamina:
    """Find the lamina of one side of a vertebra.

    Raises
    ------
    InputError
        If there is no bone behind the canal.
    """
    vertebra = field.frame
    check_choice("side", side, SIDES)
    sign = 1.0 if side == "right" else -1.0
    canal = vertebra.to_local(
        vertebra.canal_contour_ras
        if len(vertebra.canal_contour_ras)
        else vertebra.canal_centre_ras[None]
    )
    beside = sign * _BESIDE_MM
    near = canal[np.argsort(np.abs(canal[:, 0] - beside))[: max(len(canal) // 4, 1)]]
    wall, middle = float(near[:, 1].min()), float(canal[:, 2].mean())
    behind = wall - np.arange(*_BEHIND_MM, _STEP_MM)
    up = middle + np.arange(-_UP_MM, _UP_MM + _STEP_MM / 2, _STEP_MM)
    y, z = np.meshgrid(behind, up)
    points = np.stack([np.full(y.shape, beside), y, z], axis=-1)
    bone = np.asarray(field.distance_local_mm(points) < 0.0)
    rows = np.asarray(bone.any(axis=1))
    if not rows.any():
        raise InputError(
            f"No lamina was found on the {side} side of {vertebra.level}.",
            "Look at its segmentation, or use a screw there.",
        )
    # The run of rows nearest to the canal's height: joints of neighbours lie apart from it.
    start = int(np.flatnonzero(rows)[np.abs(up[rows] - middle).argmin()])
    low = high = start
    while low > 0 and rows[low - 1]:
        low -= 1
    while high < len(rows) - 1 and rows[high + 1]:
        high += 1
    inside = behind[bone[low : high + 1].any(axis=0)]
    return Lamina(beside, float(inside.max()), float(inside.min()), float(up[low]), float(up[high]))


def hook_at_lamina(
    spine: SpineModel, level: str, side: str, way: str, model: HookModel, material: str = ""
) -> Hook:
    """Return a hook at the lower edge of a lamina whose blade points up, or at the upper, down.

    Parameters
    ----------
    spine : SpineModel
    level, side : str
    way : {"up", "down"}
        Where the blade points.
    model : HookModel
        Of the catalogue: the smallest throat that the lamina fits in is taken.
    material : str
        By default the model's first.

    Raises
    ------
    InputError
        If there is no lamina, or it is too thick for every throat.
    """
    check_choice("way of a hook", way, WAYS)
    field = _field(spine, level)
    vertebra, found = field.frame, lamina_of(field, side)
    up = 1.0 if way == "up" else -1.0
    front, back = _edge(field, found, up)
    thick = front - back
    fitting = [t for t in model.throats_mm if t >= thick + _ROOM_MM]
    if not fitting:
        raise InputError(
            f"The lamina of {level} is {thick:.0f} mm thick there: too thick for a throat of "
            f"{max(model.throats_mm):g} mm.",
            "Choose a larger hook of a catalogue of your own.",
        )
    edge = found.low if up > 0 else found.high
    # The lamina lies against the blade, not against the block.
    middle = front - min(fitting) / 2
    throat = vertebra.to_ras(np.array([found.beside, middle, edge]))
    return Hook(
        id=f"{level}-hook-{side}-{way}",
        level=level,
        side=side,
        throat=as_point(throat),
        shaft=as_point(-vertebra.anterior),
        blade=as_point(up * vertebra.superior),
        throat_mm=min(fitting),
        material=material or model.materials[0],
        model=model.id,
    )


def _edge(field: BoneField, found: Lamina, up: float) -> tuple[float, float]:
    """Return front and back of a lamina where a blade lies: some mm from its edge inwards."""
    edge = found.low if up > 0 else found.high
    z = edge + up * np.arange(0.5, 6.0, _STEP_MM)
    y = np.arange(found.back - 1.0, found.front + 1.0, _STEP_MM / 2)
    grid = np.stack(np.meshgrid([found.beside], y, z, indexing="ij"), axis=-1)[0]
    bone = (field.distance_local_mm(grid) < 0.0).any(axis=1)
    seen = y[bone]
    return (float(seen.max()), float(seen.min())) if len(seen) else (found.front, found.back)


def wire_at_lamina(
    spine: SpineModel, level: str, side: str, model: WireModel, material: str = ""
) -> Wire:
    """Return a wire around one side of a lamina, through the canal, twisted behind it.

    Parameters
    ----------
    spine : SpineModel
    level, side : str
    model : WireModel
        Of the catalogue; its largest diameter is taken.
    material : str
        By default the model's first.

    Raises
    ------
    InputError
        If there is no lamina.
    """
    field = _field(spine, level)
    found = lamina_of(field, side)
    diameter = model.diameters_mm[-1]
    off = diameter / 2 + _CLEARANCE_MM
    front, back = found.front + off, found.back - off
    low, high = found.low - off, found.high + off
    middle, twist = (low + high) / 2, found.back - _TWIST_MM
    # Both ends side by side at the twist, one wire thick apart.
    path = [
        (0.0, twist, middle - diameter),
        (0.0, back - 2.0, middle - 3.0),
        (0.0, back, low + 1.0),
        (0.0, (front + back) / 2, low - 1.5),
        (0.0, front, low + 1.5),
        (0.0, front, high - 1.5),
        (0.0, (front + back) / 2, high + 1.5),
        (0.0, back, high - 1.0),
        (0.0, back - 2.0, middle + 3.0),
        (0.0, twist, middle + diameter),
    ]
    local = np.array(path) + np.array([found.beside, 0.0, 0.0])
    return Wire(
        id=f"{level}-wire-{side}",
        level=level,
        side=side,
        points=tuple(as_point(point) for point in field.frame.to_ras(local)),
        diameter_mm=diameter,
        material=material or model.materials[0],
        model=model.id,
    )


def _field(spine: SpineModel, level: str) -> BoneField:
    """Return the bone field of a level that has a lamina.

    Raises
    ------
    InputError
        If it is the sacrum, or not in the spine.
    """
    if level == SACRUM:
        raise InputError("Hooks and wires are not planned at S1.", "Use screws there.")
    return bone_field(spine.labels, spine.vertebra(level))
