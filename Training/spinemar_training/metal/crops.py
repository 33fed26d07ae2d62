"""Crops of metal cases, each time with another scale, blur, pixel size and orientation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.utils.data import IterableDataset

from spinemar_training.metal.cases import MetalCase, load_case

CROP_PX = 160
_ALONE_SHARE = 0.45
_EXTENDED = ((-10240.0, 30710.0), (-8192.0, 31743.0))
_AIR_HU = -1000.0
_VISIBLE_HU = 2600.0
_SHARES = {"Ti-6Al-4V": 0.42, "316L": 0.38, "CoCrMo": 0.2}


class Crops(NamedTuple):
    """A batch: HU as stored (b, 3, h, w), metal fraction (b, h, w), pixel mm and scale end (b,)."""

    hu: Tensor
    fraction: Tensor
    pixel_mm: Tensor
    top_hu: Tensor


def _is_visible(case: MetalCase) -> bool:
    """Whether metal is bright: bodies that no photon gets through look like no implant."""
    inside = case.hu[case.fraction > 0.9]
    return inside.size > 0 and float(np.median(inside)) > _VISIBLE_HU


def _balanced(materials: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities that draw titanium as often as steel.

    How much of the glow is metal depends on the metal; a network that has seen steel mostly takes
    titanium for it and draws it too thin. What holds no heavy metal counts as titanium.
    """
    heavy = [[metal for metal in ("316L", "CoCrMo") if metal in name] for name in materials]
    kinds = [found[0] if found else "Ti-6Al-4V" for found in heavy]
    share = {kind: _SHARES[kind] / kinds.count(kind) for kind in set(kinds)}
    weights = np.array([share[kind] for kind in kinds])
    return np.asarray(weights / weights.sum())


def _draw_scale(rng: np.random.Generator) -> tuple[float, float]:
    """Draw the stored range: mostly 12 bit, some extended, some that end elsewhere."""
    kind = rng.random()
    if kind < 0.68:
        return -1024.0, 3071.0
    if kind < 0.92:
        return _EXTENDED[int(rng.integers(2))]
    return -1024.0, float(rng.uniform(2000, 4095))


def _zoomed(image: Tensor, factor: float) -> Tensor:
    size = [max(32, round(n * factor)) for n in image.shape[-2:]]
    mode = "area" if factor < 1 else "bilinear"
    extra = {} if mode == "area" else {"align_corners": False}
    return F.interpolate(image[None], size=size, mode=mode, **extra)[0]


class CropStream(IterableDataset):
    """Batches of crops around metal; batch n depends on the seed and n only.

    Parameters
    ----------
    files : sequence of Path
        Metal cases; all are held in memory.
    batch_size, seed : int
    """

    def __init__(self, files: Sequence[Path], batch_size: int, seed: int) -> None:
        cases = [case for case in map(load_case, files) if _is_visible(case)]
        self._hu = [case.hu.astype(np.float16) for case in cases]
        self._share = [np.round(case.fraction * 255).astype(np.uint8) for case in cases]
        self._pixel = [case.pixel_mm for case in cases]
        self._weights = _balanced([case.materials for case in cases])
        self._batch_size, self._seed = batch_size, seed
        self.first = 0

    def __iter__(self) -> Iterator[Crops]:
        number = self.first
        while True:
            rng = np.random.default_rng([self._seed, number])
            drawn = [self._draw(rng) for _ in range(self._batch_size)]
            hu, fraction, pixel, top = zip(*drawn, strict=True)
            yield Crops(
                torch.stack(hu), torch.stack(fraction), torch.tensor(pixel), torch.tensor(top)
            )
            number += 1

    def _draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, float, float]:
        n = int(rng.choice(len(self._hu), p=self._weights))
        middle = 1
        around = [0, 1, 2]
        if rng.random() < _ALONE_SHARE:
            middle = int(rng.integers(3))
            around = [middle] * 3
        hu = self._hu[n][around].astype(np.float32)
        share = self._share[n][middle].astype(np.float32) / 255
        pixel = self._pixel[n]
        if rng.random() < 0.5:
            sigma = rng.uniform(0, 0.8) / pixel
            hu = ndimage.gaussian_filter(hu, (0, sigma, sigma))
        image, fraction = torch.from_numpy(hu), torch.from_numpy(share)[None]
        if rng.random() < 0.6:
            factor = float(np.clip(pixel / rng.uniform(0.4, 1.0), 0.5, 1.6))
            image, fraction = _zoomed(image, factor), _zoomed(fraction, factor)
            pixel /= factor
        low, high = _draw_scale(rng)
        image = image.clamp(low, high).round()
        image, fraction = _cropped(image, fraction, rng)
        turns, flip = int(rng.integers(4)), rng.random() < 0.5
        image, fraction = torch.rot90(image, turns, (1, 2)), torch.rot90(fraction, turns, (1, 2))
        if flip:
            image, fraction = image.flip(2), fraction.flip(2)
        return image.contiguous(), fraction[0].contiguous(), float(pixel), high


def _cropped(image: Tensor, fraction: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cut a window that holds some metal; air beyond the image."""
    pad = CROP_PX
    image = F.pad(image, (pad, pad, pad, pad), value=_AIR_HU)
    fraction = F.pad(fraction, (pad, pad, pad, pad))
    metal = np.argwhere(fraction[0].numpy() > 0)
    anchor = metal[int(rng.integers(len(metal)))] if len(metal) else np.array(image.shape[1:]) // 2
    start: NDArray[np.int64] = anchor - rng.integers(CROP_PX // 5, CROP_PX - CROP_PX // 5, size=2)
    start = np.clip(start, 0, np.array(image.shape[1:]) - CROP_PX)
    view = (slice(None), *(slice(int(s), int(s) + CROP_PX) for s in start))
    return image[view], fraction[view]
