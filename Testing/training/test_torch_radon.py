"""The differentiable Radon transform against closed forms and against the core's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spinemar_training.projectors.radon import TorchRadon

from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform

pytestmark = pytest.mark.training
SIZE, VIEWS, BINS = 128, 168, 184


@pytest.fixture(scope="module")
def radon() -> TorchRadon:
    return TorchRadon(SIZE, VIEWS, BINS)


def _ellipse(oversampling: int = 8) -> np.ndarray:
    n = SIZE * oversampling
    y, x = (np.mgrid[:n, :n] + 0.5) / oversampling - SIZE / 2
    inside = ((x - 10) / 30) ** 2 + ((y + 6) / 20) ** 2 < 1
    return inside.reshape(SIZE, oversampling, SIZE, oversampling).mean((1, 3)).astype(np.float32)


def test_projects_an_ellipse_as_its_closed_form(radon: TorchRadon) -> None:
    found = radon.forward(torch.from_numpy(_ellipse())[None])[0].numpy()
    theta = np.pi * np.arange(VIEWS) / VIEWS
    square = (30 * np.cos(theta)) ** 2 + (20 * np.sin(theta)) ** 2
    r = np.arange(BINS) - (BINS - 1) / 2
    s = r - (10 * np.cos(theta) - 6 * np.sin(theta))[:, None]
    wanted = 2 * 30 * 20 * np.sqrt(np.maximum(square[:, None] - s**2, 0)) / square[:, None]
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.005 * wanted.max()


def test_fbp_gives_the_ellipse_back_without_bias(radon: TorchRadon) -> None:
    image = _ellipse()
    back = radon.fbp(radon.forward(torch.from_numpy(image)[None]))[0].numpy()
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inner = ((x - 10) / 24) ** 2 + ((y + 6) / 14) ** 2 < 1
    assert abs(back[inner].mean() - 1) < 1e-3
    assert back[inner].std() < 0.01


def test_gradients_are_the_adjoint(radon: TorchRadon) -> None:
    torch.manual_seed(0)
    image = torch.randn(2, SIZE, SIZE, requires_grad=True)
    weights = torch.randn(2, VIEWS, BINS)
    value = (radon.forward(image) * weights).sum()
    (gradient,) = torch.autograd.grad(value, image)
    assert torch.isclose((gradient * image).sum(), value, rtol=1e-4)


def test_agrees_with_the_core(radon: TorchRadon) -> None:
    image = _ellipse()
    core = RadonTransform((SIZE, SIZE), (1.0, 1.0), SinogramGeometry(VIEWS, BINS, 1.0))
    ours = radon.forward(torch.from_numpy(image)[None]).numpy()
    theirs = core.forward(image[None])
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 2e-3 * theirs.max()
    change = radon.fbp(torch.from_numpy(theirs)).numpy() - core.fbp(theirs)
    assert np.sqrt(np.mean(change**2)) < 5e-3
