"""Correction straight on raw data, in every geometry, against the known truth."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.mar.raw import correct_sinogram
from spinemar.physics.raw_scan import simulate_raw
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume

SIZE, PIXEL_MM = 160, 2.0


def _disc(x: float, y: float, a: float, b: float | None = None) -> np.ndarray:
    fine = ((np.arange(SIZE * 4) + 0.5) / 4 - 0.5 - (SIZE - 1) / 2) * PIXEL_MM
    inside = ((fine[None] - x) / a) ** 2 + ((fine[:, None] - y) / (b or a)) ** 2 < 1
    return inside.reshape(SIZE, 4, SIZE, 4).mean(axis=(1, 3)).astype(np.float32)


def _patient(slices: int = 1) -> tuple[CTVolume, dict[str, np.ndarray]]:
    hu = -1000 + 1040 * _disc(0, 0, 130, 90) + 250 * _disc(0, 25, 20) - 110 * _disc(-50, 0, 25)
    steel = _disc(-28, 30, 5) + _disc(28, 30, 5)
    affine = np.diag([-PIXEL_MM, -PIXEL_MM, 3.0, 1.0])
    return (
        CTVolume(np.repeat(hu[None], slices, axis=0), affine),
        {"316L": np.repeat(steel[None], slices, axis=0)},
    )


def _settings(**changes: object) -> ScannerSettings:
    return ScannerSettings(**{"n_views": 360, "n_bins": 368, "focal_spot_mm": 0.5, **changes})


@pytest.mark.parametrize(
    ("geometry", "method"),
    [
        ("parallel", "li"),
        ("parallel", "nmar"),
        ("fan-arc", "nmar"),
        ("fan-flat-short", "li"),
        ("helical", "nmar"),
    ],
)
def test_raw_data_of_any_geometry_are_corrected(geometry, method) -> None:
    volume, implants = _patient(slices=3 if geometry == "helical" else 1)
    settings = _settings(geometry=geometry, detector_rows=2, hu_scale="unlimited")
    raw = simulate_raw(volume, implants, settings, slices=slice(0, 1))
    truth = simulate_scan(volume, implants, settings, slices=slice(0, 1)).truth
    done = correct_sinogram(raw, matrix=SIZE, fov_mm=SIZE * PIXEL_MM, method=method)
    assert done.before.geometry.same_as(truth.geometry)
    tissue = (_disc(0, 0, 120, 82) > 0.99) & (_disc(-28, 30, 12) + _disc(28, 30, 12) == 0)
    error = {
        name: float(np.sqrt(((v.hu - truth.hu)[0][tissue] ** 2).mean()))
        for name, v in (("before", done.before), ("after", done.result.volume))
    }
    assert error["before"] > 60
    assert error["after"] < 0.5 * error["before"]
    assert done.result.corrected == (0,)


def test_reconstruction_before_correction_is_the_scanners_own_image() -> None:
    volume, implants = _patient()
    settings = _settings(hu_scale="unlimited")
    raw = simulate_raw(volume, implants, settings, seed=3)
    scan = simulate_scan(volume, implants, settings, seed=3)
    done = correct_sinogram(raw, matrix=SIZE, fov_mm=SIZE * PIXEL_MM, method="li")
    tissue = (_disc(0, 0, 120, 82) > 0.99) & (_disc(-28, 30, 12) + _disc(28, 30, 12) == 0)
    difference = (done.before.hu - scan.volume.hu)[0][tissue]
    assert np.sqrt((difference**2).mean()) < 6


def test_a_targeted_image_inside_a_large_body_keeps_its_hu() -> None:
    volume, _ = _patient()
    raw = simulate_raw(volume, {}, _settings(quantum_noise=False, electronic_noise=0.0))
    done = correct_sinogram(raw, matrix=100, fov_mm=100.0, method="li")
    assert done.result.volume is done.before  # no metal: unchanged
    centre = done.before.hu[0, 30:50, 40:60]
    assert centre.mean() == pytest.approx(40, abs=6)


def test_bad_requests_are_refused() -> None:
    volume, _ = _patient()
    raw = simulate_raw(volume, {}, _settings())
    with pytest.raises(InputError, match="kernel"):
        correct_sinogram(raw, kernel="crisp")
    with pytest.raises(InputError, match="cannot be reconstructed"):
        correct_sinogram(raw, fov_mm=1.0)
