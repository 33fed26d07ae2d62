"""`spinemar correct --sinogram`: from raw data to a corrected volume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spinemar.io import read_volume
from spinemar.physics.raw_scan import simulate_raw
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.tomography.raw_data.sinogram_files import write_sinogram
from spinemar.volume import CTVolume

SIDE, PIXEL = 96, 3.0


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fan-beam raw data of a body with two steel rods."""
    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) * PIXEL
    hu = np.where((x / 120) ** 2 + (y / 85) ** 2 < 1, 40.0, -1000.0).astype(np.float32)[None]
    rods = (np.hypot(x - 25, y - 25) < 5) | (np.hypot(x + 25, y - 25) < 5)
    volume = CTVolume(hu, np.diag([-PIXEL, -PIXEL, 2.5, 1.0]))
    settings = ScannerSettings(n_views=240, n_bins=256, geometry="fan-arc")
    path = tmp_path_factory.mktemp("raw") / "raw.npz"
    write_sinogram(path, simulate_raw(volume, {"316L": rods[None].astype(np.float32)}, settings))
    return path


def test_raw_data_become_a_corrected_volume(spinemar, raw, tmp_path: Path) -> None:
    out = tmp_path / "corrected.nrrd"
    run = spinemar(
        "correct", "--sinogram", raw, "-o", out, "--fov", 280, "--matrix", 128, "--method", "nmar"
    )
    assert run.code == 0, run.err
    volume = read_volume(out)
    assert volume.hu.shape == (1, 128, 128)
    assert volume.spacing_mm == pytest.approx((280 / 128, 280 / 128, 2.5))
    between = volume.hu[0, 73:77, 60:68]
    assert between.mean() == pytest.approx(40, abs=40)
    facts = json.loads((tmp_path / "corrected.json").read_text())
    assert facts["provenance"]["method"] == "nmar"


@pytest.mark.parametrize("extra", [["--matrix", "3"], ["--fov", "5"]])
def test_absurd_images_are_refused(spinemar, raw, tmp_path: Path, extra) -> None:
    run = spinemar("correct", raw, "-o", tmp_path / "c.nrrd", *extra)
    assert run.code == 2
    assert not list(tmp_path.iterdir())


def test_an_image_is_no_raw_data(spinemar, tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\n")
    run = spinemar("correct", "--sinogram", tmp_path / "a.nrrd", "-o", tmp_path / "c.nrrd")
    assert run.code == 2
    assert "raw data" in run.err
