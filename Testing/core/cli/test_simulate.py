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
