"""Training tests need PyTorch; without it they are skipped, and say so."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
torch.set_num_threads(1)  # tests run beside each other; waiting threads would slow them all
sys.path.insert(0, str(Path(__file__).parents[2] / "Training"))


@pytest.fixture(scope="session")
def patient_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A patient made of ellipses: body, vertebra, canal, lungs, with two levels of pedicles."""
    k, j, i = np.mgrid[:24, :96, :128].astype(np.float32)
    x, y = (i - 63.5) * 2.5, (j - 47.5) * 2.5
    hu = np.full(k.shape, -1000.0, np.float32)
    body = (x / 140) ** 2 + (y / 100) ** 2 < 1
    hu[body] = 40 + 15 * np.sin(x[body] / 30)
    hu[body & (np.abs(x) > 30) & ((np.abs(x) - 70) ** 2 / 1600 + (y + 20) ** 2 / 2500 < 1)] = -820
    hu[(x / 24) ** 2 + ((y - 40) / 18) ** 2 < 1] = 350
    hu[(x / 9) ** 2 + ((y - 66) / 8) ** 2 < 1] = 30
    depth = np.where(body, 100 * (1 - np.sqrt((x / 140) ** 2 + (y / 100) ** 2)), 0)
    points, levels, sides = [], [], []
    for level, z in (("L1", 20.0), ("L2", 40.0)):
        for side, sign in (("left", 1), ("right", -1)):
            levels.append(level)
            sides.append(side)
            points.append([[sign * 18, 72, z], [sign * 14, 58, z], [0, 40, z]])
    path = tmp_path_factory.mktemp("patients") / "ellipses.npz"
    np.savez_compressed(
        path,
        hu=hu.astype(np.int16),
        depth_mm=np.minimum(depth, 250).astype(np.uint8),
        origin_mm=np.array([-63.5 * 2.5, -47.5 * 2.5, 0.0]),
        spacing_mm=np.array([2.5, 2.5, 2.5]),
        levels=np.array(levels),
        sides=np.array(sides),
        points=np.array(points, float),
        clean_z_mm=np.array([0.0, 57.5]),
    )
    return path
