"""What grasps a lamina: hooks, and wires around it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinemar.implants.catalogue import HookModel
from spinemar.implants.placement import Hook, Wire
from spinemar.implants.shapes.rod import Tube, rod_curve
from spinemar.implants.shapes.screw import Part
from spinemar.implants.shapes.solids import Cut, FloatArray, Union, box, cylinder, unit

#: Room of the rod in its slot, mm.
_PLAY_MM = 0.2


def hook_axes(hook: Hook) -> FloatArray:
    """Return the unit axes of a hook as rows (3, 3): across, along the blade, towards the rod."""
    blade, shaft = unit(hook.blade), unit(hook.shaft)
    return np.stack([np.cross(blade, shaft), blade, shaft])


def rod_seat(hook: Hook, model: HookModel) -> FloatArray:
    """Return the middle of the rod in a hook's block (3,), RAS mm."""
    _, blade, shaft = hook_axes(hook)
    behind = hook.throat_mm / 2 + model.block_mm / 2
    seat: FloatArray = np.asarray(hook.throat, float) + behind * shaft + model.blade_mm / 2 * blade
    return seat


def hook_parts(hook: Hook, model: HookModel) -> Iterator[Part]:
    """Yield the solid of a hook: blade, web and block, without the slot of the rod."""
    axes = hook_axes(hook)
    _, blade, shaft = axes
    throat, half = np.asarray(hook.throat, float), model.width_mm / 2
    thick, gap, reach = model.thickness_mm, hook.throat_mm / 2, model.blade_mm
    under = throat - shaft * (gap + thick / 2) + blade * (reach - thick) / 2
    web = throat - blade * (thick / 2)
    block = throat + shaft * (gap + model.block_mm / 2) + blade * (reach - thick) / 2
    solids = [
        box(under, axes, (half, (reach + thick) / 2, thick / 2)),
        box(web, axes, (half, thick / 2, gap + thick)),
        box(block, axes, (half + 3.0, (reach + thick) / 2, model.block_mm / 2)),
    ]
    seat, radius = rod_seat(hook, model), model.rod_mm / 2 + _PLAY_MM
    along = blade * 4 * reach
    slot = cylinder(seat - along, seat + along, radius)
    # Open to the back: the rod is laid in from there.
    mouth = box(seat + shaft * model.block_mm, axes, (radius, 4 * reach, model.block_mm))
    yield Part("hook", Cut([Union(solids)], [Union([slot, mouth])]), hook.material)


def wire_parts(wire: Wire) -> Iterator[Part]:
    """Yield the solid of a wire."""
    yield Part("wire", Tube(rod_curve(wire.points, 0.3), wire.diameter_mm / 2), wire.material)
