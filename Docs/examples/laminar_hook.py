"""A laminar hook: its record with its checks, and its shape as solids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spinemar.implants.checks import Point, check_material, check_point, check_range, check_unit
from spinemar.implants.shapes.screw import Part
from spinemar.implants.shapes.solids import Union, cylinder, perpendicular


@dataclass(frozen=True)
class Hook:
    """A hook under a lamina: `throat` is where the bone lies, `shaft` points to the rod."""

    id: str
    level: str
    throat: Point
    shaft: Point
    blade: Point
    width_mm: float = 6.0
    material: str = "Ti-6Al-4V"
    locked: bool = False

    def __post_init__(self) -> None:
        name = f"hook {self.id!r}"
        check_material(name, self.material)
        check_point(f"throat of {name}", self.throat)
        check_unit(f"shaft of {name}", self.shaft)
        check_unit(f"blade of {name}", self.blade)
        check_range(f"width of {name}", self.width_mm, 3.0, 12.0)


def hook_parts(hook: Hook) -> Iterator[Part]:
    """Yield shaft and blade of a hook as one solid."""
    throat, shaft = np.asarray(hook.throat, float), np.asarray(hook.shaft, float)
    blade = perpendicular(shaft, hook.blade)
    bend = throat - shaft * hook.width_mm
    radius = hook.width_mm / 3
    solids = [
        cylinder(bend, throat + shaft * 12.0, radius),
        cylinder(bend, bend + blade * 10.0, radius),
    ]
    yield Part("hook", Union(solids), hook.material)
