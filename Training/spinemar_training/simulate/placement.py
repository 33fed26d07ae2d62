"""Where the metal goes: constructs on pedicle landmarks, and random bodies of metal.

`realistic` follows what a surgeon does (screws down the pedicles, rods through their heads);
`random` is the non-anatomical placement of earlier work. Both are seeded by the generator given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinemar_training.simulate.implants import Block, Primitive, Rod, Screw

METALS = ("Ti-6Al-4V", "316L", "CoCrMo")


@dataclass(frozen=True)
class Pedicle:
    """Entry and isthmus of one pedicle and the body centre before it, LPS mm."""

    level: str
    side: str
    entry: np.ndarray
    isthmus: np.ndarray
    body: np.ndarray


def _triple(vector: np.ndarray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _frame(axis: np.ndarray, rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    axis = _unit(axis)
    helper = rng.normal(size=3)
    first = _unit(np.cross(axis, helper))
    return _triple(axis), _triple(first), _triple(np.cross(axis, first))


def _draw_metals(rng: np.random.Generator) -> tuple[str, str]:
    """Metals of screws and rods: mostly titanium, mixed constructs as they are sold."""
    pair = rng.choice(5, p=[0.34, 0.28, 0.14, 0.14, 0.10])
    return (
        ("Ti-6Al-4V", "Ti-6Al-4V"),
        ("316L", "316L"),
        ("CoCrMo", "CoCrMo"),
        ("Ti-6Al-4V", "CoCrMo"),
        ("Ti-6Al-4V", "316L"),
    )[int(pair)]


def _screw_with_head(
    pedicle: Pedicle, metal: str, rng: np.random.Generator
) -> tuple[Screw, Block, np.ndarray]:
    entry = pedicle.entry + rng.normal(scale=1.5, size=3)
    axis = _unit(_unit(pedicle.isthmus - pedicle.entry) + rng.normal(scale=0.06, size=3))
    reach = float((pedicle.body - entry) @ axis)
    length = float(np.clip(reach * rng.uniform(1.1, 1.6), 25, 60))
    outer = rng.uniform(4.0, 7.5) / 2
    screw = Screw(
        _triple(entry),
        _triple(entry + axis * length),
        outer,
        outer * rng.uniform(0.62, 0.75),
        rng.uniform(2.0, 4.0),
        metal,
    )
    height = rng.uniform(12, 17)
    head_centre = entry - axis * (height / 2 - rng.uniform(0, 4))
    tilt = _unit(axis + rng.normal(scale=0.15, size=3))
    head = Block(
        _triple(head_centre),
        _frame(tilt, rng),
        (height / 2, rng.uniform(5.0, 7.5), rng.uniform(4.5, 6.5)),
        rng.uniform(1.0, 3.5),
        metal,
        hollow_mm=float(rng.choice([0.0, 0.0, rng.uniform(2, 4)])),
    )
    return screw, head, head_centre - axis * rng.uniform(0, 3)


def realistic(
    pedicles: Sequence[Pedicle], near_level: str, rng: np.random.Generator
) -> list[Primitive]:
    """Build a construct that includes `near_level`: screws, tulips, rods, now and then more."""
    levels = list(dict.fromkeys(p.level for p in pedicles))
    centre = levels.index(near_level)
    first = max(0, centre - int(rng.integers(0, 4)))
    last = min(len(levels) - 1, centre + int(rng.integers(0, 4)))
    chosen = levels[first : last + 1]
    screw_metal, rod_metal = _draw_metals(rng)
    sides = ["left", "right"] if rng.random() > 0.1 else [str(rng.choice(["left", "right"]))]
    parts: list[Primitive] = []
    with_heads = rng.random() > 0.06
    rod_radius = float(rng.choice([4.5, 5.5, 6.0, 6.35])) / 2
    ends: list[tuple[np.ndarray, np.ndarray]] = []
    for side in sides:
        heads: list[np.ndarray] = []
        for pedicle in (p for p in pedicles if p.side == side and p.level in chosen):
            if rng.random() < 0.08:
                continue
            screw, head, seat = _screw_with_head(pedicle, screw_metal, rng)
            parts.append(screw)
            if with_heads:
                parts.append(head)
            heads.append(seat)
        if len(heads) >= 2 and rng.random() > 0.05:
            heads.sort(key=lambda point: point[2])
            top = heads[-1] + _unit(heads[-1] - heads[-2]) * rng.uniform(5, 15)
            bottom = heads[0] - _unit(heads[1] - heads[0]) * rng.uniform(5, 15)
            line = tuple(_triple(point) for point in [bottom, *heads, top])
            parts.append(Rod(line, rod_radius, rod_metal))
            ends.append((heads[0], heads[-1]))
    if len(ends) == 2 and rng.random() < 0.2:
        share = rng.uniform(0.1, 0.9)
        bridge = [a + share * (b - a) for a, b in ends]
        parts.append(Rod((_triple(bridge[0]), _triple(bridge[1])), rng.uniform(1.5, 3), rod_metal))
    if rng.random() < 0.1:
        body = next(p.body for p in pedicles if p.level == near_level)
        parts.append(
            Block(
                _triple(body + np.array([0, 0, rng.uniform(8, 16)])),
                ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
                (rng.uniform(7, 14), rng.uniform(5, 11), rng.uniform(3, 6)),
                1.0,
                "Ti-6Al-4V",
                hollow_mm=rng.uniform(1.2, 3.0),
            )
        )
    return parts


def random_bodies(centre: np.ndarray, rng: np.random.Generator) -> list[Primitive]:
    """Build one to six metal bodies of any shape and pose around `centre`, LPS mm."""
    parts: list[Primitive] = []
    spread = rng.uniform(10, 90)
    metal = str(rng.choice(METALS, p=[0.5, 0.3, 0.2]))
    for _ in range(int(rng.integers(1, 7))):
        position = centre + rng.normal(size=3) * np.array([spread, spread * 0.7, 8.0])
        axis = _unit(rng.normal(size=3))
        kind = rng.integers(3)
        if kind == 0:
            half = axis * rng.uniform(5, 35)
            parts.append(
                Rod(
                    (_triple(position - half), _triple(position + half)), rng.uniform(0.8, 7), metal
                )
            )
        elif kind == 1:
            size = rng.uniform(1.5, 12, size=3)
            parts.append(
                Block(
                    _triple(position),
                    _frame(axis, rng),
                    _triple(size),
                    float(size.min() * 0.5),
                    metal,
                )
            )
        else:
            outer = rng.uniform(1.5, 4.5)
            half = axis * rng.uniform(10, 30)
            parts.append(
                Screw(
                    _triple(position - half),
                    _triple(position + half),
                    outer,
                    outer * rng.uniform(0.6, 0.95),
                    rng.uniform(1.5, 4),
                    metal,
                )
            )
    return parts
