"""Implants besides screws, rods and cages: cement in a body, hooks and wires at a lamina."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinemar.errors import InputError
from spinemar.implants.catalogue import CementModel, HookModel, WireModel
from spinemar.implants.checks import check_choice
from spinemar.implants.kinds import kind_of
from spinemar.implants.placement import SIDES, Cement, Hook, Screw, Wire
from spinemar.implants.shapes.solids import FloatArray
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.plans.plan import Plan
from spinemar.planning.vectors import as_point
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import SpineModel

#: Half axes of cement to the side, forwards and up, as shares of each other; it keeps away from the
#: cortex of the body.
_CEMENT_SHAPE, _CEMENT_GAP_MM = np.array([1.25, 1.0, 0.8]), 1.0
_FORWARDS_MM, _UPWARDS_MM = np.arange(-2.0, 6.1, 2.0), np.arange(-3.0, 3.1, 1.5)
#: A lamina is looked for beside the midline, behind the canal, in these ranges, mm.
_BESIDE_MM, _BEHIND_MM, _UP_MM, _STEP_MM = 7.0, (-1.0, 18.0), 26.0, 0.5
#: Its slope is no steeper, and is not told from fewer rows. A blade lies along so much of it, mm.
_STEEPEST, _FEWEST_ROWS, _BLADE_MM = 0.8, 8, 6.0
#: A hook's throat is as much deeper than the lamina is thick; a wire lies so far off it.
_ROOM_MM, _CLEARANCE_MM = 0.5, 0.4
#: The twist of a wire stands so far behind the lamina.
_TWIST_MM = 9.0
#: Its front is held straight by so many points: a curve through few would bulge into the canal.
_FRONT_POINTS = 8
WAYS = ("up", "down")
#: Where pedicle hooks hold; the process below a pedicle is looked for so far down and back, and so
#: far below the pedicle's own edge, mm.
_PEDICLE_HOOK_LEVELS = tuple(f"T{n}" for n in range(1, 11))
_PROCESS_MM, _PROCESS_DEPTH_MM, _BELOW_PEDICLE_MM = 14.0, 26.0, 2.0


def with_implants(plan: Plan, items: Iterable[Cement | Hook | Wire | Screw]) -> Plan:
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

    def placed(ml: float) -> tuple[FloatArray, FloatArray, float]:
        radii = _CEMENT_SHAPE * (ml / unit_ml) ** (1.0 / 3.0)
        return radii, *_best_place(field, radii)

    radii, middle, room = placed(volume_ml)
    if room < _CEMENT_GAP_MM:
        fitting = [ml for ml in model.volumes_ml if placed(ml)[2] >= _CEMENT_GAP_MM]
        most = f"Its body holds {max(fitting):g} ml." if fitting else "Its body holds none of them."
        raise InputError(f"{volume_ml:g} ml of cement do not fit into {level}.", most)
    return Cement(
        id=f"cement-{level}",
        level=level,
        centre=as_point(vertebra.to_ras(middle)),
        right=as_point(vertebra.right),
        anterior=as_point(vertebra.anterior),
        radii_mm=as_point(radii),
        material=model.materials[0],
        model=model.id,
    )


def _best_place(field: BoneField, radii: FloatArray) -> tuple[FloatArray, float]:
    """Return where in the middle plane of a body an ellipsoid has most room, and how much, mm."""
    grid = np.meshgrid([0.0], _FORWARDS_MM, _UPWARDS_MM, indexing="ij")
    shifts = np.stack(grid, axis=-1).reshape(-1, 3)
    rooms = [_room_mm(field, radii, shift) for shift in shifts]
    # The nearest to the middle of equal ones.
    best = max(range(len(shifts)), key=lambda n: (round(rooms[n], 1), -np.abs(shifts[n]).sum()))
    return shifts[best], rooms[best]


def _room_mm(field: BoneField, radii: FloatArray, middle: FloatArray) -> float:
    """Return the least depth in bone of the surface of an ellipsoid about a local point."""
    angles = np.linspace(0.0, np.pi, 13), np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    polar, around = (one.ravel() for one in np.meshgrid(*angles))
    ball = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=1
    )
    return float(-field.distance_local_mm(middle + ball * radii).max())


@dataclass(frozen=True, eq=False)
class Lamina:
    """One side of a lamina in the plane beside the middle, along its own slope.

    Parameters
    ----------
    origin : ndarray, shape (3,)
        A point of it in its vertebra's axes, mm.
    axes : ndarray, shape (3, 3)
        Rows, in its vertebra's axes: to the right, out of its front, along it upwards.
    front, back, low, high : float
        Its surfaces and edges along these axes from the origin, mm.
    """

    origin: FloatArray
    axes: FloatArray
    front: float
    back: float
    low: float
    high: float

    def local(self, forwards: ArrayLike, up: ArrayLike) -> FloatArray:
        """Return points (..., 3) in the vertebra's axes by how far out of its front and up."""
        y, z = np.broadcast_arrays(np.asarray(forwards, float), np.asarray(up, float))
        points: FloatArray = self.origin + y[..., None] * self.axes[1] + z[..., None] * self.axes[2]
        return points


