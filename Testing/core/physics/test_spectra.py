"""Tube spectra, and their reduction to a few energies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from spinemar.errors import InputError
from spinemar.physics.effects.polychromatic import transmission
from spinemar.physics.materials import mu_per_mm
from spinemar.physics.spectra import (
    detected_beam,
    load_spectrum,
    tube_voltages,
)
from spinemar.physics.tables import recipe

# Mass energy-absorption of dry air (NIST), cm2/g, for air kerma.
AIR_KEV = np.array([10, 15, 20, 30, 40, 50, 60, 80, 100, 150.0])
AIR_ABSORPTION = np.array(
    [4.742, 1.334, 0.5389, 0.1537, 0.06833, 0.04098, 0.03041, 0.02407, 0.02325, 0.02496]
)


@pytest.mark.parametrize("kvp", tube_voltages())
def test_spectrum_ends_at_the_tube_voltage_and_sums_to_one(kvp: int) -> None:
    spectrum = load_spectrum(kvp)
    assert spectrum.photons.sum() == pytest.approx(1.0)
    assert spectrum.energies_kev.max() <= kvp
    assert (spectrum.photons > 0).all()


def test_mean_energy_rises_with_voltage_and_with_filtration() -> None:
    means = [load_spectrum(kvp).mean_energy_kev for kvp in tube_voltages()]
    assert means == sorted(means)
    soft = load_spectrum(120)
    assert soft.behind("water", 200).mean_energy_kev > soft.mean_energy_kev + 3


@pytest.mark.parametrize("kvp", tube_voltages())
def test_half_value_layer_of_the_shipped_table_is_the_recipes(kvp: int) -> None:
    spectrum = load_spectrum(kvp)
    energies = spectrum.energies_kev
    kerma = energies * np.exp(np.interp(np.log(energies), np.log(AIR_KEV), np.log(AIR_ABSORPTION)))
    kerma = kerma * spectrum.photons

    def left(thickness_mm: float) -> float:
        passed = np.exp(-mu_per_mm("aluminium", energies) * thickness_mm)
        return float((kerma * passed).sum() / kerma.sum() - 0.5)

    stated = recipe()["spectra"]["quality"][str(kvp)]["hvl_mm_al"]
    assert brentq(left, 1, 20) == pytest.approx(stated, rel=0.03)


def test_tungsten_lines_stand_out_above_their_edge_only() -> None:
    def line(kvp: int) -> float:
        spectrum = load_spectrum(kvp)
        around = np.interp([59, 55, 64], spectrum.energies_kev, spectrum.photons)
        return float(around[0] / around[1:].mean())

    assert line(120) > 1.5
    assert line(80) > 1.0


def test_a_beam_keeps_the_mean_response_and_all_photons() -> None:
    beam = detected_beam(120, ["water"], n_groups=20)
    assert beam.photons.sum() == pytest.approx(1.0)
    assert beam.signal.sum() == pytest.approx(1.0)
    assert (np.diff(beam.energies_kev) > 0).all()
    assert (np.diff(beam.response) > 0).all()  # an integrating detector


@pytest.mark.parametrize("kvp", tube_voltages())
def test_few_groups_stand_for_the_whole_spectrum(kvp: int) -> None:
    names = ["water", "cortical_bone", "Ti-6Al-4V"]
    generator = np.random.default_rng(1)
    paths = generator.uniform(0, [[300], [40], [15]], (3, 500)).astype(np.float32)

    def projection(groups: int) -> np.ndarray:
        beam = detected_beam(kvp, names, n_groups=groups)
        return -np.log(transmission(paths, beam.mu_table(names), beam.signal[None])[0])

    exact = projection(1000)
    few = np.abs(projection(24) - exact) / exact
    fewer = np.abs(projection(12) - exact) / exact
    assert few.max() < 0.004
    assert few.mean() < fewer.mean()


def test_one_energy_is_monochromatic() -> None:
    beam = detected_beam(120, ["water"], monochromatic_kev=70)
    assert beam.energies_kev.tolist() == [70]
    assert beam.mu["water"][0] == pytest.approx(float(mu_per_mm("water", 70)))


def test_unknown_voltage_is_refused() -> None:
    with pytest.raises(InputError, match="90 kVp"):
        load_spectrum(90)
    with pytest.raises(InputError, match="at least one energy"):
        detected_beam(120, ["water"], n_groups=0)
