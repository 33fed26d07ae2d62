"""Helical scans of a body that changes along z, against circular slices."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spinemar.errors import GeometryError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.raw_data.fan import FanGeometry
from spinemar.tomography.raw_data.helical import HelicalGeometry, helical_to_fan
from spinemar.tomography.raw_data.rebinning import fan_to_parallel
from spinemar.tomography.units import MU_WATER_PER_MM, difference_to_hu

FAN = FanGeometry.covering(184, views_per_turn=480, n_bins=245)
GRID = SinogramGeometry(n_views=240, n_bins=245, bin_mm=1.5)


def _project(theta: np.ndarray, r: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A cylinder of water with an ellipsoid of bone and one of fat that end along z."""
    parts = (
        (0, 0, 150, 105, np.inf, MU_WATER_PER_MM),
        (0, -45, 28, 24, 40, 0.006),
        (50, 20, 35, 25, 30, -0.002),
    )
    total = 0.0
    for x, y, a, b, c, mu in parts:
        scale = np.sqrt(np.maximum(1 - (z / c) ** 2, 1e-9))
        width = ((a * np.cos(theta)) ** 2 + (b * np.sin(theta)) ** 2) * scale**2
        s = r - x * np.cos(theta) - y * np.sin(theta)
        total = total + 2 * mu * a * b * scale**2 * np.sqrt(np.maximum(width - s**2, 0)) / width
    return total


def _helix(rows: int, feed_mm: float, row_mm: float, turns: int) -> HelicalGeometry:
    views = turns * FAN.views_per_turn
    return HelicalGeometry(FAN, views, feed_mm, rows, row_mm, -feed_mm * turns / 2)


def _scan(helix: HelicalGeometry) -> np.ndarray:
    beta = 2 * np.pi * np.arange(helix.n_views) / FAN.views_per_turn
    theta = beta[:, None] + FAN.fan_angles_rad
    rows = [
        _project(theta, FAN.offsets_mm, (helix.views_mm + height)[:, None])
        for height in helix.rows_mm
    ]
    return np.stack(rows, axis=1).astype(np.float32)


def _reconstruct(fan_sinogram: np.ndarray) -> np.ndarray:
    radon = RadonTransform((192, 192), (1.75, 1.75), GRID)
    return radon.fbp(fan_to_parallel(fan_sinogram, FAN, GRID), "hann")


@pytest.mark.parametrize(
    ("rows", "feed_mm", "row_mm", "method"),
    [
        pytest.param(1, 3.0, 3.0, "180", id="single-slice-180"),
        pytest.param(1, 3.0, 3.0, "360", id="single-slice-360"),
        pytest.param(4, 5.0, 1.25, "180", id="4-rows-180"),
        pytest.param(4, 5.0, 1.25, "360", id="4-rows-360"),
        pytest.param(4, 3.5, 1.25, "180", id="4-rows-overlapping-180"),
        # 360 degree interpolation has gaps beyond pitch 1; the opposite rays fill them.
        pytest.param(8, 14.0, 1.25, "180", id="8-rows-pitch-1.4-180"),
    ],
)
def test_helical_slices_are_circular_slices(rows, feed_mm, row_mm, method) -> None:
    helix = _helix(rows, feed_mm, row_mm, turns=6)
    places = [0.0, 4.1]
    slices = helical_to_fan(_scan(helix), helix, places, method)
    y, x = (np.mgrid[:192, :192] - 95.5) * 1.75
    for z, sinogram in zip(places, slices, strict=True):
        theta = GRID.angles_rad[:, None]
        parallel = _project(theta, GRID.bins_mm[None], np.asarray(z)).astype(np.float32)
        radon = RadonTransform((192, 192), (1.75, 1.75), GRID)
        error = difference_to_hu(_reconstruct(sinogram) - radon.fbp(parallel, "hann"))
        assert np.sqrt((error[np.hypot(x, y) < 160] ** 2).mean()) < 8


def test_at_full_resolution_interpolation_costs_3_hu() -> None:
    fan = FanGeometry.covering(210)
    helix = HelicalGeometry(fan, 4 * 1440, 5.0, 4, 1.25, -10.0)
    beta = 2 * np.pi * np.arange(helix.n_views) / 1440
    theta = beta[:, None] + fan.fan_angles_rad
    rows = [
        _project(theta, fan.offsets_mm, (helix.views_mm + height)[:, None])
        for height in helix.rows_mm
    ]
    turn = helical_to_fan(np.stack(rows, axis=1), helix, [1.7], "180")[0]
    grid = SinogramGeometry(n_views=720, n_bins=736, bin_mm=0.8)
    truth = _project(grid.angles_rad[:, None], grid.bins_mm, np.asarray(1.7))
    change = fan_to_parallel(turn, fan, grid) - truth.astype(np.float32)
    radon = RadonTransform((512, 512), (0.8, 0.8), grid)
    error = difference_to_hu(radon.fbp(change, "hann"))
    y, x = (np.mgrid[:512, :512] - 255.5) * 0.8
    assert np.sqrt((error[np.hypot(x, y) < 200] ** 2).mean()) < 3.5


