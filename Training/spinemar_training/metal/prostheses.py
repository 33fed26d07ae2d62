"""Metal that is no spine construct: a hip with its cup, a row of crowns, the housing of a port.

The network that outlines metal meets them at the edges of spine scans, and a large round head
a cluster of small bright bodies or a hollow box looks like nothing that screws and rods teach.
"""

from __future__ import annotations

import numpy as np

from spinemar_training.simulate.implants import Block, Primitive, Rod

_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def _triple(vector: np.ndarray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])


def hip(centre_mm: np.ndarray, rng: np.random.Generator) -> list[Primitive]:
    """Build a ball in a cup with its neck and stem, 60 to 110 mm beside `centre_mm`, LPS mm."""
    side = rng.choice([-1.0, 1.0])
    place = centre_mm + np.array([side * rng.uniform(60, 110), rng.uniform(-30, 30), 0.0])
    radius = rng.uniform(11, 18)
    half = (radius, radius, radius)
    ball = Block(_triple(place), _IDENTITY, half, radius, "CoCrMo")
    shell = radius + rng.uniform(3, 6)
    cup = Block(
        _triple(place),
        _IDENTITY,
        (shell, shell, shell),
        shell,
        "Ti-6Al-4V",
        hollow_mm=rng.uniform(1.5, 3.0),
    )
    away = place + np.array([side * rng.uniform(15, 35), rng.uniform(-5, 5), -rng.uniform(15, 40)])
    stem = Rod((_triple(place), _triple(away)), rng.uniform(4, 8), "CoCrMo")
    return [ball, cup, stem]


def crowns(centre_mm: np.ndarray, rng: np.random.Generator) -> list[Primitive]:
    """Build four to ten small caps and fillings on an arch before `centre_mm`, LPS mm."""
    parts: list[Primitive] = []
    width, depth = rng.uniform(22, 32), rng.uniform(25, 45)
    for angle in rng.uniform(0, np.pi, int(rng.integers(4, 11))):
        place = centre_mm + np.array(
            [width * np.cos(angle), -depth * np.sin(angle) - 20, rng.normal(scale=3)]
        )
        size = rng.uniform(1.5, 5, size=3)
        hollow = float(rng.choice([0.0, rng.uniform(0.5, 1.2)]))
        metal = str(rng.choice(["CoCrMo", "316L"]))
        parts.append(
            Block(_triple(place), _IDENTITY, _triple(size), float(size.min() * 0.6), metal, hollow)
        )
    return parts


def port(centre_mm: np.ndarray, rng: np.random.Generator) -> list[Primitive]:
    """Build a hollow housing of titanium, tilted, 30 to 90 mm before `centre_mm`, LPS mm.

    Ports, pumps and pacemakers are shells: in a slice a ring, an arch or two walls, and what
    lies between them no ray reaches undisturbed.
    """
    place = centre_mm + np.array([rng.uniform(-70, 70), -rng.uniform(30, 90), 0.0])
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    half = np.array([rng.uniform(9, 16), rng.uniform(5, 9), rng.uniform(9, 16)])
    wall = float(rng.uniform(0.8, 2.5))
    first, second, third = (_triple(axis) for axis in axes)
    return [
        Block(
            _triple(place),
            (first, second, third),
            _triple(half),
            float(rng.uniform(0.3, 0.9) * half.min()),
            "Ti-6Al-4V",
            hollow_mm=wall,
        )
    ]
