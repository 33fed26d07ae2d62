"""Outlines end where the cortex does: half-way from it to soft tissue, on walls of known place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.spine.straightening.cortex import MOST_PEELED_MM, peeled_to_cortex
from spinemar.volume import CTVolume, LabelVolume
from Testing.core.spine import spine_phantom as phantom

_L1 = VERSE_IDS["L1"]
_RADIUS_MM = 9.0
_FINE = 4


def _tube(spacing, cortex_hu, marrow_hu=120.0, wall_mm=1.8, blur_mm=0.6, noise_hu=0.0):
    """A tube along the slices with a cortex outside and marrow inside; voxels (k, j, i).

    Each pixel is the mean of finer ones; `away` is how far its centre lies outside of the tube.
    """
    count = round(36.0 / spacing[0])
    fine = np.repeat(np.arange(count), _FINE) + np.tile((np.arange(_FINE) + 0.5) / _FINE, count)
    place = (fine - 0.5 - (count - 1) / 2 + 0.3) * spacing[0]
    radius = np.hypot(place[:, None], place)
    hu = np.where(radius < _RADIUS_MM - wall_mm, marrow_hu, cortex_hu)
    hu = np.where(radius < _RADIUS_MM, hu, 40.0)
    hu = ndimage.gaussian_filter(hu, blur_mm / spacing[0] * _FINE)
    hu = hu.reshape(count, _FINE, count, _FINE).mean(axis=(1, 3))
    slices = np.repeat(hu[None], 9, axis=0)
    slices = slices + np.random.default_rng(4).normal(0, noise_hu, slices.shape)
    centres = (np.arange(count) - (count - 1) / 2 + 0.3) * spacing[0]
    away = np.broadcast_to(np.hypot(centres[:, None], centres) - _RADIUS_MM, slices.shape)
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    return CTVolume(slices.astype(np.float32), affine), away


def _labels(volume, inside):
    return LabelVolume(np.where(inside, _L1, 0).astype(np.int16), volume.ijk_to_ras)


def _radius_mm(labels):
    """Radius of a disc of the labels' area, in the middle slice."""
    pixel = labels.geometry.spacing_mm[0]
    middle = labels.labels[labels.labels.shape[0] // 2] == _L1
    return float(np.sqrt(middle.sum() * pixel**2 / np.pi))


@pytest.mark.parametrize("cortex_hu", [450.0, 700.0, 1100.0])
@pytest.mark.parametrize("spacing", [(0.6, 0.6, 1.0), (0.8, 0.8, 2.5), (0.95, 0.95, 5.0)])
def test_a_fat_outline_is_drawn_to_the_outer_surface(spacing, cortex_hu):
    volume, away = _tube(spacing, cortex_hu, noise_hu=15.0)
    fat = _labels(volume, away < 0.9)
    assert _radius_mm(fat) > _RADIUS_MM + 0.7
    assert _radius_mm(peeled_to_cortex(fat, volume)) == pytest.approx(_RADIUS_MM, abs=0.25)


def test_an_outline_that_is_right_stays():
    volume, away = _tube((0.8, 0.8, 2.5), 700.0, noise_hu=15.0)
    peeled = peeled_to_cortex(_labels(volume, away < 0.0), volume)
    assert _radius_mm(peeled) == pytest.approx(_RADIUS_MM, abs=0.25)


@pytest.mark.parametrize("marrow_hu", [-30.0, 80.0])
def test_marrow_stays_within_its_cortex(marrow_hu):
    volume, away = _tube((0.8, 0.8, 2.5), 600.0, marrow_hu)
    peeled = peeled_to_cortex(_labels(volume, away < 0.9), volume)
    assert (peeled.labels[away < -0.6] == _L1).all()


def test_a_lost_cortex_costs_no_more_than_the_most_that_is_peeled():
    volume, away = _tube((0.8, 0.8, 2.5), 90.0, 60.0)
    peeled = peeled_to_cortex(_labels(volume, away < 0.9), volume)
    assert (peeled.labels[away < 0.9 - MOST_PEELED_MM - 0.8] == _L1).all()


def test_metal_is_no_cortex():
    """Beside a screw bone is as dense as before: the metal does not raise what counts as half."""
    volume, away = _tube((0.8, 0.8, 2.5), 450.0)
    metal = away < -_RADIUS_MM + 5.5
    fat = _labels(volume, away < 0.9)
    operated = volume.with_hu(np.where(metal, np.float32(3071), volume.hu))
    assert _radius_mm(peeled_to_cortex(fat, operated)) == pytest.approx(_RADIUS_MM, abs=0.25)


def test_the_edge_of_the_volume_is_no_surface():
    volume, away = _tube((0.8, 0.8, 2.5), 600.0, 30.0)
    peeled = peeled_to_cortex(_labels(volume, away < 0.9), volume).labels
    assert np.array_equal(peeled[0], peeled[4])
    assert np.array_equal(peeled[-1], peeled[4])


@pytest.mark.parametrize("thick_mm", [1.0, 2.5, 5.0])
@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_slice_is_kept_where_bone_fills_half_of_it(thick_mm, share):
    """A rod across the slices' way, whose upper end fills a share of its last slice."""
    hu = np.full((9, 40, 40), 40.0, np.float32)
    hu[3:6, 10:30, 10:30] = 600.0
    hu[6, 10:30, 10:30] = 40.0 + share * 560.0
    volume = CTVolume(hu, np.diag([-0.8, -0.8, thick_mm, 1.0]))
    inside = np.zeros(hu.shape, bool)
    inside[3:7, 10:30, 10:30] = True
    peeled = peeled_to_cortex(_labels(volume, inside), volume).labels == _L1
    assert np.array_equal(peeled[3:6], inside[3:6])
    assert peeled[6, 10:30, 10:30].all() == (share > 0.5)
    assert peeled[6].any() == (share > 0.5)


@pytest.mark.parametrize("beyond_mm", [-0.6, 0.0, 0.9])
def test_the_benchmark_finds_how_far_a_wall_lies_beyond_its_cortex(beyond_mm):
    from Testing.benchmarks.pedicle_outlines import wall_beyond_cortex

    step = 0.1
    place = np.arange(0.0, 14.0, step)
    hu = np.where((place > 5.0) & (place < 7.0), 600.0, np.where(place < 5.0, 150.0, 40.0))
    seen = ndimage.gaussian_filter1d(hu, 0.4 / step)
    wall = round((7.0 + beyond_mm) / step)
    assert wall_beyond_cortex(seen, wall, step) == pytest.approx(beyond_mm, abs=0.15)


@pytest.mark.slow
def test_pedicles_of_a_segmented_spine_lie_where_they_were_drawn():
    from spinemar.spine.segmentation.segment import segment_spine

    volume, truth = phantom.spine()
    found = segment_spine(volume, first_level="T11").labels
    ras = volume.geometry.to_ras(np.moveaxis(np.indices(truth.labels.shape)[::-1], 0, -1) * 1.0)
    for level, height in (("T12", phantom.PITCH), ("L1", 0.0), ("L2", -phantom.PITCH)):
        off = ras - [0.0, 2.0, height + 5.0]
        beside = np.abs(np.abs(off[..., 0]) - 13.0) < 9.0
        near = beside & (np.abs(off[..., 1]) < 5.0) & (np.abs(off[..., 2]) < 4.0)
        near &= np.abs(_outside_mm(truth, level)) < 1.5
        too_fat = (_outside_mm(truth, level) - _outside_mm(found, level))[near].mean()
        assert abs(too_fat) < 0.25


def _outside_mm(labels, level):
    mask, spacing = labels.labels == VERSE_IDS[level], labels.geometry.spacing_mm[::-1]
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    return outside - ndimage.distance_transform_edt(mask, sampling=spacing)
