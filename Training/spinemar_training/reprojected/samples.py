"""Slices of stacks as the training sees them, and a stream of them whose steps have numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from spinemar.mar.inpainters.learned.resample import resampling_matrix, window_around
from spinemar_training.correction.scores import close_to_metal, outside_metal
from spinemar_training.networks.features import (
    GRID_MULTIPLE,
    HIGH_HU,
    LOW_HU,
    MARGIN_MM,
    PIXEL_MM,
    SCALE_HU,
)

_AIR_HU = -1000.0
_ALONE_SHARE = 0.25
_METAL_SHARE = 0.5


class Sample(NamedTuple):
    """One slice.

    Parameters
    ----------
    features : Tensor, shape (11, h, w)
        What the network sees, on a window at its own pixel size.
    rows, columns : Tensor, shapes (n, h) and (n, w)
        Matrices that bring the window's maps back to the slice's pixels.
    input_hu, nmar_hu, truth_hu : Tensor, shape (n, n)
    floor_hu : Tensor, shape (n, n)
        Error of the corrected slice if the picture were the truth.
    trace : Tensor of bool, shape (views, bins)
        Lost rays.
    scored, near : Tensor, shape (n, n)
        1 where errors count, in all of the body and within 20 mm of metal.
    pixel_mm : float
    facts : dict
        Of the stack.
    """

    features: Tensor
    rows: Tensor
    columns: Tensor
    input_hu: Tensor
    nmar_hu: Tensor
    truth_hu: Tensor
    floor_hu: Tensor
    trace: Tensor
    scored: Tensor
    near: Tensor
    pixel_mm: float
    facts: dict[str, Any]


def slices_of(path: Path) -> list[int]:
    """Return the slices of a stack that can be learned from."""
    with np.load(path, allow_pickle=False) as stored:
        return list(json.loads(str(stored["facts"]))["slices"])


def read_sample(path: Path, k: int, *, alone: bool = False, mirrored: bool = False) -> Sample:
    """Read a slice of a stack.

    Parameters
    ----------
    path : Path
    k : int
        One of `slices_of`.
    alone : bool
        The slice stands in for its neighbours, as in volumes of one slice.
    mirrored : bool
        Left and right exchanged.
    """
    with np.load(path, allow_pickle=False) as stored:
        stack = _Stack(stored, json.loads(str(stored["facts"])), mirrored)
        return stack.sample(k, [k, k, k] if alone else [k - 1, k, k + 1])


class _Stack:
    """Arrays of a file, unpacked as they are asked for."""

    def __init__(self, stored: Any, facts: dict[str, Any], mirrored: bool) -> None:
        self._stored, self._facts, self._mirrored = stored, facts, mirrored

    def sample(self, k: int, three: Sequence[int]) -> Sample:
        pixel, size = float(self._facts["pixel_mm"]), int(self._facts["size"])
        grid = window_around(
            self._mask("window", k),
            (pixel, pixel),
            PIXEL_MM,
            margin_mm=MARGIN_MM,
            multiple=GRID_MULTIPLE,
        )
        rows, columns = (
            resampling_matrix(grid.shape[a], PIXEL_MM, size, pixel, -grid.centre_mm[a]).toarray()
            for a in (0, 1)
        )
        metal = torch.from_numpy(self._turned(self._stored[f"share{k}"]) > 255 * _METAL_SHARE)
        body = torch.from_numpy(self._mask("body", k).astype(np.float32))
        return Sample(
            features=torch.from_numpy(grid.into(self._seen(k, three))),
            rows=torch.from_numpy(rows),
            columns=torch.from_numpy(columns),
            input_hu=torch.from_numpy(self._hu("hu", k)),
            nmar_hu=torch.from_numpy(self._hu("nmar_hu", k)),
            truth_hu=torch.from_numpy(self._hu("truth", k)),
            floor_hu=torch.from_numpy(self._hu("floor", k)),
            trace=torch.from_numpy(self._trace(k)),
            scored=outside_metal(metal[None])[0] * body,
            near=close_to_metal(metal[None], torch.tensor([pixel]))[0] * body,
            pixel_mm=pixel,
            facts=self._facts,
        )

    def _seen(self, k: int, three: Sequence[int]) -> NDArray[np.float32]:
        images = [self._units(name, j) for name in ("hu", "nmar_hu") for j in three]
        images.append(self._units("li_hu", k))
        masks = [self._mask("metal", j) for j in three] + [self._mask("saturated", k)]
        return np.stack([*images, *masks]).astype(np.float32)

    def _units(self, name: str, k: int) -> NDArray[np.float32]:
        clipped = np.clip(self._hu(name, k), LOW_HU, HIGH_HU)
        return np.asarray((clipped - _AIR_HU) / SCALE_HU, np.float32)

    def _hu(self, name: str, k: int) -> NDArray[np.float32]:
        return self._turned(self._stored[f"{name}{k}"]).astype(np.float32)

    def _mask(self, name: str, k: int) -> NDArray[np.bool_]:
        size = int(self._facts["size"])
        return self._turned(np.unpackbits(self._stored[f"{name}{k}"], axis=-1, count=size) > 0)

    def _trace(self, k: int) -> NDArray[np.bool_]:
        bits = np.unpackbits(self._stored[f"trace{k}"], axis=-1, count=int(self._facts["bins"]))
        trace = bits > 0
        if not self._mirrored:
            return trace
        # A ray at angle t is one at pi - t in the mirror; that of view 0 comes from behind.
        other: NDArray[np.bool_] = np.roll(trace[::-1], 1, axis=0)
        other[0] = other[0, ::-1]
        return other

    def _turned(self, image: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(image[:, ::-1]) if self._mirrored else image


class SampleStream(IterableDataset):
    """Batches of samples; batch n depends on the files, the seed and n only.

    Scans come in turn, a slice of each at a time, so that a scan of many slices counts no more.
    Processes of a distributed run take batches of their own.

    Parameters
    ----------
    files : sequence of Path
    batch_size, seed : int
    """

    def __init__(self, files: Sequence[Path], batch_size: int, seed: int) -> None:
        known = ((path, slices_of(path)) for path in files)
        self._stacks = [(path, slices) for path, slices in known if slices]
        self._batch_size, self._seed = batch_size, seed
        self.first = 0

    def __iter__(self) -> Iterator[list[Sample]]:
        rank, world = 0, 1
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        step = self.first
        while True:
            yield self.batch(step * world + rank)
            step += 1

    def batch(self, number: int) -> list[Sample]:
        """Make batch `number`."""
        rng = np.random.default_rng([self._seed, number])
        return [self._draw(number * self._batch_size + n, rng) for n in range(self._batch_size)]

    def _draw(self, position: int, rng: np.random.Generator) -> Sample:
        epoch, place = divmod(position, len(self._stacks))
        order = np.random.default_rng([self._seed, epoch, 1]).permutation(len(self._stacks))
        path, slices = self._stacks[int(order[place])]
        alone, mirrored = rng.random() < _ALONE_SHARE, rng.random() < 0.5
        return read_sample(path, int(rng.choice(slices)), alone=alone, mirrored=mirrored)
