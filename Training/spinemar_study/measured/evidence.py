"""What a generator is shown of the measured lost rays of a slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from spinemar_training.data.prefilled import mirrored_rays

from spinemar.mar.pipeline.slab import Slab
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar_study.measured.rest import metal_fields, rest_of_measured, scatter_fields

Float = NDArray[np.float32]

CHANNELS = 3
_MOST_NEPERS = 0.6
_AROUND = (9, 9)
_LENGTH_MM = 20.0


@dataclass(frozen=True)
class Evidence:
    """Of the middle slice of three, at the generator's views.

    Parameters
    ----------
    rest : ndarray of float32, shape (views, bins)
        Of the measured rays after the metal fit, nepers; 0 outside the trace.
    lengths_mm : ndarray of float32, shape (views, bins)
        Of the rays in the metal's mask.
    """

    rest: Float
    lengths_mm: Float

    def channels(self, trace: NDArray[np.bool_]) -> Float:
        """Return what a network sees (3, views, bins): rest, its local energy, metal's length.

        `trace` (views, bins) are the lost rays.
        """
        rest = np.where(trace, self.rest, np.float32(0))
        local = ndimage.uniform_filter(rest * rest, _AROUND)
        energy = np.sqrt(np.maximum(local, 0.0))  # running sums can end a little below zero
        seen = [
            10.0 * np.clip(rest, -_MOST_NEPERS, _MOST_NEPERS),
            np.log1p(20.0 * energy),
            np.where(trace, self.lengths_mm / _LENGTH_MM, 0.0),
        ]
        return np.stack(seen).astype(np.float32)

    def mirrored(self, *, rows: bool) -> Evidence:
        """Mirror as `spinemar_training.data.prefilled.mirrored` does."""
        return Evidence(*(mirrored_rays(one, rows=rows) for one in (self.rest, self.lengths_mm)))


def evidence_of(
    slab: Slab, position: int, filled: Float, measured: Float, trace: NDArray[np.bool_]
) -> Evidence:
    """Fit the metal of one slice of a slab and keep what it leaves.

    Parameters
    ----------
    slab : Slab
    position : int
        Of the slice in the slab.
    filled, measured : ndarray of float32, shape (views, bins)
        Every so many of the slab's views.
    trace : ndarray of bool, same shape
        Lost rays.
    """
    whole, views = slab.radon.geometry, len(filled)
    radon = coarser(slab.radon, slab.hu.shape[1:], views)
    lengths = slab.slice_cache.get("metal_lengths", [slab.indices[position]])[0]
    lengths = np.asarray(lengths[:: whole.n_views // views], np.float32)
    support = ndimage.binary_dilation(slab.metal[position]) | slab.saturated[position]
    fields = metal_fields(lengths, filled) + scatter_fields(measured, whole.bin_mm)
    rest = rest_of_measured(radon, measured - filled, trace, support, fields)
    return Evidence(rest, lengths)


def coarser(radon: RadonTransform, shape: tuple[int, ...], views: int) -> RadonTransform:
    """Return the same transform at fewer views."""
    whole = radon.geometry
    geometry = SinogramGeometry(views, whole.n_bins, whole.bin_mm)
    return RadonTransform((shape[0], shape[1]), radon.pixel_mm, geometry, threads=1)
