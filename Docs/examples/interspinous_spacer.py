"""An interspinous spacer: its record with its checks, and its shape as solids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spinemar.implants.checks import Point, check_axes, check_material, check_point, check_range
from spinemar.implants.shapes.screw import Part
from spinemar.implants.shapes.solids import Union, box, cylinder, unit


@dataclass(frozen=True)
class Spacer:
    """A spacer between two spinous processes; `right` and `superior` are two of its axes."""

    id: str
    level: str
    centre: Point
    right: Point
    superior: Point
    height_mm: float = 10.0
    material: str = "Ti-6Al-4V"
    locked: bool = False

    def __post_init__(self) -> None:
        name = f"spacer {self.id!r}"
        check_material(name, self.material)
        check_point(f"centre of {name}", self.centre)
        check_axes(name, self.right, self.superior)
        check_range(f"height of {name}", self.height_mm, 4.0, 20.0)


def spacer_parts(spacer: Spacer) -> Iterator[Part]:
    """Yield barrel and both wings of a spacer as one solid."""
    centre, right = np.asarray(spacer.centre, float), unit(spacer.right)
    axes = np.stack([right, np.cross(unit(spacer.superior), right), unit(spacer.superior)])
    half = spacer.height_mm / 2
    barrel = cylinder(centre - 8.0 * right, centre + 8.0 * right, half)
    wings = [box(centre + side * 7.0 * right, axes, (1.0, half, 2.0 * half)) for side in (-1, 1)]
    yield Part("spacer", Union([barrel, *wings]), spacer.material)
