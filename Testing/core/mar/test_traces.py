"""Bridging, traces and saturated pixels against what geometry demands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spinemar.mar.pipeline.interpolation.linear import interpolate_linearly
from spinemar.mar.pipeline.interpolation.normalized import interpolate_normalized, matched_prior
from spinemar.mar.segmentation.low_saturation import low_clip_hu, saturated_pixels
from spinemar.mar.segmentation.padding import padding_mask, without_padding
from spinemar.mar.segmentation.trace import LostRays, lost_ray_trace, trace_of
from spinemar.tomography.radon import RadonTransform

ROWS = arrays(np.bool_, (4, 30))


@settings(max_examples=60, deadline=None)
@given(trace=ROWS, slope=st.floats(-3, 3), offset=st.floats(-10, 10))
def test_straight_lines_are_restored(trace, slope, offset) -> None:
    trace[:, [0, -1]] = False
    line = np.tile((offset + slope * np.arange(30)).astype(np.float32), (4, 1))
    spoiled = np.where(trace, 1e6, line).astype(np.float32)
    np.testing.assert_allclose(interpolate_linearly(spoiled, trace), line, rtol=1e-4, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(trace=ROWS, seed=st.integers(0, 1000))
def test_bridging_touches_only_the_trace_and_stays_between_its_borders(trace, seed) -> None:
    values = np.random.default_rng(seed).random((4, 30)).astype(np.float32)
    out = interpolate_linearly(values, trace)
    np.testing.assert_array_equal(out[~trace], values[~trace])
    for row, marks, filled in zip(values, trace, out, strict=True):
        if marks.all():
            np.testing.assert_array_equal(filled, row)
        elif marks.any():
            assert filled[marks].min() >= row[~marks].min() - 1e-6
            assert filled[marks].max() <= row[~marks].max() + 1e-6


def test_a_true_prior_fills_the_trace_exactly() -> None:
    rng = np.random.default_rng(0)
    true = (5 + np.cumsum(rng.standard_normal((20, 64)), axis=1)).astype(np.float32) ** 2 + 1
    trace = rng.random((20, 64)) < 0.3
    spoiled = np.where(trace, true + 50, true).astype(np.float32)
    np.testing.assert_allclose(matched_prior(spoiled, true, trace), true, rtol=1e-4)
    big = true + 10.0
    filled = interpolate_normalized(
        np.where(trace, 0, big).astype(np.float32), big, trace, (1.0, 1.0)
    )
    np.testing.assert_allclose(filled, big, rtol=1e-4)


def test_a_prior_of_almost_nothing_cannot_blow_up() -> None:
    rng = np.random.default_rng(0)
    sinogram = rng.random((10, 50)).astype(np.float32)
    prior = np.full((10, 50), 1e-7, np.float32)
    prior[:, 20:30] = 3.0
    trace = np.zeros((10, 50), bool)
    trace[:, 15:35] = True
    assert np.abs(interpolate_normalized(sinogram, prior, trace, (0.8, 0.8))).max() < 25.0


def test_the_trace_of_a_disc_is_its_shadow() -> None:
    transform = RadonTransform((128, 128), (1.0, 1.0))
    y, x = np.mgrid[:128, :128] - 63.5
    disc = np.hypot(x - 20, y + 10) < 8
    trace = trace_of(transform.forward(disc.astype(np.float32)), (1.0, 1.0))
    angle = transform.geometry.angles_rad[:, None]
    offset = np.abs(transform.geometry.bins_mm - (20 * np.cos(angle) - 10 * np.sin(angle)))
    assert trace[offset < 7.7].all()
    assert not trace[offset > 9.2].any()


def _slice(pixel: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return a body of water with a screw, 160 px."""
    y, x = (np.mgrid[:160, :160] - 79.5) * pixel
    hu = np.where(np.hypot(x, y) < 70, 40.0, -1000.0).astype(np.float32)
    metal = np.hypot(x, y) < 4
    hu[metal] = 3071.0
    return hu, metal


