"""A drawn torso with a vertebra and two screws, streaks included: something to look at at once."""

from __future__ import annotations

from typing import Any

import numpy as np


def spinePhantom(size: int = 160, slices: int = 24) -> tuple[Any, Any]:
    """Draw a torso in HU, shape (slices, size, size), and its ijk-to-RAS matrix.

    The streaks are painted between and around the screws; nothing here claims to be physics.
    """
    pixel, thickness = 320.0 / size, 2.5
    y, x = np.mgrid[:size, :size].astype(np.float32)
    x = (x - size / 2) * pixel
    y = (y - size / 2) * pixel
    hu = np.full((slices, size, size), -1000.0, np.float32)
    rng = np.random.default_rng(7)
    for k in range(slices):
        plane = hu[k]
        plane[(x / 140) ** 2 + (y / 100) ** 2 < 1] = -90
        plane[(x / 128) ** 2 + (y / 88) ** 2 < 1] = 45
        plane[(x / 26) ** 2 + ((y - 30) / 20) ** 2 < 1] = 420
        plane[(x / 22) ** 2 + ((y - 30) / 16) ** 2 < 1] = 190
        plane[(np.abs(x) < 40) & (np.abs(y - 56) < 6)] = 450
        plane[(x / 10) ** 2 + ((y - 58) / 8) ** 2 < 1] = 20
        if slices // 4 <= k < 3 * slices // 4:
            band = np.exp(-(((y - 44) / 8) ** 2)) * (np.abs(x) < 70)
            plane -= np.where(plane > -500, 350 * band, 0)
            for side in (-1, 1):
                distance = np.hypot(x - side * 19, (y - 45) * 0.35)
                plane[distance < 4.5] = 3071
        plane += rng.normal(0, 12, plane.shape).astype(np.float32)
    hu = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    ijkToRas = np.diag([-pixel, -pixel, thickness, 1.0])
    ijkToRas[:3, 3] = (size * pixel / 2, size * pixel / 2, 0.0)
    return hu, ijkToRas