def lamina_of(field: BoneField, side: str) -> Lamina:
    """Find the lamina of one side of a vertebra.

    Raises
    ------
    InputError
        If there is no bone behind the canal.
    """
    vertebra = field.frame
    check_choice("side", side, SIDES)
    beside = _BESIDE_MM if side == "right" else -_BESIDE_MM
    known = len(vertebra.canal_contour_ras) > 0
    canal = vertebra.to_local(
        vertebra.canal_contour_ras if known else vertebra.canal_centre_ras[None]
    )
    near = canal[np.argsort(np.abs(canal[:, 0] - beside))[: max(len(canal) // 4, 1)]]
    origin = np.array([beside, float(near[:, 1].min()), float(canal[:, 2].mean())])
    upright = Lamina(origin, np.eye(3), -_BEHIND_MM[0], -_BEHIND_MM[1], -_UP_MM, _UP_MM)
    rough = _measured(field, upright)
    if rough is None:
        raise InputError(
            f"No lamina was found on the {side} side of {vertebra.level}.",
            "Look at its segmentation, or use a screw there.",
        )
    # It slopes backwards and down: what grasps it lies along that.
    slope = _slope(field, rough)
    axes = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -slope], [0.0, slope, 1.0]])
    axes[1:] /= np.hypot(1.0, slope)
    middle = rough.local((rough.front + rough.back) / 2, (rough.low + rough.high) / 2)
    reach = (rough.front - rough.back) / 2 + 2.0
    return _measured(field, Lamina(middle, axes, reach, -reach, -_UP_MM, _UP_MM)) or rough


