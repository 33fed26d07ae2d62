"""`spinemar simulate` on a small patient."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spinemar.io import read_labels, read_volume, write_labels, write_volume
from spinemar.tomography.raw_data.sinogram_files import read_sinogram
from spinemar.volume import CTVolume, LabelVolume

SIDE, PIXEL = 96, 3.2


@pytest.fixture
def patient(tmp_path: Path) -> tuple[Path, Path]:
    """CT of a body with spine, and a mask of two rods."""
    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) * PIXEL
    hu = np.full((3, SIDE, SIDE), -1000, dtype=np.float32)
    hu[:, (x / 120) ** 2 + (y / 85) ** 2 < 1] = 40
    hu[:, np.hypot(x, y - 20) < 20] = 300
    rods = (np.hypot(x - 25, y - 25) < 4.5) | (np.hypot(x + 25, y - 25) < 4.5)
    affine = np.diag([-PIXEL, -PIXEL, 2.5, 1.0])
    write_volume(tmp_path / "ct.nrrd", CTVolume(hu, affine))
    labels = np.zeros(hu.shape, dtype=np.int16)
    labels[:2, rods] = 1
    write_labels(tmp_path / "rods.nrrd", LabelVolume(labels, affine))
    return tmp_path / "ct.nrrd", tmp_path / "rods.nrrd"


def test_a_folder_gets_scan_truth_noise_free_metal_and_settings(
    spinemar, patient, tmp_path
) -> None:
    ct, rods = patient
    out = tmp_path / "scan"
    run = spinemar(
        "simulate", ct, "--implants", f"{rods}=316L", "--photons", "3e5", "--seed", 4, "-o", out,
        "--raw", tmp_path / "raw.npz", "--json",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert run.json["materials"] == ["316L"]
    scan, truth, silent = (
        read_volume(out / f"{name}.nrrd") for name in ("scan", "truth", "noise_free")
    )
    assert scan.geometry.same_as(read_volume(ct).geometry)
    assert np.abs(scan.hu - truth.hu)[:2].max() > 500
    np.testing.assert_array_equal(scan.hu[2], truth.hu[2])
    assert (truth.hu - silent.hu).std() > 1
    metal = read_labels(out / "metal.nrrd").labels
    np.testing.assert_array_equal(metal, read_labels(rods).labels)
    facts = json.loads((out / "scan.json").read_text())
    assert facts["seed"] == 4
    assert facts["settings"]["photons_per_ray"] == 3e5
    assert read_sinogram(tmp_path / "raw.npz").projections.shape == (3, 720, 736)


def test_a_file_gets_the_scan_alone_in_the_geometry_asked_for(spinemar, patient, tmp_path) -> None:
    ct, rods = patient
    out = tmp_path / "one.nii.gz"
    run = spinemar(
        "simulate", ct, "--implants", rods, "--slices", "2:2", "--geometry", "fan-arc",
        "--fov", 160, "--matrix", 64, "--hu-scale", "extended", "--without", "noise", "-o", out,
    )  # fmt: skip
    assert run.code == 0, run.err
    scan = read_volume(out)
    assert scan.hu.shape == (1, 64, 64)
    assert scan.spacing_mm[0] == pytest.approx(2.5)
    assert scan.hu.max() > 3071


def test_scans_are_repeatable_and_effects_switchable(spinemar, patient, tmp_path) -> None:
    ct, rods = patient
    hu = []
    for name, extra in {"a": [], "b": [], "c": ["--without", "noise"]}.items():
        out = tmp_path / f"{name}.nrrd"
        run = spinemar("simulate", ct, "--implants", rods, "--slices", "1", "-o", out, *extra)
        assert run.code == 0, run.err
        hu.append(read_volume(out).hu)
    np.testing.assert_array_equal(hu[0], hu[1])
    assert (hu[0] != hu[2]).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--implants", "nothing.nrrd"], "does not exist"),
        (["--implants", "RODS=mithril"], "mithril"),
        (["--kvp", "95"], "kvp"),
        (["--slices", "2:9"], "names no slices"),
        (["--raw", "raw.txt"], "Raw data cannot"),
        (["--photons", "-5"], "photons_per_ray"),
    ],
)
def test_bad_requests_end_with_one_sentence_and_nothing_written(
    spinemar, patient, tmp_path, arguments, words
) -> None:
    ct, rods = patient
    out = tmp_path / "out.nrrd"
    given = [text.replace("RODS", str(rods)) for text in arguments]
    run = spinemar("simulate", ct, "-o", out, *given)
    assert run.code == 2
    assert words in run.err
    assert not out.exists()


def test_existing_files_stay_unless_asked(spinemar, patient, tmp_path) -> None:
    ct, _ = patient
    out = tmp_path / "out.nrrd"
    out.write_bytes(b"mine")
    assert spinemar("simulate", ct, "-o", out).code == 2
    assert out.read_bytes() == b"mine"
    assert spinemar("simulate", ct, "-o", ct, "--overwrite").code == 2
    assert spinemar("simulate", ct, "--slices", "1", "-o", out, "--overwrite").code == 0


@pytest.fixture
def shares(patient, tmp_path: Path) -> Path:
    """What `voxelize` writes: a folder of shares, one material of which none lies in the CT."""
    ct = read_volume(patient[0])
    folder = tmp_path / "fractions"
    folder.mkdir()
    rods = read_labels(patient[1]).labels.astype(np.float32)
    write_volume(folder / "316L.nrrd", CTVolume(rods * np.float32(0.6), ct.ijk_to_ras))
    write_volume(folder / "CoCrMo.nrrd", CTVolume(rods * 0, ct.ijk_to_ras))
    write_volume(folder / "PEEK.nrrd", CTVolume(rods[:, ::-1] * 0.5, ct.ijk_to_ras))
    return folder


@pytest.mark.parametrize(
    ("given", "materials"),
    [
        ("{}", ["316L", "PEEK"]),
        ("{}/316L.nrrd", ["316L"]),
        ("{}/316L.nrrd=CoCrMo", ["CoCrMo"]),
    ],
)
def test_what_voxelize_writes_is_scanned(
    spinemar, patient, shares, tmp_path, given, materials
) -> None:
    out = tmp_path / "scan"
    run = spinemar(
        "simulate", patient[0], "--implants", given.format(shares), "--slices", 1, "-o", out,
        "--json",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert run.json["materials"] == materials
    metal = read_labels(out / "metal.nrrd").labels
    np.testing.assert_array_equal(metal[0], read_labels(patient[1]).labels[0])


def test_shares_weigh_as_much_as_they_fill(spinemar, patient, shares, tmp_path) -> None:
    """Not as whole voxels: 0.6 of steel is brighter than a tenth of it and darker than all."""
    hu = {}
    ct = read_volume(patient[0])
    rods = read_labels(patient[1]).labels.astype(np.float32)
    for share in (0.1, 0.6, 1.0):
        file = tmp_path / "some.nrrd"
        write_volume(file, CTVolume(rods * np.float32(share), ct.ijk_to_ras))
        out = tmp_path / "one.nrrd"
        run = spinemar(
            "simulate", patient[0], "--implants", f"{file}=316L", "--slices", 1, "-o", out,
            "--hu-scale", "extended", "--without", "noise", "--overwrite",
        )  # fmt: skip
        assert run.code == 0, run.err
        hu[share] = float(read_volume(out).hu[0][rods[0] > 0].mean())
    assert hu[0.1] < 0.6 * hu[0.6] < hu[0.6] < 0.9 * hu[1.0]


def test_a_plan_by_way_of_voxelize_gives_the_same_scan(spinemar, patient, tmp_path) -> None:
    from spinemar.implants.catalogue import load_catalogue
    from spinemar.planning.plans.plan import Plan
    from spinemar.planning.plans.plan_json import write_plan

    model = load_catalogue().screws[0]
    screw = model.placed("s", "L1", "left", (-20.0, 0.0, 2.5), (0, 1, 0), (6.0, 40), "316L")
    plan = tmp_path / "plan.json"
    write_plan(plan, Plan(screws=(screw,)))
    voxels = tmp_path / "voxels"
    assert spinemar("voxelize", plan, patient[0], "-o", voxels).code == 0
    scans = []
    for number, given in enumerate((plan, voxels)):
        out = tmp_path / f"{number}.nrrd"
        run = spinemar("simulate", patient[0], "--implants", given, "--slices", 2, "-o", out)
        assert run.code == 0, run.err
        scans.append(read_volume(out).hu)
    assert (scans[0] > 2000).any()
    np.testing.assert_array_equal(*scans)


@pytest.mark.parametrize("kind", ["empty folder", "other grid", "no shares"])
def test_what_is_no_voxelized_plan_is_refused(spinemar, patient, shares, tmp_path, kind) -> None:
    given = shares
    if kind == "empty folder":
        given = tmp_path / "empty"
        given.mkdir()
    elif kind == "other grid":
        write_volume(shares / "316L.nrrd", CTVolume(np.full((2, 4, 4), 0.5, "f4"), np.eye(4)))
    else:
        ct = read_volume(patient[0])
        write_volume(shares / "316L.nrrd", CTVolume(ct.hu + 0.5, ct.ijk_to_ras))
    run = spinemar("simulate", patient[0], "--implants", given, "-o", tmp_path / "out.nrrd")
    assert run.code == 2
    assert "Error:" in run.err
    assert not (tmp_path / "out.nrrd").exists()


def test_raw_data_tell_how_far_they_are(patient) -> None:
    from spinemar.errors import CancelledError
    from spinemar.physics.raw_scan import simulate_raw
    from spinemar.physics.scanner_settings import ScannerSettings
    from spinemar.progress import CancelToken

    ct = read_volume(patient[0])
    for geometry in ("parallel", "helical"):
        seen: list = []
        settings = ScannerSettings(n_views=40, n_bins=64, geometry=geometry)
        simulate_raw(ct, {}, settings, progress=seen.append)
        assert [p.done for p in seen] == list(range(1, seen[0].total + 1))
        token = CancelToken()
        token.cancel()
        with pytest.raises(CancelledError):
            simulate_raw(ct, {}, settings, cancel=token)
