"""Weights back out of ONNX files: the shipped model is where the next training starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from spinemar.mar.inpainters.models.manifest import Network, load_manifest
from spinemar_training.shipping.half_storage import SUFFIX


def weights_of_model(model: Path, output: Path) -> None:
    """Write the weights of a model's networks as one file that training starts from.

    Parameters
    ----------
    model : Path
        Manifest, or its folder; verified as for use.
    output : Path
        File of weights (.pt) with a state dictionary for each network.
    """
    manifest = load_manifest(model)
    networks = {"prior": manifest.prior, "generator": manifest.generator}
    states = {name: _state(network) for name, network in networks.items() if network is not None}
    torch.save(states, output)


def _state(network: Network) -> dict[str, torch.Tensor]:
    """Parameters keep their names in the exported graph."""
    import onnx

    graph = onnx.load_from_string(network.data).graph
    arrays = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    return {
        name.replace("unet.inner.", "unet.").removesuffix(SUFFIX): torch.from_numpy(
            np.array(values, np.float32)
        )
        for name, values in arrays.items()
        if name.startswith("unet.")
    }
