"""Keep an ONNX file's weights in 16 bits, whatever its arithmetic: half the bytes to ship.

Weights are rounded before they are exported, so nothing is lost in the file: a Cast turns them
back to 32 bits, and ONNX Runtime does that once when it opens the file.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SUFFIX = ".half"
_FEWEST_VALUES = 64
"""Smaller tensors (biases, scales) stay as they are."""


def round_to_half(network: nn.Module) -> nn.Module:
    """Round a network's weights to what 16 bits hold, in place; raises where one overflows."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            rounded = parameter.half().float()
            if not bool(torch.isfinite(rounded).all()):
                raise ValueError(f"The weights {name} do not fit into 16 bits.")
            parameter.copy_(rounded)
    return network


def store_halved(model: Any) -> Any:
    """Store 32-bit weights of an ONNX model in 16 bits with a Cast behind, where that is exact."""
    import numpy as np
    import onnx

    graph = model.graph
    casts, kept = [], []
    for item in graph.initializer:
        values = onnx.numpy_helper.to_array(item)
        small = values.dtype != np.float32 or values.size < _FEWEST_VALUES
        if small or not np.array_equal(values.astype(np.float16).astype(np.float32), values):
            kept.append(item)
            continue
        stored = item.name + SUFFIX
        kept.append(onnx.numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(
            onnx.helper.make_node(
                "Cast", [stored], [item.name], name=stored + ".cast", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    return model
