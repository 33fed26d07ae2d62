"""Beer-Lambert: limit cases are exact, mixtures lie between their parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spinemar.physics.effects.polychromatic import transmission
from spinemar.physics.materials import mu_per_mm
from spinemar.physics.scans.decomposition import tissue_fractions
from spinemar.physics.spectra import detected_beam


def test_no_path_transmits_everything() -> None:
    beam = detected_beam(120, ["water", "316L"])
    paths = np.zeros((2, 5, 7), dtype=np.float32)
    passed = transmission(paths, beam.mu_table(["water", "316L"]), beam.signal[None])
    np.testing.assert_allclose(passed, 1.0, rtol=1e-6)


def test_one_energy_is_the_exponential_of_the_line_integral() -> None:
    mu = mu_per_mm("Ti-6Al-4V", [70.0])[None]
    lengths = np.linspace(0, 50, 1001, dtype=np.float32)[None]
    passed = transmission(lengths, mu, np.ones((1, 1)))
    np.testing.assert_allclose(-np.log(passed[0]), mu[0, 0] * lengths[0], rtol=2e-6, atol=1e-6)


def test_a_thin_layer_shows_the_signal_weighted_attenuation() -> None:
    beam = detected_beam(120, ["water"])
    thin = np.full((1, 1), 0.01, dtype=np.float32)
    passed = transmission(thin, beam.mu_table(["water"]), beam.signal[None])
    expected = float(beam.signal @ beam.mu["water"]) * 0.01
    assert -np.log(float(passed[0, 0])) == pytest.approx(expected, rel=2e-3)


def test_a_very_thick_layer_passes_only_its_hardest_energies() -> None:
    beam = detected_beam(120, ["316L"])
    depth = np.array([[40.0, 41.0]], dtype=np.float32)
    passed = transmission(depth, beam.mu_table(["316L"]), beam.signal[None])[0]
    slope = float(np.log(passed[0] / passed[1]))
    assert slope == pytest.approx(float(beam.mu["316L"].min()), rel=0.10)
    assert slope < float(beam.signal @ beam.mu["316L"]) / 2


@given(
    hnp.arrays(np.float32, (2, 9), elements=st.floats(0, 60, width=32)),
    hnp.arrays(np.float32, (9,), elements=st.floats(0, 20, width=32)),
)
def test_more_material_never_lets_more_through(paths: np.ndarray, extra: np.ndarray) -> None:
    beam = detected_beam(100, ["water", "CoCrMo"])
    mu = beam.mu_table(["water", "CoCrMo"])
    before = transmission(paths, mu, beam.signal[None])[0]
    after = transmission(paths + np.stack([extra, extra]), mu, beam.signal[None])[0]
    assert (after <= before * (1 + 1e-5)).all()
    assert (before <= 1 + 1e-5).all()
    assert (after >= 0).all()


def test_result_does_not_depend_on_the_blocks() -> None:
    beam = detected_beam(120, ["water"])
    mu = beam.mu_table(["water"])
    paths = np.random.default_rng(0).uniform(0, 300, (1, 37, 911)).astype(np.float32)
    whole = transmission(paths, mu, beam.signal[None])
    single = transmission(paths[:, 20:21], mu, beam.signal[None])
    np.testing.assert_allclose(whole[:, 20:21], single, rtol=1e-5)


@given(hnp.arrays(np.float32, (50,), elements=st.floats(-3000, 3071, width=32)))
def test_tissue_keeps_the_attenuation_its_hu_state(hu: np.ndarray) -> None:
    water, bone = tissue_fractions(hu)
    mu = water * mu_per_mm("water", 70) + bone * mu_per_mm("cortical_bone", 70)
    stated = np.maximum(1 + hu / 1000, 0) * mu_per_mm("water", 70)
    np.testing.assert_allclose(mu, stated, rtol=1e-4, atol=1e-6)
    assert (water >= 0).all()
    assert (bone >= 0).all()
    assert not bone[hu <= 100].any()
