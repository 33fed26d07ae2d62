"""The files that ship: they load, refuse to be anything else, and change no measured ray."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import ModelError
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.learned import LearnedInpainter
from spinemar.mar.inpainters.methods import (
    find_model,
    make_inpainter,
    shipped_model,
    shipped_models,
)
from spinemar.mar.inpainters.models.manifest import load_manifest
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume

LIMIT_BYTES = 30_000_000


@pytest.fixture(scope="module")
def manifest_path() -> Path:
    path = shipped_model()
    assert path is not None, "no model ships in Resources/Models"
    return path


def test_each_file_stays_within_its_size(manifest_path: Path) -> None:
    for file in manifest_path.parent.glob("*.onnx"):
        assert file.stat().st_size <= LIMIT_BYTES, file.name


def test_the_prior_alone_is_the_default_and_both_generators_a_choice_behind_it() -> None:
    default, gan, usual = (load_manifest(path) for path in shipped_models().values())
    assert [gan.name, usual.name] == [f"{default.name}-cgan", f"{default.name}-generator"]
    assert default.prior is not None
    assert default.generator is None
    for other in (gan, usual):
        assert find_model(Path(other.name)).parent == find_model(Path(default.name)).parent
        assert other.prior is not None
        assert other.prior.sha256 == default.prior.sha256
        assert other.metal == default.metal
        assert other.gate == default.gate
    assert usual.generator is not None
    assert gan.generator is not None
    assert usual.generator.sha256 != gan.generator.sha256


def test_the_default_is_the_arm_that_the_judge_scored_as_the_prior_alone() -> None:
    default = make_inpainter("generator", None, "cpu")
    usual = make_inpainter("generator", Path("spinemar-lumbar-generator"), "cpu")
    assert isinstance(default, LearnedInpainter)
    assert isinstance(usual, LearnedInpainter)
    scan = _scan_with_a_rod()
    found, wanted = (
        correct_volume(scan, inpainter=one, threads=1).volume.hu
        for one in (default, usual.without_generator())
    )
    np.testing.assert_array_equal(found, wanted)
    assert np.abs(found - scan.hu).max() > 20.0  # and it does something


def _scan_with_a_rod() -> CTVolume:
    y, x = (np.mgrid[:128, :128] - 63.5) * 2.5
    body = np.where((x / 110) ** 2 + (y / 90) ** 2 < 1, 40.0, -1000.0).astype(np.float32)
    rods = ((np.hypot(x - 25, y) < 5) | (np.hypot(x + 25, y) < 5)).astype(np.float32)
    clean = CTVolume(np.stack([body] * 3), np.diag([-2.5, -2.5, 3.0, 1.0]))
    return simulate_scan(clean, {"316L": np.stack([rods] * 3)}, ScannerSettings(), 1).volume


def test_each_network_ships_once_and_is_named_by_a_manifest(manifest_path: Path) -> None:
    folder = manifest_path.parent
    networks = [
        entry
        for path in folder.glob("*.json")
        for entry in json.loads(path.read_text("utf-8"))["networks"].values()
    ]
    assert {entry["file"] for entry in networks} == {path.name for path in folder.glob("*.onnx")}
    assert not any("fp16" in entry for entry in networks)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 25_000_000


@pytest.mark.parametrize("name", ["spinemar-lumbar-generator", "spinemar-lumbar-cgan"])
def test_rays_outside_the_trace_leave_bit_by_bit_as_they_came(name: str) -> None:
    network = load_manifest(shipped_models()[name]).generator
    assert network is not None
    session = onnx_runtime().InferenceSession(network.data, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    views = network.inputs["sinogram"][2]
    for scale in (1.0, 8.0, 200.0):
        feed = {
            key: (scale * rng.standard_normal((1, 3, views, 128))).astype(np.float32)
            for key in network.inputs
        }
        feed["trace"] = (rng.random((1, 3, views, 128)) < 0.2).astype(np.float32)
        out = session.run(None, feed)[0]
        outside = feed["trace"][:, 1:2] == 0
        assert np.array_equal(out[outside], feed["sinogram"][:, 1:2][outside])
        assert not np.array_equal(out[~outside], feed["sinogram"][:, 1:2][~outside])
        assert np.isfinite(out).all()


def test_batches_are_dynamic(manifest_path: Path) -> None:
    network = load_manifest(manifest_path).prior
    assert network is not None
    session = onnx_runtime().InferenceSession(network.data, providers=["CPUExecutionProvider"])
    features = np.random.default_rng(1).random((2, 11, 64, 96)).astype(np.float32)
    both = session.run(None, {"features": features})[0]
    alone = session.run(None, {"features": features[1:]})[0]
    assert both.shape == (2, 2, 64, 96)
    np.testing.assert_allclose(both[1:], alone, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["networks"]["prior"].update(sha256="0" * 64), "SHA-256"),
        (lambda m: m["geometry"].update(bins=512), "geometry"),
        (lambda m: m.update(pipeline_version="999"), "pipeline"),
        (lambda m: m["networks"]["prior"].update(file="../prior.onnx"), "outside"),
    ],
)
def test_a_manifest_that_says_otherwise_is_refused(
    manifest_path: Path, tmp_path: Path, change: object, message: str
) -> None:
    for file in manifest_path.parent.glob("*.onnx"):
        shutil.copy(file, tmp_path)
    content = json.loads(manifest_path.read_text("utf-8"))
    change(content)  # type: ignore[operator]
    (tmp_path / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        load_manifest(tmp_path)
