"""Batches from a store: in order, without gaps, the same after a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from spinemar_training.data.numbered import Order  # noqa: E402
from spinemar_training.data.sinograms import StoredSinograms, view_block  # noqa: E402
from spinemar_training.data.slabs import StoredSlabs  # noqa: E402
from spinemar_training.simulate.slabs import CHANNELS  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from spinemar.dataset.pair_settings import PairSettings  # noqa: E402
from spinemar.dataset.pairs.domains import FIELDS, FRACTIONS, SINOGRAMS  # noqa: E402
from spinemar.dataset.storage.finish import finish_store  # noqa: E402
from spinemar.dataset.storage.layout import (  # noqa: E402
    BlockRecord,
    InputFact,
    Spec,
    array_shape,
    create_arrays,
    write_record,
    write_spec,
)
from spinemar.dataset.storage.reader import PairStore  # noqa: E402

pytestmark = pytest.mark.training
ROOT = Path(__file__).resolve().parents[2]
PAIRS, TRAINING = 15, 10


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of noise whose first pixel is the pair's number; ten pairs to train with."""
    import zarr

    path = tmp_path_factory.mktemp("store") / "pairs.zarr"
    path.mkdir()
    settings = PairSettings(matrix=80, n_views=24, n_bins=40)
    people = (InputFact("a", "p1", "training", "", ""), InputFact("b", "p2", "validation", "", ""))
    write_spec(path, Spec(1, settings, people, PAIRS))
    create_arrays(path, Spec(1, settings, people, PAIRS), PAIRS)
    group, rng = zarr.open_group(path, mode="r+"), np.random.default_rng(0)
    for name in FIELDS:
        shape = (PAIRS, *array_shape(name, settings))
        values = rng.integers(*((0, 256) if name in FRACTIONS else (-900, 3000)), shape)
        if group[name].dtype == bool:
            values = values > 2500
        else:
            values.reshape(PAIRS, -1, *values.shape[-2:])[..., 0, 0] = np.arange(PAIRS)[:, None]
        group[name][:] = values
    rows = [
        {
            "index": n, "ct": "a" if n < TRAINING else "b",
            "patient": "p1" if n < TRAINING else "p2", "domain": "raw" if n % 3 == 0 else "post",
            "placement": "realistic", "pixel_mm": 0.5 + n / 100, "bin_mm": 0.7, "spacing_mm": 1.0,
            "case": "usual", "materials": ["316L"], "scanner": {
                "kvp": 120, "kernel": "soft", "hu_scale": "12-bit", "geometry": "parallel",
                "photons_per_ray": 1e5,
            }, "fov_mm": 300.0, "slice_mm": 1.0, "lost_ray_share": [0.1] * 3, "outside_rms": 0.01,
            "rmse_hu": {"input": [90.0, 1.0], "li": [9.0, 1.0], "nmar": [9.0, 1.0]},
        }
        for n in range(PAIRS)
    ]  # fmt: skip
    write_record(path, BlockRecord(0, rows, {}))
    finish_store(path)
    return path


def numbers(batch) -> list[int]:
    return [int(v) for v in batch.slabs[:, 1, CHANNELS.index("input"), 0, 0]]


def test_an_epoch_holds_every_pair_once_in_a_new_order():
    order = Order(12, 4, seed=3)
    epochs = [
        np.concatenate([order.positions(3 * e + n) for n in range(3)]).tolist() for e in range(3)
    ]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert Order(12, 4, seed=3).positions(7).tolist() == order.positions(7).tolist()
    with pytest.raises(ValueError, match="no batch"):
        Order(3, 4, 0)


def test_slabs_have_the_layout_of_the_simulated_stream(store):
    batch = StoredSlabs(store, 3, seed=1, alone_share=0.0, mirror_share=0.0).batch(0)
    assert batch.slabs.shape == (3, 3, len(CHANNELS), 80, 80)
    assert batch.slabs.dtype == torch.float16
    pairs = PairStore(store, CHANNELS)
    for slab, pixel, n in zip(batch.slabs, batch.pixel_mm, numbers(batch), strict=True):
        assert n < TRAINING, "a validation pair among training pairs"
        assert float(pixel) == pytest.approx(0.5 + n / 100)
        for channel, name in enumerate(CHANNELS):
            stored = torch.from_numpy(pairs[n][name].astype(np.float32))
            assert (slab[:, channel].float() - stored).abs().max() <= 1.0


def test_mirrored_pairs_are_the_same_pairs_seen_in_a_mirror(store):
    plain, mirrored = (
        StoredSlabs(store, 3, seed=1, alone_share=0.0, mirror_share=share).batch(0)
        for share in (0.0, 1.0)
    )
    assert torch.equal(mirrored.slabs, plain.slabs.flip(-1))
    assert not torch.equal(mirrored.slabs, plain.slabs)


