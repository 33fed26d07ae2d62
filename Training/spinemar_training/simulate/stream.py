"""An endless stream of simulated slabs: a buffer on the GPU that is renewed while it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from spinemar_training.projectors.radon import TorchRadon
from spinemar_training.simulate.anatomy import Patient, load_patient
from spinemar_training.simulate.classical import lost_share
from spinemar_training.simulate.scan import Projectors, detector_bins, make_projectors
from spinemar_training.simulate.slabs import CHANNELS, SlabSettings, TrainingSlab, make_slab


class Batch(NamedTuple):
    """Slabs (b, slices, channels, h, w) float16 and their pixel size (b,)."""

    slabs: Tensor
    pixel_mm: Tensor


_TRIES = 12
"""So many slabs are made for a severe one, before the worst of them has to do."""


class SlabMaker:
    """Makes slabs one after another from a seed."""

    def __init__(
        self,
        patient_files: Sequence[Path],
        settings: SlabSettings,
        seed: int,
        device: torch.device | str,
    ) -> None:
        self.settings = settings
        self._patients: list[Patient] = [load_patient(p, device) for p in patient_files]
        self._projectors: Projectors = make_projectors(settings.size, settings.scan_views, device)
        self._radon = TorchRadon(settings.size, 720, detector_bins(settings.size), device=device)
        self._rng = np.random.default_rng(seed)
        self._generator = torch.Generator(device=device).manual_seed(seed)

    def make(self) -> TrainingSlab:
        """Make the next slab that holds metal, as severe as it shall be."""
        settings = self.settings
        worst = self._make()
        if settings.severe_share > 0 and self._rng.random() < settings.severe_share:
            share = self.lost_share(worst)
            for _ in range(_TRIES - 1):
                if share >= settings.severe_lost_share:
                    break
                slab = self._make()
                share, worst = max((share, worst), (self.lost_share(slab), slab), key=_first)
        return worst

    def _make(self) -> TrainingSlab:
        """Make the next slab that holds metal."""
        while True:
            slab = make_slab(
                self._patients,
                self.settings,
                self._projectors,
                self._radon,
                self._rng,
                self._generator,
            )
            if slab is not None:
                return slab

    def lost_share(self, slab: TrainingSlab) -> float:
        """Share of the rays through the body that are lost, mean over the slices with metal."""
        images = dict(zip(CHANNELS, slab.images.float().unbind(1), strict=True))
        metal, saturated = images["metal"] > 0, images["saturated"] > 0
        return lost_share(images["input"], metal, saturated, self._radon, slab.pixel_mm)


def _first(pair: tuple[float, TrainingSlab]) -> float:
    return pair[0]


class SlabStream(IterableDataset):
    """Batches drawn from a buffer of slabs, of which some are replaced after each batch.

    Parameters
    ----------
    maker : SlabMaker
    capacity : int
        Slabs in the buffer.
    batch_size : int
        Slabs a batch.
    renew_every : int
        Batches drawn for each new slab.
    window : int
        Slices a drawn slab keeps: 3 for one slice with its neighbours, or all.
    """

    def __init__(
        self,
        maker: SlabMaker,
        *,
        capacity: int,
        batch_size: int,
        renew_every: int,
        window: int,
        first_fill: int,
        seed: int,
    ) -> None:
        self._maker = maker
        self._capacity, self._batch_size, self._window = capacity, batch_size, window
        self._renew_every, self._first_fill = renew_every, first_fill
        self._rng = np.random.default_rng(seed)
        self._slabs: Tensor | None = None
        self._pixels: Tensor | None = None
        self._filled = 0
        self.made = 0

    def _add(self) -> None:
        slab = self._maker.make()
        if self._slabs is None:
            shape = (self._capacity, *slab.images.shape)
            self._slabs = torch.empty(shape, dtype=torch.float16, device=slab.images.device)
            self._pixels = torch.empty(self._capacity, device=slab.images.device)
        assert self._pixels is not None
        place = self.made % self._capacity
        self._slabs[place] = slab.images
        self._pixels[place] = slab.pixel_mm
        self.made += 1
        self._filled = min(self._capacity, self.made)

    def _draw(self) -> Batch:
        assert self._slabs is not None
        assert self._pixels is not None
        chosen = torch.from_numpy(self._rng.integers(self._filled, size=self._batch_size))
        chosen = chosen.to(self._slabs.device)
        if self._window >= self._slabs.shape[1]:
            return Batch(self._slabs[chosen], self._pixels[chosen])
        centre = torch.from_numpy(
            self._rng.integers(self._slabs.shape[1], size=(self._batch_size, 1))
        )
        # A third of the cases are single slices repeated, as short volumes are.
        reach = torch.from_numpy((self._rng.random((self._batch_size, 1)) > 0.3).astype(np.int64))
        offset = torch.arange(self._window)[None] - self._window // 2
        slices = (centre + offset * reach).clamp(0, self._slabs.shape[1] - 1)
        slices = slices.to(self._slabs.device)
        return Batch(self._slabs[chosen[:, None], slices], self._pixels[chosen])

    def __iter__(self) -> Iterator[Batch]:
        while self._filled < min(self._first_fill, self._capacity):
            self._add()
        drawn = 0
        while True:
            yield self._draw()
            drawn += 1
            if drawn % self._renew_every == 0:
                self._add()


def fixed_slabs(maker: SlabMaker, count: int) -> Batch:
    """Make a fixed set, for validation."""
    slabs = [maker.make() for _ in range(count)]
    assert all(s.images.shape[1] == len(CHANNELS) for s in slabs)
    device = slabs[0].images.device
    return Batch(
        torch.stack([s.images for s in slabs]),
        torch.tensor([s.pixel_mm for s in slabs], device=device),
    )
