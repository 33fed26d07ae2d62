"""The rays that a report shows: one slice before the correction, and as each method fills it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.axial import find_axial_slices
from spinemar.mar.correction.proposal import propose
from spinemar.mar.inpainters.methods import make_inpainter
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.settings import Device, Method
from spinemar.report.content import Sinogram
from spinemar.report.pictures import telling_slices
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume


class SinogramStudy:
    """Projects the slice with the most metal and lets methods inpaint it, as the correction does.

    Parameters
    ----------
    volume : CTVolume
    metal : ndarray of bool, shape of `volume.hu`
        With metal in at least one slice.
    measured : ndarray of float32, shape (slices, views, bins), optional
        Raw data in place of the projected slices, as given to `correct_volume`.
    """

    def __init__(
        self,
        volume: CTVolume,
        metal: NDArray[np.bool_],
        measured: NDArray[np.float32] | None = None,
    ) -> None:
        layout = find_axial_slices(volume.geometry)
        slices = layout.of(metal)
        self._index = telling_slices(slices, count=1)[0]
        self._stored_index = layout.stored_index(self._index, len(slices))
        radon = RadonTransform(layout.shape, layout.pixel_mm)
        self._slice_cache = SliceCache.of_volume(volume, metal, layout, radon, measured=measured)

    def before(self) -> Sinogram:
        """Rays and metal trace before any correction."""
        slab = Slab.around(self._slice_cache, self._index, self._index + 1, 0)
        return Sinogram(self._stored_index, slab.sinogram[0], slab.metal_trace[0])

    def filled(
        self, method: Method, model: Path | None = None, device: Device = "auto"
    ) -> NDArray[np.float32]:
        """Rays with the trace inpainted by a method, shape (views, bins)."""
        worker = make_inpainter(method, model, device)
        slab = Slab.around(self._slice_cache, self._index, self._index + 1, worker.neighbours)
        return propose(slab, worker)[0].filled
