"""The view of a run of adjacent slices that an inpainter gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.segmentation.body import Body
from spinemar.mar.segmentation.trace import LostRays
from spinemar.tomography.radon import RadonTransform

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Slab:
    """A run of adjacent slices, as an inpainter sees it.

    All arrays have one entry per slice of the slab, neighbours included, except where `core`
    is asked for. They are made on first use and shared with neighbouring slabs: do not write
    into them.

    Parameters
    ----------
    slice_cache : SliceCache
    indices : sequence of int
        Index of each slice in the stack; the volume's first and last slice stand in for
        neighbours beyond them, so an index can occur twice.
    core : slice
        Positions in the slab of the slices to inpaint (all with metal).
    """

    def __init__(self, slice_cache: SliceCache, indices: Sequence[int], core: slice) -> None:
        self.slice_cache = slice_cache
        self.indices = tuple(indices)
        self.core = core

    @classmethod
    def around(cls, slice_cache: SliceCache, start: int, stop: int, neighbours: int) -> Slab:
        """Slices start to stop (not included) and `neighbours` more on either side."""
        last = len(slice_cache.hu_slices) - 1
        wanted = range(start - neighbours, stop + neighbours)
        indices = [min(max(k, 0), last) for k in wanted]
        return cls(slice_cache, indices, slice(neighbours, neighbours + stop - start))

    @property
    def core_only(self) -> Slab:
        """The same slab without the neighbours."""
        indices = self.indices[self.core]
        return Slab(self.slice_cache, indices, slice(0, len(indices)))

    @property
    def radon(self) -> RadonTransform:
        """The transform; `radon.geometry` and `radon.pixel_mm` describe both grids."""
        return self.slice_cache.radon

    def each(self, name: str) -> list[Any]:
        """Return a product of every slice, without the copy that stacking takes."""
        return self.slice_cache.get(name, self.indices)

    def _stack(self, name: str) -> NDArray[Any]:
        return np.stack(self.each(name))

    @property
    def hu(self) -> Float:
        """Slices in HU, padding replaced by air, nothing clipped; (n, rows, columns)."""
        return self._stack("hu")

    @property
    def metal(self) -> Mask:
        """Metal masks; (n, rows, columns)."""
        return np.stack([self.slice_cache.metal_slices[k] for k in self.indices])

    @property
    def bodies(self) -> list[Body]:
        """Body mask and skin depth of each slice."""
        return self.slice_cache.get("body", self.indices)

    @property
    def nearness_mm(self) -> Float:
        """Distance to metal within each slice, exact to 65 mm; (n, rows, columns)."""
        return self._stack("nearness")

    @property
    def saturated(self) -> Mask:
        """Pixels that streaks drove below the stored range; (n, rows, columns)."""
        return self._stack("saturated")

    @property
    def sinogram(self) -> Float:
        """Line integrals of `hu`; (n, views, bins)."""
        return self._stack("sinogram")

    @property
    def metal_lengths_mm(self) -> Float:
        """Length of each ray inside metal; (n, views, bins)."""
        return self._stack("metal_lengths")

    @property
    def metal_trace(self) -> Mask:
        """Rays through metal; (n, views, bins)."""
        return self._stack("metal_trace")

    @property
    def lost_rays(self) -> list[LostRays]:
        """Lost-ray trace of each slice with its added share."""
        return self.slice_cache.get("lost_rays", self.indices)

    @property
    def lost_ray_trace(self) -> Mask:
        """Rays through metal or saturated pixels; (n, views, bins)."""
        return np.stack([lost.trace for lost in self.lost_rays])

    @property
    def li_sinogram(self) -> Float:
        """Sinograms, metal trace bridged by straight lines; (n, views, bins)."""
        return self._stack("li_sinogram")

    @property
    def li_hu(self) -> Float:
        """Slices corrected by LI (as difference, metal not put back); (n, rows, columns)."""
        return self._stack("li_hu")

    @property
    def nmar_prior_sinogram(self) -> Float:
        """Line integrals of the prior of NMAR; (n, views, bins)."""
        return self._stack("nmar_prior_sinogram")

    @property
    def nmar_sinogram(self) -> Float:
        """Sinograms, metal trace inpainted by NMAR; (n, views, bins)."""
        return self._stack("nmar_sinogram")

    @property
    def nmar_hu(self) -> Float:
        """Slices corrected by NMAR (as difference, metal not put back); (n, rows, columns)."""
        return self._stack("nmar_hu")
