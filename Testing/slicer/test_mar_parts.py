"""The Slicer-free parts of MetalArtifactReduction: models, devices, packages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from spinemar.errors import InputError, ModelError

pytestmark = pytest.mark.slicer
ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "MetalArtifactReduction" / "Resources"
REQUIREMENTS = RESOURCES / "MetalArtifactReduction" / "requirements.txt"


@pytest.fixture(autouse=True)
def application():
    """Start what stands in for Slicer's own Python: packages are part of its panels."""
    pytest.importorskip("slicer_core")
    from Testing.host.host import startApplication

    return startApplication()


@pytest.fixture
def model(tmp_path):
    """Write a small valid model and return its manifest."""
    onnx = pytest.importorskip("onnx")
    import hashlib

    shape = ["B", 3, 720, 736]
    tensor = onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("ReduceMean", ["sinogram"], ["inpainted"], axes=[1])], "g",
        [tensor("sinogram", kind, shape), tensor("trace", kind, shape)],
        [tensor("inpainted", kind, ["B", 1, 720, 736])],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 13)]
    data = onnx.helper.make_model(graph, opset_imports=opset).SerializeToString()
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / "generator.onnx").write_bytes(data)
    from spinemar.mar.result import PIPELINE_VERSION

    network = {
        "file": "generator.onnx", "sha256": hashlib.sha256(data).hexdigest(),
        "normalisation": {"scale": 4.0}, "inputs": {"sinogram": shape, "trace": shape},
        "outputs": {"inpainted": ["B", 1, 720, 736]},
    }  # fmt: skip
    manifest = {
        "schema": "spinemar-model/1", "name": "spine ../test", "version": "2.1",
        "pipeline_version": PIPELINE_VERSION, "licence": "Apache-2.0",
        "geometry": {"views": 720, "bins": 736, "bins_per_fov": 512},
        "networks": {"generator": network},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder / "manifest.json"


def test_import_copies_and_lists(model, tmp_path):
    from MetalArtifactReductionLib.choices.models import importModel, listModels

    store = tmp_path / "store"
    imported = importModel(model, store)
    assert imported.label == "spine ../test 2.1 (imported)"
    assert imported.folder.parent == store  # the name cannot lead out of the store
    shutil.rmtree(model.parent)  # the download may go
    assert imported in listModels(store)
    assert (imported.folder / "generator.onnx").is_file()


def test_shipped_models_are_listed_default_first_and_named_so_that_scenes_can_be_moved(tmp_path):
    from MetalArtifactReductionLib.choices.models import listModels

    from spinemar.mar.inpainters.methods import find_model, shipped_model

    default, *others = [m for m in listModels(tmp_path) if m.shipped]
    assert default.reference == ""
    assert [m.name for m in others] == [f"{default.name}-{end}" for end in ("cgan", "generator")]
    for other in others:
        assert other.reference == other.name
        assert find_model(Path(other.reference)).parent == shipped_model().parent
        assert default.sha256.split("+")[0] == other.sha256.split("+")[0]


def test_a_variant_beside_another_model_is_imported_as_itself(model, tmp_path):
    from MetalArtifactReductionLib.choices.models import importModel

    content = json.loads(model.read_text())
    variant = model.with_name("manifest-gan.json")
    variant.write_text(json.dumps({**content, "name": "other"}))
    assert importModel(variant, tmp_path / "store").name == "other"


def test_importing_again_replaces(model, tmp_path):
    from MetalArtifactReductionLib.choices.models import importModel

    store = tmp_path / "store"
    assert importModel(model, store) == importModel(model.parent, store)
    assert len(list(store.iterdir())) == 1


def test_damaged_and_foreign_models_are_refused(model, tmp_path):
    from MetalArtifactReductionLib.choices.models import importModel, listModels

    store = tmp_path / "store"
    content = json.loads(model.read_text())
    (model.parent / "generator.onnx").write_bytes(b"changed")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        importModel(model, store)
    content["schema"] = "something else"
    model.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="schema"):
        importModel(model, store)
    assert not [m for m in listModels(store) if not m.shipped]


def test_broken_store_entries_are_left_out(tmp_path):
    from MetalArtifactReductionLib.choices.models import listModels

    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_text("{")
    assert not [m for m in listModels(tmp_path) if not m.shipped]


@pytest.mark.parametrize(
    ("method", "device", "hasModel", "driver", "words"),
    [
        ("automatic", "automatic", False, True, "NMAR on the CPU"),
        ("automatic", "automatic", True, True, "CUDA, or on the CPU if CUDA fails"),
        ("generator", "cuda", True, False, "no NVIDIA driver"),
        ("generator", "cpu", True, True, "learned method on the CPU"),
        ("generator", "automatic", False, False, "No model is installed"),
        ("linear", "cuda", True, True, "linear interpolation on the CPU"),
    ],
)
def test_what_will_run(method, device, hasModel, driver, words):
    from MetalArtifactReductionLib.choices.device import plannedText
    from MetalArtifactReductionLib.choices.settings import Device, Method

    text = plannedText(Method[method], Device[device], hasModel, driver)
    assert words in text


