"""Lessons of the fusion network: what it would see of a slice, and the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from spinemar.errors import InputError
from spinemar.mar.earlier.candidates import N_FEATURES

N_PLANES = N_FEATURES + 5
"""Features, then ground, coarse, fine, truth (HU), and 1 where scans before and after differ."""
CROP_PX = 160


class Lessons(NamedTuple):
    """A batch; (b, planes, h, w) of features, and (b, h, w) of the rest."""

    features: Tensor
    ground: Tensor
    coarse: Tensor
    fine: Tensor
    truth: Tensor
    changed: Tensor


def as_lessons(planes: Tensor) -> Lessons:
    """Part the planes (b, 14, h, w) of stored lessons."""
    seen, rest = planes[:, :N_FEATURES], planes[:, N_FEATURES:]
    return Lessons(seen, *(rest[:, n] for n in range(5)))


class LessonStream(IterableDataset):
    """Batches of crops; batch n depends on the seed and n only.

    Parameters
    ----------
    files : sequence of Path
        As `python -m Testing.benchmarks.earlier_ct lessons` writes them; all are held in memory.
    batch_size, seed : int
    """

    def __init__(self, files: Sequence[Path], batch_size: int, seed: int) -> None:
        self._slices = read_lessons(files)
        self._batch_size, self._seed = batch_size, seed
        self.first = 0

    def __iter__(self) -> Iterator[Lessons]:
        number = self.first
        while True:
            rng = np.random.default_rng([self._seed, number])
            drawn = [self._draw(rng) for _ in range(self._batch_size)]
            yield as_lessons(torch.from_numpy(np.stack(drawn)))
            number += 1

    def _draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        one = self._slices[int(rng.integers(len(self._slices)))]
        # Beyond a small window nothing may be used, and nothing counts.
        room = [(0, max(0, CROP_PX - n)) for n in one.shape[1:]]
        one = np.pad(one, [(0, 0), *room])
        start = [int(rng.integers(n - CROP_PX + 1)) for n in one.shape[1:]]
        crop = one[:, start[0] : start[0] + CROP_PX, start[1] : start[1] + CROP_PX]
        if rng.random() < 0.5:
            crop = crop[:, :, ::-1]
        return np.ascontiguousarray(crop, dtype=np.float32)


def read_lessons(files: Sequence[Path]) -> list[NDArray[np.float16]]:
    """Read the slices of files.

    Raises
    ------
    InputError
        If there is none, or one has other planes.
    """
    slices = []
    for path in files:
        with np.load(path) as held:
            slices += [held[name] for name in sorted(held.files)]
    if not slices or any(one.shape[0] != N_PLANES for one in slices):
        raise InputError(
            "There are no lessons of this version.",
            "Make them: python -m Testing.benchmarks.earlier_ct lessons.",
        )
    return slices
