"""The judge's scanner against what its phantom is made of; skipped where XCIST is not built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from Testing.benchmarks.xcist.cases import run_scanner
from Testing.benchmarks.xcist.constructs import PROTOCOL
from Testing.benchmarks.xcist.install import installed
from Testing.benchmarks.xcist.phantom import METAL_FINER, Phantom, tissue_maps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not installed(), reason="XCIST is not built: python -m Testing.benchmarks.xcist install"
    ),
]
SIZE, PIXEL_MM = 160, 1.5
ROD_XY_MM, ROD_MM = (31.5, -48.0), 9.0
BODY_XY_MM, BODY_MM = (6.0, -15.0), 80.0


def disc(size: int, pixel: float, centre: tuple[float, float], radius: float) -> np.ndarray:
    """1 inside a circle; `centre` is (x along columns, y along rows), mm from the middle."""
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * pixel
    return (np.hypot(x - centre[0], y - centre[1]) < radius).astype(np.float32)


TASK = {**PROTOCOL, "seed": 1, "views": 240, "matrix": SIZE, "fov_mm": SIZE * PIXEL_MM}


def phantom_with(material: str) -> Phantom:
    """A disc of water in air with a rod of some material."""
    hu = np.where(disc(SIZE, PIXEL_MM, BODY_XY_MM, BODY_MM) > 0, 0.0, -1000.0)
    fine = disc(SIZE * METAL_FINER, PIXEL_MM / METAL_FINER, ROD_XY_MM, ROD_MM)
    rows, columns = (np.flatnonzero(fine.any(axis=axis)) for axis in (1, 0))
    box = (slice(rows[0] - 3, rows[-1] + 4), slice(columns[0] - 5, columns[-1] + 6))
    metal = np.ascontiguousarray(fine[box])
    displaced = {"water": metal.copy(), "bone": np.zeros_like(metal)}
    return Phantom(tissue_maps(hu), {material: metal}, displaced, box, PIXEL_MM, (SIZE, SIZE))


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Phantom, dict[str, np.ndarray]]:
    phantom = phantom_with("Ti-6Al-4V")
    return phantom, run_scanner(tmp_path_factory.mktemp("judge") / "xcist", phantom, TASK)


def centroid(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(image.shape)
    total = image.sum()
    return float((rows * image).sum() / total), float((columns * image).sum() / total)


def test_metal_and_body_lie_where_the_maps_have_them(
    scanned: tuple[Phantom, dict[str, np.ndarray]],
) -> None:
    phantom, hu = scanned
    metal = np.clip(hu["scan"] - 2000, 0, None)
    np.testing.assert_allclose(centroid(metal), centroid(phantom.metal_fraction()), atol=0.15)
    body = (hu["truth"] > -500).astype(float)
    np.testing.assert_allclose(centroid(body), centroid(phantom.tissue["water"]), atol=0.15)


def test_water_reads_zero_and_titanium_what_its_attenuation_says(
    scanned: tuple[Phantom, dict[str, np.ndarray]],
) -> None:
    _, hu = scanned
    inside = disc(SIZE, PIXEL_MM, BODY_XY_MM, BODY_MM - 8) > 0
    assert abs(np.median(hu["truth"][inside])) < 12
    rod = disc(SIZE, PIXEL_MM, ROD_XY_MM, ROD_MM / 2) > 0
    # 2.3 / 0.193 at 70 keV is 11,000 HU; a hardened beam sees less.
    assert 7000 < np.median(hu["scan"][rod]) < 11500


def test_water_for_metal_changes_nothing_not_even_the_noise(tmp_path: Path) -> None:
    phantom, task = phantom_with("water"), {**TASK, "views": 60}
    hu = run_scanner(tmp_path / "xcist", phantom, task)
    assert np.std(hu["truth"]) > 100
    np.testing.assert_allclose(hu["scan"], hu["truth"], atol=0.5)