def test_a_body_constant_along_z_comes_back_exactly() -> None:
    helix = _helix(2, 6.0, 3.0, turns=5)
    theta = 2 * np.pi * np.arange(helix.n_views)[:, None] / FAN.views_per_turn + FAN.fan_angles_rad
    view = _project(theta, FAN.offsets_mm, np.asarray(0.0)).astype(np.float32)
    data = np.repeat(view[:, None], 2, axis=1)
    circular = view[: FAN.views_per_turn]
    np.testing.assert_allclose(helical_to_fan(data, helix, [1.3], "360")[0], circular, atol=1e-4)
    opposite = helical_to_fan(data, helix, [1.3], "180")[0]
    assert np.sqrt(((opposite - circular) ** 2).mean()) < 0.01


def test_opposite_rays_make_thinner_slices() -> None:
    helix = _helix(1, 6.0, 6.0, turns=9)
    # A plate of 1 mm: how far away from it is it still seen?
    weight = np.maximum(1 - np.abs(helix.views_mm) / 1.0, 0).astype(np.float32)
    data = np.broadcast_to(weight[:, None, None], helix.shape).copy()
    z = np.arange(-9.0, 9.01, 0.75)
    width = {}
    for method in ("180", "360"):
        profile = helical_to_fan(data, helix, z.tolist(), method)[..., 60:-60].mean(axis=(1, 2))
        profile = np.maximum(profile, 0)
        width[method] = np.sqrt((profile * z**2).sum() / profile.sum())
    assert width["180"] < 0.75 * width["360"]


@pytest.mark.parametrize(("rows", "feed_mm", "row_mm"), [(1, 6.0, 6.0), (4, 4.0, 1.25)])
@pytest.mark.parametrize("z_mm", [-2.3, 0.0, 1.7])
def test_between_its_neighbours_a_ray_is_their_straight_line(rows, feed_mm, row_mm, z_mm) -> None:
    """What grows evenly along z is met exactly, from the measurements on both sides."""
    helix = _helix(rows, feed_mm, row_mm, turns=6)
    heights = helix.views_mm[:, None, None] + helix.rows_mm[None, :, None]
    data = np.broadcast_to(heights, helix.shape).astype(np.float32)
    found = helical_to_fan(data, helix, [z_mm], "360")
    np.testing.assert_allclose(found, z_mm, atol=1e-5)


def test_slices_at_the_ends_of_the_reach_are_whole_and_beyond_refused() -> None:
    helix = _helix(4, 5.0, 1.25, turns=5)
    data = np.ones(helix.shape, dtype=np.float32)
    for method in ("180", "360"):
        low, high = helix.reach_mm(method)
        ends = helical_to_fan(data, helix, [low, high], method)
        np.testing.assert_allclose(ends[..., 8:-8], 1.0, atol=0.05)
        with pytest.raises(GeometryError, match="outside the helical scan's reach"):
            helical_to_fan(data, helix, [high + 1.0], method)
        for beyond in (low - 1e-3, high + 1e-3):
            with pytest.raises(GeometryError, match="outside"):
                helical_to_fan(data, helix, [beyond], method)


def test_a_method_read_from_a_file_is_the_method() -> None:
    helix = _helix(1, 6.0, 6.0, turns=3)
    data = np.random.default_rng(0).random(helix.shape).astype(np.float32)
    read = json.loads('"180"')
    expected = helical_to_fan(data, helix, [0.5], "180")
    np.testing.assert_array_equal(helical_to_fan(data, helix, [0.5], read), expected)


def test_impossible_helices_are_refused() -> None:
    with pytest.raises(GeometryError, match="cannot exist"):
        HelicalGeometry(FAN, 960, 0.0)
    short = FanGeometry.covering(184, views_per_turn=480, n_bins=245, short=True)
    with pytest.raises(GeometryError, match="turns fully"):
        HelicalGeometry(short, 960, 5.0)
    helix = _helix(1, 5.0, 5.0, turns=3)
    with pytest.raises(GeometryError, match="do not fit"):
        helical_to_fan(np.zeros((3, 1, 4)), helix, [0.0])
