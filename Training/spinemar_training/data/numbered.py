"""Streams whose batches have numbers: the same number, the same batch, whoever makes it.

A run that was killed goes on with the number it would have come to; processes of a distributed
run and workers of a loader take numbers of their own, and together see every pair once an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from spinemar.dataset.storage.reader import PairStore


class Order:
    """A new order of the pairs in every epoch.

    Parameters
    ----------
    count : int
        Pairs.
    batch_size : int
        The few pairs that fill no batch are left for the next epoch.
    seed : int
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        if not 1 <= batch_size <= count:
            raise ValueError(f"{count} pairs make no batch of {batch_size}.")
        self._count, self._batch_size, self._seed = count, batch_size, seed
        self._known: tuple[int, NDArray[np.int64]] | None = None

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return self._count // self._batch_size

    def positions(self, number: int) -> NDArray[np.int64]:
        """Return the positions of the pairs of batch `number`."""
        epoch, place = divmod(number, self.batches)
        if self._known is None or self._known[0] != epoch:
            shuffled = np.random.default_rng([self._seed, epoch]).permutation(self._count)
            self._known = epoch, shuffled
        start = place * self._batch_size
        return self._known[1][start : start + self._batch_size]


class NumberedStream(IterableDataset):
    """An endless stream of batches from a store; give it to a loader with `batch_size=None`.

    Parameters
    ----------
    store : PairStore
        With the fields that the batches need.
    batch_size : int
    seed : int

    Attributes
    ----------
    first : int
        Steps that were taken before: iteration begins after them.
    """

    def __init__(self, store: PairStore, batch_size: int, seed: int) -> None:
        self.store, self.seed = store, seed
        self.order = Order(len(store), batch_size, seed)
        self.first = 0

    def batch(self, number: int) -> Any:
        """Make batch `number`."""
        rng = np.random.default_rng([self.seed, number, 1])
        return self.collect([int(p) for p in self.order.positions(number)], rng)

    def collect(self, positions: list[int], rng: np.random.Generator) -> Any:
        """Read pairs and put them together."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        rank, world = 0, 1
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        worker = get_worker_info()
        mine, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        # A loader asks its workers in turn, so step after step comes out in order.
        step = self.first + mine
        while True:
            yield self.batch(step * world + rank)
            step += workers


class OnePass(IterableDataset):
    """All pairs of a stream once, in the store's order, for validation."""

    def __init__(self, stream: NumberedStream, batch_size: int) -> None:
        self._stream, self._batch_size = stream, batch_size

    def __len__(self) -> int:
        whole, rest = divmod(len(self._stream.store), self._batch_size)
        return whole + bool(rest)

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        mine, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for number in range(mine, len(self), workers):
            start = number * self._batch_size
            stop = min(start + self._batch_size, len(self._stream.store))
            rng = np.random.default_rng([self._stream.seed, number, 2])
            yield self._stream.collect(list(range(start, stop)), rng)
