"""The implant's outline: against discs of known size, behind blur, glow, clip and noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from spinemar.mar.correct import correct_volume
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.segmentation.outline import (
    GivenOutline,
    MeasuredOutline,
    Outline,
    filled,
    half_maximum,
    inscribed_width_mm,
    outline_from_fraction,
    scale_end_hu,
    whole_percent,
)

N, PIXEL = 96, 0.6


def _disc(centre_mm: tuple[float, float], radius_mm: float, pixel: float = PIXEL) -> np.ndarray:
    """Volume fraction of a disc, from sixteen samples a pixel."""
    fine = (np.arange(4 * N) - (4 * N - 1) / 2) * pixel / 4
    inside = np.hypot(fine[:, None] - centre_mm[0], fine[None] - centre_mm[1]) <= radius_mm
    return inside.reshape(N, 4, N, 4).mean((1, 3))


def _scan(fraction: np.ndarray, metal_hu: float, blur_mm: float, noise_hu: float = 25.0):
    rng = np.random.default_rng(0)
    image = 60.0 + fraction * (metal_hu - 60.0)
    image = ndimage.gaussian_filter(image, blur_mm / PIXEL) + rng.normal(0, noise_hu, (N, N))
    return image.astype(np.float32)


def _dice(a, b) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("metal_hu", [7000.0, 14000.0, 25000.0])
@pytest.mark.parametrize("blur_mm", [0.4, 0.8])
def test_half_of_the_maximum_is_the_edge_however_bright_the_metal(metal_hu, blur_mm) -> None:
    fraction = _disc((0.0, 0.0), 3.0)
    hu = _scan(fraction, metal_hu, blur_mm)
    generous = hu >= 2500
    found = half_maximum(hu, generous, (PIXEL, PIXEL))
    assert _dice(found, fraction > 0.5) > 0.9
    assert _dice(generous, fraction > 0.5) < _dice(found, fraction > 0.5)
    assert inscribed_width_mm(whole_percent(found), (PIXEL, PIXEL)) == pytest.approx(6.0, abs=0.9)


def test_two_metals_each_have_a_maximum_of_their_own() -> None:
    """Titanium beside steel whose glow has reached it: one mask, two outlines."""
    titanium, steel = _disc((0.0, -6.0), 2.75), _disc((0.0, 6.0), 3.0)
    hu = np.maximum(_scan(titanium, 7000.0, 0.5), _scan(steel, 22000.0, 0.9))
    generous = ndimage.binary_dilation(hu >= 2500, iterations=2)
    found = half_maximum(hu, generous, (PIXEL, PIXEL))
    assert _dice(found, (titanium > 0.5) | (steel > 0.5)) > 0.9


def test_a_streak_through_the_mask_does_not_set_the_maximum() -> None:
    fraction = _disc((0.0, 0.0), 3.0)
    hu = _scan(fraction, 9000.0, 0.5)
    hu[N // 2, N // 2] = 60000.0  # a single starved pixel
    found = half_maximum(hu, hu >= 2500, (PIXEL, PIXEL))
    assert _dice(found, fraction > 0.5) > 0.9


@pytest.mark.parametrize(
    ("metal_pixels", "at_the_top", "ends"),
    [(12, 3, False), (12, 4, True), (200, 4, True), (400, 7, False), (400, 8, True)],
)
def test_a_scale_ends_where_four_pixels_and_a_fiftieth_of_the_metal_share_the_top(
    metal_pixels, at_the_top, ends
) -> None:
    hu = np.zeros((1, 20, 20), dtype=np.float32)
    values = np.linspace(2600.0, 9000.0, metal_pixels)
    values[-at_the_top:] = 9000.0
    hu.flat[:metal_pixels] = values
    assert scale_end_hu(hu, hu > 2500) == (9000.0 if ends else np.inf)


def test_where_the_scale_ends_the_generous_mask_serves_and_says_so() -> None:
    hu = np.clip(_scan(_disc((0.0, 0.0), 3.0), 22000.0, 0.9), -1024, 3071)
    generous = hu >= 2500
    top = scale_end_hu(hu, generous)
    assert top == 3071.0
    outline = MeasuredOutline().outline(np.stack([hu] * 3), generous, (PIXEL, PIXEL), top)
    assert outline.source == "threshold"
    np.testing.assert_array_equal(outline.mask, generous)
    free = _scan(_disc((0.0, 0.0), 3.0), 22000.0, 0.9)
    assert scale_end_hu(free, free >= 2500) == np.inf
    assert scale_end_hu(free, np.zeros_like(generous)) == np.inf


def test_a_given_mask_is_the_outline() -> None:
    mask = _disc((1.0, 2.0), 4.0) > 0.5
    hu = np.zeros((3, N, N), np.float32)
    outline = GivenOutline().outline(hu, mask, (PIXEL, PIXEL), 3071.0)
    np.testing.assert_array_equal(outline.mask, mask)
    assert outline.source == "mask"


def test_holes_are_filled_unless_they_are_as_large_as_a_canal() -> None:
    ring = (_disc((0.0, 0.0), 12.0) > 0.5) & ~(_disc((0.0, 0.0), 8.0) > 0.5)
    assert filled(ring, (PIXEL, PIXEL))[N // 2, N // 2]
    assert not filled(ring, (PIXEL, PIXEL), largest_mm2=100.0)[N // 2, N // 2]
    np.testing.assert_array_equal(filled(ring, (PIXEL, PIXEL)) & ring, ring)


def test_a_network_that_finds_nothing_is_no_outline() -> None:
    generous = _disc((0.0, 0.0), 3.0) > 0.5
    nothing = np.zeros((N, N), np.float32)
    assert outline_from_fraction(nothing, generous, (PIXEL, PIXEL)) is None
    everywhere = outline_from_fraction(nothing + 1, generous, (PIXEL, PIXEL))
    assert everywhere is not None
    far = ndimage.distance_transform_edt(~generous, sampling=PIXEL) > 1.0
    assert not everywhere.mask[far].any()
    assert everywhere.mask[generous].all()


@settings(max_examples=30, deadline=None)
@given(radius=st.floats(1.5, 12.0), pixel=st.floats(0.3, 1.0))
def test_the_inscribed_width_of_a_disc_is_its_diameter(radius, pixel) -> None:
    side = int(2 * radius / pixel) + 8
    axis = (np.arange(side) - (side - 1) / 2) * pixel
    disc = np.hypot(axis[:, None], axis[None]) <= radius
    assert inscribed_width_mm(whole_percent(disc), (pixel, pixel)) == pytest.approx(
        2 * radius, abs=pixel
    )


class _NoOutline:
    """Puts nothing back: the corrected values alone."""

    sha256 = None

    def outline(self, hu, generous, pixel_mm, top_hu) -> Outline:
        return Outline(np.zeros(generous.shape, np.uint8), "mask")


@pytest.mark.parametrize(
    ("percent", "share"), [(0, 0.0), (49, 0.0), (50, 0.0), (60, 0.4), (75, 1.0), (100, 1.0)]
)
def test_metal_is_put_back_the_more_the_surer_it_is(percent, share) -> None:
    outline = Outline(np.full((2, 2), percent, np.uint8), "network")
    np.testing.assert_allclose(outline.put_back, share, atol=1e-6)
    assert outline.mask.all() == (percent >= 50)


@pytest.mark.parametrize("method", ["li", "nmar", "generator"])
@pytest.mark.parametrize("scale", ["12-bit", "extended"])
def test_only_the_outline_is_put_back_and_the_glow_is_gone(fine_scan, method, scale) -> None:
    """Output = input + strength x change x what is not put back, pixel by pixel."""
    case = fine_scan("316L", scale)
    result = correct_volume(case.volume, method=method)
    bare = correct_volume(
        case.volume, method=method, gate=GateParameters.open(), outliner=_NoOutline()
    )
    outline, generous = result.metal_outline, result.metal_mask
    assert outline.sum() < generous.sum()
    changed = bare.volume.hu - case.volume.hu
    for report in result.slices:
        k = report.index
        share = Outline(result.metal_percent[k], report.outline).put_back
        expected = case.volume.hu[k] + np.float32(report.strength) * changed[k] * (1 - share)
        assert np.abs(result.volume.hu[k] - expected).max() < 0.5
        if report.corrected:
            glow = generous[k] & ~ndimage.binary_dilation(outline[k])
            assert not glow.any() or result.volume.hu[k][glow].mean() < 2000
    true = case.fraction > 0.5
    assert _dice(outline, true) > _dice(generous, true)
    facts = result.provenance.metal_outline
    assert sum(facts.values()) == len(result.slices)
