"""Small simulated patients with metal, and their truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume

PIXEL_MM = 1.4
SLICE_MM = 2.0
SHAPE = (6, 128, 128)


@dataclass(frozen=True)
class Case:
    """A scan with metal, the same without, and where the metal is (volume fraction)."""

    volume: CTVolume
    truth: CTVolume
    fraction: NDArray[np.float32]

    def rmse(self, hu: NDArray[np.float32], slices: slice = slice(None)) -> float:
        """Error in HU at least 2 px from metal."""
        from scipy import ndimage

        metal = np.stack([ndimage.binary_dilation(f > 0.02, iterations=2) for f in self.fraction])
        error = (hu - self.truth.hu)[slices][~metal[slices]]
        return float(np.sqrt(np.mean(error**2)))


def grid(
    shape: tuple[int, int, int] = SHAPE, pixel_mm: float = PIXEL_MM
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return z, y, x in mm about the centre."""
    steps = (SLICE_MM, pixel_mm, pixel_mm)
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, steps, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z, y, x


def affine(pixel_mm: float = PIXEL_MM) -> NDArray[np.float64]:
    """Supine patient, LPS voxel order, RAS world."""
    matrix = np.diag([-pixel_mm, -pixel_mm, SLICE_MM, 1.0])
    matrix[:3, 3] = [90.0, 90.0, 0.0]
    return matrix


def patient(shape: tuple[int, int, int] = SHAPE, pixel_mm: float = PIXEL_MM) -> NDArray[np.float32]:
    """Return a trunk with a fat layer, a vertebra, a canal, bowel gas and a table, HU."""
    _, y, x = grid(shape, pixel_mm)
    hu = np.full(shape, -1000.0, dtype=np.float32)
    hu[(x / 80) ** 2 + (y / 62) ** 2 < 1] = -100.0
    hu[(x / 72) ** 2 + (y / 54) ** 2 < 1] = 45.0
    hu[(x / 19) ** 2 + ((y - 16) / 14) ** 2 < 1] = 300.0
    hu[(np.abs(x) < 30) & (np.abs(y - 36) < 6)] = 400.0
    hu[x**2 + (y - 35) ** 2 < 36] = 25.0
    hu[(x - 25) ** 2 + (y + 30) ** 2 < 90] = -1000.0
    hu[(np.abs(y - 80) < 3) & (np.abs(x) < 60)] = -400.0
    return hu


def screws(
    shape: tuple[int, int, int] = SHAPE, pixel_mm: float = PIXEL_MM, radius_mm: float = 3.0
) -> NDArray[np.float32]:
    """Return the volume fraction of two screws in the middle slices and two rods in all."""
    oversampled = 4
    fine = pixel_mm / oversampled
    rows, cols = shape[1] * oversampled, shape[2] * oversampled
    y = ((np.arange(rows) - (rows - 1) / 2) * fine)[:, None]
    x = ((np.arange(cols) - (cols - 1) / 2) * fine)[None, :]
    fraction = np.zeros(shape, dtype=np.float32)
    for k in range(shape[0]):
        inside = np.zeros((rows, cols), dtype=np.bool_)
        for side in (-1.0, 1.0):
            inside |= (x - side * 22) ** 2 + (y - 48) ** 2 < 2.75**2
            if shape[0] // 3 <= k < shape[0] - shape[0] // 3:
                start, end = np.array([side * 21, 44.0]), np.array([side * 9, 4.0])
                way = end - start
                part = ((x - start[0]) * way[0] + (y - start[1]) * way[1]) / (way @ way)
                part = np.clip(part, 0.0, 1.0)
                gap2 = (x - start[0] - part * way[0]) ** 2 + (y - start[1] - part * way[1]) ** 2
                inside |= gap2 < radius_mm**2
        blocks = inside.reshape(shape[1], oversampled, shape[2], oversampled)
        fraction[k] = blocks.mean((1, 3))
    return fraction


@cache
def _scan(material: str, hu_scale: str, shape: tuple[int, int, int], pixel_mm: float) -> Case:
    metal = screws(shape, pixel_mm)
    settings = ScannerSettings(hu_scale=hu_scale, photons_per_ray=1e6)  # type: ignore[arg-type]
    bare_ct = CTVolume(patient(shape, pixel_mm), affine(pixel_mm))
    scan = simulate_scan(bare_ct, {material: metal}, settings, seed=1)
    assert scan.truth is not None
    return Case(scan.volume, scan.truth, metal)


@pytest.fixture(scope="session")
def scan() -> Callable[..., Case]:
    """Return a function (material, hu_scale="12-bit") -> Case, each simulated once."""

    def make(material: str, hu_scale: str = "12-bit") -> Case:
        return _scan(material, hu_scale, SHAPE, PIXEL_MM)

    return make


@pytest.fixture(scope="session")
def fine_scan() -> Callable[..., Case]:
    """Return the same for three slices on pixels of 0.8 mm, as scanners make them."""

    def make(material: str, hu_scale: str = "12-bit") -> Case:
        return _scan(material, hu_scale, (3, 224, 224), 0.8)

    return make


@pytest.fixture(scope="session")
def clean() -> CTVolume:
    """Return the patient without metal, with noise."""
    noise = np.random.default_rng(0).normal(0.0, 12.0, SHAPE)
    return CTVolume((patient() + noise).astype(np.float32), affine())


@pytest.fixture(scope="session")
def world() -> Callable[..., NDArray[np.float64]]:
    """Return the affine of the small patients."""
    return affine


@pytest.fixture(scope="session")
def bare() -> Callable[..., NDArray[np.float32]]:
    """Return the function that makes the patient's HU, without noise."""
    return patient


@pytest.fixture(scope="session")
def millimetres() -> Callable[..., tuple[NDArray[np.float64], ...]]:
    """Return the function that gives z, y, x of every voxel in mm."""
    return grid
