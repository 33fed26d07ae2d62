"""Paired exposures: one noise, equal where there is no metal; the image's centre may move."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.dataset.pairs.exposure import Layer, measure, recentred
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import hu_to_mu

SIZE, PIXEL = 96, 3.0
SETTINGS = ScannerSettings(n_views=90, n_bins=138, photons_per_ray=5e4)


def body() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    hu = np.where((x / 40) ** 2 + (y / 30) ** 2 < 1, 40.0, -1000.0)
    hu[(np.abs(x) < 8) & (np.abs(y - 10) < 6)] = 300.0
    return hu.astype(np.float32)


def metal() -> np.ndarray:
    fraction = np.zeros((SIZE, SIZE), np.float32)
    fraction[54:58, 52:60] = 1.0
    return fraction


def test_without_metal_scan_and_truth_are_the_same_numbers():
    made = measure([[Layer(body(), {})]], PIXEL, SETTINGS, 3)
    assert np.array_equal(made.scan, made.truth)
    assert not made.touched.any()


def test_noise_is_shared_ray_by_ray():
    made = measure([[Layer(body(), {"Ti-6Al-4V": metal()})]], PIXEL, SETTINGS, 3)
    other = measure([[Layer(body(), {})]], PIXEL, SETTINGS, 4)
    outside = ~made.touched
    noise = np.sqrt(np.mean((made.truth - other.truth)[outside] ** 2) / 2)
    shared = np.sqrt(np.mean((made.scan - made.truth)[outside] ** 2))
    assert noise > 0.01
    assert shared < 0.25 * noise
    assert (made.scan - made.truth)[made.touched].max() > 1.0


def test_touched_rays_pass_near_metal_and_no_others():
    made = measure([[Layer(body(), {"316L": metal()})]], PIXEL, SETTINGS, 3)
    radon = RadonTransform((SIZE, SIZE), (PIXEL, PIXEL), made.geometry)
    lengths = radon.forward(metal())
    assert made.touched[0][lengths > PIXEL].all()
    centre = PIXEL * np.array([55.5 - 47.5, 55.5 - 47.5])
    angles = made.geometry.angles_rad
    middle = centre[0] * np.cos(angles) + centre[1] * np.sin(angles)
    distance = np.abs(made.geometry.bins_mm[None] - middle[:, None])
    assert distance[made.touched[0]].max() < 14.0 + 4 * made.geometry.bin_mm


def test_layers_of_a_slice_average_intensities():
    """Half a slice of metal lets more through than a whole slice of half the metal."""
    whole = [[Layer(body(), {"316L": metal()}), Layer(body(), {})]]
    spread = [[Layer(body(), {"316L": 0.5 * metal()})]]
    quiet = ScannerSettings(
        n_views=90, n_bins=138, quantum_noise=False, electronic_noise=0.0, scatter=0.0
    )
    layered = measure(whole, PIXEL, quiet, 0)
    averaged = measure(spread, PIXEL, quiet, 0)
    assert layered.scan.max() < averaged.scan.max() - 0.1


def test_a_moved_centre_is_a_moved_image():
    shift = (24.0, -15.0)
    geometry = SinogramGeometry(90, 138, PIXEL * SIZE / 96)
    radon = RadonTransform((SIZE, SIZE), (PIXEL, PIXEL), geometry)
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * PIXEL

    def blob(at):
        return np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 12.0**2))

    here = radon.forward(hu_to_mu(1000 * blob((30.0, 9.0)) - 1000))
    moved, wide = recentred(here[None], geometry, *shift)
    there = RadonTransform((SIZE, SIZE), (PIXEL, PIXEL), wide).forward(
        hu_to_mu(1000 * blob((30.0 - shift[0], 9.0 - shift[1])) - 1000)
    )
    assert np.abs(moved[0] - there).max() < 0.01 * there.max()
    assert wide.n_bins > geometry.n_bins
    assert moved[0].sum() == pytest.approx(here.sum(), rel=1e-3)
