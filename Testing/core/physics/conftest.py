"""Phantoms with area-averaged edges on small grids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume

SIZE, PIXEL_MM = 128, 2.6

Disc = Callable[..., NDArray[np.float32]]


@pytest.fixture(scope="session")
def disc() -> Disc:
    """Disc or ellipse: disc(x_mm, y_mm, radius_mm, second_radius_mm=None)."""
    fine = ((np.arange(SIZE * 4) + 0.5) / 4 - 0.5 - (SIZE - 1) / 2) * PIXEL_MM

    def make(x: float, y: float, radius: float, other: float | None = None) -> NDArray[np.float32]:
        inside = ((fine[None] - x) / radius) ** 2 + ((fine[:, None] - y) / (other or radius)) ** 2
        mean = (inside < 1).reshape(SIZE, 4, SIZE, 4).mean(axis=(1, 3))
        return mean.astype(np.float32)

    return make


@pytest.fixture
def air() -> CTVolume:
    """One slice of nothing, to be filled by named materials."""
    hu = np.full((1, SIZE, SIZE), -1000, dtype=np.float32)
    return CTVolume(hu, np.diag([PIXEL_MM, PIXEL_MM, 2.0, 1.0]))


@pytest.fixture
def body(disc: Disc) -> CTVolume:
    """A slim soft-tissue body of 250 x 180 mm with a vertebra-like disc of bone."""
    hu = -1000 + 1040 * disc(0, 0, 125, 90) + 260 * disc(0, 20, 20)
    return CTVolume(hu[None].astype(np.float32), np.diag([PIXEL_MM, PIXEL_MM, 2.0, 1.0]))


@pytest.fixture
def small() -> Callable[..., ScannerSettings]:
    """A scanner coarse enough for the small grid."""

    def make(**changes: Any) -> ScannerSettings:
        return ScannerSettings(**{"n_views": 240, "n_bins": 184, **changes})

    return make


@pytest.fixture
def small_ideal() -> Callable[..., ScannerSettings]:
    """The same scanner without any physical effect but those asked for."""

    def make(**changes: Any) -> ScannerSettings:
        return ScannerSettings.ideal(**{"n_views": 240, "n_bins": 184, **changes})

    return make
