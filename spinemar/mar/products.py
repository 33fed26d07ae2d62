"""What can be derived of single slices, each made once and only when asked.

Sinogram, traces, LI, NMAR...: shared by all who need them while a volume streams through, so
that neighbouring slabs never compute the same thing twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.body import find_body
from spinemar.mar.bridge import bridge
from spinemar.mar.normalized import normalized_bridge
from spinemar.mar.padding import without_padding
from spinemar.mar.prior import tissue_prior
from spinemar.mar.saturated import LOW_CLIP_HU, saturated_pixels
from spinemar.mar.trace import LostRays, lost_ray_trace, nearness_mm, trace_of
from spinemar.progress import CancelToken
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import difference_to_hu, hu_to_mu

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
_Result = TypeVar("_Result")


class SliceProducts:
    """What can be derived of each slice of a stack, cached until forgotten.

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
    """

    def __init__(
        self,
        hu_slices: Float,
        metal_slices: Mask,
        radon: RadonTransform,
        *,
        clip_hu: float = LOW_CLIP_HU,
        measured: Float | None = None,
    ) -> None:
        self.cancel: CancelToken | None = None
        self.hu_slices = hu_slices
        self.measured = measured
        self.metal_slices = metal_slices
        self.radon = radon
        self.clip_hu = clip_hu
        self._known: dict[str, dict[int, Any]] = {}
        self._lock = threading.RLock()
        self._makers: dict[str, Callable[[Sequence[int]], dict[str, Sequence[Any]]]] = {
            "hu": self._make_hu,
            "body": self._make_body,
            "nearness": self._make_nearness,
            "sinogram": self._make_sinograms,
            "metal_lengths": self._make_sinograms,
            "metal_trace": self._make_trace,
            "li_sinogram": self._make_li_sinogram,
            "li_hu": self._make_li_hu,
            "nmar_prior": self._make_nmar_prior,
            "nmar_prior_sinogram": self._make_nmar_prior_sinogram,
            "nmar_sinogram": self._make_nmar_sinogram,
            "nmar_hu": self._make_nmar_hu,
            "saturated": self._make_saturated,
            "lost_rays": self._make_lost_rays,
        }

    def raise_if_cancelled(self) -> None:
        """Stop here if the user asked to; long steps ask between slices."""
        if self.cancel is not None:
            self.cancel.raise_if_cancelled()

    def get(self, name: str, indices: Sequence[int]) -> list[Any]:
        """Return one product of several slices, making what is not known yet, all at once."""
        self.raise_if_cancelled()
        with self._lock:
            known = self._known.setdefault(name, {})
            missing = sorted({k for k in indices if k not in known})
            if missing:
                for made, values in self._makers[name](missing).items():
                    store = self._known.setdefault(made, {})
                    store.update(zip(missing, values, strict=True))
            return [known[k] for k in indices]

    def forget_before(self, index: int) -> None:
        """Drop everything about slices below `index`."""
        with self._lock:
            for store in self._known.values():
                for k in [k for k in store if k < index]:
                    del store[k]

    def has_metal(self, k: int) -> bool:
        """Whether slice k holds metal."""
        return bool(self.metal_slices[k].any())

    def delta_hu(self, filled: Float, sinogram: Float) -> Float:
        """Reconstruct a change of sinograms as a change of images, HU."""
        return difference_to_hu(self.radon.fbp(filled - sinogram))

    def each(self, job: Callable[[int], _Result], ks: Sequence[int]) -> list[_Result]:
        """Do a job for several slices, side by side in threads."""
        if len(ks) < 2 or self.radon.threads < 2:
            return [job(k) for k in ks]
        # Requests nest (LI needs sinograms) only outside of jobs, so threads cannot block.
        with ThreadPoolExecutor(self.radon.threads) as pool:
            return list(pool.map(job, ks))

    def _one(self, name: str, k: int) -> Any:
        return self._known[name][k]

    def _make_hu(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        return {
            "hu": [np.ascontiguousarray(without_padding(self.hu_slices[k])) for k in ks],
        }

    def _make_body(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        self.get("hu", ks)
        pixel = self.radon.pixel_mm
        return {"body": self.each(lambda k: find_body(self._one("hu", k), pixel), ks)}

    def _make_nearness(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        pixel = self.radon.pixel_mm

        def measure(k: int) -> Float:
            return nearness_mm(np.ascontiguousarray(self.metal_slices[k]), pixel)

        return {"nearness": self.each(measure, ks)}

    def _make_sinograms(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        if self.measured is not None:
            metal = np.stack([self.metal_slices[k] for k in ks]).astype(np.float32)
            lengths = self.radon.forward(metal)
            return {"sinogram": [self.measured[k] for k in ks], "metal_lengths": list(lengths)}
        mu = hu_to_mu(np.stack(self.get("hu", ks)))
        metal = np.stack([self.metal_slices[k] for k in ks]).astype(np.float32)
        sinogram, lengths = self.radon.forward_pair(mu, metal)
        return {"sinogram": list(sinogram), "metal_lengths": list(lengths)}

    def _make_trace(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        lengths = self.get("metal_lengths", ks)
        return {"metal_trace": [trace_of(x, self.radon.pixel_mm) for x in lengths]}

    def _make_li_sinogram(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        self.get("sinogram", ks)
        self.get("metal_trace", ks)

        def fill(k: int) -> Float:
            return bridge(self._one("sinogram", k), self._one("metal_trace", k))

        return {"li_sinogram": self.each(fill, ks)}

    def _make_li_hu(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        return {"li_hu": self._corrected("li_sinogram", ks)}

    def _corrected(self, filled: str, ks: Sequence[int]) -> list[Float]:
        """Images of inpainted sinograms; slices without metal need no transform."""
        images = dict(zip(ks, self.get("hu", ks), strict=True))
        spoiled = [k for k in ks if self.has_metal(k)]
        if spoiled:
            after, before = self.get(filled, spoiled), self.get("sinogram", spoiled)
            delta = self.delta_hu(np.stack(after), np.stack(before))
            for k, change in zip(spoiled, delta, strict=True):
                images[k] = images[k] + change
        return [images[k] for k in ks]

    def _make_nmar_prior(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        for name in ("li_hu", "body", "nearness"):
            self.get(name, ks)

        def prior(k: int) -> Float:
            return tissue_prior(
                self._one("li_hu", k),
                self.metal_slices[k],
                self.radon.pixel_mm,
                body=self._one("body", k).mask,
                nearness=self._one("nearness", k),
            )

        return {"nmar_prior": self.each(prior, ks)}

    def _make_nmar_prior_sinogram(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        priors = hu_to_mu(np.stack(self.get("nmar_prior", ks)))
        return {"nmar_prior_sinogram": list(self.radon.forward(priors))}

    def _make_nmar_sinogram(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        self.get("sinogram", ks)
        self.get("metal_trace", ks)
        self.get("nmar_prior_sinogram", ks)

        def fill(k: int) -> Float:
            return normalized_bridge(
                self._one("sinogram", k),
                self._one("nmar_prior_sinogram", k),
                self._one("metal_trace", k),
                self.radon.pixel_mm,
            )

        return {"nmar_sinogram": self.each(fill, ks)}

    def _make_nmar_hu(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        return {"nmar_hu": self._corrected("nmar_sinogram", ks)}

    def _make_saturated(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        for name in ("hu", "li_hu", "body", "nearness"):
            self.get(name, ks)

        def find(k: int) -> Mask:
            return saturated_pixels(
                self._one("hu", k),
                np.asarray(self.metal_slices[k]),
                self.radon.pixel_mm,
                reference=self._one("li_hu", k),
                clip_hu=self.clip_hu,
                body=self._one("body", k),
                nearness=self._one("nearness", k),
            )

        return {"saturated": self.each(find, ks)}

    def _make_lost_rays(self, ks: Sequence[int]) -> dict[str, Sequence[Any]]:
        traces = self.get("metal_trace", ks)
        masks = self.get("saturated", ks)
        lost = {k: LostRays(t, 0.0, False) for k, t in zip(ks, traces, strict=True)}
        hit = [k for k, mask in zip(ks, masks, strict=True) if mask.any()]
        if hit:
            stack = np.stack(self.get("saturated", hit)).astype(np.float32)
            for k, lengths in zip(hit, self.radon.forward(stack), strict=True):
                lost[k] = lost_ray_trace(lost[k].trace, lengths, self.radon.pixel_mm)
        return {"lost_rays": [lost[k] for k in ks]}
