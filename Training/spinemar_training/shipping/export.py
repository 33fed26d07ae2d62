"""From weights to the shipped model: ONNX files, their hashes and the manifest.

Files are simplified (constants folded) and checked against PyTorch. Each network is written twice:
in FP32, and with its U-Net in FP16 for GPUs (line integrals and the blend with x stay in FP32, so
that rays outside the trace leave bit by bit as they came). Weights are rounded to 16 bits first and
stored so in both, which halves what is shipped.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spinemar.base.atomic_files import atomic_path
from spinemar.base.json_text import known_ones, read_json, shown
from spinemar.errors import InputError
from spinemar.mar.earlier import candidates as fusion_seen
from spinemar.mar.inpainters.models.manifest import SCHEMA
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.result import PIPELINE_VERSION
from spinemar.tomography.geometry import BINS_PER_FOV, STANDARD_BINS, STANDARD_VIEWS
from spinemar_training.metal import encoding as metal_encoding
from spinemar_training.metal.runs import build_metal
from spinemar_training.networks.features import HIGH_HU, LOW_HU, N_FEATURES, PIXEL_MM, SCALE_HU
from spinemar_training.networks.fusion import FusionNetwork
from spinemar_training.networks.metal import MetalNetwork
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.run_settings import RunSettings
from spinemar_training.runs.fusion_runs import build_fusion
from spinemar_training.runs.running import RESIDUAL_VIEWS, build_generator, build_prior
from spinemar_training.shipping.half_storage import round_to_half, store_halved

_OPSET = 17
MAX_BYTES = 30_000_000
_Sample = tuple[dict[str, Tensor], dict[int, str]]
_Output = tuple[str, dict[int, str]]
PARITY = {"fp32": 1e-4, "fp16": 2e-2}
"""Largest difference from PyTorch in FP32 on random input, in nepers and units of the prior."""
MARGIN_MM = 24.0
_BINS_CONTEXT = 32
_FACTS = (
    "version", "licence", "training_data", "gate", "trained_on", "metal_trained_on",
    "fusion_trained_on", "validation",
    "metrics",
)  # fmt: skip


class _HalfUNet(nn.Module):
    """A U-Net in FP16 with FP32 on both sides."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.inner = copy.deepcopy(unet).half()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.half()).float()


def halved(network: nn.Module) -> nn.Module:
    """Copy a network with its U-Net in half precision."""
    half = copy.deepcopy(network)
    half.unet = _HalfUNet(network.unet)
    return half


def _export(
    network: nn.Module,
    inputs: dict[str, tuple[Tensor, dict[int, str]]],
    output: tuple[str, dict[int, str]],
    path: Path,
) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            tuple(tensor for tensor, _ in inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=[output[0]],
            dynamic_axes={
                **{name: axes for name, (_, axes) in inputs.items()},
                output[0]: output[1],
            },
            opset_version=_OPSET,
            dynamo=False,
        )
        _simplify(path)


def _simplify(path: Path) -> None:
    """Fold constants; what is left depends on the input."""
    import onnx
    import onnxscript.optimizer

    model = store_halved(onnxscript.optimizer.optimize(onnx.load(path)))
    onnx.checker.check_model(model)
    onnx.save(model, path)


def parity(network: nn.Module, path: Path, inputs: dict[str, Tensor]) -> float:
    """Largest difference between PyTorch and ONNX Runtime on given inputs."""
    session = onnx_runtime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network.eval()(*inputs.values()).numpy()
    found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0]
    return float(np.abs(expected - found).max())


def _export_prior(settings: RunSettings, weights: Path, path: Path) -> dict[str, Any]:
    """Write the prior network in both precisions and return its manifest entry."""
    network = round_to_half(build_prior(settings, weights))
    return _prior_entry(network, _written(network, path, *_of_prior(network)), settings.widening_mm)


def _of_prior(network: PriorNetwork) -> tuple[_Sample, _Output, dict[str, Tensor]]:
    """Return a sample of the prior's input, its output, and other input to compare on."""
    multiple = network.unet.multiple
    axes = {0: "B", 2: "H", 3: "W"}
    sample = {"features": torch.rand(1, N_FEATURES, 2 * multiple, 3 * multiple)}
    other = {"features": torch.rand(2, N_FEATURES, 3 * multiple, 2 * multiple)}
    return (sample, axes), ("maps", axes), other


