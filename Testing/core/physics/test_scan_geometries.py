"""The simulator scans the same patient in every geometry."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.physics.scanner import simulate_scan
from spinemar.volume import CTVolume

SILENT = {"quantum_noise": False, "electronic_noise": 0.0, "hu_scale": "unlimited"}


@pytest.mark.parametrize(
    "geometry", ["fan-arc", "fan-flat", "fan-arc-short", "fan-flat-short", "helical"]
)
def test_every_geometry_shows_the_patient_of_the_parallel_one(geometry, disc, body, small) -> None:
    volume = CTVolume(np.repeat(body.hu, 3, axis=0), body.ijk_to_ras)
    rods = np.repeat((disc(-30, 20, 3.0) + disc(30, 20, 3.0))[None], 3, axis=0)
    implants = {"Ti-6Al-4V": rods}
    chosen = slice(1, 2)
    parallel = simulate_scan(volume, implants, small(**SILENT), slices=chosen)
    other = simulate_scan(volume, implants, small(geometry=geometry, **SILENT), slices=chosen)
    inside = disc(0, 0, 115, 80) > 0.99
    truth = (other.truth.hu - parallel.truth.hu)[0][inside]
    assert np.sqrt((truth**2).mean()) < 6
    assert abs(truth.mean()) < 1
    between = disc(0, 20, 12, 2.5) > 0.5
    dark = [(scan.volume.hu - scan.truth.hu)[0][between].mean() for scan in (parallel, other)]
    assert dark[1] == pytest.approx(dark[0], rel=0.4)
    assert dark[1] < -20


def test_a_helix_smears_the_ends_of_metal_along_z(disc, body, small) -> None:
    volume = CTVolume(np.repeat(body.hu, 5, axis=0), body.ijk_to_ras)
    metal = np.zeros_like(volume.hu)
    metal[2] = disc(0, 20, 6)
    settings = small(geometry="helical", detector_rows=2, **SILENT)
    helical = simulate_scan(volume, {"316L": metal}, settings)
    axial = simulate_scan(volume, {"316L": metal}, small(**SILENT))
    change = [np.abs(scan.volume.hu - scan.truth.hu)[1].mean() for scan in (axial, helical)]
    assert change[0] == 0
    assert change[1] > 1


def test_noise_of_a_helix_is_seeded_and_shared(disc, body, small) -> None:
    volume = CTVolume(np.repeat(body.hu, 3, axis=0), body.ijk_to_ras)
    settings = small(geometry="helical", detector_rows=2)
    none = simulate_scan(volume, {}, settings, seed=4)
    np.testing.assert_array_equal(none.volume.hu, none.truth.hu)
    again = simulate_scan(volume, {}, settings, seed=4, slices=slice(1, 2))
    np.testing.assert_array_equal(again.volume.hu[0], none.volume.hu[1])
    other = simulate_scan(volume, {}, settings, seed=5, slices=slice(1, 2))
    assert (other.volume.hu != again.volume.hu).any()
