"""Each effect of the scanner on its own, on rays and views."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from spinemar.physics.effects.aperture import detect, focal_spot_kernel
from spinemar.physics.effects.beam_hardening import water_correction
from spinemar.physics.effects.bowtie import bowtie_mm
from spinemar.physics.effects.detector import smooth_starved, to_projection
from spinemar.physics.effects.noise import deviates, noisy_signal, poisson_quantile
from spinemar.physics.effects.scatter import scatter_signal
from spinemar.physics.effects.slice_profile import profile_samples
from spinemar.physics.materials import mu_per_mm
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.scans.acquisition import calibrate
from spinemar.physics.scans.kernels import apply_kernel, kernel_window
from spinemar.physics.spectra import detected_beam
from spinemar.tomography.units import MU_WATER_PER_MM

BINS_MM = (np.arange(400) - 199.5) * 1.0


def _water_cylinder(radius_mm: float = 150.0) -> np.ndarray:
    return 2 * np.sqrt(np.maximum(radius_mm**2 - BINS_MM**2, 0))[None].astype(np.float32)


# --- noise -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.3, 2.0, 9.0, 19.9, 20.1, 60.0, 1e3, 1e5])
def test_counts_have_poisson_mean_variance_and_skewness(rate: float) -> None:
    z = np.random.default_rng(7).standard_normal(200_000).astype(np.float32)
    counts = poisson_quantile(np.full_like(z, rate), z).astype(np.float64)
    n = len(z)
    assert counts.mean() == pytest.approx(rate, abs=5 * np.sqrt(rate / n))
    assert counts.var() == pytest.approx(rate, rel=0.02 + 3 / np.sqrt(n * min(rate, 1)))
    assert scipy.stats.skew(counts) == pytest.approx(rate**-0.5, abs=0.03 + 0.1 * rate**-0.5)
    assert (counts >= 0).all()


@given(st.floats(0.01, 18), st.floats(-4, 4))
def test_few_counts_are_the_exact_quantile(rate: float, z: float) -> None:
    level = scipy.stats.norm.cdf(np.float64(np.float32(z)))
    count = float(poisson_quantile(np.array([rate]), np.array([z]))[0])
    law = scipy.stats.poisson(float(np.float32(rate)))
    assert law.cdf(count) >= level - 1e-9
    assert count == 0 or law.cdf(count - 1) < level + 1e-9


def test_more_photons_never_count_less_at_the_same_deviate() -> None:
    rates = np.geomspace(0.1, 1e4, 4000)
    for z in (-3.0, -1.0, 0.0, 0.5, 3.0):
        counts = poisson_quantile(rates, np.full_like(rates, z))
        assert (np.diff(counts) > -0.51).all()  # half a count where the two branches meet


def test_noise_of_a_slice_depends_on_seed_and_slice_alone() -> None:
    one = deviates(3, 17, (4, 9))
    np.testing.assert_array_equal(one, deviates(3, 17, (4, 9)))
    assert not np.array_equal(one, deviates(3, 18, (4, 9)))
    assert not np.array_equal(one, deviates(4, 17, (4, 9)))
    assert not np.array_equal(one[0], one[1])


def test_relative_noise_falls_as_one_over_root_photons() -> None:
    noise = deviates(0, 0, (200, 500))
    signal = np.full((200, 500), 0.01, dtype=np.float32)
    spread = []
    for photons in (5e4, 5e5, 5e6):
        counts = noisy_signal(signal, signal, photons, noise)
        spread.append(float(np.std(counts / (signal * photons))))
    assert spread[0] / spread[1] == pytest.approx(np.sqrt(10), rel=0.02)
    assert spread[1] / spread[2] == pytest.approx(np.sqrt(10), rel=0.02)
    assert spread[0] == pytest.approx(1 / np.sqrt(500), rel=0.02)


def test_compound_statistics_of_an_integrating_detector() -> None:
    # Half of the photons give 0.5, half 1.5 mean photons: variance 1.25 per photon.
    noise = deviates(1, 0, (1000, 400))
    signal = np.ones((1000, 400), dtype=np.float32)
    counts = noisy_signal(signal, 1.25 * signal, 400.0, noise)
    assert counts.mean() == pytest.approx(400, rel=1e-3)
    assert counts.var() == pytest.approx(500, rel=0.02)


def test_electronic_noise_adds_its_own_variance() -> None:
    noise = deviates(2, 0, (1000, 400))
    dark = np.zeros((1000, 400), dtype=np.float32)
    counts = noisy_signal(dark, dark, 1e5, noise, electronic=10.0)
    assert counts.std() == pytest.approx(10.0, rel=0.01)
    assert counts.mean() == pytest.approx(0.0, abs=0.1)


# --- beam ------------------------------------------------------------------------------------


def test_bowtie_is_clear_in_the_middle_and_as_strong_as_asked_at_the_edge() -> None:
    thickness = bowtie_mm([0.0, 100.0, 250.0, 400.0, -250.0], 2.0)
    assert thickness[0] == 0
    assert thickness[2] * mu_per_mm("aluminium", 70.0) == pytest.approx(2.0)
    assert thickness[3] == thickness[2] == thickness[4]
    assert 0 < thickness[1] < thickness[2] / 4
    assert not bowtie_mm(np.arange(300), 0.0).any()


def test_aperture_averages_intensities_not_attenuation() -> None:
    # A bin half covered by dense metal sees half of the beam, not half of the attenuation.
    signal = np.tile([1.0, np.exp(-10.0)], 30)[None].astype(np.float32)
    seen = detect(signal, 2, 0.0, 0.5)
    np.testing.assert_allclose(seen, 0.5 * (1 + np.exp(-10.0)), rtol=1e-6)


@given(st.floats(0, 3), st.floats(0.2, 1.0))
def test_focal_spot_keeps_the_energy(fwhm: float, ray: float) -> None:
    kernel = focal_spot_kernel(fwhm, ray)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_array_equal(kernel, kernel[::-1])


def test_focal_spot_has_the_width_asked_for() -> None:
    line = np.zeros((1, 401), dtype=np.float32)
    line[0, 200] = 1
    spread = detect(line, 1, 2.0, 0.1)[0]
    above = np.flatnonzero(spread >= spread.max() / 2)
    assert (above[-1] - above[0] + 1) * 0.1 == pytest.approx(2.0, abs=0.15)


# --- scatter ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.05, 0.2])
def test_scatter_to_primary_in_the_middle_of_30_cm_of_water_is_the_setting(ratio: float) -> None:
    primary = np.exp(-_water_cylinder() * float(mu_per_mm("water", 70))).astype(np.float32)
    extra = scatter_signal(primary, np.ones(400, np.float32), 1.0, ratio)
    assert extra[0, 200] / primary[0, 200] == pytest.approx(ratio, rel=0.03)
    assert (extra >= 0).all()


def test_scatter_is_smooth_and_absent_without_a_patient() -> None:
    open_beam = np.ones(400, np.float32)
    assert not scatter_signal(open_beam[None], open_beam, 1.0, 0.1).any()
    primary = np.exp(-_water_cylinder() * 0.02).astype(np.float32)
    primary[0, 190:210] *= 1e-3  # a metal shadow with sharp edges
    extra = scatter_signal(primary, open_beam, 1.0, 0.1)[0]
    assert np.abs(np.diff(extra)).max() < 0.02 * extra.max()


# --- detector --------------------------------------------------------------------------------


def test_projection_of_the_air_scan_is_zero_and_limits_hold() -> None:
    air = np.array([1.0, 0.5, 0.2], dtype=np.float32)
    photons = 1e5
    blank = to_projection(air[None] * photons, air, photons, floor_photons=1, saturation=2)
    np.testing.assert_allclose(blank, 0.0, atol=1e-6)
    starved = to_projection(
        np.zeros((1, 3), np.float32), air, photons, floor_photons=1, saturation=2
    )
    np.testing.assert_allclose(starved[0], np.log(air * photons), rtol=1e-6)
    flooded = to_projection(
        np.full((1, 3), 9e9, np.float32), air, photons, floor_photons=1, saturation=2
    )
    np.testing.assert_allclose(flooded[0], np.log(air / 2), rtol=1e-5)


def test_starvation_filter_leaves_rays_with_photons_alone() -> None:
    counts = np.random.default_rng(0).uniform(100, 1000, (50, 60)).astype(np.float32)
    np.testing.assert_array_equal(smooth_starved(counts), counts)


def test_starvation_filter_calms_starved_rays_without_lifting_them() -> None:
    generator = np.random.default_rng(0)
    counts = generator.normal(3.0, 8.0, (200, 200)).astype(np.float32)
    smooth = smooth_starved(counts)
    assert smooth.std() < 0.4 * counts.std()
    assert smooth.mean() == pytest.approx(counts.mean(), abs=2.5)
    beside_open = counts.copy()
    beside_open[:, 100:] = 1e5
    assert smooth_starved(beside_open)[:, :100].mean() < 8.0


# --- corrections -----------------------------------------------------------------------------


@pytest.mark.parametrize("kvp", [80, 120])
def test_water_reads_as_water_of_70_kev_behind_any_bowtie(kvp: int) -> None:
    beam = detected_beam(kvp, ["water", "aluminium"])
    bowtie = np.array([0.0, 10.0, 30.0], dtype=np.float32)
    lengths = np.array([0.0, 1.0, 50.0, 200.0, 400.0])
    weights = beam.signal * np.exp(-np.outer(bowtie, beam.mu["aluminium"]))
    weights /= weights.sum(axis=1, keepdims=True)
    measured = -np.log(np.exp(-np.outer(lengths, beam.mu["water"])) @ weights.T)
    corrected = water_correction(beam, bowtie)(measured.astype(np.float32))
    expected = np.repeat(lengths[:, None] * MU_WATER_PER_MM, 3, axis=1)
    np.testing.assert_allclose(corrected, expected, rtol=2e-4, atol=2e-4)


def test_correction_is_monotonic_far_beyond_its_table() -> None:
    correct = water_correction(detected_beam(120, ["water", "aluminium"]), np.zeros(1))
    values = correct(np.linspace(-1, 30, 2000, dtype=np.float32)[:, None])[:, 0]
    assert (np.diff(values) > 0).all()


def test_without_the_correction_water_cups() -> None:
    paths = np.stack([_water_cylinder(), np.zeros_like(_water_cylinder())])
    settings = {"polychromatic": True, "ray_oversampling": 1}
    on, off = (
        calibrate(ScannerSettings.ideal(water_correction=flag, **settings), [], BINS_MM)
        for flag in (True, False)
    )
    truth = paths[0] * MU_WATER_PER_MM
    inside = truth > 0.5
    corrected, cupped = (a.read_out(a.expose(paths), None) for a in (on, off))
    assert np.abs(corrected - truth)[inside].max() < 2e-3
    relative = (cupped / np.maximum(truth, 1e-3))[inside]
    assert relative[0] > 1.02  # short paths read too high
    assert relative[len(relative) // 2] < 0.99  # long ones too low


# --- kernels and slices ----------------------------------------------------------------------


def test_kernels_keep_the_mean_and_order_by_sharpness() -> None:
    frequency = np.linspace(0, 1.2, 200)
    soft, standard, bone = (kernel_window(k, frequency) for k in ("soft", "standard", "bone"))
    assert soft[0] == standard[0] == bone[0] == 1.0
    assert (soft[1:] <= standard[1:]).all()
    assert (standard[1:] <= bone[1:]).all()
    assert bone.max() > 1.1


def test_kernel_on_a_smooth_view_changes_nothing() -> None:
    view = np.exp(-0.5 * (BINS_MM / 20) ** 2)[None].astype(np.float32)
    np.testing.assert_allclose(apply_kernel(view, 1.0, "standard"), view, atol=2e-3)


@given(st.floats(0.5, 10), st.floats(0.5, 5))
def test_slice_profile_is_centred_and_sums_to_one(thickness: float, spacing: float) -> None:
    samples = np.array(profile_samples(thickness, spacing))
    assert samples[:, 1].sum() == pytest.approx(1.0)
    assert samples[:, 0] @ samples[:, 1] == pytest.approx(0.0, abs=1e-9)
    # A triangle of that width has this standard deviation.
    spread = np.sqrt(samples[:, 0] ** 2 @ samples[:, 1]) * spacing
    assert spread == pytest.approx(thickness / np.sqrt(6), rel=0.15)


def test_no_thickness_is_the_slice_itself() -> None:
    assert profile_samples(None, 2.5) == [(0.0, 1.0)]