def _prior_entry(
    network: PriorNetwork, files: dict[str, Any], widening_mm: float
) -> dict[str, Any]:
    return {
        **files,
        "inputs": {"features": ["B", N_FEATURES, "H", "W"]},
        "outputs": {"maps": ["B", 2, "H", "W"]},
        "normalisation": {"scale_hu": SCALE_HU, "low_hu": LOW_HU, "high_hu": HIGH_HU},
        "settings": {
            "pixel_mm": PIXEL_MM,
            "multiple": network.unet.multiple,
            "margin_mm": MARGIN_MM,
            "widening_mm": widening_mm,
        },
    }


def _export_generator(settings: RunSettings, weights: Path, path: Path) -> dict[str, Any]:
    """Write the generator in both precisions and return its manifest entry."""
    network = build_generator(settings, weights)
    with torch.no_grad():  # the head is linear and last: its scale is that of the residual
        for parameter in network.unet.head.parameters():
            parameter.mul_(settings.residual_share)
    round_to_half(network)
    views = settings.options.residual_views or RESIDUAL_VIEWS
    multiple = network.unet.multiple
    names = ["sinogram", "trace"] + (["measured"] if network.sees_measured else [])
    axes = {0: "B", 3: "R"}

    def sample(batch: int, bins: int) -> dict[str, Tensor]:
        made = {name: torch.rand(batch, 3, views, bins) for name in names}
        return {**made, "trace": (made["trace"] > 0.5).float()}

    first, other = sample(1, 8 * multiple), sample(2, 4 * multiple)
    return {
        **_written(network, path, (first, axes), ("inpainted", axes), other),
        "inputs": {name: ["B", 3, views, "R"] for name in names},
        "outputs": {"inpainted": ["B", 1, views, "R"]},
        "normalisation": {"scale": 1.0},
        "residual_share": settings.residual_share,
        "settings": {"views": views, "bins_multiple": multiple, "bins_context": _BINS_CONTEXT},
    }


def _written(
    network: nn.Module,
    path: Path,
    sample: _Sample,
    output: _Output,
    other: dict[str, Tensor],
) -> dict[str, Any]:
    """Write a network in both precisions, compare each with PyTorch on `other` input."""
    whole = _written_once(network, network, path, sample, output, other)
    half = path.with_suffix(".fp16.onnx")
    return {
        **whole,
        "fp16": _written_once(network, halved(network), half, sample, output, other, "fp16"),
    }


def _written_once(
    network: nn.Module,
    exported: nn.Module,
    path: Path,
    sample: _Sample,
    output: _Output,
    other: dict[str, Tensor],
    precision: str = "fp32",
) -> dict[str, Any]:
    """Write one file and compare what it computes of `other` input with `network` itself."""
    inputs = {name: (tensor, sample[1]) for name, tensor in sample[0].items()}
    _export(exported, inputs, output, path)
    difference = parity(network, path, other)
    if not difference < PARITY[precision]:
        raise ValueError(f"{path.name} differs from PyTorch by {difference:.1e}.")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has more than {MAX_BYTES} bytes.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": path.name, "sha256": digest, "parity": float(f"{difference:.2g}")}


def _export_metal(weights: Path, path: Path) -> dict[str, Any]:
    """Write the metal network and return its manifest entry."""
    entry = _export_small(build_metal(weights), metal_encoding.N_FEATURES, ("fraction", 1), path)
    return {**entry, "normalisation": {"top_hu": metal_encoding.USUAL_TOP_HU}}


def _export_fusion(weights: Path, path: Path) -> dict[str, Any]:
    """Write the fusion network and return its manifest entry."""
    maps = "maps", fusion_seen.N_MAPS
    entry = _export_small(build_fusion(weights), fusion_seen.N_FEATURES, maps, path)
    settings = {**entry["settings"], "pixel_mm": fusion_seen.PIXEL_MM}
    return {**entry, "normalisation": {"own_hu": fusion_seen.OWN_HU}, "settings": settings}


def _export_small(
    network: MetalNetwork | FusionNetwork, n_features: int, output: tuple[str, int], path: Path
) -> dict[str, Any]:
    """Write a network from `features` to maps; it is small, 32 bits serve all."""
    network = round_to_half(network)
    multiple, (name, n_maps) = network.unet.multiple, output
    axes = {0: "B", 2: "H", 3: "W"}
    sample = torch.rand(1, n_features, 2 * multiple, 3 * multiple)
    other = torch.rand(2, n_features, 3 * multiple, 2 * multiple)
    entry = _written_once(
        network, network, path, ({"features": sample}, axes), (name, axes), {"features": other}
    )
    return {
        **entry,
        "inputs": {"features": ["B", n_features, "H", "W"]},
        "outputs": {name: ["B", n_maps, "H", "W"]},
        "settings": {"multiple": multiple},
    }


