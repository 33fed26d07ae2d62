"""Steepness of edges as a loss: the metric's own number, and its gradient sharpens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from spinemar_training.correction.scores import far_from_metal, steepness
from spinemar_training.networks.features import PIXEL_MM, grid_around_bodies
from spinemar_training.simulate.slabs import CHANNELS

from spinemar.evaluation.metrics import sharpness_ratio

pytestmark = pytest.mark.training


def _phantom() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:128, :128] - 63.5
    truth = np.where(x**2 + y**2 < 58**2, 40.0, -1000.0)
    for n in range(6):
        centre = 40 * np.cos(n), 40 * np.sin(n)
        truth[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 36] = 200.0 * (n + 1)
    return truth.astype(np.float32), x**2 + y**2 < 9


@pytest.mark.parametrize("sigma", [0.0, 0.6, 1.5])
def test_it_is_the_sharpness_of_the_evaluation(sigma: float) -> None:
    truth, metal = _phantom()
    image = ndimage.gaussian_filter(truth, sigma)
    tensors = [torch.from_numpy(a)[None] for a in (image, truth, metal)]
    region = far_from_metal(tensors[1], tensors[2], torch.tensor([1.0]))
    found = float(steepness(tensors[0], tensors[1], region)[0])
    wanted = sharpness_ratio(truth, image, region[0].numpy() > 0)
    assert found == pytest.approx(wanted, abs=2e-3)
    assert (found == pytest.approx(1.0)) == (sigma == 0)


def test_its_gradient_steepens_edges() -> None:
    truth, metal = (torch.from_numpy(a)[None] for a in _phantom())
    region = far_from_metal(truth, metal, torch.tensor([1.0]))
    blurred = torch.from_numpy(ndimage.gaussian_filter(truth[0].numpy(), 1.0))[None]
    blurred.requires_grad_(True)
    before = steepness(blurred, truth, region)[0]
    (1 - before).backward()
    assert blurred.grad is not None
    step = blurred.detach() - 1e4 * blurred.grad
    after = float(steepness(step, truth, region)[0])
    assert float(before) < after <= 1.5


def test_a_slice_full_of_metal_has_no_edges_to_judge() -> None:
    truth = torch.zeros(1, 32, 32)
    region = torch.zeros(1, 32, 32)
    assert float(steepness(truth, truth, region)[0]) == 1.0


def test_the_window_holds_the_body_and_leaves_out_the_table() -> None:
    truth, _ = _phantom()
    slabs = torch.full((1, 3, len(CHANNELS), 256, 256), -1000.0)
    nmar = slabs[:, :, CHANNELS.index("nmar")]
    nmar[:, :, 64:192, 64:192] = torch.from_numpy(truth)
    nmar[:, :, 230:236] = 100.0  # a table as wide as the field
    rows, columns = grid_around_bodies(slabs, torch.tensor([1.0]))
    assert rows == columns
    assert rows % 32 == 0
    assert 2 * 58 < rows * PIXEL_MM < 2 * (58 + 24) + 32 * PIXEL_MM
