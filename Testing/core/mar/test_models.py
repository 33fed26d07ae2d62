"""Manifests refuse what does not fit; sessions say what ran; the generator's contract."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import FaultError, ModelError
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.learned.generator import (
    GeneratorInpainter,
    interpolate_views,
    pad_flipped,
)
from spinemar.mar.inpainters.models.manifest import Network, load_manifest
from spinemar.mar.inpainters.models.onnx_scan import refuse_unsafe
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.mar.inpainters.models.session import NetworkSession
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.result import PIPELINE_VERSION
from spinemar.volume import CTVolume

onnx = pytest.importorskip("onnx")

FULL = GateParameters.open().to_json()


def _network(views: int = 720, bias: float = 0.0, node_domain: str = "") -> bytes:
    """Return G(x, m) = m * (centre slice + bias) + (1 - m) * centre slice as ONNX."""
    helper, tensor = onnx.helper, onnx.TensorProto
    shape = ["B", 3, views, 736]
    starts, ends, axes = (
        helper.make_tensor(name, tensor.INT64, [1], [value])
        for name, value in (("starts", 1), ("ends", 2), ("axes", 1))
    )
    shift = helper.make_tensor("shift", tensor.FLOAT, [1], [bias])
    nodes = [
        helper.make_node("Slice", ["sinogram", "starts", "ends", "axes"], ["centre"]),
        helper.make_node("Slice", ["trace", "starts", "ends", "axes"], ["mask"]),
        helper.make_node("Mul", ["mask", "shift"], ["change"], domain=node_domain),
        helper.make_node("Add", ["centre", "change"], ["inpainted"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, tensor.FLOAT, shape) for n in ("sinogram", "trace")],
        [helper.make_tensor_value_info("inpainted", tensor.FLOAT, ["B", 1, views, 736])],
        [starts, ends, axes, shift],
    )
    opsets = [helper.make_opsetid("", 17)]
    if node_domain:
        opsets.append(helper.make_opsetid(node_domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def _write(folder: Path, data: bytes, views: int = 720, **changes) -> Path:
    (folder / "generator.onnx").write_bytes(data)
    shape = ["B", 3, views, 736]
    content = {
        "schema": "spinemar-model/1",
        "name": "tiny",
        "version": "0.0.1",
        "pipeline_version": PIPELINE_VERSION,
        "licence": "Apache-2.0",
        "geometry": {"views": 720, "bins": 736, "bins_per_fov": 512},
        "gate": FULL,
        "networks": {
            "generator": {
                "file": "generator.onnx",
                "sha256": hashlib.sha256(data).hexdigest(),
                "inputs": {"sinogram": shape, "trace": shape},
                "outputs": {"inpainted": ["B", 1, views, 736]},
                "normalisation": {"scale": 4.0},
                "settings": {"prefill": "nmar", "trace": "metal"},
            }
        },
    }
    for path, value in changes.items():
        target = content
        *parents, last = path.split("__")
        for key in parents:
            target = target[key]
        target[last] = value
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(content))
    return manifest


def test_a_good_model_loads_from_file_or_folder(tmp_path) -> None:
    path = _write(tmp_path, _network())
    for source in (path, tmp_path):
        manifest = load_manifest(source)
        assert manifest.name == "tiny"
        assert manifest.prior is None
        assert manifest.gate == GateParameters(**FULL)
        assert manifest.generator.inputs["sinogram"] == (None, 3, 720, 736)
        assert len(manifest.sha256) == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "other/1"}, "schema"),
        ({"pipeline_version": "0"}, "made for pipeline 0"),
        ({"geometry__bins": 1024}, "another geometry"),
        ({"geometry__views": "720"}, "whole number"),
        ({"geometry": []}, "no object 'geometry'"),
        ({"licence": ""}, "no text 'licence'"),
        ({"networks": {}}, "a network called"),
        ({"networks__other": {}}, "a network called"),
        ({"networks__generator__sha256": "0" * 64}, "SHA-256 differs"),
        ({"networks__generator__file": "../generator.onnx"}, "outside its own folder"),
        ({"networks__generator__file": "gone.onnx"}, "cannot be read"),
        ({"networks__generator__inputs": {}}, "describes no inputs"),
        ({"networks__generator__inputs": {"sinogram": "all"}}, "no shape"),
        ({"networks__generator__normalisation": {"scale": "big"}}, "no number"),
        ({"gate": {"offset": "much"}}, "not of kind float"),
    ],
)
def test_an_unfit_manifest_is_refused(tmp_path, changes, message) -> None:
    path = _write(tmp_path, _network(), **changes)
    with pytest.raises(ModelError, match=message) as caught:
        load_manifest(path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"schema": NaN}', "\xff\xfe"])
def test_a_broken_manifest_is_refused(tmp_path, text) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError):
        load_manifest(path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_manifest(tmp_path / "nowhere.json")


def test_oversized_files_are_refused_unread(tmp_path) -> None:
    path = _write(tmp_path, _network())
    with (tmp_path / "generator.onnx").open("r+b") as file:
        file.truncate(600 << 20)  # sparse
    with pytest.raises(ModelError, match="larger than"):
        load_manifest(path)
    with path.open("r+b") as file:
        file.truncate(2 << 20)
    with pytest.raises(ModelError, match="too large"):
        load_manifest(path)


def test_external_data_custom_operators_and_garbage_are_refused(tmp_path) -> None:
    refuse_unsafe(_network(), "good.onnx")
    with pytest.raises(ModelError, match="foreign domain 'evil'"):
        refuse_unsafe(_network(node_domain="evil"), "bad.onnx")
    model = onnx.load_from_string(_network())
    external = model.graph.initializer[0]
    external.data_location = onnx.TensorProto.EXTERNAL
    external.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ModelError, match="another file"):
        refuse_unsafe(model.SerializeToString(), "bad.onnx")
    good = _network()
    for data in (b"", b"hello, world", good[: len(good) // 2], b"\xff" * 64, bytes(100)):
        with pytest.raises(ModelError, match="damaged"):
            refuse_unsafe(data, "bad.onnx")


def test_domain_hidden_behind_a_second_one() -> None:
    """Of a field that is given twice the last one holds: both are looked at."""
    node = onnx.NodeProto(op_type="Add", domain="")
    hidden = node.SerializeToString() + b"\x3a\x00\x3a\x04evil"
    graph = onnx.GraphProto().SerializeToString() + b"\x0a" + bytes([len(hidden)]) + hidden
    data = b"\x3a" + bytes([len(graph)]) + graph
    with pytest.raises(ModelError, match="foreign domain 'evil'"):
        refuse_unsafe(data, "bad.onnx")


@pytest.mark.parametrize("part", ["values", "indices"])
@pytest.mark.parametrize("where", ["attribute", "list of an attribute", "initializer"])
def test_weights_elsewhere_in_what_is_sparse(where, part) -> None:
    node, graph = onnx.NodeProto(op_type="Constant"), onnx.GraphProto()
    if where == "attribute":
        attribute = node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR)
        sparse = attribute.sparse_tensor
    elif where == "list of an attribute":
        attribute = node.attribute.add(name="many", type=onnx.AttributeProto.SPARSE_TENSORS)
        sparse = attribute.sparse_tensors.add()
    else:
        sparse = graph.sparse_initializer.add()
    outside = getattr(sparse, part)
    outside.data_location = onnx.TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    graph.node.append(node)
    with pytest.raises(ModelError, match="another file"):
        refuse_unsafe(onnx.ModelProto(graph=graph).SerializeToString(), "bad.onnx")


def test_a_model_that_would_train_is_refused() -> None:
    trained = onnx.ModelProto(graph=onnx.GraphProto())
    trained.training_info.add()
    with pytest.raises(ModelError, match="training"):
        refuse_unsafe(trained.SerializeToString(), "bad.onnx")


def test_a_constant_in_a_subgraph_is_looked_at_too() -> None:
    helper, tensor = onnx.helper, onnx.TensorProto
    weights = helper.make_tensor("w", tensor.FLOAT, [1], [1.0])
    weights.data_location = tensor.EXTERNAL
    weights.external_data.add(key="location", value="elsewhere.bin")
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=weights)],
        "inner",
        [],
        [helper.make_tensor_value_info("c", tensor.FLOAT, [1])],
    )
    node = helper.make_node("If", ["flag"], ["out"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph(
        [node],
        "outer",
        [helper.make_tensor_value_info("flag", tensor.BOOL, [])],
        [helper.make_tensor_value_info("out", tensor.FLOAT, [1])],
    )
    with pytest.raises(ModelError, match="another file"):
        refuse_unsafe(helper.make_model(graph).SerializeToString(), "bad.onnx")


def test_a_session_checks_the_signature_and_names_its_provider(tmp_path) -> None:
    manifest = load_manifest(_write(tmp_path, _network()))
    session = NetworkSession(manifest.generator, "cpu", threads=1)
    assert session.provider == "CPUExecutionProvider"
    assert session.fallback is None
    wrong = _write(
        tmp_path, _network(), networks__generator__outputs={"inpainted": ["B", 2, 720, 736]}
    )
    with pytest.raises(ModelError, match="other outputs"):
        NetworkSession(load_manifest(wrong).generator, "cpu", threads=1)
    with pytest.raises(FaultError, match="failed"):
        session.run({"sinogram": np.zeros((1, 3, 5, 5), np.float32)})


def test_cuda_asked_for_and_absent_says_what_ran(tmp_path) -> None:
    if "CUDAExecutionProvider" in onnx_runtime().get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    manifest = load_manifest(_write(tmp_path, _network()))
    session = NetworkSession(manifest.generator, "cuda", threads=1)
    assert session.provider == "CPUExecutionProvider"
    assert "ran on CPU" in session.fallback
    assert NetworkSession(manifest.generator, "auto", threads=1).fallback is None


def test_the_generator_corrects_like_its_prefill_when_it_does_nothing(scan, tmp_path) -> None:
    case = scan("316L")
    volume = CTVolume(case.volume.hu[2:4], case.volume.ijk_to_ras)
    path = _write(tmp_path, _network())
    result = correct_volume(volume, method="generator", model=path, device="cpu")
    nmar = correct_volume(volume, method="nmar", gate=GateParameters(**FULL))
    assert np.abs(result.volume.hu - nmar.volume.hu).max() < 0.5
    assert result.provenance.method == "generator"
    assert result.provenance.model_name == "tiny"
    assert result.provenance.provider == "CPUExecutionProvider"
    digest = hashlib.sha256((tmp_path / "generator.onnx").read_bytes()).hexdigest()
    assert result.provenance.model_sha256 == digest
    assert correct_volume(volume, method="auto", model=path).provenance.method == "generator"


def test_views_are_reduced_padded_and_scaled_as_the_manifest_says(scan, tmp_path) -> None:
    case = scan("Ti-6Al-4V")
    volume = CTVolume(case.volume.hu[2:4], case.volume.ijk_to_ras)
    seen = {}

    class Spy(GeneratorInpainter):
        def inpaint(self, slab):
            core = slab.core_only
            filled = super().inpaint(slab)
            seen["added"] = filled - core.nmar_sinogram
            seen["trace"] = core.metal_trace
            return filled

    settings = {"prefill": "nmar", "trace": "metal", "views": 360, "pad_views": 12}
    path = _write(
        tmp_path,
        _network(384, bias=0.05),
        384,
        networks__generator__settings=settings,
        networks__generator__normalisation={"scale": 2.0},
    )
    correct_volume(volume, inpainter=Spy(load_manifest(path), "cpu"))
    inside = seen["added"][seen["trace"]]
    assert (seen["added"][~seen["trace"]] == 0).all()
    # Every second view: what is added is bias * scale where both views are traced.
    assert np.median(inside) == pytest.approx(0.1, abs=1e-4)
    assert inside.max() < 0.1 + 1e-4


@pytest.mark.parametrize(
    "settings", [{"prefill": "magic"}, {"views": 7}, {"trace": "all"}, {"pad_views": -1}]
)
def test_unknown_settings_are_refused(tmp_path, settings) -> None:
    path = _write(tmp_path, _network(), networks__generator__settings=settings)
    with pytest.raises(ModelError, match="not known here"):
        GeneratorInpainter(load_manifest(path), "cpu")


def test_a_model_for_other_inputs_is_refused(tmp_path) -> None:
    path = _write(tmp_path, _network(384), 384)
    with pytest.raises(ModelError, match="other inputs"):
        GeneratorInpainter(load_manifest(path), "cpu")


def test_padding_and_interpolation_know_that_half_a_turn_flips() -> None:
    geometry_views, bins = 24, 33
    angle = np.pi * np.arange(geometry_views) / geometry_views
    r = np.arange(bins) - (bins - 1) / 2
    offset = 6.0 * np.cos(angle - 0.7)
    sinogram = np.exp(-((r[None] - offset[:, None]) ** 2) / 18).astype(np.float32)
    padded = pad_flipped(sinogram, 4)
    wide = np.pi * (np.arange(-4, geometry_views + 4)) / geometry_views
    expected = np.exp(-((r[None] - 6.0 * np.cos(wide - 0.7)[:, None]) ** 2) / 18)
    np.testing.assert_allclose(padded, expected, atol=1e-5)
    finer = interpolate_views(sinogram[::2], 2)
    assert np.abs(finer - sinogram).max() < 0.05
    np.testing.assert_array_equal(interpolate_views(sinogram, 1), sinogram)


def _as_ort_format(data: bytes) -> bytes:
    """Give an ONNX file the mark of ONNX Runtime's own format, as another producer's name."""
    return b"\x12\x86\x80\x00ORTMxx" + data


def test_a_file_of_two_formats_is_run_as_the_one_that_was_looked_at(tmp_path) -> None:
    data = _as_ort_format(_network())
    runtime = onnx_runtime()
    with pytest.raises(Exception, match=r"(?i)ort|flatbuffer|verif|model"):
        runtime.InferenceSession(data, providers=["CPUExecutionProvider"])  # it would be guessed
    refuse_unsafe(data, "both.onnx")
    network = load_manifest(_write(tmp_path, data)).generator
    assert network is not None
    plain = load_manifest(_write(tmp_path, _network())).generator
    assert plain is not None
    feed = {
        name: np.random.default_rng(0).random([n or 1 for n in shape]).astype(np.float32)
        for name, shape in plain.inputs.items()
    }
    same = [NetworkSession(one, "cpu").run(feed) for one in (network, plain)]
    for name in same[0]:
        np.testing.assert_array_equal(same[0][name], same[1][name])


def _endless(turns: int) -> bytes:
    """Return a network that adds 1 to its input so many times."""
    helper, tensor = onnx.helper, onnx.TensorProto
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Add", ["x", "one"], ["y"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("n", tensor.INT64, []),
            helper.make_tensor_value_info("go", tensor.BOOL, []),
            helper.make_tensor_value_info("x", tensor.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", tensor.BOOL, []),
            helper.make_tensor_value_info("y", tensor.FLOAT, None),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "", "in"], ["out"], body=body)],
        "endless",
        [helper.make_tensor_value_info("in", tensor.FLOAT, ["B", 1, 2])],
        [helper.make_tensor_value_info("out", tensor.FLOAT, ["B", 1, 2])],
        [
            helper.make_tensor("turns", tensor.INT64, [], [turns]),
            helper.make_tensor("one", tensor.FLOAT, [1], [1.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def test_a_network_that_never_ends_is_given_up(monkeypatch) -> None:
    shape = {"in": (None, 1, 2)}, {"out": (None, 1, 2)}
    feed = {"in": np.zeros((1, 1, 2), np.float32)}
    short = NetworkSession(Network("prior", "a.onnx", _endless(3), "", *shape, {}, {}), "cpu")
    np.testing.assert_array_equal(short.run(feed)["out"], 3.0)
    monkeypatch.setattr("spinemar.mar.inpainters.models.session.FIRST_RUN_SECONDS", 0.5)
    network = Network("prior", "endless.onnx", _endless(2**62), "", *shape, {}, {})
    with pytest.raises(ModelError, match=r"endless\.onnx did not end its first run within"):
        NetworkSession(network, "cpu").run(feed)
    monkeypatch.setattr("spinemar.mar.inpainters.models.session.FIRST_RUN_SECONDS", 0.0)
    np.testing.assert_array_equal(short.run(feed)["out"], 3.0)  # later runs have no limit
