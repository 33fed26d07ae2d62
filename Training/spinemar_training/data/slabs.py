"""Image-domain batches: the layout of the simulated stream, from a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from spinemar.dataset.storage.reader import PairStore
from spinemar_training.data.numbered import NumberedStream
from spinemar_training.simulate.slabs import CHANNELS
from spinemar_training.simulate.stream import Batch

_LOW_HU, _HIGH_HU = -9000.0, 30000.0


class StoredSlabs(NumberedStream):
    """Batches (b, 3, channels, h, w) float16 and pixel_mm (b,), as `SlabStream` makes them.

    Parameters
    ----------
    path : Path
        Store.
    batch_size, seed : int
    split : str, optional
        "training", "validation" or "test".
    domain : str, optional
        "post" or "raw" alone.
    alone_share : float
        Share of pairs whose middle slice stands in for its neighbours, as in short volumes.
    mirror_share : float
        Share of pairs whose left and right are exchanged.
    """

    def __init__(
        self,
        path: Path,
        batch_size: int,
        seed: int,
        *,
        split: str | None = "training",
        domain: str | None = None,
        alone_share: float = 0.3,
        mirror_share: float = 0.5,
    ) -> None:
        super().__init__(PairStore(path, CHANNELS, split=split, domain=domain), batch_size, seed)
        self._alone_share, self._mirror_share = alone_share, mirror_share

    def collect(self, positions: list[int], rng: np.random.Generator) -> Batch:
        """Read pairs and put them together."""
        slabs, pixels = [], []
        for position in positions:
            pair = self.store[position]
            images = np.stack([pair[name] for name in CHANNELS], axis=1).astype(np.float32)
            if rng.random() < self._alone_share:
                images = np.repeat(images[1:2], len(images), axis=0)
            if rng.random() < self._mirror_share:
                images = images[..., ::-1]
            slabs.append(np.clip(images, _LOW_HU, _HIGH_HU).astype(np.float16))
            pixels.append(pair["pixel_mm"])
        return Batch(torch.from_numpy(np.stack(slabs)), torch.from_numpy(np.stack(pixels)))
