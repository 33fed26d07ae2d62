"""Metal cases of the core's own scanner: the metal is where the scan is bright, slice by slice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from spinemar_training.cli import app  # noqa: E402
from spinemar_training.metal import scans  # noqa: E402
from spinemar_training.metal.cases import load_case  # noqa: E402
from spinemar_training.metal.crops import CropStream  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from spinemar.dataset.manifest import read_inputs  # noqa: E402
from spinemar.errors import InputError  # noqa: E402
from spinemar.io import write_volume  # noqa: E402
from Testing.core.dataset.conftest import landmarks, trunk  # noqa: E402

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def cts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trunks, of the training and of the validation, and their list."""
    folder = tmp_path_factory.mktemp("cts")
    rows = []
    for name, size, split in (("anna", 1.0, "training"), ("bert", 0.9, "validation")):
        write_volume(folder / f"{name}.nii.gz", trunk(size))
        marks = folder / f"{name}.marks.json"
        marks.write_text(json.dumps(landmarks(split)))
        rows.append({"ct": f"{name}.nii.gz", "patient": name, "landmarks": marks.name})
    (folder / "cts.json").write_text(json.dumps({"schema": "spinemar-cts/1", "cts": rows}))
    return folder / "cts.json"


@pytest.fixture(scope="module")
def made(cts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("made")
    result = CliRunner().invoke(
        app, ["metal-scans", str(cts), "-o", str(output), "--only", "training", "--scans", "2"]
    )
    assert result.exit_code == 0, result.output
    return output


def test_every_case_is_bright_where_its_metal_is(made: Path) -> None:
    files = sorted(made.glob("*.npz"))
    assert {path.stem.split("-")[0] for path in files} == {"scan00000", "scan00001"}
    assert len(files) > 6
    for case in map(load_case, files):
        assert case.hu.shape == case.fraction.shape
        assert len(case.hu) == 3
        area_mm2 = float(case.fraction[1].sum()) * case.pixel_mm**2
        assert area_mm2 >= 11.0
        solid = case.fraction[1] > 0.95
        if solid.any():
            assert np.median(case.hu[1][solid]) > 2500
        far = case.fraction.max(axis=0) == 0
        assert np.median(case.hu[1][far]) < 300


def test_neighbouring_cases_are_neighbouring_slices(made: Path) -> None:
    first, second = (load_case(made / f"scan00000-0{n}.npz") for n in (0, 1))
    own, next_one = float(first.fraction[2].sum()), float(second.fraction[1].sum())
    assert own == pytest.approx(next_one, rel=0.02)


def test_the_network_learns_from_them(made: Path) -> None:
    batch = next(iter(CropStream(sorted(made.glob("*.npz")), 2, seed=3)))
    assert torch.isfinite(batch.hu).all()
    assert 0 < float(batch.fraction.max()) <= 1


def test_a_run_goes_on_where_it_stopped(made: Path, cts: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.glob("scan00000-*.npz")}
    (made / "scan00001-00.npz").unlink()
    scans.make_scan_cases(read_inputs([cts], None, ["training"]), made, 2)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (made / "scan00001-00.npz").exists()


def test_splits_are_not_mixed(cts: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several splits"):
        scans.make_scan_cases(read_inputs([cts]), tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()
