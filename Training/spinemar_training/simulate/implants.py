"""Implants as signed distances on the GPU: screws, rods, tulips and odd bodies of metal.

The core voxelises exact solids for planning; thousands of them a minute are wanted here, on
slices only, so each primitive is a distance formula evaluated at the sample points of one slab.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Screw:
    """A threaded shaft from `entry` to `tip`, LPS mm, with core and outer radius."""

    entry: tuple[float, float, float]
    tip: tuple[float, float, float]
    outer_radius_mm: float
    core_radius_mm: float
    pitch_mm: float
    material: str


@dataclass(frozen=True)
class Rod:
    """A round bar along a polyline, LPS mm."""

    points: tuple[tuple[float, float, float], ...]
    radius_mm: float
    material: str


@dataclass(frozen=True)
class Block:
    """A rounded box: a tulip, a cage, a plate. `axes` rows are unit vectors."""

    centre: tuple[float, float, float]
    axes: tuple[tuple[float, float, float], ...]
    half_size_mm: tuple[float, float, float]
    rounding_mm: float
    material: str
    hollow_mm: float = 0.0


Primitive = Screw | Rod | Block


def _segment(points: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Return distance to the axis and position along it in mm, for points (..., 3)."""
    direction = end - start
    length = torch.linalg.norm(direction)
    unit = direction / length
    relative = points - start
    along = relative @ unit
    across = torch.linalg.norm(relative - along[..., None] * unit, dim=-1)
    return across, along


def _screw_distance(points: Tensor, screw: Screw) -> Tensor:
    entry = points.new_tensor(screw.entry)
    tip = points.new_tensor(screw.tip)
    across, along = _segment(points, entry, tip)
    length = torch.linalg.norm(tip - entry)
    unit = (tip - entry) / length
    helper = torch.zeros_like(unit)
    helper[torch.argmin(unit.abs())] = 1.0
    first = torch.linalg.cross(unit, helper)
    first = first / torch.linalg.norm(first)
    second = torch.linalg.cross(unit, first)
    relative = points - entry
    angle = torch.atan2(relative @ second, relative @ first) / (2 * torch.pi)
    phase = torch.remainder(along / screw.pitch_mm + angle, 1.0)
    ridge = (1 - 2.5 * (phase - 0.5).abs()).clamp(0, 1)
    # The last 8 mm taper to the tip.
    taper = ((length - along) / 8.0).clamp(0.25, 1)
    core = screw.core_radius_mm * taper
    outer = screw.outer_radius_mm * taper.sqrt()
    radius = core + (outer - core) * ridge
    return torch.maximum(across - radius, torch.maximum(-along, along - length))


def _rod_distance(points: Tensor, rod: Rod) -> Tensor:
    distance = None
    for start, end in zip(rod.points[:-1], rod.points[1:], strict=True):
        a, b = points.new_tensor(start), points.new_tensor(end)
        direction = b - a
        share = ((points - a) @ direction / (direction @ direction)).clamp(0, 1)
        gap = torch.linalg.norm(points - a - share[..., None] * direction, dim=-1)
        distance = gap if distance is None else torch.minimum(distance, gap)
    assert distance is not None
    return distance - rod.radius_mm


def _block_distance(points: Tensor, block: Block) -> Tensor:
    local = (points - points.new_tensor(block.centre)) @ points.new_tensor(block.axes).T
    excess = local.abs() - points.new_tensor(block.half_size_mm) + block.rounding_mm
    outside = torch.linalg.norm(excess.clamp(min=0), dim=-1)
    distance = outside + excess.amax(-1).clamp(max=0) - block.rounding_mm
    if block.hollow_mm > 0:
        distance = torch.maximum(distance, -(distance + block.hollow_mm))
    return distance


def _signed_distance(points: Tensor, primitive: Primitive) -> Tensor:
    """Signed distance in mm (negative inside) of points (..., 3), LPS mm."""
    if isinstance(primitive, Screw):
        return _screw_distance(points, primitive)
    if isinstance(primitive, Rod):
        return _rod_distance(points, primitive)
    return _block_distance(points, primitive)


def bounds(primitive: Primitive) -> tuple[Tensor, Tensor]:
    """Axis-aligned bounds (low, high) in mm, a little generous."""
    if isinstance(primitive, Screw):
        corners = torch.tensor([primitive.entry, primitive.tip])
        margin = primitive.outer_radius_mm
    elif isinstance(primitive, Rod):
        corners = torch.tensor(primitive.points)
        margin = primitive.radius_mm
    else:
        corners = torch.tensor([primitive.centre])
        margin = float(torch.linalg.norm(torch.tensor(primitive.half_size_mm)))
    return corners.amin(0) - margin, corners.amax(0) + margin


def metal_fractions(
    coordinates: Tensor, primitives: Sequence[Primitive], soft_mm: float
) -> dict[str, Tensor]:
    """Volume fraction of each material at points (..., 3).

    The distance is turned into a fraction over `soft_mm` (the sample spacing), which is the
    partial volume of a plane cutting the sample's cell.
    """
    flat = coordinates.reshape(-1, 3)
    fractions: dict[str, Tensor] = {}
    boxes = [tuple(side.to(flat) for side in bounds(primitive)) for primitive in primitives]
    if not boxes:
        return fractions
    # Most points are far from everything: leave them out once, not for every primitive.
    lowest = torch.stack([low for low, _ in boxes]).amin(0)
    highest = torch.stack([high for _, high in boxes]).amax(0)
    close = ((flat >= lowest - 1) & (flat <= highest + 1)).all(-1).nonzero()[:, 0]
    points = flat[close]
    for primitive, (low, high) in zip(primitives, boxes, strict=True):
        near = ((points >= low - 1) & (points <= high + 1)).all(-1).nonzero()[:, 0]
        if near.numel() == 0:
            continue
        distance = _signed_distance(points[near], primitive)
        near = close[near]
        share = (0.5 - distance / soft_mm).clamp(0, 1)
        field = fractions.setdefault(primitive.material, flat.new_zeros(flat.shape[0]))
        field[near] = torch.maximum(field[near], share)
    return {name: field.reshape(coordinates.shape[:-1]) for name, field in fractions.items()}
