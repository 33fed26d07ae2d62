"""Attenuation against published values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinemar.errors import InputError
from spinemar.physics.materials import METALS, density_g_cm3, hu_at, material_names, mu_per_mm
from spinemar.physics.tables import recipe


@pytest.mark.parametrize(
    ("material", "per_cm"),
    [("Ti-6Al-4V", 2.30), ("Ti", 2.43), ("Fe", 6.43), ("Co", 7.88), ("water", 0.193)],
)
def test_metals_and_water_match_the_design_figures_at_70_kev(material: str, per_cm: float) -> None:
    assert 10 * mu_per_mm(material, 70.0) == pytest.approx(per_cm, rel=0.02)


@pytest.mark.parametrize(
    ("material", "energy_kev", "mass_cm2_g"),
    [
        # NIST XCOM / NISTIR 5632 tables, cm2/g
        ("water", 60, 0.2059),
        ("water", 100, 0.1707),
        ("water", 30, 0.3756),
        ("aluminium", 60, 0.2778),
        ("Fe", 100, 0.3717),
        ("Ti", 60, 0.7661),
        ("cortical_bone", 60, 0.3148),
        ("cortical_bone", 100, 0.1855),
        ("adipose", 60, 0.1974),
        ("air", 60, 0.1875),
    ],
)
def test_mass_attenuation_matches_nist(material: str, energy_kev: float, mass_cm2_g: float) -> None:
    mass = 10 * mu_per_mm(material, energy_kev) / density_g_cm3(material)
    assert mass == pytest.approx(mass_cm2_g, rel=0.02)


def test_steel_and_cobalt_chrome_attenuate_about_three_times_as_much_as_titanium() -> None:
    titanium = mu_per_mm("Ti-6Al-4V", 70.0)
    assert 2.8 < mu_per_mm("316L", 70.0) / titanium < 3.2
    assert 3.1 < mu_per_mm("CoCrMo", 70.0) / titanium < 3.6


def test_tissues_lie_where_a_radiologist_expects_them() -> None:
    assert hu_at("water") == pytest.approx(0.0)
    assert hu_at("air") == pytest.approx(-999, abs=1)
    assert -110 < hu_at("adipose") < -60
    assert 30 < hu_at("soft_tissue") < 80
    assert 200 < hu_at("trabecular_bone") < 350
    assert 1300 < hu_at("cortical_bone") < 1700
    assert 100 < hu_at("PEEK") < 250


@given(st.sampled_from(material_names()), st.floats(10, 149), st.floats(0.05, 1))
def test_attenuation_is_positive_and_falls_between_edges(
    material: str, energy_kev: float, step: float
) -> None:
    low, high = mu_per_mm(material, [energy_kev, energy_kev + step])
    assert low > 0
    # Only molybdenum (20), barium (37), gadolinium (50) and tantalum (67 keV) have edges in this
    # range.
    past_its_edge = 69 if material == "Ta" else 21
    if material in METALS and energy_kev > past_its_edge:
        assert high < low


@pytest.mark.parametrize(
    ("material", "below_kev", "rise"),
    # K edges: tantalum at 67.4 keV, barium, a ninth of the cement's mass, at 37.4.
    [("Ta", 67, 3.0), ("PMMA-BaSO4", 37, 2.5)],
)
def test_heavy_elements_rise_at_their_edges(material: str, below_kev: int, rise: float) -> None:
    below, above = mu_per_mm(material, [below_kev, below_kev + 1])
    assert above > rise * below


def test_plastics_and_cement_lie_where_scans_show_them() -> None:
    assert hu_at("PEEK") < hu_at("CF-PEEK") < 500
    # Cement is brighter than cortex and darker than titanium.
    assert hu_at("cortical_bone") < hu_at("PMMA-BaSO4") < hu_at("Ti-6Al-4V")
    assert "PMMA-BaSO4" not in METALS
    assert "CF-PEEK" not in METALS
    assert "Ta" in METALS


def test_compositions_are_complete_and_cited() -> None:
    for name, facts in recipe()["materials"].items():
        assert sum(facts["mass_percent"].values()) == pytest.approx(100, abs=0.2), name
        assert facts["source"]


def test_unknown_material_and_energy_are_refused_with_a_remedy() -> None:
    with pytest.raises(InputError, match="unobtainium"):
        mu_per_mm("unobtainium", 70)
    with pytest.raises(InputError, match="10 to 150 keV"):
        mu_per_mm("water", np.array([5.0, 70.0]))