def _bone(field: BoneField, place: Lamina) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return coordinates forwards and up within the limits of a place, and the bone (up, fore)."""
    forwards = np.arange(place.back, place.front + _STEP_MM / 2, _STEP_MM)
    up = np.arange(place.low, place.high + _STEP_MM / 2, _STEP_MM)
    points = place.local(*np.meshgrid(forwards, up))
    return forwards, up, np.asarray(field.distance_local_mm(points) < 0.0)


def _measured(field: BoneField, place: Lamina) -> Lamina | None:
    """Return a lamina with its surfaces and edges within the limits of a place; None without."""
    forwards, up, bone = _bone(field, place)
    rows = np.asarray(bone.any(axis=1))
    if not rows.any():
        return None
    # The run of rows nearest to the middle: what lies apart is another bone's, or a process.
    low = high = int(np.flatnonzero(rows)[np.abs(up[rows]).argmin()])
    while low > 0 and rows[low - 1]:
        low -= 1
    while high < len(rows) - 1 and rows[high + 1]:
        high += 1
    inside = forwards[bone[low : high + 1].any(axis=0)]
    found = float(inside.max()), float(inside.min()), float(up[low]), float(up[high])
    return Lamina(place.origin, place.axes, *found)


def _slope(field: BoneField, rough: Lamina) -> float:
    """Return by how many mm a lamina's front goes forwards for each mm up."""
    forwards, up, bone = _bone(field, rough)
    rows = np.flatnonzero(bone.any(axis=1))
    front = np.array([forwards[bone[row]].max() for row in rows])
    whole = rows[len(rows) // 6 : len(rows) - len(rows) // 6]
    if len(whole) < _FEWEST_ROWS:
        return 0.0
    line = np.polyfit(up[whole], front[len(rows) // 6 : len(rows) - len(rows) // 6], 1)
    return float(np.clip(line[0], -_STEEPEST, _STEEPEST))


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
    found = lamina_of(field, side)
    front, back = _edge(field, found, 1.0 if way == "up" else -1.0)
    grasped = replace(found, front=front, back=back)
    place = field.frame.body_centre_ras, field.frame.axes_ras
    return hook_on(grasped, place, level, side, way, model, material)


def hook_at_pedicle(
    spine: SpineModel, level: str, side: str, model: HookModel, material: str = ""
) -> Hook:
    """Return a hook under the lower articular process whose blade ends at the pedicle from below.

    What of the process lies below its throat is taken as resected.

    Parameters
    ----------
    spine : SpineModel
    level, side : str
        T1 to T10: farther down facet joints stand upright, and no such hook holds.
    model : HookModel
        Of the catalogue: the smallest throat that the process fits in is taken.
    material : str
        By default the model's first.

    Raises
    ------
    InputError
        If it is another level, the pedicle was not found, or there is no process below it.
    """
    if level not in _PEDICLE_HOOK_LEVELS:
        raise InputError(f"A pedicle hook does not hold at {level}.", "Use one from T1 to T10.")
    check_choice("side", side, SIDES)
    field = _field(spine, level)
    vertebra = field.frame
    pedicle = vertebra.pedicles.get(side)
    if pedicle is None:
        raise InputError(f"The {side} pedicle of {level} was not found.", "Use another level.")
    isthmus = vertebra.to_local(pedicle.isthmus_ras)
    bottom = float(isthmus[2]) - pedicle.height_mm / 2
    # Behind the middle of the canal, from the pedicle's lower edge down.
    canal = float(vertebra.to_local(vertebra.canal_centre_ras)[1])
    origin = np.array([float(isthmus[0]), canal, bottom])
    limits = Lamina(origin, np.eye(3), 0.0, -_PROCESS_DEPTH_MM, -_PROCESS_MM, -_BELOW_PEDICLE_MM)
    process = _measured(field, limits)
    if process is None or process.high < -_BELOW_PEDICLE_MM - _STEP_MM:
        raise InputError(
            f"No articular process was found below the {side} pedicle of {level}.",
            "Look at its segmentation, or use a laminar hook there.",
        )
    # The blade's end lies against the pedicle.
    grasped = replace(process, low=-model.blade_mm)
    place = vertebra.body_centre_ras, vertebra.axes_ras
    hook = hook_on(grasped, place, level, side, "up", model, material)
    return replace(hook, id=f"{level}-hook-{side}-pedicle")


def hook_on(
    found: Lamina,
    place: tuple[FloatArray, FloatArray],
    level: str,
    side: str,
    way: str,
    model: HookModel,
    material: str = "",
) -> Hook:
    """Return a hook at an edge of a lamina that is known.

    Parameters
    ----------
    found : Lamina
        Its surfaces are those that blade and block lie against.
    place : (ndarray, ndarray)
        Origin (3,) and axes (3, 3) of its vertebra, RAS mm.
    level, side, way, model, material
        As in `hook_at_lamina`.

    Raises
    ------
    InputError
        If it is too thick for every throat.
    """
    origin, axes_ras = place
    up = 1.0 if way == "up" else -1.0
    thick = found.front - found.back
    fitting = [t for t in model.throats_mm if t >= thick + _ROOM_MM]
    if not fitting:
        raise InputError(
            f"The lamina of {level} is {thick:.0f} mm thick there: too thick for a throat of "
            f"{max(model.throats_mm):g} mm.",
            "Choose a larger hook of a catalogue of your own.",
        )
    edge = found.low if up > 0 else found.high
    # The lamina lies against the blade, not against the block.
    throat = found.local(found.front - min(fitting) / 2, edge) @ axes_ras + origin
    _, out, along = found.axes @ axes_ras
    return Hook(
        id=f"{level}-hook-{side}-{way}",
        level=level,
        side=side,
        throat=as_point(throat),
        shaft=as_point(-out),
        blade=as_point(up * along),
        throat_mm=min(fitting),
        material=material or model.materials[0],
        model=model.id,
    )


def _edge(field: BoneField, found: Lamina, up: float) -> tuple[float, float]:
    """Return front and back of a lamina where a blade lies: some mm from its edge inwards."""
    low, high = (
        (found.low, found.low + _BLADE_MM) if up > 0 else (found.high - _BLADE_MM, found.high)
    )
    forwards, _, bone = _bone(field, replace(found, low=low, high=high))
    seen = forwards[bone.any(axis=0)]
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
    place = field.frame.body_centre_ras, field.frame.axes_ras
    return wire_around(lamina_of(field, side), place, level, side, model, material)


def wire_around(
    found: Lamina,
    place: tuple[FloatArray, FloatArray],
    level: str,
    side: str,
    model: WireModel,
    material: str = "",
) -> Wire:
    """Return a wire around a lamina that is known.

    Parameters
    ----------
    found : Lamina
    place : (ndarray, ndarray)
        Origin (3,) and axes (3, 3) of its vertebra, RAS mm.
    level, side, model, material
        As in `wire_at_lamina`.
    """
    origin, axes_ras = place
    diameter = model.diameters_mm[-1]
    off = diameter / 2 + _CLEARANCE_MM
    front, back = found.front + off, found.back - off
    low, high = found.low - off, found.high + off
    middle, twist = (low + high) / 2, found.back - _TWIST_MM
    # Both ends side by side at the twist, one wire thick apart.
    path = np.array(
        [
            (twist, middle - diameter),
            (back - 2.0, middle - 3.0),
            (back, low + 1.0),
            ((front + back) / 2, low - 1.5),
            *((front, z) for z in np.linspace(low + 1.5, high - 1.5, _FRONT_POINTS)),
            ((front + back) / 2, high + 1.5),
            (back, high - 1.0),
            (back - 2.0, middle + 3.0),
            (twist, middle + diameter),
        ]
    )
    points = found.local(path[:, 0], path[:, 1]) @ axes_ras + origin
    return Wire(
        id=f"{level}-wire-{side}",
        level=level,
        side=side,
        points=tuple(as_point(point) for point in points),
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
