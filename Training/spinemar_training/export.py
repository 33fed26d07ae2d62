"""From weights to the shipped model: ONNX files, their hashes and the manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spinemar_training.features import HIGH_HU, LOW_HU, N_FEATURES, PIXEL_MM, SCALE_HU
from spinemar_training.running import RESIDUAL_VIEWS, build_generator, build_prior
from spinemar_training.settings import RunSettings

OPSET = 17
PIPELINE_VERSION = "1"
MAX_BYTES = 30_000_000
PARITY = 1e-4
MARGIN_MM = 24.0
BINS_CONTEXT = 32


def _export(
    network: nn.Module,
    inputs: dict[str, tuple[torch.Tensor, dict[int, str]]],
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
            opset_version=OPSET,
            dynamo=False,
        )


def parity(network: nn.Module, path: Path, inputs: dict[str, torch.Tensor]) -> float:
    """Largest difference between PyTorch and ONNX Runtime on given inputs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network.eval()(*inputs.values()).numpy()
    found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0]
    return float(np.abs(expected - found).max())


def export_prior(settings: RunSettings, weights: Path, path: Path) -> dict[str, Any]:
    """Write the prior network and return its manifest entry."""
    network = build_prior(settings, weights)
    multiple = network.unet.multiple
    sample = torch.rand(1, N_FEATURES, 2 * multiple, 3 * multiple)
    axes = {0: "B", 2: "H", 3: "W"}
    _export(network, {"features": (sample, axes)}, ("maps", axes), path)
    other = torch.rand(2, N_FEATURES, 3 * multiple, 2 * multiple)
    _check(parity(network, path, {"features": other}), path)
    return _entry(
        path,
        inputs={"features": ["B", N_FEATURES, "H", "W"]},
        outputs={"maps": ["B", 2, "H", "W"]},
        normalisation={"scale_hu": SCALE_HU, "low_hu": LOW_HU, "high_hu": HIGH_HU},
        settings={"pixel_mm": PIXEL_MM, "multiple": multiple, "margin_mm": MARGIN_MM},
    )


def export_generator(settings: RunSettings, weights: Path, path: Path) -> dict[str, Any]:
    """Write the generator and return its manifest entry."""
    network = build_generator(settings, weights)
    views = int(settings.options.get("residual_views", RESIDUAL_VIEWS))
    multiple = network.unet.multiple
    sample = torch.rand(1, 3, views, 8 * multiple)
    trace = (torch.rand_like(sample) > 0.5).float()
    axes = {0: "B", 3: "R"}
    inputs = {"sinogram": (sample, axes), "trace": (trace, axes)}
    _export(network, inputs, ("inpainted", axes), path)
    other = torch.rand(2, 3, views, 4 * multiple)
    marks = (torch.rand_like(other) > 0.5).float()
    _check(parity(network, path, {"sinogram": other, "trace": marks}), path)
    shape = ["B", 3, views, "R"]
    return _entry(
        path,
        inputs={"sinogram": shape, "trace": shape},
        outputs={"inpainted": ["B", 1, views, "R"]},
        normalisation={"scale": 1.0},
        settings={"views": views, "bins_multiple": multiple, "bins_context": BINS_CONTEXT},
    )


def _check(difference: float, path: Path) -> None:
    if not difference < PARITY:
        raise ValueError(f"{path.name} differs from PyTorch by {difference:.1e}.")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, more than {MAX_BYTES}.")


def _entry(path: Path, **facts: Any) -> dict[str, Any]:
    return {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **facts,
    }


def export_model(
    settings: RunSettings, weights: Path, output: Path, facts: dict[str, Any], name: str
) -> Path:
    """Write prior.onnx, generator.onnx and manifest.json into a folder.

    Parameters
    ----------
    settings : RunSettings
        Of the run that made the weights.
    weights : Path
    output : Path
    facts : dict
        Further entries: version, licence, training_data, metrics, gate...
    name : str
    """
    output.mkdir(parents=True, exist_ok=True)
    networks = {"prior": export_prior(settings, weights, output / "prior.onnx")}
    if "generator" in torch.load(weights, weights_only=True):
        networks["generator"] = export_generator(settings, weights, output / "generator.onnx")
    manifest = {
        "schema": "spinemar-model/1",
        "name": name,
        "pipeline_version": PIPELINE_VERSION,
        "geometry": {"views": 720, "bins": 736, "bins_per_fov": 512},
        **facts,
        "networks": networks,
    }
    path = output / "manifest.json"
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return path
