"""Models of another age: the sentence names what is needed, what is there, and the remedy."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from spinemar.errors import ModelError
from spinemar.mar.inpainters.models.manifest import load_manifest
from spinemar.mar.inpainters.models.refusals import refusal, telling_line
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.mar.inpainters.models.session import NetworkSession
from Testing.core.mar.test_models import _network, _write

onnx = pytest.importorskip("onnx")


def _changed(change) -> bytes:
    model = onnx.load_model_from_string(_network())
    change(model)
    return model.SerializeToString()


def _opset(number, domain=""):
    def change(model):
        del model.opset_import[:]
        model.opset_import.extend([onnx.helper.make_opsetid("", 17)] if domain else [])
        model.opset_import.append(onnx.helper.make_opsetid(domain, number))

    return change


def _operator(name, domain=""):
    def change(model):
        node = next(node for node in model.graph.node if node.op_type == "Mul")
        node.op_type, node.domain = name, domain
        if domain:
            model.opset_import.append(onnx.helper.make_opsetid(domain, 1))

    return change


def _format(number):
    return lambda model: setattr(model, "ir_version", number)


UPDATE = "pip install --upgrade onnxruntime"


@pytest.mark.parametrize(
    ("change", "problem", "remedy"),
    [
        (_opset(99), "needs operator set 99 of ai.onnx; this onnxruntime ({0}) knows", UPDATE),
        (_opset(99, "com.microsoft"), "needs operator set 99 of com.microsoft; this", UPDATE),
        (_format(99), "needs format 99 of ONNX (its IR version); this onnxruntime ({0}) ", UPDATE),
        (_operator("OfTomorrow"), "uses the operator OfTomorrow of operator set 17, which", UPDATE),
        (_operator("OfTomorrow", "com.microsoft"), "uses the operator OfTomorrow, which", UPDATE),
        (_opset(0), "is written for operator set 0; onnxruntime reads 7 and later", "Export"),
    ],
    ids=["opset", "own-opset", "format", "operator", "own-operator", "old-opset"],
)  # fmt: skip
def test_what_is_needed_is_named(tmp_path, change, problem, remedy) -> None:
    network = load_manifest(_write(tmp_path, _changed(change))).generator
    with pytest.raises(ModelError) as refused:
        NetworkSession(network, "cpu", threads=1)
    told = refused.value
    assert problem.format(onnx_runtime().__version__) in told.problem
    assert "generator.onnx" in told.problem
    assert remedy in told.remedy
    assert "the method nmar" in told.remedy
    assert "::" not in told.problem  # no C++
    assert "/onnxruntime" not in told.problem
    assert len(told.problem) < 200


def test_newest_that_the_runtime_knows_is_named_truly(tmp_path) -> None:
    """The number in the refusal is one that loads, and the next one does not."""
    network = load_manifest(_write(tmp_path, _changed(_opset(99)))).generator
    with pytest.raises(ModelError) as refused:
        NetworkSession(network, "cpu", threads=1)
    known = int(refused.value.problem.rstrip(".").split()[-1])
    NetworkSession(load_manifest(_write(tmp_path, _changed(_opset(known)))).generator, "cpu")
    with pytest.raises(ModelError, match=f"needs operator set {known + 1}"):
        NetworkSession(
            load_manifest(_write(tmp_path, _changed(_opset(known + 1)))).generator, "cpu"
        )


def test_through_the_command_line(tmp_path, capfd) -> None:
    from spinemar.cli.main import main
    from spinemar.io import write_volume
    from Testing.core.reliability.conftest import drawn_ct

    write_volume(tmp_path / "ct.nrrd", drawn_ct())
    manifest = _write(tmp_path, _changed(_opset(99)))
    output = tmp_path / "out.nrrd"
    code = main(["correct", str(tmp_path / "ct.nrrd"), "-o", str(output), "--model", str(manifest)])
    said = capfd.readouterr().err
    assert code == 2, said
    assert "needs operator set 99" in said
    assert UPDATE in said
    assert not output.exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[ONNXRuntimeError] : 1 : FAIL : /src/a/model.cc:25 a::M::M(b&&, std::f<g(h)>) Too deep",
         "Too deep"),
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : no memory\nand more", "no memory"),
        ("D:\\a\\graph.cc:7 void a::b() const Not so", "Not so"),
        ("", "RuntimeError"),
    ],
)  # fmt: skip
def test_places_in_foreign_sources_are_left_out(text, line) -> None:
    assert telling_line(RuntimeError(text)) == line


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (None, "needs the package onnxruntime"),
        (ImportError("DLL load failed"), "is installed but cannot be loaded (DLL load failed)"),
        (SimpleNamespace(), "is installed but cannot be loaded (it is empty)"),
    ],
    ids=["missing", "broken", "empty"],
)
def test_a_runtime_that_is_missing_or_broken(found, problem, monkeypatch) -> None:
    class Finder:
        @staticmethod
        def find_spec(name, _path=None, _target=None):
            if name == "onnxruntime":
                raise found or ModuleNotFoundError(name, name=name)

    if isinstance(found, SimpleNamespace):
        monkeypatch.setitem(sys.modules, "onnxruntime", found)
    else:
        monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
        monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(ModelError) as refused:
        onnx_runtime()
    assert problem in refused.value.problem
    assert "the method nmar" in refused.value.remedy


def test_a_kernel_that_is_missing_is_an_operator_that_is_missing() -> None:
    text = ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for "
            "ConvInteger(10) node with name 'c'")  # fmt: skip
    told = refusal("a.onnx", RuntimeError(text), "1.19.0")
    assert "the operator ConvInteger of operator set 10" in told.problem
