"""A small scan with metal on disk, and a way to run the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from spinemar.cli.main import main
from spinemar.io import write_labels, write_volume
from spinemar.tomography.geometry import MU_WATER_PER_MM
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume, LabelVolume
from Testing.core.io.conftest import write_series  # noqa: F401 - a fixture

SIDE = 128


@dataclass(frozen=True)
class Run:
    """What one call of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


@pytest.fixture
def spinemar(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Run `spinemar` in this process."""

    def run(*arguments: object) -> Run:
        code = main([str(a) for a in arguments])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err + captured.out
        return Run(code, captured.out, captured.err)

    return run


@dataclass(frozen=True)
class Scan:
    """Paths of a small scan, its truth and its metal."""

    folder: Path
    scan: Path
    truth: Path
    metal: Path


def hardening_hu(metal: np.ndarray) -> np.ndarray:
    """Streaks of beams that harden in metal: rays through it lose in proportion to its square."""
    radon = RadonTransform(metal.shape[1:], (2.5, 2.5))
    thickness = radon.forward(metal.astype(np.float32)) / 10  # cm
    return radon.fbp(-0.35 * thickness**2) / MU_WATER_PER_MM * 1000


@pytest.fixture(scope="session")
def _scan(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    body = np.where((x / 56) ** 2 + (y / 44) ** 2 < 1, 40.0, -1000.0)
    body[np.hypot(x, y - 12) < 14] = 350
    noise = np.random.default_rng(0).normal(0, 8, (5, SIDE, SIDE))
    clean = np.rint(np.stack([ndimage.gaussian_filter(body, 0.7)] * 5) + noise)
    metal = np.zeros(clean.shape, dtype=bool)
    metal[1:4] = (np.hypot(x - 16, y - 10) < 4) | (np.hypot(x + 16, y - 10) < 4)
    scan = clean + hardening_hu(metal)
    scan[metal] = 3071
    scan = np.rint(np.clip(scan, -1024, 3071))
    affine = np.diag([-2.5, -2.5, 3.0, 1.0])
    folder = tmp_path_factory.mktemp("scan")
    paths = Scan(folder, folder / "scan.nrrd", folder / "truth.nrrd", folder / "metal.nrrd")
    write_volume(paths.scan, CTVolume(scan.astype(np.float32), affine))
    write_volume(paths.truth, CTVolume(clean.astype(np.float32), affine))
    write_labels(paths.metal, LabelVolume(metal.astype(np.int16), affine))
    return paths


@pytest.fixture
def scan(_scan: Scan) -> Scan:
    """Paths of the scan; the files must not be changed."""
    return _scan
