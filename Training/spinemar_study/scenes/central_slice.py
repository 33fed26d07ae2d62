"""Correct the middle slice of a few alone: what `correct_volume` does there, in half the time.

What methods share (projections, LI, NMAR, the body) is made once for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.correction.proposal import Proposal
from spinemar.mar.pipeline.gate import GateParameters, decide
from spinemar.volume import CTVolume
from spinemar_study.scenes.scenes import MIDDLE

Image = NDArray[np.float32]


@dataclass(frozen=True)
class CentralResult:
    """A corrected slice.

    Parameters
    ----------
    hu : ndarray of float32, shape (rows, columns)
    strength : float
        Share of the change that the gate let through.
    """

    hu: Image
    strength: float


def _widening_mm(inpainter: Any) -> float:
    """By how much a model widens the lost-ray trace."""
    return float(getattr(inpainter, "widening_mm", 0.0))


class CentralSlice:
    """The middle slice of a short stack, ready for any method.

    Parameters
    ----------
    scan : CTVolume
        Axial slices, the stack axis first.
    metal : ndarray of bool, same shape
    """

    def __init__(self, scan: CTVolume, metal: NDArray[np.bool_]) -> None:
        from spinemar.axial import find_axial_slices
        from spinemar.mar.segmentation.low_saturation import low_clip_hu
        from spinemar.tomography.radon import RadonTransform

        layout = find_axial_slices(scan.geometry)
        self._scan, self._metal, self._pixel_mm = scan, metal, layout.pixel_mm
        touched = np.flatnonzero(metal.any(axis=(1, 2)))
        self._radon = RadonTransform(layout.shape, layout.pixel_mm)
        self._clip_hu = min((low_clip_hu(scan.hu[k]) for k in touched), default=0.0)
        self._slice_cache: dict[str, Any] = {}

    def cache_of(self, inpainter: Any) -> Any:
        """Return what is known of the slices; no two priors may share what one of them filled.

        Nor may one prior that fills traces of two widths.
        """
        if inpainter.trace != "lost" or not hasattr(inpainter, "facts"):
            return self._any_cache()
        prior = str(inpainter.facts().sha256).split("+", maxsplit=1)[0]
        key = f"{prior}+{_widening_mm(inpainter)}"
        if key not in self._slice_cache:
            self._slice_cache[key] = self._slice_cache.pop("", None) or self._new_cache()
        return self._slice_cache[key]

    def _any_cache(self) -> Any:
        if not self._slice_cache:
            self._slice_cache[""] = self._new_cache()
        return next(iter(self._slice_cache.values()))

    def _new_cache(self) -> Any:
        from spinemar.mar.pipeline.slice_cache import SliceCache

        return SliceCache(self._scan.hu, self._metal, self._radon, clip_hu=self._clip_hu)

    def proposed(self, inpainter: Any) -> Proposal | None:
        """Return the change that a method proposes; None without metal."""
        from spinemar.mar.correction.proposal import propose
        from spinemar.mar.pipeline.slab import Slab

        if not self._metal[MIDDLE].any():
            return None
        slice_cache = self.cache_of(inpainter)
        slab = Slab.around(slice_cache, MIDDLE, MIDDLE + 1, inpainter.neighbours)
        return propose(slab, inpainter)[0]

    def of_measured_rays(self, image: Image) -> Image:
        """Return what the rays that are not lost show of an image of the same grid, HU."""
        from spinemar.tomography.units import difference_to_hu, hu_to_mu

        lost = self._any_cache().get("lost_rays", [MIDDLE])[0].trace
        # Air has no attenuation, so that a difference of HU is moved there and back.
        rays = self._radon.forward(hu_to_mu(image - np.float32(1000.0))[None])
        missing = difference_to_hu(self._radon.fbp(np.where(lost, rays, np.float32(0))))[0]
        return np.asarray(image - missing)

    def judged(self, proposal: Proposal | None, gate: GateParameters) -> CentralResult:
        """Apply as much of a change as a gate lets through."""
        from spinemar.mar.segmentation.padding import padding_mask

        hu = self._scan.hu[MIDDLE]
        if proposal is None:
            return CentralResult(hu, 0.0)
        strength = decide(proposal.features, gate).strength
        keep = self._metal[MIDDLE] | padding_mask(hu)
        changed = hu + np.float32(strength) * proposal.change
        return CentralResult(np.where(keep, hu, changed), strength)

    def corrected(self, inpainter: Any) -> CentralResult:
        """Correct with a method and its own gate."""
        return self.judged(self.proposed(inpainter), inpainter.gate)
