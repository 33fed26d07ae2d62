"""Exported files: simplified, in both precisions true to PyTorch, and what the core runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from spinemar_training.data.out_of_domain import OutOfDomainCase
from spinemar_training.data.prefill import FrozenPrior, from_case, slab_of
from spinemar_training.metal.encoding import N_FEATURES
from spinemar_training.metal.runs import build_metal
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.run_settings import GeneratorSettings, RunSettings
from spinemar_training.runs.running import save_weights
from spinemar_training.shipping.export import PARITY, export_model, halved, read_facts
from spinemar_training.shipping.half_storage import round_to_half
from spinemar_training.shipping.import_weights import weights_of_model

from spinemar.errors import InputError
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.models.manifest import load_manifest
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume

pytestmark = pytest.mark.training
ROOT = Path(__file__).resolve().parents[2]
SMALL = GeneratorSettings((8, 16), (1, 1), sees_measured=True)
SETTINGS = RunSettings(prior=SMALL, generator=SMALL, widening_mm=1.6)
FACTS = {"version": "0", "licence": "test"}
OPEN_GATE = GateParameters.open()


def _restless(network: torch.nn.Module) -> torch.nn.Module:
    """Give a zero-initialised head something to say."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("name", ["facts", "facts-cgan"])
def test_facts_of_the_shipped_models_are_read(name: str) -> None:
    facts = read_facts(ROOT / "Training" / "configs" / f"{name}.json")
    assert GateParameters.from_json(facts["gate"]) != OPEN_GATE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"gaet": {}}', "'gaet'.*Did you mean 'gate'"),
        ('{"networks": {}}', "'networks'"),
        ('{"gate": {"ofset": 1}}', "ofset.*Did you mean 'offset'"),
        ("[]", "no JSON object"),
        ("{", "not valid JSON"),
    ],
)
def test_other_facts_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "facts.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match=words):
        read_facts(tmp_path / "facts.json")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    save_weights(
        path,
        prior=_restless(PriorNetwork(SMALL.widths, SMALL.blocks)),
        generator=_restless(SinogramGenerator(SMALL.widths, SMALL.blocks, True)),
    )
    return path


