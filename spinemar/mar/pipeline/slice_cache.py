"""What can be derived of single slices, each made once and only when asked.

Sinogram, traces, LI, NMAR...: shared by all who need them while a volume streams through, so
that neighbouring slabs, in whichever threads, never compute the same thing twice.

Slices with metal are made in pairs (even index first), since one complex transform carries two
of them. Pairs do not depend on who asks when, so neither does any result, bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.axial import AxialSlices
from spinemar.mar.pipeline.interpolation.linear import interpolate_linearly
from spinemar.mar.pipeline.interpolation.normalized import interpolate_normalized
from spinemar.mar.pipeline.interpolation.prior_image import tissue_prior
from spinemar.mar.pipeline.result_cache import ResultCache
from spinemar.mar.pipeline.stopwatch import Stopwatch
from spinemar.mar.segmentation.body import find_body
from spinemar.mar.segmentation.low_saturation import LOW_CLIP_HU, low_clip_hu, saturated_pixels
from spinemar.mar.segmentation.padding import without_padding
from spinemar.mar.segmentation.trace import LostRays, lost_ray_trace, nearness_mm, trace_of
from spinemar.progress import CancelToken
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import difference_to_hu, hu_to_mu
from spinemar.volume import CTVolume

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
Unit = tuple[int, ...]
"""Slices that are made together: a pair with metal, or one."""


class SliceCache:
    """What can be derived of each slice of a stack, cached until forgotten.

    Safe to share between threads.

    Parameters
    ----------
    hu_slices : ndarray of float32, shape (slices, rows, columns)
        As stored; padding is replaced by air on the way out.
    metal_slices : ndarray of bool, same shape
    radon : RadonTransform
    clip_hu : float
        Low end of the stored range, see `saturated.low_clip_hu`.
    measured : ndarray of float32, shape (slices, views, bins), optional
        Raw data on `radon`'s grid; by default the slices are reprojected.
    watch : Stopwatch, optional
        Counts the time of each stage.
    """

    def __init__(
        self,
        hu_slices: Float,
        metal_slices: Mask,
        radon: RadonTransform,
        *,
        clip_hu: float = LOW_CLIP_HU,
        measured: Float | None = None,
        watch: Stopwatch | None = None,
    ) -> None:
        self.cancel: CancelToken | None = None
        self.hu_slices = hu_slices
        self.measured = measured
        self.metal_slices = metal_slices
        self.radon = radon
        self.clip_hu = clip_hu
        self.watch = watch or Stopwatch()
        self._metal_in: dict[int, bool] = {}
        # Nothing in here refers back to the cache: a cycle would keep a volume's slices until
        # Python looks for cycles, which it does by counts of objects and not by their size.
        self._store = ResultCache(partial(self.watch.stage, "wait"))

    @classmethod
    def of_volume(
        cls,
        volume: CTVolume,
        metal_mask: Mask,
        layout: AxialSlices,
        radon: RadonTransform,
        *,
        measured: Float | None = None,
        watch: Stopwatch | None = None,
    ) -> SliceCache:
        """Products of a volume's axial slices, as `layout` sees them.

        Parameters
        ----------
        volume : CTVolume
        metal_mask : ndarray of bool, shape of `volume.hu`
        layout : AxialSlices
        radon : RadonTransform
        measured : ndarray of float32, shape (slices, views, bins), optional
            Raw data of the slices as they are stored.
        watch : Stopwatch, optional
        """
        slices, metal = layout.of(volume.hu), layout.of(metal_mask)
        touched = np.flatnonzero(metal.any(axis=(1, 2)))
        clip = min((low_clip_hu(slices[k]) for k in touched), default=LOW_CLIP_HU)
        rays = None if measured is None else layout.of_sinograms(measured)
        return cls(slices, metal, radon, clip_hu=clip, measured=rays, watch=watch)

    def raise_if_cancelled(self) -> None:
        """Stop here if the user asked to; long steps ask between slices."""
        if self.cancel is not None:
            self.cancel.raise_if_cancelled()

    def get(self, name: str, indices: Sequence[int]) -> list[Any]:
        """Return one product of several slices, making what is not known yet."""
        stage, maker = _MAKERS[name]

        def one_by_one(units: list[Unit]) -> Iterator[Sequence[Any]]:
            for unit in units:
                self.raise_if_cancelled()
                with self.watch.stage(stage):
                    made = maker(self, unit)
                yield made

        return self.get_or_make(name, indices, one_by_one)

    def get_or_make(
        self,
        name: str,
        indices: Sequence[int],
        make: Callable[[list[Unit]], Iterable[Sequence[Any]]],
        *,
        together: int = 1,
    ) -> list[Any]:
        """Return a product of several slices that `make` makes, each made once.

        Parameters
        ----------
        name : str
            Of the product; an inpainter may keep its own beside those known here.
        indices : sequence of int
        make : callable
            Takes units that nobody has made and gives the product of each unit's slices.
        together : int
            Units to make in one call.
        """
        self.raise_if_cancelled()
        units = {k: self.unit(k) for k in indices}
        keys = [(name, unit) for unit in dict.fromkeys(units.values())]
        values = self._store.get(
            keys, lambda mine: make([unit for _, unit in mine]), together=together
        )
        made = dict(zip(keys, values, strict=True))
        return [made[name, units[k]][units[k].index(k)] for k in indices]

    def unit(self, k: int) -> Unit:
        """Return the slices that are made together with slice k, itself included."""
        other = k + 1 if k % 2 == 0 else k - 1
        if other < len(self.hu_slices) and self.has_metal(k) and self.has_metal(other):
            return min(k, other), max(k, other)
        return (k,)

    def forget_before(self, index: int) -> None:
        """Drop everything about slices below `index`."""
        self._store.forget(lambda key: max(key[1]) < index)

    def has_metal(self, k: int) -> bool:
        """Whether slice k holds metal."""
        if k not in self._metal_in:
            self._metal_in[k] = bool(self.metal_slices[k].any())
        return self._metal_in[k]

    def change_hu(self, change: Float) -> Float:
        """Reconstruct what is added to sinograms as what is added to images, HU."""
        with self.watch.stage("reconstruct"):
            return difference_to_hu(self.radon.fbp(change))

    def _make_hu(self, ks: Unit) -> list[Float]:
        return [np.ascontiguousarray(without_padding(self.hu_slices[k])) for k in ks]

    def _make_body(self, ks: Unit) -> list[Any]:
        return [find_body(hu, self.radon.pixel_mm) for hu in self.get("hu", ks)]

    def _make_nearness(self, ks: Unit) -> list[Float]:
        pixel = self.radon.pixel_mm
        return [nearness_mm(np.ascontiguousarray(self.metal_slices[k]), pixel) for k in ks]

    def _make_sinogram(self, ks: Unit) -> list[Float]:
        return [rays[0] for rays in self.get("rays", ks)]

    def _make_metal_lengths(self, ks: Unit) -> list[Float]:
        return [rays[1] for rays in self.get("rays", ks)]

    def _make_rays(self, ks: Unit) -> list[tuple[Float, Float]]:
        """Line integrals and lengths in metal; image and mask share a transform."""
        metal = np.stack([self.metal_slices[k] for k in ks]).astype(np.float32)
        if self.measured is not None:
            lengths = self.radon.forward(metal)
            return [(self.measured[k], lengths[n]) for n, k in enumerate(ks)]
        mu = hu_to_mu(np.stack(self.get("hu", ks)))
        sinogram, lengths = self.radon.forward_pair(mu, metal)
        return list(zip(sinogram, lengths, strict=True))

    def _make_trace(self, ks: Unit) -> list[Mask]:
        return [trace_of(x, self.radon.pixel_mm) for x in self.get("metal_lengths", ks)]

    def _make_li_sinogram(self, ks: Unit) -> list[Float]:
        both = zip(self.get("sinogram", ks), self.get("metal_trace", ks), strict=True)
        return [interpolate_linearly(sinogram, trace) for sinogram, trace in both]

    def _corrected(self, filled: str, ks: Unit) -> list[Float]:
        """Images of inpainted sinograms; slices without metal need no transform."""
        images: list[Float] = self.get("hu", ks)
        if not self.has_metal(ks[0]):
            return images
        after, before = self.get(filled, ks), self.get("sinogram", ks)
        difference = np.stack([a - b for a, b in zip(after, before, strict=True)])
        delta = self.change_hu(difference)
        delta += np.stack(images)
        return list(delta)

    def _make_li_hu(self, ks: Unit) -> list[Float]:
        return self._corrected("li_sinogram", ks)

    def _make_nmar_hu(self, ks: Unit) -> list[Float]:
        return self._corrected("nmar_sinogram", ks)

    def _make_nmar_prior(self, ks: Unit) -> list[Float]:
        bodies, near = self.get("body", ks), self.get("nearness", ks)
        return [
            tissue_prior(
                li,
                np.asarray(self.metal_slices[k]),
                self.radon.pixel_mm,
                body=body.mask,
                nearness=nearness,
            )
            for k, li, body, nearness in zip(ks, self.get("li_hu", ks), bodies, near, strict=True)
        ]

    def _make_nmar_prior_sinogram(self, ks: Unit) -> list[Float]:
        return list(self.radon.forward(hu_to_mu(np.stack(self.get("nmar_prior", ks)))))

    def _make_nmar_sinogram(self, ks: Unit) -> list[Float]:
        priors, traces = self.get("nmar_prior_sinogram", ks), self.get("metal_trace", ks)
        return [
            interpolate_normalized(sinogram, prior, trace, self.radon.pixel_mm)
            for sinogram, prior, trace in zip(self.get("sinogram", ks), priors, traces, strict=True)
        ]

    def _make_saturated(self, ks: Unit) -> list[Mask]:
        near, bodies = self.get("nearness", ks), self.get("body", ks)
        return [
            saturated_pixels(
                hu,
                np.asarray(self.metal_slices[k]),
                self.radon.pixel_mm,
                reference=li,
                clip_hu=self.clip_hu,
                body=body,
                nearness=nearness,
            )
            for k, hu, li, body, nearness in zip(
                ks, self.get("hu", ks), self.get("li_hu", ks), bodies, near, strict=True
            )
        ]

    def _make_lost_rays(self, ks: Unit) -> list[LostRays]:
        masks = self.get("saturated", ks)
        lost = [LostRays(trace, 0.0, False) for trace in self.get("metal_trace", ks)]
        hit = [n for n, mask in enumerate(masks) if mask.any()]
        if hit:
            stack = np.stack([masks[n] for n in hit]).astype(np.float32)
            for n, lengths in zip(hit, self.radon.forward(stack), strict=True):
                lost[n] = lost_ray_trace(lost[n].trace, lengths, self.radon.pixel_mm)
        return lost


# Name: the stage its time counts for, and its maker.
_MAKERS: Mapping[str, tuple[str, Callable[[SliceCache, Unit], Sequence[Any]]]] = {
    "hu": ("tissue", SliceCache._make_hu),
    "body": ("tissue", SliceCache._make_body),
    "nearness": ("tissue", SliceCache._make_nearness),
    "rays": ("project", SliceCache._make_rays),
    "sinogram": ("project", SliceCache._make_sinogram),
    "metal_lengths": ("project", SliceCache._make_metal_lengths),
    "metal_trace": ("interpolate", SliceCache._make_trace),
    "li_sinogram": ("interpolate", SliceCache._make_li_sinogram),
    "li_hu": ("reconstruct", SliceCache._make_li_hu),
    "nmar_prior": ("tissue", SliceCache._make_nmar_prior),
    "nmar_prior_sinogram": ("project", SliceCache._make_nmar_prior_sinogram),
    "nmar_sinogram": ("interpolate", SliceCache._make_nmar_sinogram),
    "nmar_hu": ("reconstruct", SliceCache._make_nmar_hu),
    "saturated": ("tissue", SliceCache._make_saturated),
    "lost_rays": ("project", SliceCache._make_lost_rays),
}
