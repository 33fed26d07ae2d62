"""The example that trains somebody else's network reads an export and writes results."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from spinemar.dataset.exchange.export import export_store  # noqa: E402
from Testing.core.dataset.conftest import (  # noqa: E402, F401 - fixtures
    ct_folder,
    finished,
    inputs,
    small,
)

pytestmark = pytest.mark.training
EXAMPLE = Path(__file__).resolve().parents[2] / "Docs" / "examples" / "train_elsewhere.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("train_elsewhere", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def deeplesion(finished, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("elsewhere") / "deeplesion"
    export_store(finished, folder, "syndeeplesion")
    return folder


def test_it_knows_nothing_of_this_project():
    text = EXAMPLE.read_text(encoding="utf-8")
    assert "import spinemar" not in text
    assert "from spinemar" not in text


def test_pairs_are_read_in_thousands_of_hu(example, deeplesion):
    pairs = example.read_pairs(deeplesion / "train")
    assert pairs.shape[1:] == (4, 416, 416)
    assert float(pairs[:, 0].max()) == 3.0  # metal, clipped
    assert float(pairs[:, 2].min()) == -1.0  # air
    assert 0 < float(pairs[:, 3].mean()) < 0.05


def test_an_untrained_network_changes_nothing(example):
    x = torch.randn(1, 2, 64, 64)
    assert torch.equal(example.UNet()(x), x[:, 1:])


@pytest.mark.slow
def test_it_trains_goes_on_and_corrects(deeplesion, tmp_path):
    model = tmp_path / "unet.pt"
    train = [sys.executable, EXAMPLE, "train", deeplesion, "-o", model, "--minutes"]
    spent = []
    for minutes in ("0.01", "0.02"):
        subprocess.run([*train, minutes], check=True, capture_output=True)
        spent.append(torch.load(model, weights_only=True)["cpu_seconds"])
    assert spent[1] > spent[0] > 0
    case = tmp_path / "cases" / "one"
    case.mkdir(parents=True)
    hu = np.random.default_rng(1).normal(0, 100, (80, 90, 2)).astype(np.float32)
    affine = np.diag([-0.7, -0.7, 2.0, 1.0])
    for name in ("scan", "li"):
        nibabel.save(nibabel.Nifti1Image(hu, affine), case / f"{name}.nii.gz")
    subprocess.run(
        [sys.executable, EXAMPLE, "correct", model, case.parent, "-o", tmp_path / "out"],
        check=True, capture_output=True,
    )  # fmt: skip
    result = nibabel.load(tmp_path / "out" / "one.nii.gz")
    assert result.shape == hu.shape
    assert np.array_equal(result.affine, nibabel.load(case / "scan.nii.gz").affine)
    assert np.isfinite(np.asarray(result.dataobj)).all()
