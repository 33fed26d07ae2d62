"""Going on from a model for some minutes: what comes home, and what severe cases are."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from spinemar_training.correction.scores import bone_near_metal, gradient_rmse
from spinemar_training.lightning.schedule import Budget
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.projectors.radon import TorchRadon
from spinemar_training.run_settings import (
    GeneratorSettings,
    NetworkSettings,
    RunOptions,
    RunSettings,
    StreamSettings,
)
from spinemar_training.runs.running import save_weights
from spinemar_training.shipping import continued
from spinemar_training.simulate.classical import lost_share
from spinemar_training.simulate.slabs import SlabSettings
from spinemar_training.simulate.stream import SlabMaker

pytestmark = [pytest.mark.training, pytest.mark.slow]
SMALL = SlabSettings(size=64, n_slices=3, z_samples=1, scan_views=96)


def test_a_minute_on_from_a_model_brings_small_files_home(
    patient_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths, blocks = (8, 16), (1, 1)

    def taken(model: Path, output: Path) -> None:
        assert model == Path("model")
        torch.manual_seed(3)
        save_weights(
            output,
            prior=PriorNetwork(widths, blocks),
            generator=SinogramGenerator(widths, blocks),
        )

    monkeypatch.setattr(continued, "weights_of_model", taken)
    settings = RunSettings(
        patients=(str(patient_file),),
        validation=(str(patient_file),),
        slabs=SMALL,
        stream=StreamSettings(capacity=2, batch_size=1, renew_every=2, first_fill=1, window=9),
        budget=Budget(max_steps=3, learning_rate=1e-3, warmup_steps=1, ema_decay=0.5),
        prior=NetworkSettings(widths, blocks),
        generator=GeneratorSettings(widths, blocks),
        grid=None,
        validation_slabs=1,
        options=RunOptions(log_every=1, residual_views=40),
    )
    scores = continued.continue_model(settings, Path("model"), tmp_path, 1.0, (0.5, 1.0))
    home = tmp_path / "home"
    names = {path.name for path in home.iterdir()}
    assert names == {"weights-0.5.pt", "weights-1.pt", "curves.svg", "scores.json"}
    assert json.loads((home / "scores.json").read_text()) == json.loads(json.dumps(scores))
    assert list(scores) == ["0", "0.5", "1"]
    assert all(math.isfinite(s["near"]["generator"]["rmse_hu"]) for s in scores.values())
    # Half way between the model and what it came to, in numbers of 16 bits.
    start, tuned = (torch.load(tmp_path / name) for name in ("start.pt", "run/weights.pt"))
    half = torch.load(home / "weights-0.5.pt")
    for net, state in half.items():
        for name, value in state.items():
            assert value.dtype == torch.float16
            middle = (start[net][name] + tuned[net][name]) / 2
            torch.testing.assert_close(value.float(), middle, rtol=2e-3, atol=1e-4)
    moved = [k for k, v in start["prior"].items() if not torch.equal(v, tuned["prior"][k])]
    assert moved, "nothing was trained"


def test_the_lost_share_of_a_disc_in_a_disc() -> None:
    """Rays through the inner one, of those through both: the ratio of their radii."""
    size, body_px, metal_px = 128, 50.0, 10.0
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    radius = torch.hypot(y - (size - 1) / 2, x - (size - 1) / 2)
    hu = torch.where(radius < body_px, 0.0, -1000.0)[None]
    metal = (radius < metal_px)[None]
    nothing = torch.zeros_like(metal)
    share = lost_share(hu, metal, nothing, TorchRadon(size, 90, 184), 4.0)
    # One bin more on either side; rays that graze the body do not count.
    assert share == pytest.approx((metal_px + 1) / body_px, abs=0.02)


def test_severe_cases_lose_as_many_rays_as_they_shall(patient_file: Path) -> None:
    usual = SlabMaker([patient_file], SMALL, 5, "cpu")
    mean = sum(usual.lost_share(usual.make()) for _ in range(6)) / 6
    least = 1.3 * mean
    wanted = SlabSettings(
        size=64, n_slices=3, z_samples=1, scan_views=96, severe_share=1.0, severe_lost_share=least
    )
    severe = SlabMaker([patient_file], wanted, 5, "cpu")
    shares = [severe.lost_share(severe.make()) for _ in range(4)]
    assert sum(share >= least for share in shares) >= 3
    assert sum(shares) / 4 > mean


def test_gradients_and_bone_near_metal() -> None:
    truth = torch.zeros(1, 40, 40)
    truth[:, :, 20:] = 500.0
    ramp = truth + 3.0 * torch.arange(40.0)[None, None, :] + 4.0 * torch.arange(40.0)[None, :, None]
    everywhere = torch.ones_like(truth)
    assert float(gradient_rmse(ramp, truth, everywhere)) == pytest.approx(5.0, abs=1e-3)
    metal = torch.zeros(1, 40, 40)
    metal[:, 20, 20] = 1.0
    bone = bone_near_metal(truth, metal, torch.tensor([2.0]))
    assert bone[0, 20, 30] == 1
    assert bone[0, 20, 35] == bone[0, 20, 10] == bone[0, 20, 21] == 0