def test_short_volumes_repeat_their_slice(store):
    batch = StoredSlabs(store, 3, seed=1, alone_share=1.0).batch(0)
    assert torch.equal(batch.slabs[:, 0], batch.slabs[:, 1])
    assert torch.equal(batch.slabs[:, 2], batch.slabs[:, 1])


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_batches_come_in_the_same_order_whatever_reads_them(store, workers):
    stream = StoredSlabs(store, 2, seed=9, mirror_share=0.0)
    loader = iter(DataLoader(stream, batch_size=None, num_workers=workers))
    got = [next(loader) for _ in range(8)]
    for n, batch in enumerate(got):
        assert torch.equal(batch.slabs, stream.batch(n).slabs)
    seen = [n for batch in got[:5] for n in numbers(batch)]
    assert sorted(seen) == list(range(TRAINING))


def test_a_resumed_stream_goes_on(store):
    whole, late = (
        StoredSlabs(store, 2, seed=9, mirror_share=0.0),
        StoredSlabs(store, 2, seed=9, mirror_share=0.0),
    )
    late.first = 6
    expected = [b.slabs for b, _ in zip(whole, range(10), strict=False)][6:]
    got = [b.slabs for b, _ in zip(late, range(4), strict=False)]
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))


def test_sinograms_come_whole_with_what_the_generator_needs(store):
    batch = StoredSinograms(store, 2, seed=4).batch(1)
    assert batch.sinogram.shape == (2, 3, 24, 40)
    assert batch.target.shape == (2, 1, 24, 40)
    assert batch.lost_ray_trace.dtype == torch.bool
    outside = ~batch.lost_ray_trace
    assert torch.equal(batch.filled[outside], batch.sinogram[outside])
    assert not torch.equal(batch.filled, batch.sinogram)


def test_blocks_of_views_go_on_beyond_the_last_view(store):
    batch = StoredSinograms(store, 5, seed=4, views=10).batch(0)
    assert batch.sinogram.shape == (5, 3, 10, 40)
    assert len(set(batch.first_view.tolist())) > 1
    rows = np.arange(6.0)[:, None] * 100 + np.arange(4.0)
    block = view_block(rows, 4, 4)
    assert block[:2].tolist() == rows[4:].tolist()
    assert block[2:].tolist() == rows[:2, ::-1].tolist()
    with pytest.raises(ValueError, match="does not fit"):
        StoredSinograms(store, 2, seed=4, views=25)


def test_domains_are_kept_apart(store):
    raw = StoredSinograms(store, 2, seed=4, domain="raw", split=None)
    assert {row["domain"] for row in raw.store.rows} == {"raw"}
    assert len(raw.store) == 5


def module(seen):
    import lightning

    class Tiny(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch, batch_idx):
            seen.append(numbers(batch))
            return (self.weight * batch.slabs.float().mean()).sum()

        def validation_step(self, batch, batch_idx):
            seen.append(("validation", len(batch.slabs)))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 1e-3)

    return Tiny()


def trainer(folder, **options):
    import lightning
    from lightning.pytorch.callbacks import ModelCheckpoint

    return lightning.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ModelCheckpoint(folder, save_last=True, every_n_train_steps=1)], **options,
    )  # fmt: skip


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_lightning_run_sees_the_batches_it_missed(store, tmp_path, workers):
    from spinemar_training.data.module import StoreDataModule

    def data():
        return StoreDataModule(store, 2, seed=5, workers=workers)

    def run(folder, steps, resumed=None):
        seen = []
        trainer(folder, max_steps=steps, limit_val_batches=0).fit(
            module(seen), datamodule=data(), ckpt_path=resumed
        )
        return seen

    whole = run(tmp_path / "whole", 9)
    first = run(tmp_path / "broken", 4)
    second = run(tmp_path / "broken", 9, tmp_path / "broken/last.ckpt")
    assert len(whole) == 9
    assert first + second == whole


def test_validation_sees_every_pair_once(store, tmp_path):
    from spinemar_training.data.module import StoreDataModule

    seen = []
    trainer(tmp_path).validate(module(seen), datamodule=StoreDataModule(store, 2), verbose=False)
    assert seen == [("validation", 2), ("validation", 2), ("validation", 1)]


def test_sinogram_module_streams_both_splits(store):
    from spinemar_training.data.module import StoreDataModule

    data = StoreDataModule(store, 2, kind="sinograms", views=8)
    assert next(iter(data.train_dataloader())).sinogram.shape == (2, 3, 8, 40)
    assert len(list(data.val_dataloader())) == 3


@pytest.mark.parametrize(
    ("library", "example", "shape"),
    [
        ("monai", "read_pairs.py", "(2, 3, 64, 64)"),
        ("torchio", "read_pairs_torchio.py", "(2, 1, 64, 64, 3)"),
    ],
)
def test_examples_for_other_libraries_run(store, library, example, shape):
    pytest.importorskip(library)
    done = subprocess.run(
        [sys.executable, ROOT / "Docs/examples" / example, store],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(shape) == TRAINING


def test_line_integrals_are_scaled_once(store):
    batch = StoredSinograms(store, 1, seed=4).batch(0)
    position = int(Order(TRAINING, 1, 4).positions(0)[0])
    n = PairStore(store, (), split="training").rows[position]["index"]
    pair = PairStore(store, SINOGRAMS)[n]
    assert torch.equal(batch.target[0, 0], torch.from_numpy(pair["target"][1]))
    assert float(batch.target.abs().max()) < 3.0
