"""The whole scanner against phantoms with known contents."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import CancelledError, GeometryError, InputError
from spinemar.physics.effects.noise import deviates
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.scans.acquisition import calibrate
from spinemar.physics.spectra import detected_beam, tube_voltages
from spinemar.progress import CancelToken, Progress
from spinemar.volume import CTVolume

SILENT = {"quantum_noise": False, "electronic_noise": 0.0, "hu_scale": "unlimited"}


def _expected_hu(kvp: int, material: str, offset: tuple[float, float], radius: float) -> float:
    """CT number of an insert: water-equivalent attenuation along rays through its middle.

    Polychromatic Beer-Lambert with the whole 1 keV spectrum for the chord of a 250 mm water
    cylinder with the insert's diameter replaced by its material, inverted to water and
    averaged over all directions (attenuation weighted by the spectrum that arrives there).
    """
    beam = detected_beam(kvp, ["water", material], n_groups=1000)
    lengths = np.arange(0, 500, 0.5)
    water = -np.log(np.exp(-np.outer(lengths, beam.mu["water"])) @ beam.signal)
    angle = np.linspace(0, np.pi, 90, endpoint=False)
    r = offset[0] * np.cos(angle) + offset[1] * np.sin(angle)
    rest = 2 * np.sqrt(125**2 - r**2) - 2 * radius
    exponent = np.outer(rest, beam.mu["water"]) + 2 * radius * beam.mu[material]
    equivalent = np.interp(-np.log(np.exp(-exponent) @ beam.signal), water, lengths)
    return float(1000 * ((equivalent - rest) / (2 * radius) - 1).mean())


@pytest.mark.parametrize("kvp", tube_voltages())
def test_inserts_have_their_ct_numbers_at_every_voltage(kvp, disc, air, small) -> None:
    places = {
        "adipose": (70, 0),
        "trabecular_bone": (0, 70),
        "cortical_bone": (-70, 0),
        "soft_tissue": (0, -70),
    }
    inserts = {name: disc(*place, 10) for name, place in places.items()}
    inserts["water"] = np.clip(disc(0, 0, 125) - sum(inserts.values()), 0, 1)
    scan = simulate_scan(
        air, {n: f[None] for n, f in inserts.items()}, small(kvp=kvp, scatter=0.0, **SILENT)
    ).volume.hu[0]
    assert scan[disc(0, 0, 30) > 0.99].mean() == pytest.approx(0, abs=2)
    assert scan[disc(-150, -150, 12) > 0.99].mean() == pytest.approx(-1000, abs=2)
    for name, place in places.items():
        tolerance = 30 if "bone" in name else 10
        measured = scan[disc(*place, 5) > 0.99].mean()
        expected = _expected_hu(kvp, name, place, 10)
        assert measured == pytest.approx(expected, abs=tolerance), name


def test_water_cylinder_of_30_cm_cups_only_without_the_correction(disc, air, small) -> None:
    water = {"water": disc(0, 0, 150)[None]}
    cupping = {}
    for corrected in (True, False):
        settings = small(water_correction=corrected, scatter=0.0, bowtie=0.0, **SILENT)
        scan = simulate_scan(air, water, settings).volume.hu[0]
        rim = (disc(0, 0, 138) > 0.99) & (disc(0, 0, 128) < 0.01)
        cupping[corrected] = scan[rim].mean() - scan[disc(0, 0, 30) > 0.99].mean()
    assert abs(cupping[True]) < 4
    assert cupping[False] > 25


def test_uncorrected_scatter_darkens_the_middle(disc, air, small) -> None:
    water = {"water": disc(0, 0, 150)[None]}
    middle = {}
    for share in (0.0, 0.85, 1.0):
        settings = small(scatter_correction=share, scatter=0.1, **SILENT)
        scan = simulate_scan(air, water, settings).volume.hu[0]
        middle[share] = scan[disc(0, 0, 30) > 0.99].mean()
    assert middle[0.0] < middle[0.85] - 5 < middle[1.0]
    assert abs(middle[0.85]) < 8


def test_noise_falls_as_one_over_root_photons(body, disc, small) -> None:
    inside = disc(0, 0, 100, 70) > 0.99
    clean = simulate_scan(body, {}, small(**SILENT), with_truth=False).volume.hu[0]
    noise = []
    for photons in (4e5, 4e6):
        settings = small(photons_per_ray=photons, electronic_noise=0.0, hu_scale="unlimited")
        scan = simulate_scan(body, {}, settings, with_truth=False).volume.hu[0]
        noise.append((scan - clean)[inside].std())
    assert noise[0] / noise[1] == pytest.approx(np.sqrt(10), rel=0.05)


def test_the_ideal_scanner_returns_the_patient(body, disc, small_ideal) -> None:
    scan = simulate_scan(body, {}, small_ideal(kernel="bone"), with_truth=False).volume.hu[0]
    flat = (disc(0, 0, 110, 75) > 0.99) & (disc(0, 20, 28) < 0.01)
    assert np.abs(scan - body.hu[0])[flat].mean() < 4
    assert scan[disc(0, 20, 14) > 0.99].mean() == pytest.approx(300, abs=4)


# --- metal -----------------------------------------------------------------------------------


def _rods(disc) -> np.ndarray:
    """Two 6 mm rods 60 mm apart."""
    return (disc(-30, 20, 3.0) + disc(30, 20, 3.0))[None]


def _regions(disc) -> tuple[np.ndarray, np.ndarray]:
    """Between the rods, and away from metal but on no line through both."""
    between = disc(0, 20, 12, 2.5) > 0.5
    tissue = (disc(0, 0, 110, 75) > 0.99) & (disc(0, 20, 60, 12) < 0.01)
    return between, tissue


def test_two_titanium_rods_have_a_dark_band_between_them_and_bright_streaks(
    disc, body, small
) -> None:
    scan = simulate_scan(body, {"Ti-6Al-4V": _rods(disc)}, small(**SILENT))
    error = (scan.volume.hu - scan.truth.hu)[0]
    between, _ = _regions(disc)
    above = disc(0, 32, 12, 2.5) > 0.5  # just off the band
    assert error[between].mean() < -30
    assert error[above].mean() > error[between].mean() + 30
    near = (disc(-30, 20, 14) > 0.5) & (disc(-30, 20, 7) < 0.01)
    assert error[near].max() > 30


def test_steel_is_far_worse_than_titanium_and_peek_is_harmless(disc, body, small) -> None:
    between, tissue = _regions(disc)
    rmse, dark = {}, {}
    for material in ("PEEK", "Ti-6Al-4V", "316L", "CoCrMo"):
        scan = simulate_scan(body, {material: _rods(disc)}, small(**SILENT))
        truth = simulate_scan(body, {}, small(**SILENT), with_truth=False).volume
        error = (scan.volume.hu - truth.hu)[0]
        rmse[material] = float(np.sqrt((error[tissue] ** 2).mean()))
        dark[material] = float(error[between].mean())
    assert rmse["PEEK"] < 2
    assert rmse["316L"] > 2.5 * rmse["Ti-6Al-4V"] > 5 * rmse["PEEK"]
    assert rmse["CoCrMo"] > rmse["316L"]
    assert dark["316L"] < 3 * dark["Ti-6Al-4V"] < 0


def test_artifacts_need_the_physics_that_cause_them(disc, body, small_ideal) -> None:
    between, _ = _regions(disc)
    implants = {"316L": _rods(disc)}
    band = {}
    for name, changes in {
        "none": {},
        "hardening": {"polychromatic": True, "water_correction": True},
        "scatter": {"scatter": 0.1, "scatter_correction": 0.0},
    }.items():
        scan = simulate_scan(body, implants, small_ideal(**changes))
        band[name] = float((scan.volume.hu - scan.truth.hu)[0][between].mean())
    assert abs(band["none"]) < 15
    assert band["hardening"] < -150
    assert band["scatter"] < -50


# --- pairs -----------------------------------------------------------------------------------


def test_without_metal_the_scan_is_its_own_truth(body, small) -> None:
    scan = simulate_scan(body, {}, small(), seed=5)
    np.testing.assert_array_equal(scan.volume.hu, scan.truth.hu)
    peek = {"PEEK": np.zeros_like(body.hu)}
    peek["PEEK"][0, 60:64, 60:64] = 1
    scan = simulate_scan(body, peek, small(), seed=5)
    np.testing.assert_array_equal(scan.volume.hu, scan.truth.hu)
    assert not scan.metal_fraction.any()


def test_pairs_share_their_noise(body, disc, small) -> None:
    implants = {"Ti-6Al-4V": 0.1 * disc(0, 0, 3)[None]}
    noisy = simulate_scan(body, implants, small(hu_scale="unlimited"), seed=1)
    silent = simulate_scan(body, implants, small(**SILENT))
    own = noisy.volume.hu - silent.volume.hu
    twin = noisy.truth.hu - silent.truth.hu
    assert own.std() > 2
    # Rays through the speck differ a little in their rate, no ray in its deviate.
    assert (own - twin).std() < 0.05 * twin.std()
    stranger = simulate_scan(body, implants, small(hu_scale="unlimited"), seed=2)
    assert (stranger.truth.hu - noisy.truth.hu).std() > 1.2 * twin.std()


def test_rays_beside_the_metal_keep_their_noise_to_the_last_bit(small) -> None:
    settings = small(scatter=0.0, starvation_filter=False)
    offsets = (np.arange(368) - 183.5) * 1.3
    scanner = calibrate(settings, ["316L"], offsets)
    paths = np.zeros((3, 10, 368), dtype=np.float32)
    paths[0] = 200.0
    metal = paths.copy()
    metal[2, :, 100:120] = 8.0
    noise = deviates(0, 0, (10, 184))
    with_metal, without = (scanner.read_out(scanner.expose(each), noise) for each in (metal, paths))
    far = np.r_[0:45, 65:184]
    np.testing.assert_array_equal(with_metal[:, far], without[:, far])
    assert (with_metal[:, 52:58] > without[:, 52:58] + 1).all()


def test_noise_is_seeded_and_belongs_to_the_slice(body, disc, small) -> None:
    volume = CTVolume(np.repeat(body.hu, 4, axis=0), body.ijk_to_ras)
    implants = {"316L": np.repeat(_rods(disc), 4, axis=0)}
    whole = simulate_scan(volume, implants, small(), seed=2)
    again = simulate_scan(volume, implants, small(), seed=2)
    np.testing.assert_array_equal(whole.volume.hu, again.volume.hu)
    part = simulate_scan(volume, implants, small(), seed=2, slices=slice(2, 3))
    np.testing.assert_array_equal(part.volume.hu[0], whole.volume.hu[2])
    np.testing.assert_array_equal(part.truth.hu[0], whole.truth.hu[2])
    np.testing.assert_allclose(
        part.volume.geometry.to_ras([0, 0, 0]), volume.geometry.to_ras([0, 0, 2])
    )
    other = simulate_scan(volume, implants, small(), seed=3, slices=slice(2, 3))
    assert (other.volume.hu[0] != whole.volume.hu[2]).any()
    assert (whole.truth.hu[0] != whole.truth.hu[1]).any()


# --- stored image ----------------------------------------------------------------------------


def test_twelve_bits_clip_and_round_and_the_extended_scale_does_not_clip(body, disc, small) -> None:
    implants = {"316L": _rods(disc)}
    clipped = simulate_scan(body, implants, small()).volume.hu
    assert clipped.max() == 3071
    assert clipped.min() >= -1024
    np.testing.assert_array_equal(clipped, np.rint(clipped))
    assert simulate_scan(body, implants, small(hu_scale="extended")).volume.hu.max() > 3500


def test_targeted_reconstruction_shows_the_same_anatomy_in_its_place(body, disc, small) -> None:
    full = simulate_scan(body, {"Ti-6Al-4V": _rods(disc)}, small(**SILENT))
    zoomed = simulate_scan(
        body,
        {"Ti-6Al-4V": _rods(disc)},
        small(reconstruction_fov_mm=160.0, matrix=96, **SILENT),
    )
    assert zoomed.volume.hu.shape == (1, 96, 96)
    assert zoomed.volume.spacing_mm[0] == pytest.approx(160 / 96)
    for point in ([0.0, 20.0], [0.0, -60.0], [-30.0, 20.0]):
        centre = full.volume.geometry.to_ras([63.5, 63.5, 0])
        ras = centre + np.array([*point, 0.0])
        values = []
        for volume in (full.volume, zoomed.volume):
            i, j, _ = np.rint(volume.geometry.to_ijk(ras)).astype(int)
            values.append(volume.hu[0, j - 1 : j + 2, i - 1 : i + 2].mean())
        assert values[0] == pytest.approx(values[1], abs=60 if point[0] == 0 else 3000)
    area = [s.metal_fraction.sum() * np.prod(s.volume.spacing_mm[:2]) for s in (full, zoomed)]
    assert area[0] == pytest.approx(area[1], rel=0.03)


def test_thick_slices_average_over_neighbours_in_intensity(disc, air, small_ideal) -> None:
    hu = np.repeat(air.hu, 3, axis=0)
    volume = CTVolume(hu, air.ijk_to_ras)
    water = np.repeat(disc(0, 0, 100)[None], 3, axis=0)
    metal = np.zeros_like(water)
    metal[1] = disc(0, 0, 8)
    implants = {"water": np.clip(water - metal, 0, 1), "316L": metal}
    thin = simulate_scan(volume, implants, small_ideal()).volume.hu
    thick = simulate_scan(volume, implants, small_ideal(slice_thickness_mm=2.0)).volume.hu
    middle = disc(0, 0, 4) > 0.99
    linear = 0.125 * thin[0] + 0.75 * thin[1] + 0.125 * thin[2]
    # More light comes through the thin part: the average reads below the linear one.
    assert thick[1][middle].mean() < 0.8 * linear[middle].mean()
    assert thick[0][middle].mean() > thin[0][middle].mean() + 100


def test_pixels_need_not_be_square_nor_the_matrix(disc, small) -> None:
    rows, columns = 100, 140
    y = (np.arange(rows) - 49.5)[:, None] * 3.0
    x = (np.arange(columns) - 69.5)[None] * 2.0
    hu = np.where((x / 110) ** 2 + (y / 90) ** 2 < 1, 0.0, -1000.0).astype(np.float32)
    volume = CTVolume(hu[None], np.diag([2.0, 3.0, 2.0, 1.0]))
    scan = simulate_scan(volume, {}, small(scatter=0.0, **SILENT)).volume
    assert scan.hu.shape == volume.hu.shape
    assert scan.hu[0, 40:60, 60:80].mean() == pytest.approx(0, abs=4)


# --- refusal ---------------------------------------------------------------------------------


def test_bad_implants_are_refused(body) -> None:
    with pytest.raises(GeometryError, match="own grid"):
        simulate_scan(body, {"316L": np.zeros((1, 4, 4), np.float32)})
    with pytest.raises(InputError, match="fractions from 0 to 1"):
        simulate_scan(body, {"316L": np.full_like(body.hu, 100.0)})
    with pytest.raises(InputError, match="fractions from 0 to 1"):
        simulate_scan(body, {"316L": np.full_like(body.hu, np.nan)})
    with pytest.raises(InputError, match="kryptonite"):
        simulate_scan(body, {"kryptonite": np.zeros_like(body.hu)})
    with pytest.raises(InputError, match="No slice"):
        simulate_scan(body, {}, slices=slice(5, 9))


@pytest.mark.parametrize(
    "change",
    [
        {"kvp": 90},
        {"kernel": "sharp"},
        {"geometry": "cone"},
        {"photons_per_ray": 0.0},
        {"photons_per_ray": float("nan")},
        {"pitch": 9.0},
    ],
)
def test_absurd_settings_are_refused_by_name(change) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        ScannerSettings(**change)


def test_settings_travel_as_json_and_unknown_ones_are_refused() -> None:
    settings = ScannerSettings(kvp=100, kernel="bone", slice_thickness_mm=1.5)
    assert ScannerSettings.from_json(settings.to_json()) == settings
    with pytest.raises(InputError, match="flux"):
        ScannerSettings.from_json({"flux": 1})


def test_progress_is_told_and_cancel_stops(body, small) -> None:
    volume = CTVolume(np.repeat(body.hu, 3, axis=0), body.ijk_to_ras)
    seen: list[Progress] = []
    simulate_scan(volume, {}, small(), progress=seen.append)
    assert [p.done for p in seen] == [1, 2, 3]
    assert seen[-1].fraction == 1.0
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        simulate_scan(volume, {}, small(), cancel=token)
