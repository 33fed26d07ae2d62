"""Training from a store of pairs: it learns, and a killed run goes on exactly."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("zarr", reason="zarr is not installed")

from spinemar_training.data.slabs import StoredSlabs
from spinemar_training.lightning.prior import PriorTraining
from spinemar_training.lightning.schedule import Budget
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.run_settings import RunOptions, RunSettings, StreamSettings
from spinemar_training.runs.running import fit, make_stream, seed_everything

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.pairs.domains import FIELDS
from spinemar.dataset.storage.finish import finish_store
from spinemar.dataset.storage.layout import (
    BlockRecord,
    InputFact,
    Spec,
    array_shape,
    create_arrays,
    write_record,
    write_spec,
)
from Testing.training.cut_stream import CutStream, KilledError

pytestmark = [pytest.mark.training, pytest.mark.slow]
PAIRS = 6


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs whose NMAR image is 200 HU too bright: what a network can learn to undo."""
    import zarr

    path = tmp_path_factory.mktemp("store") / "pairs.zarr"
    path.mkdir()
    settings = PairSettings(matrix=64, n_views=24, n_bins=40)
    people = (InputFact("a", "p1", "training", "", ""),)
    spec = Spec(1, settings, people, PAIRS)
    write_spec(path, spec)
    create_arrays(path, spec, PAIRS)
    group, rng = zarr.open_group(path, mode="r+"), np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 31.5
    discs = np.stack([np.hypot(x - s, y) < 22 + s for s in rng.uniform(-4, 4, PAIRS)])
    truth = np.where(discs, 40, -1000)[:, None] + np.zeros((1, 3, 1, 1), int)
    metal = np.broadcast_to((np.hypot(x, y - 8) < 3), truth.shape)
    known = {"truth": truth, "nmar": truth + 200, "li": truth + 250, "input": truth + 400}
    for name in FIELDS:
        shape = (PAIRS, *array_shape(name, settings))
        values = {**known, "metal": metal}.get(name, np.zeros(shape))
        group[name][:] = np.asarray(values).astype(group[name].dtype)
    rows = [
        {
            "index": n, "ct": "a", "patient": "p1", "domain": "post", "placement": "realistic",
            "pixel_mm": 0.8, "bin_mm": 0.7, "spacing_mm": 1.0, "case": "usual",
            "materials": ["316L"], "scanner": {
                "kvp": 120, "kernel": "soft", "hu_scale": "12-bit", "geometry": "parallel",
                "photons_per_ray": 1e5,
            }, "fov_mm": 51.2, "slice_mm": 1.0, "lost_ray_share": [0.1] * 3, "outside_rms": 0.01,
            "rmse_hu": {"input": [90.0, 1.0], "li": [9.0, 1.0], "nmar": [9.0, 1.0]},
        }
        for n in range(PAIRS)
    ]  # fmt: skip
    write_record(path, BlockRecord(0, rows, {}))
    finish_store(path)
    return path


def _settings(store: Path, steps: int, **options: Any) -> RunSettings:
    budget = Budget(max_steps=steps, learning_rate=4e-3, warmup_steps=2, ema_decay=0.5)
    return RunSettings(
        store=str(store),
        stream=StreamSettings(batch_size=2),
        budget=budget,
        options=RunOptions(log_every=1, **options),
    )


def _module(settings: RunSettings) -> PriorTraining:
    seed_everything(7)
    return PriorTraining(PriorNetwork((8, 12), (1, 1)), settings.budget, crop_px=64)


def test_the_prior_learns_from_a_store(store: Path, tmp_path: Path) -> None:
    settings = _settings(store, 40)
    stream = make_stream(settings, "cpu")
    assert isinstance(stream, StoredSlabs)
    fit(_module(settings), stream, tmp_path, settings, "cpu")
    with (tmp_path / "curves" / "version_0" / "metrics.csv").open(newline="") as text:
        losses = [float(row["prior/loss"]) for row in csv.DictReader(text) if row["prior/loss"]]
    assert len(losses) == 40
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_killed_run_from_a_store_resumes_exactly(store: Path, tmp_path: Path) -> None:
    settings = _settings(store, 5, checkpoint_steps=1)
    whole = _module(settings)
    fit(whole, make_stream(settings, "cpu"), tmp_path / "whole", settings, "cpu")
    cut = CutStream(make_stream(settings, "cpu"), 2)
    with pytest.raises(KilledError):
        fit(_module(settings), cut, tmp_path / "cut", settings, "cpu")
    resumed = _module(settings)
    seed_everything(99)  # a new process starts with another random state
    fit(resumed, make_stream(settings, "cpu"), tmp_path / "cut", settings, "cpu")
    assert resumed.steps_taken == whole.steps_taken == 5
    for ours, theirs in zip(
        whole.state_dict().values(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