@pytest.fixture(scope="module")
def exported(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_model(SETTINGS, weights, tmp_path_factory.mktemp("model"), FACTS, "tiny")


def test_files_of_both_precisions_keep_to_their_parity(exported: Path) -> None:
    for entry in json.loads(exported.read_text("utf-8"))["networks"].values():
        assert 0 <= entry["parity"] < PARITY["fp32"]
        assert entry["parity"] <= entry["fp16"]["parity"] < PARITY["fp16"]
        for file, kind in (
            (entry["file"], onnx.TensorProto.FLOAT),
            (entry["fp16"]["file"], onnx.TensorProto.FLOAT16),
        ):
            model = onnx.load(exported.parent / file)
            assert not {"Constant", "Identity"} & {node.op_type for node in model.graph.node}
            kinds = _types(model)
            convolutions = [n for n in model.graph.node if n.op_type == "Conv"]
            assert convolutions
            assert {kinds[name] for node in convolutions for name in node.input[:2]} == {kind}


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every tensor that a model names."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    known = {item.name: item.data_type for item in graph.initializer}
    infos = (*graph.value_info, *graph.input, *graph.output)
    return known | {info.name: info.type.tensor_type.elem_type for info in infos}


def test_weights_lie_in_16_bits_in_either_precision(exported: Path, weights: Path) -> None:
    values = sum(v.numel() for v in torch.load(weights, weights_only=True)["prior"].values())
    for name in ("prior.onnx", "prior.fp16.onnx"):
        stored = onnx.load(exported.parent / name).graph.initializer
        assert sum(len(item.raw_data) for item in stored) < 2.2 * values


def test_weights_that_16_bits_do_not_hold_are_refused() -> None:
    network = torch.nn.Linear(4, 4)
    torch.nn.init.constant_(network.weight, 1e6)
    with pytest.raises(ValueError, match="weight do not fit"):
        round_to_half(network)


@pytest.mark.parametrize("half", [False, True])
def test_rays_outside_the_trace_leave_bit_by_bit(exported: Path, half: bool) -> None:
    network = load_manifest(exported).generator
    assert network is not None
    network = network.half if half else network
    assert network is not None
    session = onnx_runtime().InferenceSession(network.data, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for scale in (1.0, 30.0):
        x, measured = (
            (scale * rng.standard_normal((1, 3, 360, 64))).astype(np.float32) for _ in range(2)
        )
        trace = (rng.random(x.shape) < 0.2).astype(np.float32)
        out = session.run(None, {"sinogram": x, "trace": trace, "measured": measured})[0]
        outside = trace[:, 1:2] == 0
        assert np.array_equal(out[outside], x[:, 1:2][outside])
        assert not np.array_equal(out[~outside], x[:, 1:2][~outside])


def test_half_precision_sees_small_differences_of_large_integrals(weights: Path) -> None:
    """Steps of 0.004 nepers on 8 nepers vanish in FP16, unless the level is taken off first."""
    generator = SinogramGenerator(SMALL.widths, SMALL.blocks, True)
    generator.load_state_dict(torch.load(weights, weights_only=True)["generator"])
    half = halved(generator).eval()
    detail = 0.003 * torch.randn(1, 3, 360, 64)
    trace = torch.ones_like(detail)
    with torch.no_grad():
        changes = [
            network(8.0 + d, trace, 8.0 + d) - (8.0 + d[:, 1:2])
            for network in (generator.eval(), half)
            for d in (detail, torch.zeros_like(detail))
        ]
    wanted, found = changes[0] - changes[1], changes[2] - changes[3]
    assert float((wanted - found).norm() / wanted.norm()) < 0.5  # lost, it would be 1


def test_weights_come_back_out_of_the_files(weights: Path, tmp_path: Path) -> None:
    export_model(SETTINGS, weights, tmp_path / "model", FACTS, "tiny")
    weights_of_model(tmp_path / "model", tmp_path / "back.pt")
    ours = torch.load(weights, weights_only=True)
    theirs = torch.load(tmp_path / "back.pt", weights_only=True)
    for network, state in ours.items():
        assert set(state) == set(theirs[network])
        for key, value in state.items():
            assert torch.equal(value.half().float(), theirs[network][key])


def test_small_networks_of_the_shipped_model_come_back_too(tmp_path: Path) -> None:
    """What `metal` and `fusion` go on from; a network that a model lacks is said."""
    models = ROOT / "Resources" / "Models"
    weights_of_model(models, tmp_path / "small.pt", ["metal", "fusion"])
    small = torch.load(tmp_path / "small.pt", weights_only=True)
    assert set(small) == {"metal", "fusion"}
    network = build_metal(tmp_path / "small.pt").eval()
    features = torch.rand(1, N_FEATURES, 64, 96)
    session = onnx_runtime().InferenceSession(models / "metal.onnx")
    shipped = session.run(None, {"features": features.numpy()})[0]
    with torch.no_grad():
        assert np.allclose(network(features).numpy(), shipped, atol=1e-4)
    with pytest.raises(InputError, match="no network called metl"):
        weights_of_model(models, tmp_path / "none.pt", ["metl"])
    assert not (tmp_path / "none.pt").exists()


def test_a_second_model_shares_the_prior_of_the_first(weights: Path, tmp_path: Path) -> None:
    first = export_model(SETTINGS, weights, tmp_path, FACTS, "one")
    alone = tmp_path / "generator.pt"
    save = torch.load(weights, weights_only=True)
    torch.save({"generator": save["generator"]}, alone)
    second = export_model(SETTINGS, alone, tmp_path, FACTS, "two", prior_of=tmp_path, variant="gan")
    assert second.name == "manifest-gan.json"
    assert sorted(p.name for p in tmp_path.glob("*.onnx")) == [
        "generator-gan.fp16.onnx",
        "generator-gan.onnx",
        "generator.fp16.onnx",
        "generator.onnx",
        "prior.fp16.onnx",
        "prior.onnx",
    ]
    one, two = load_manifest(first), load_manifest(second)
    assert one.prior is not None
    assert two.prior is not None
    assert one.prior.sha256 == two.prior.sha256
    (tmp_path / "prior.onnx").write_bytes(b"changed")
    with pytest.raises(ValueError, match="not the file"):
        export_model(SETTINGS, alone, tmp_path, FACTS, "two", prior_of=tmp_path, variant="gan")


@pytest.mark.slow
def test_prefilled_slices_are_what_the_core_makes(weights: Path, tmp_path: Path) -> None:
    """The prior alone, with the trace widened: the cache and `correct_volume` agree."""
    size, pixel = 256, 1.4
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * pixel
    truth = np.full((3, size, size), -1000.0, np.float32)
    truth[:, (x / 150) ** 2 + (y / 105) ** 2 < 1] = 50
    metal = np.repeat(((x - 18) ** 2 + (y - 60) ** 2 < 20)[None], 3, axis=0)
    radon = RadonTransform((size, size), (pixel, pixel))
    lengths = radon.forward(metal.astype(np.float32))
    scan = (truth + radon.fbp(-0.002 * lengths**2) * 52000).astype(np.float32)
    scan[metal] = 3071
    affine = np.diag([-pixel, -pixel, 1.0, 1.0])
    case = OutOfDomainCase(
        "case", CTVolume(scan, affine), CTVolume(truth, affine), {"metal": "316L"}
    )
    only = tmp_path / "prior.pt"
    torch.save({"prior": torch.load(weights, weights_only=True)["prior"]}, only)
    manifest = export_model(SETTINGS, only, tmp_path / "model", FACTS, "tiny")
    prior = FrozenPrior(manifest)
    assert prior.widening_mm == 1.6
    slab = slab_of(case)
    assert slab is not None
    one = from_case(case, slab, prior)
    core = correct_volume(
        case.scan, method="generator", model=manifest, device="cpu", gate=OPEN_GATE
    )
    outside = ~one.metal
    change = np.abs(one.prior_hu - scan[1])[outside].mean()
    assert change > 1, "nothing was corrected"
    assert np.abs(one.prior_hu - core.volume.hu[1])[outside].max() < 0.02 * change + 0.5
    share = next(r.trace_share for r in core.slices if r.index == 1)
    assert one.trace[1].mean() == pytest.approx(share, abs=2e-3)