def test_only_saturation_that_streaks_explain_counts() -> None:
    hu, metal = _slice()
    corrected = hu.copy()
    hu[78:82, 90:100] = -1024.0  # a streak: linear interpolation lifts it
    hu[60:70, 78:86] = -1010.0  # gas: dark before and after
    corrected[60:70, 78:86] = -1005.0
    hu[78:82, 125:130] = -1024.0  # farther than 30 mm from metal
    found = saturated_pixels(hu, metal, (1.0, 1.0), reference=corrected)
    expected = np.zeros_like(metal)
    expected[78:82, 90:100] = True
    np.testing.assert_array_equal(found, expected)
    assert saturated_pixels(hu, metal, (1.0, 1.0))[60:70, 78:86].all()
    assert not saturated_pixels(hu, np.zeros_like(metal), (1.0, 1.0)).any()


def test_saturation_near_the_skin_does_not_count() -> None:
    hu, _ = _slice()
    y, x = np.mgrid[:160, :160] - 79.5
    metal = np.hypot(x - 52, y) < 4
    corrected = hu.copy()
    hu[76:84, 136:146] = -1024.0  # 60 to 66 mm from the centre: skin is at 70
    hu[76:84, 118:124] = -1024.0
    found = saturated_pixels(hu, metal, (1.0, 1.0), reference=corrected)
    assert found[76:84, 118:124].all()
    assert not found[:, 141:].any()


def test_an_extended_scale_saturates_at_its_own_end() -> None:
    hu, metal = _slice()
    hu[78:82, 90:100] = -1200.0
    hu[78:82, 60:64] = -2000.0
    assert low_clip_hu(hu) == -2000.0
    found = saturated_pixels(hu, metal, (1.0, 1.0), clip_hu=low_clip_hu(hu))
    assert found[78:82, 60:64].all()
    assert not found[78:82, 90:100].any()
    assert low_clip_hu(np.full((8, 8), -1024.0, np.float32)) == -1024.0


def test_lost_rays_are_capped_by_their_worst() -> None:
    metal_trace = np.zeros((40, 50), bool)
    metal_trace[:, 25] = True
    lengths = np.zeros((40, 50), np.float32)
    lengths[:, 5:20] = np.arange(1, 16)
    free = lost_ray_trace(metal_trace, lengths, (1.0, 1.0), cap=0.5)
    assert not free.capped
    assert free.added_share == pytest.approx(15 / 50)
    capped = lost_ray_trace(metal_trace, lengths, (1.0, 1.0), cap=0.1)
    assert capped.capped
    assert capped.added_share == pytest.approx(0.1)
    assert capped.trace[:, 15:20].all()
    assert capped.trace[:, 25].all()
    assert not capped.trace[:, 5:15].any()


@pytest.mark.parametrize("value", [-2000.0, -2048.0, -3024.0, np.nan])
def test_padding_becomes_air_and_streaks_stay(value) -> None:
    hu, _ = _slice()
    y, x = np.mgrid[:160, :160] - 79.5
    outside = np.hypot(x, y) > 80
    hu[outside] = value
    hu[80, 80:90] = -1700.0  # a streak of extended HU inside the body
    clean = without_padding(hu)
    assert (clean[outside] == -1000.0).all()
    assert (clean[80, 80:90] == -1700.0).all()
    np.testing.assert_array_equal(padding_mask(hu), outside)


def test_tissue_that_the_circle_cuts_off_fades_instead_of_ending() -> None:
    hu = np.full((160, 160), 40.0, np.float32)
    y, x = np.mgrid[:160, :160] - 79.5
    outside = np.hypot(x, y) > 80
    hu[outside] = -3024.0
    filled = without_padding(hu)
    np.testing.assert_array_equal(filled[~outside], hu[~outside])
    rim = outside & (np.hypot(x, y) < 82)
    assert np.abs(filled[rim] - 40.0).max() < 150.0
    assert filled[0, 0] == -1000.0
    assert filled.min() >= -1000.0


def test_widening_takes_in_rays_on_either_side_and_no_others():
    trace = np.zeros((3, 20), bool)
    trace[1, 8:10] = True
    lost = LostRays(trace, 0.25, capped=True)
    wide = lost.widened(3)
    assert np.flatnonzero(wide.trace[1]).tolist() == list(range(5, 13))
    assert not wide.trace[[0, 2]].any()
    assert (wide.added_share, wide.capped) == (0.25, True)
    assert lost.widened(0) is lost
