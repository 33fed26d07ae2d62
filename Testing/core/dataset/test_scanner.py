"""The dose that exposure control gives a patient."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from spinemar.dataset.sampling.protocol import ScanProtocol, can_be_seen_through
from spinemar.physics.scanner_settings import ScannerSettings

SHOULDERS, ABDOMEN = 10.5, 5.0  # largest line integrals


def protocol(**changes):
    settings = replace(ScannerSettings(), **changes)
    return ScanProtocol("post", settings, (0.0, 0.0), (0.0, 0.0), 500.0, 400.0, 1.0, 1.0)


@pytest.mark.parametrize("photons", [1e5, 2e6])
@pytest.mark.parametrize("path", [3.0, ABDOMEN, 7.0, 9.0, SHOULDERS])
def test_no_target_is_starved(photons, path):
    given = protocol(photons_per_ray=photons).exposed_for(path).settings
    assert given.photons_per_ray * math.exp(-path) >= 500 * (1 - 1e-9)
    assert given.photons_per_ray >= photons


def test_dose_rises_with_the_patient_and_slim_ones_get_what_was_drawn():
    doses = [protocol().exposed_for(path).settings.photons_per_ray for path in (3, 6, 8, 10, 12)]
    assert doses == sorted(doses)
    assert doses[0] == ScannerSettings().photons_per_ray
    assert doses[-1] > 3 * doses[0]


def test_nobody_scans_shoulders_with_a_low_voltage():
    assert protocol(kvp=80).exposed_for(SHOULDERS).settings.kvp == 120
    assert protocol(kvp=140).exposed_for(SHOULDERS).settings.kvp == 140
    assert protocol(kvp=80).exposed_for(ABDOMEN).settings.kvp == 80


def test_no_dose_is_enough_for_half_a_metre_of_water_and_more():
    """500 photons behind 0.02 / mm of 540 mm would take 2.5e7 in front of it."""
    assert can_be_seen_through(SHOULDERS)
    assert not can_be_seen_through(0.02 * 540)
    most = protocol().exposed_for(math.log(2e7 / 500)).settings.photons_per_ray
    assert most <= 2e7 * (1 + 1e-9)
