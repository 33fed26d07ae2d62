"""The core's transforms as steps of PyTorch: their gradients are their transposes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spinemar_training.projectors.nufft import NufftRadon
from spinemar_training.projectors.radon import TorchRadon

pytestmark = pytest.mark.training
SIZE, VIEWS, BINS = 64, 48, 96


def _noise(*shape: int) -> torch.Tensor:
    rng = np.random.default_rng(sum(shape))
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("bin_px", [1.0, 1.25])
@pytest.mark.parametrize("name", ["forward", "fbp"])
def test_gradients_are_the_transpose(name: str, bin_px: float) -> None:
    """For a linear A and loss <A x, y>: the gradient is A^T y, so <x, A^T y> is the loss."""
    image, sinogram = _noise(2, SIZE, SIZE), _noise(2, VIEWS, BINS)
    given, other = (image, sinogram) if name == "forward" else (sinogram, image)
    given.requires_grad_(True)
    product = (getattr(NufftRadon(SIZE, VIEWS, BINS, bin_px=bin_px), name)(given) * other).sum()
    product.backward()
    assert given.grad is not None
    again = (given.detach() * given.grad).sum()
    assert float(again) == pytest.approx(float(product), rel=1e-3)


def test_it_agrees_with_the_projector_for_gpus() -> None:
    ours, theirs = NufftRadon(SIZE, VIEWS, BINS), TorchRadon(SIZE, VIEWS, BINS)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    disc = torch.from_numpy(np.exp(-((x - 5) ** 2 + y**2) / 200).astype(np.float32))[None]
    sinogram = ours.forward(disc)
    assert torch.allclose(sinogram, theirs.forward(disc), atol=2e-3 * float(sinogram.max()))
    assert torch.allclose(ours.fbp(sinogram), theirs.fbp(sinogram), atol=5e-3)
