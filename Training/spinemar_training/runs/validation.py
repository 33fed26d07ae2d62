"""Score networks on a fixed set of simulated slabs: every method, every slice."""

from __future__ import annotations

import numpy as np
import torch

from spinemar_training.correction.pipeline import correct_slabs
from spinemar_training.correction.scores import close_to_metal, masked_rmse, outside_metal
from spinemar_training.networks.features import (
    grid_around_bodies,
    input_of,
    li_of,
    metal_of,
    nmar_of,
    slice_windows,
    truth_of,
)
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.projectors.projector import Projector
from spinemar_training.simulate.stream import Batch

_CHUNK = 2
"""Slabs at a time: what memory holds."""


@torch.no_grad()
def score(
    fixed: Batch,
    prior: PriorNetwork,
    generator: SinogramGenerator | None,
    radon: Projector,
    grid: tuple[int, int] | None,
    widening_mm: float = 0.0,
) -> dict[str, dict[str, np.ndarray]]:
    """RMSE of each slice with metal: {"all" | "near": {method: (slices,)}}."""
    found: dict[str, dict[str, list[np.ndarray]]] = {"all": {}, "near": {}}
    for start in range(0, len(fixed.slabs), _CHUNK):
        slabs = fixed.slabs[start : start + _CHUNK]
        pixels = fixed.pixel_mm[start : start + _CHUNK]
        windows = slice_windows(slabs)
        metal, truth = metal_of(windows), truth_of(windows)
        final, first, _, _ = correct_slabs(
            slabs,
            pixels,
            prior,
            generator,
            radon,
            grid or grid_around_bodies(slabs, pixels),
            widening_mm=widening_mm,
        )
        images = {
            "input": input_of(windows),
            "li": li_of(windows),
            "nmar": nmar_of(windows),
            "prior": first,
            "generator": final,
        }
        with_metal = metal.flatten(1).any(1)
        regions = {
            "all": outside_metal(metal),
            "near": close_to_metal(metal, pixels.repeat_interleave(slabs.shape[1])),
        }
        for region, weight in regions.items():
            for name, image in images.items():
                values = masked_rmse(image, truth, weight)[with_metal]
                found[region].setdefault(name, []).append(values.cpu().numpy())
    return {
        region: {name: np.concatenate(parts) for name, parts in methods.items()}
        for region, methods in found.items()
    }
