"""Fan-beam rebinning against analytic projections of a body phantom."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from spinemar.errors import GeometryError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.raw_data.fan import FanGeometry, parker_weights
from spinemar.tomography.raw_data.rebinning import (
    fan_to_parallel,
    parallel_to_fan,
    resample_parallel,
)
from spinemar.tomography.units import MU_WATER_PER_MM, difference_to_hu


class Ellipse(NamedTuple):
    x: float
    y: float
    a: float
    b: float
    tilt: float
    mu: float


BODY = (
    Ellipse(0, 0, 150, 105, 0.0, MU_WATER_PER_MM),
    Ellipse(50, 20, 30, 20, 0.3, 0.0010),
    Ellipse(-60, 10, 25, 35, -0.5, -0.0015),
    Ellipse(0, -50, 20, 18, 0.0, 0.0080),
)


def _project(theta: np.ndarray, r: np.ndarray) -> np.ndarray:
    total = np.zeros(np.broadcast_shapes(theta.shape, r.shape))
    for e in BODY:
        angle = theta - e.tilt
        s = r - (e.x * np.cos(theta) + e.y * np.sin(theta))
        width = (e.a * np.cos(angle)) ** 2 + (e.b * np.sin(angle)) ** 2
        total += 2 * e.mu * e.a * e.b * np.sqrt(np.maximum(width - s**2, 0)) / width
    return total


def _parallel(geometry: SinogramGeometry) -> np.ndarray:
    return _project(geometry.angles_rad[:, None], geometry.bins_mm[None]).astype(np.float32)


def _fan(fan: FanGeometry) -> np.ndarray:
    theta = fan.view_angles_rad[:, None] + fan.fan_angles_rad[None]
    return _project(theta, fan.offsets_mm[None]).astype(np.float32)


GRID = SinogramGeometry(n_views=360, n_bins=368, bin_mm=1.0)
CASES = [
    pytest.param(detector, short, id=f"{detector}-{'short' if short else 'full'}")
    for detector in ("arc", "flat")
    for short in (False, True)
]


@pytest.mark.parametrize(("detector", "short"), CASES)
def test_fan_scan_reconstructs_like_a_parallel_scan(detector, short) -> None:
    fan = FanGeometry.covering(184, views_per_turn=720, n_bins=368, detector=detector, short=short)
    radon = RadonTransform((256, 256), (1.3, 1.3), GRID)
    reference = radon.fbp(_parallel(GRID), "hann")
    image = radon.fbp(fan_to_parallel(_fan(fan), fan, GRID), "hann")
    error = difference_to_hu(image - reference)
    y, x = (np.mgrid[:256, :256] - 127.5) * 1.3
    assert np.sqrt((error[np.hypot(x, y) < 160] ** 2).mean()) < 8
    inside = (x / 140) ** 2 + (y / 95) ** 2 < 1
    assert abs(error[inside].mean()) < 0.5


@pytest.mark.parametrize(("detector", "short"), CASES)
def test_at_full_resolution_rebinning_costs_3_hu(detector, short) -> None:
    grid = SinogramGeometry(n_views=720, n_bins=736, bin_mm=0.8)
    fan = FanGeometry.covering(210, detector=detector, short=short)
    radon = RadonTransform((512, 512), (0.8, 0.8), grid)
    change = fan_to_parallel(_fan(fan), fan, grid) - _parallel(grid)
    error = difference_to_hu(radon.fbp(change, "hann"))
    y, x = (np.mgrid[:512, :512] - 255.5) * 0.8
    assert np.sqrt((error[np.hypot(x, y) < 200] ** 2).mean()) < 3.5


@pytest.mark.parametrize(("detector", "short"), CASES)
def test_parallel_to_fan_meets_the_analytic_fan(detector, short) -> None:
    fan = FanGeometry.covering(184, views_per_turn=720, n_bins=368, detector=detector, short=short)
    fine = SinogramGeometry(n_views=720, n_bins=736, bin_mm=0.5)
    rays = parallel_to_fan(_parallel(fine), fine, fan)
    assert rays.shape == fan.shape
    error = rays - _fan(fan)
    assert np.sqrt((error**2).mean()) < 0.004  # of projections up to 6


@pytest.mark.parametrize("detector", ["arc", "flat"])
def test_all_rays_of_a_view_meet_in_the_focal_spot(detector) -> None:
    fan = FanGeometry.covering(200, n_bins=64, detector=detector)
    beta = fan.view_angles_rad[37]
    source = fan.source_mm * np.array([-np.sin(beta), np.cos(beta)])
    theta = beta + fan.fan_angles_rad
    distance = source[0] * np.cos(theta) + source[1] * np.sin(theta)
    np.testing.assert_allclose(distance, fan.offsets_mm, atol=1e-9)


def test_arc_bins_are_equal_angles_and_flat_bins_equal_distances() -> None:
    arc = FanGeometry.covering(200, n_bins=64, detector="arc")
    flat = FanGeometry.covering(200, n_bins=64, detector="flat")
    assert np.ptp(np.diff(arc.fan_angles_rad)) < 1e-12
    assert np.ptp(np.diff(np.tan(flat.fan_angles_rad))) < 1e-12
    for fan in (arc, flat):
        assert fan.offsets_mm[-1] == pytest.approx(200)
        assert fan.bin_mm == pytest.approx(np.diff(fan.offsets_mm)[31], rel=0.01)


@settings(max_examples=20, deadline=None)
@given(st.floats(100, 400), st.integers(0, 60), st.sampled_from(["arc", "flat"]))
def test_the_two_measurements_of_every_line_weigh_one(radius, more, detector) -> None:
    fan = FanGeometry.covering(radius, views_per_turn=720, n_bins=65, detector=detector, short=True)
    if fan.n_views + more < 720:
        fan = FanGeometry(fan.source_mm, fan.n_views + more, 720, fan.n_bins, fan.bin_mm, detector)
    weights = parker_weights(fan)
    assert weights.min() >= 0
    assert weights.max() <= 1
    # Along the views each bin's total is half a turn, with its partner bin on the other side.
    total = weights.sum(axis=0) + weights.sum(axis=0)[::-1]
    np.testing.assert_allclose(total, 720, rtol=0.01)
    for bin_ in (0, 20, 32, 50):
        gamma = fan.fan_angles_rad[bin_]
        later = (np.pi + 2 * gamma) / (2 * np.pi) * 720
        views = np.arange(fan.n_views)
        partner = np.interp(views + later, views, weights[:, -1 - bin_], left=0, right=0)
        earlier = views - (720 - later)
        partner += np.interp(earlier, views, weights[:, -1 - bin_], left=0, right=0)
        seen_once_or_twice = weights[:, bin_] + partner
        assert np.abs(seen_once_or_twice[5:-5] - 1).mean() < 0.02


def test_weights_of_a_full_turn_are_one_half() -> None:
    fan = FanGeometry.covering(200, n_bins=16)
    assert (parker_weights(fan) == 0.5).all()


def test_constant_data_stay_constant() -> None:
    for short in (False, True):
        fan = FanGeometry.covering(184, views_per_turn=720, n_bins=368, short=short)
        rebinned = fan_to_parallel(np.ones(fan.shape), fan, GRID)
        assert np.abs(rebinned[:, 4:-4] - 1).max() < 0.03
        assert np.abs(rebinned[:, 30:-30] - 1).mean() < 2e-3


def test_stacks_are_rebinned_slice_by_slice() -> None:
    fan = FanGeometry.covering(100, views_per_turn=90, n_bins=48)
    grid = SinogramGeometry(n_views=45, n_bins=48, bin_mm=4.0)
    data = np.random.default_rng(0).random((3, *fan.shape)).astype(np.float32)
    together = fan_to_parallel(data, fan, grid)
    np.testing.assert_allclose(together[1], fan_to_parallel(data[1], fan, grid), atol=1e-5)


def test_bins_are_read_off_the_cubic_spline_through_the_measured_ones() -> None:
    coarse, fine = SinogramGeometry(6, 61, 1.0), SinogramGeometry(6, 150, 0.45)
    data = np.random.default_rng(5).normal(size=(2, 6, 61)).astype(np.float32)
    found = resample_parallel(data, coarse, fine)
    inside = np.abs(fine.bins_mm) <= coarse.bins_mm[-1]
    spline = CubicSpline(coarse.bins_mm, data.astype(float), axis=-1)(fine.bins_mm[inside])
    np.testing.assert_allclose(found[..., inside], spline, atol=3e-6)
    assert not found[..., ~inside].any()
    assert not inside.all()


def test_what_fewer_views_cannot_hold_is_left_out() -> None:
    """At half as many views as it turns, its phase cannot be told: it would come back at random."""
    many, few = SinogramGeometry(90, 41, 1.0), SinogramGeometry(45, 41, 1.0)
    theta, r = np.meshgrid(many.angles_rad, many.bins_mm, indexing="ij")
    turning = (np.cos(45 * theta) * r).astype(np.float32)
    np.testing.assert_allclose(resample_parallel(turning, many, few), 0.0, atol=1e-4)
    slow = (np.cos(43 * theta) * r).astype(np.float32)
    kept = resample_parallel(slow, many, few)
    np.testing.assert_allclose(kept, np.cos(43 * few.angles_rad)[:, None] * few.bins_mm, atol=1e-3)


def test_what_is_not_there_casts_no_rays() -> None:
    parallel = SinogramGeometry(90, 120, 2.0)
    fan = FanGeometry.covering(100.0, source_mm=500.0, views_per_turn=180, n_bins=100)
    data = np.zeros((3, 90, 120), dtype=np.float32)
    data[1] = _project(*np.meshgrid(parallel.angles_rad, parallel.bins_mm, indexing="ij"))
    found = parallel_to_fan(data, parallel, fan)
    assert not found[[0, 2]].any()
    np.testing.assert_array_equal(found[1], parallel_to_fan(data[1], parallel, fan))


def test_impossible_fans_are_refused() -> None:
    with pytest.raises(GeometryError, match="does not fit a source"):
        FanGeometry.covering(600)
    with pytest.raises(GeometryError, match="do not measure every ray"):
        FanGeometry(570, 300, 720, 64, 5.0)
    with pytest.raises(GeometryError, match="cannot exist"):
        FanGeometry(570, 720, 720, 64, float("nan"))
    with pytest.raises(GeometryError, match="half a turn or more"):
        FanGeometry(10, 720, 720, 64, 5.0)
    fan = FanGeometry.covering(100, n_bins=64)
    with pytest.raises(GeometryError, match="does not fit a geometry"):
        fan_to_parallel(np.zeros((3, 3)), fan, GRID)


@pytest.mark.parametrize("diameter_mm", [120.0, 250.0, 500.0])
def test_a_short_scan_is_half_a_turn_and_the_fan_and_no_more(diameter_mm: float) -> None:
    fan = FanGeometry.covering(diameter_mm, views_per_turn=720, n_bins=245, short=True)
    step, needed = 2 * np.pi / 720, np.pi + 2 * fan.half_fan_rad
    assert (fan.n_views - 1) * step >= needed
    assert (fan.n_views - 3) * step < needed