def test_what_did_run():
    from MetalArtifactReductionLib.choices.device import ranText

    facts = {"method": "generator", "model_name": "spine", "model_version": "1.0",
             "provider": "CPUExecutionProvider", "fallback": "CUDA is not there."}  # fmt: skip
    assert ranText(facts) == "Ran spine 1.0 on the CPU (CUDA is not there.)"
    assert "on CUDA" in ranText({**facts, "provider": "CUDAExecutionProvider", "fallback": None})
    assert ranText({"method": "nmar"}) == "Ran NMAR on the CPU"
    assert "no metal" in ranText({"method": "none"})


def test_one_runtime_and_gpu_only_with_a_driver():
    from SpineMARLib.panel.packages import missing, runtimeRequirement

    assert runtimeRequirement(True, "linux").startswith("onnxruntime-gpu[cuda,cudnn]")
    assert runtimeRequirement(True, "win32").startswith("onnxruntime-gpu")
    assert runtimeRequirement(True, "darwin") == "onnxruntime>=1.19"
    assert runtimeRequirement(False, "linux") == "onnxruntime>=1.19"
    nothing = missing(REQUIREMENTS, True, False, lambda _: True)
    assert nothing == []
    everything = missing(REQUIREMENTS, True, True, lambda _: False)
    assert sum(line.startswith("onnxruntime") for line in everything) == 1
    assert not any(
        "onnxruntime" in line for line in missing(REQUIREMENTS, False, True, lambda _: False)
    )


def test_requirements_are_lower_bounds_only():
    from SpineMARLib.panel.packages import requirements

    for line in requirements(REQUIREMENTS):
        assert "==" not in line
        assert ">=" in line


def test_packages_are_asked_for_and_checked_afterwards():
    from SpineMARLib.panel.packages import ensure

    there, asked = set(), []

    def install(lines):
        asked.append(lines)
        there.update(lines)

    ensure(REQUIREMENTS, False, False, install, lambda line: line in there)
    assert len(asked) == 1
    ensure(REQUIREMENTS, False, False, install, lambda line: line in there)
    assert len(asked) == 1  # nothing is missing any more

    def decline(lines):
        raise RuntimeError("declined")

    with pytest.raises(InputError, match="not installed"):
        ensure(REQUIREMENTS, True, False, decline, lambda line: line in there)
    with pytest.raises(InputError, match="still missing: onnxruntime"):
        ensure(REQUIREMENTS, True, False, lambda lines: None, lambda line: line in there)


def test_sentences_have_problem_and_remedy():
    from SpineMARLib.panel.errors import sentence

    assert sentence(InputError("It is so.", "Do this.")) == "It is so.\n\nDo this."
    told = sentence(ValueError("bare"))
    assert "fault of SpineMAR (ValueError: bare)" in told
    assert "report" in told


def test_pip_that_fails_gives_a_sentence_with_its_remedy():
    import subprocess

    from SpineMARLib.panel.packages import ensure

    def fail(wanted):
        raise subprocess.CalledProcessError(1, ["pip", "install", *wanted])

    with pytest.raises(InputError) as caught:
        ensure(REQUIREMENTS, install=fail, met=lambda line: not line.startswith("finufft"))
    assert "pip could not install finufft" in caught.value.problem
    for word in ("proxy", "Without a network", "--find-links"):
        assert word in caught.value.remedy


def test_packages_that_slicer_brings_stay_as_they_are():
    from importlib.metadata import version

    from SpineMARLib.panel.packages import heldVersions

    assert f"numpy=={version('numpy')}" in heldVersions()


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (["finufft>=2.3", "scikit-image>=0.22"], "finufft, scikit-image (about 25 MB)"),
        (["onnxruntime-gpu[cuda,cudnn]>=1.19"], "onnxruntime-gpu (about 1.6 GB)"),
    ],
)
def test_what_will_be_installed_is_told_with_its_size(wanted, text):
    from SpineMARLib.panel.packages import downloadText

    assert downloadText(wanted) == text


@pytest.mark.parametrize(
    ("installed", "met"),
    [("3.0.2", True), ("2.4.4", True), ("2.3.1", False), ("built into Slicer", True)],
)
def test_a_package_counts_in_a_version_that_fits(installed, met, monkeypatch):
    from importlib import metadata

    from SpineMARLib.panel.packages import isMet

    def version(_name):
        if installed[0].isdigit():
            return installed
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", version)
    assert isMet("pydicom>=2.4") is met
    assert not isMet("there-is-no-such-package>=1")
