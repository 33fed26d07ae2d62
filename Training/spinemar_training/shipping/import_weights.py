"""Weights back out of ONNX files: the shipped model is where the next training starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from spinemar.errors import InputError
from spinemar.mar.inpainters.models.manifest import Network, load_manifest
from spinemar_training.shipping.half_storage import SUFFIX

INPAINTERS = ("prior", "generator")
"""Networks that are trained together; the small ones beside them are trained alone."""


def weights_of_model(model: Path, output: Path, networks: Sequence[str] = INPAINTERS) -> None:
    """Write the weights of a model's networks as one file that training starts from.

    Parameters
    ----------
    model : Path
        Manifest, or its folder; verified as for use.
    output : Path
        File of weights (.pt) with a state dictionary for each network.
    networks : sequence of {"prior", "generator", "metal", "fusion"}
        Which; those that the model has.

    Raises
    ------
    InputError
        If the model has none of them.
    """
    manifest = load_manifest(model)
    found = {
        "prior": manifest.prior,
        "generator": manifest.generator,
        "metal": manifest.metal,
        "fusion": manifest.fusion,
    }
    states = {name: _state(one) for name, one in found.items() if one and name in networks}
    if not states:
        raise InputError(
            f"The model has no network called {' or '.join(networks)}.",
            f"It has: {', '.join(name for name, one in found.items() if one)}.",
        )
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