def add_prior(weights: Path, folder: Path) -> list[Path]:
    """Put a prior into a model's folder in place of its own: every manifest there names it.

    How far lost rays are widened stays as the model's manifest says.

    Returns
    -------
    list of Path
        The manifests.
    """
    manifest = read_json(folder / "manifest.json", "model's manifest")
    settings = manifest["networks"]["prior"]["settings"]
    network = round_to_half(build_prior(RunSettings(), weights))
    files = _written_once(network, network, folder / "prior.onnx", *_of_prior(network))
    entry = _prior_entry(network, files, float(settings["widening_mm"]))
    return _named(sorted(folder.glob("manifest*.json")), "prior", entry)


def add_metal(weights: Path, folder: Path) -> list[Path]:
    """Put a metal network into a model's folder: every manifest there names it.

    Returns
    -------
    list of Path
        The manifests.
    """
    entry = _export_metal(weights, folder / "metal.onnx")
    return _named(sorted(folder.glob("manifest*.json")), "metal", entry)


def add_fusion(weights: Path, folder: Path) -> list[Path]:
    """Put a fusion network into a model's folder: the model that is used unasked names it.

    The others refine the filled rays afterwards: with them it was not tried.

    Returns
    -------
    list of Path
        The manifest.
    """
    entry = _export_fusion(weights, folder / "fusion.onnx")
    return _named([folder / "manifest.json"], "fusion", entry)


def _named(manifests: Sequence[Path], role: str, entry: dict[str, Any]) -> list[Path]:
    for path in manifests:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["networks"][role] = entry
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return list(manifests)


def read_facts(path: Path) -> dict[str, Any]:
    """Read what a manifest says of a model beside its networks.

    Raises
    ------
    InputError
        If the file cannot be read, or holds what no manifest says: a misspelt gate would leave
        the model without one.
    """
    facts = read_json(path, f"facts {path.name}")
    if not isinstance(facts, dict):
        raise InputError(f"The facts {path.name} are no JSON object.", "Write them by name.")
    unknown = sorted(set(facts) - set(_FACTS))
    if unknown:
        raise InputError(
            f"The facts {path.name} hold an unknown entry {shown(unknown[0])}.",
            known_ones(unknown[0], _FACTS),
        )
    if "gate" in facts:
        GateParameters.from_json(facts["gate"])
    return facts


def export_model(
    settings: RunSettings,
    weights: Path,
    output: Path,
    facts: dict[str, Any],
    name: str,
    *,
    prior_of: Path | None = None,
    variant: str = "",
) -> Path:
    """Write ONNX files and their manifest into a folder.

    Parameters
    ----------
    settings : RunSettings
        Of the run that made the weights.
    weights : Path
    output : Path
    facts : dict
        Further entries, as `read_facts` gives them.
    name : str
    prior_of : Path, optional
        Folder of a model whose prior this one shares, for weights that hold a generator alone.
        In the same folder nothing is stored twice.
    variant : str
        Of a second model in the folder: `generator-VARIANT.onnx` and `manifest-VARIANT.json`.
    """
    output.mkdir(parents=True, exist_ok=True)
    tail = f"-{variant}" if variant else ""
    stored = torch.load(weights, weights_only=True)
    networks = {}
    if "prior" in stored:
        networks["prior"] = _export_prior(settings, weights, output / "prior.onnx")
    elif prior_of is not None:
        networks["prior"] = _shared_prior(prior_of, output, settings.widening_mm)
    if "generator" in stored:
        path = output / f"generator{tail}.onnx"
        networks["generator"] = _export_generator(settings, weights, path)
    manifest = {
        "schema": SCHEMA,
        "name": name,
        "pipeline_version": PIPELINE_VERSION,
        "geometry": {
            "views": STANDARD_VIEWS,
            "bins": STANDARD_BINS,
            "bins_per_fov": BINS_PER_FOV,
        },
        **facts,
        "networks": networks,
    }
    path = output / f"manifest{tail}.json"
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return path


def _shared_prior(folder: Path, output: Path, widening_mm: float) -> dict[str, Any]:
    """Take over another model's prior: its manifest entry, and its file if it lies elsewhere."""
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    entry: dict[str, Any] = content["networks"]["prior"]
    entry["settings"]["widening_mm"] = widening_mm
    for one in [entry, *([entry["fp16"]] if "fp16" in entry else [])]:
        source = folder / one["file"]
        if hashlib.sha256(source.read_bytes()).hexdigest() != one["sha256"]:
            raise ValueError(f"{source} is not the file that its manifest describes.")
        if not (output / one["file"]).exists() or not source.samefile(output / one["file"]):
            shutil.copyfile(source, output / one["file"])
    return entry
