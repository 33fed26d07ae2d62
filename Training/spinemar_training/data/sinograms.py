"""Sinogram-domain batches: x, traces, prior and y, whole or in blocks of views."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinemar.dataset.storage.reader import PairStore
from spinemar.mar.pipeline.interpolation.normalized import matched_prior
from spinemar_training.data.numbered import NumberedStream

_FIELDS = ("sinogram", "metal_trace", "lost_ray_trace", "prior", "target")


class SinogramBatch(NamedTuple):
    """Sinograms (b, 3, views, bins) float32 in nepers, traces bool; the target is the middle's.

    `filled` is x with the lost rays taken from the prior, matched at the trace's borders: what
    the generator gets. `first_view` (b,) says where a block of views begins.
    """

    sinogram: Tensor
    metal_trace: Tensor
    lost_ray_trace: Tensor
    prior: Tensor
    filled: Tensor
    target: Tensor
    bin_mm: Tensor
    first_view: Tensor


class StoredSinograms(NumberedStream):
    """Batches of sinograms from a store.

    Parameters
    ----------
    path : Path
        Store.
    batch_size, seed : int
    split, domain : str, optional
        As for `StoredSlabs`.
    views : int, optional
        Views of a block, from a random one on; beyond the last view the sinogram goes on as
        its own mirror image. None gives whole sinograms.
    """

    def __init__(
        self,
        path: Path,
        batch_size: int,
        seed: int,
        *,
        split: str | None = "training",
        domain: str | None = None,
        views: int | None = None,
    ) -> None:
        super().__init__(PairStore(path, _FIELDS, split=split, domain=domain), batch_size, seed)
        n_views = self.store.spec.settings.n_views
        if views is not None and not 1 <= views <= n_views:
            raise ValueError(f"A block of {views} views does not fit {n_views} views.")
        self._views, self._n_views = views, n_views

    def collect(self, positions: list[int], rng: np.random.Generator) -> SinogramBatch:
        """Read pairs and put them together."""
        columns: dict[str, list[NDArray[Any]]] = {}
        for position in positions:
            pair = self.store[position]
            pair["filled"] = matched_prior(pair["sinogram"], pair["prior"], pair["lost_ray_trace"])
            pair["target"] = pair["target"][1:2]
            first = int(rng.integers(self._n_views)) if self._views is not None else 0
            for name in (*_FIELDS, "filled"):
                value = pair[name]
                if self._views is not None:
                    value = view_block(value, first, self._views)
                columns.setdefault(name, []).append(value)
            columns.setdefault("bin_mm", []).append(np.asarray(pair["bin_mm"]))
            columns.setdefault("first_view", []).append(np.asarray(first))
        return SinogramBatch(
            **{name: torch.from_numpy(np.stack(values)) for name, values in columns.items()}
        )


def view_block(sinogram: NDArray[Any], first: int, views: int) -> NDArray[Any]:
    """Return `views` views from `first` on, (..., views, bins).

    View V + v is view v with its bins reversed: p(theta + pi, r) = p(theta, -r).
    """
    turned = sinogram[..., : max(0, first + views - sinogram.shape[-2]), ::-1]
    return np.concatenate([sinogram[..., first : first + views, :], turned], axis=-2)
