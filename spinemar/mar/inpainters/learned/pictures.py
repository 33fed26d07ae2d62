"""Where the pictures come from whose reprojection fills the lost rays."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.earlier.fusion import Earlier, Fuse, fused
from spinemar.mar.earlier.slices import LaidSlices
from spinemar.mar.inpainters.learned.prior_network import PriorNetwork
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.slice_cache import SliceCache

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


class PriorPictures(Protocol):
    """Makes a slice without metal and artifacts; called from several threads at once."""

    def of(self, slice_cache: SliceCache, traces: Mapping[int, Mask]) -> dict[int, Float]:
        """Return HU (rows, columns) of slices, given by index with their lost rays."""


class NetworkPictures:
    """The prior network's own pictures.

    Parameters
    ----------
    network : PriorNetwork
    """

    def __init__(self, network: PriorNetwork) -> None:
        self._network = network

    def of(self, slice_cache: SliceCache, traces: Mapping[int, Mask]) -> dict[int, Float]:
        """Clean the slices."""
        with slice_cache.watch.stage("network"):
            around = [(Slab.around(slice_cache, k, k + 1, 1), 1) for k in traces]
            return dict(zip(traces, self._network.clean_each(around), strict=True))


class KeptPictures:
    """Pictures of another source, kept in half precision (0.5 MB a slice) for a second pass.

    Parameters
    ----------
    source : PriorPictures
    """

    def __init__(self, source: PriorPictures) -> None:
        self._source = source
        self._kept: dict[int, NDArray[np.float16]] = {}
        self._lock = threading.Lock()

    def of(self, slice_cache: SliceCache, traces: Mapping[int, Mask]) -> dict[int, Float]:
        """Return what is kept, and make what is not."""
        with self._lock:
            missing = {k: trace for k, trace in traces.items() if k not in self._kept}
        made = self._source.of(slice_cache, missing) if missing else {}
        with self._lock:
            self._kept.update((k, picture.astype(np.float16)) for k, picture in made.items())
            return {k: made[k] if k in made else self._kept[k].astype(np.float32) for k in traces}


class FusedPictures:
    """Pictures of another source with the detail of an earlier CT.

    Parameters
    ----------
    source : PriorPictures
    laid : LaidSlices
    fuse : callable
        How far the earlier CT is believed: a model's network, or by default the rule.

    Attributes
    ----------
    slices : dict of int to (HU, weight from 0 to 1)
        What the earlier CT showed in each slice, and how far it was believed.
    """

    def __init__(self, source: PriorPictures, laid: LaidSlices, fuse: Fuse = fused) -> None:
        self._source = source
        self._laid = laid
        self._fuse = fuse
        self._lock = threading.Lock()
        self.slices: dict[int, tuple[Float, Float]] = {}

    def of(self, slice_cache: SliceCache, traces: Mapping[int, Mask]) -> dict[int, Float]:
        """Fuse the slices, in the pairs that share a transform."""
        grounds = self._source.of(slice_cache, traces)
        found: dict[int, Float] = {}
        for unit in dict.fromkeys(slice_cache.unit(k) for k in traces):
            ks = [k for k in unit if k in traces]
            slice_cache.raise_if_cancelled()
            with slice_cache.watch.stage("earlier CT"):
                earlier = [Earlier(*self._laid.of(k)) for k in ks]
                made = self._fuse(
                    slice_cache, ks, [grounds[k] for k in ks], earlier, [traces[k] for k in ks]
                )
            for k, one, (picture, weight) in zip(ks, earlier, made, strict=True):
                found[k] = picture
                with self._lock:
                    self.slices[k] = (one.hu, weight)
        return found

    def disbelieve(self, ks: Iterable[int]) -> None:
        """Say of slices that the earlier CT was not used after all."""
        for k in ks:
            if k in self.slices:
                shown, weight = self.slices[k]
                self.slices[k] = shown, np.zeros_like(weight)
