"""What the fusion network sees: two pictures, and what the measured rays say of either."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from spinemar.axial import find_axial_slices
from spinemar.io.hounsfield import MASK_THRESHOLD_HU
from spinemar.mar.earlier.candidates import Candidate, candidates
from spinemar.mar.earlier.fusion import FULL_MM, NONE_MM, Earlier
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.tomography.cuda import make_radon
from spinemar.tomography.geometry import SinogramGeometry

K = 2
PIXEL = (1.4, 1.4)


@pytest.fixture(scope="module")
def case(scan):
    return scan("Ti-6Al-4V")


@pytest.fixture(scope="module")
def slice_cache(case):
    layout = find_axial_slices(case.volume.geometry)
    rays = SinogramGeometry.for_image(layout.shape, layout.pixel_mm)
    radon = make_radon(layout.shape, layout.pixel_mm, rays, 1, "cpu")
    mask = case.volume.hu > MASK_THRESHOLD_HU
    return SliceCache.of_volume(case.volume, mask, layout, radon)


def _seen(slice_cache, ground, earlier, shown=None) -> Candidate:
    shown = np.ones(ground.shape, bool) if shown is None else shown
    trace = slice_cache.get("lost_rays", [K])[0].trace
    return candidates(slice_cache, [K], [ground], [Earlier(earlier, shown)], [trace])[0]


@pytest.fixture(scope="module")
def seen(case, slice_cache):
    smooth = ndimage.gaussian_filter(case.truth.hu[K], 2.0)
    return _seen(slice_cache, smooth, case.truth.hu[K])


def _from_metal_mm(case):
    return ndimage.distance_transform_edt(case.volume.hu[K] <= MASK_THRESHOLD_HU, sampling=PIXEL)


def test_both_parts_are_the_whole_difference(case, seen):
    full = _from_metal_mm(case) < FULL_MM - 1
    inner = ndimage.binary_erosion(np.ones(full.shape, bool), iterations=6)
    whole = (seen.ground + seen.coarse + seen.fine)[full & inner]
    np.testing.assert_allclose(whole, case.truth.hu[K][full & inner], atol=1.0)


def test_far_from_metal_nothing_is_lent(case, seen):
    far = _from_metal_mm(case) > NONE_MM + 1
    assert not seen.reach[far].any()
    picture, weight = seen.fused(np.ones((3, *far.shape), np.float32))
    np.testing.assert_array_equal(picture[far], seen.ground[far])
    assert not weight[far].any()


def test_nothing_believed_leaves_the_networks_picture(seen):
    picture, weight = seen.fused(np.zeros((3, *seen.ground.shape), np.float32))
    np.testing.assert_array_equal(picture, seen.ground)
    assert not weight.any()


def test_the_rays_speak_for_the_picture_that_is_right(case, seen):
    near = (_from_metal_mm(case) > 4) & (_from_metal_mm(case) < FULL_MM)
    of_ground, of_earlier = (np.sqrt(np.mean(one[near] ** 2)) for one in seen.features[-2:])
    assert of_earlier < of_ground


def test_the_rays_speak_against_what_only_the_earlier_ct_holds(case, slice_cache, seen):
    away = _from_metal_mm(case)
    j, i = np.argwhere((away > 14) & (away < 16) & (np.abs(case.truth.hu[K] - 40) < 60))[30]
    rows, columns = np.indices(away.shape)
    blob = np.hypot((rows - j) * PIXEL[0], (columns - i) * PIXEL[1]) < 5
    hu = case.truth.hu[K] + np.where(blob, np.float32(400.0), np.float32(0.0))
    one = _seen(slice_cache, seen.ground, hu)
    said = (one.features[-1] - seen.features[-1])[blob].mean()
    assert said < -1.5  # of 4 units that it has too many
    elsewhere = ~ndimage.binary_dilation(blob, iterations=8) & (away < FULL_MM)
    assert abs((one.features[-1] - seen.features[-1])[elsewhere].mean()) < 0.2


def test_what_is_not_shown_is_not_used(case, slice_cache):
    shown = np.ones(case.truth.hu.shape[1:], bool)
    shown[:, : shown.shape[1] // 2] = False
    one = _seen(slice_cache, case.truth.hu[K] - 50, case.truth.hu[K], shown)
    assert not one.reach[~shown].any()
    assert not one.coarse[~shown].any()
    assert not one.fine[~shown].any()
    assert one.reach[shown].max() == pytest.approx(1.0, abs=0.02)
