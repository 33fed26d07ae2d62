"""The prior with measured rays, as the correction runs it: a rule, or a network that sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from spinemar_training.data.prefill import VIEWS
from spinemar_training.data.prefilled import trace_window

from spinemar.mar.inpainters.learned import LearnedInpainter
from spinemar.mar.inpainters.learned.generator import interpolate_views
from spinemar.mar.inpainters.protocol import ModelFacts
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.tomography.units import difference_to_hu
from spinemar_study.measured.evidence import Evidence, coarser, evidence_of
from spinemar_study.measured.generator import EvidenceGenerator

Float = NDArray[np.float32]

_SMOOTH_MM = 0.5
_FULL_MM, _NOTHING_MM = 6.0, 10.0
_BINS_CONTEXT, _BINS_MULTIPLE = 32, 32


class EvidenceInpainter:
    """The prior alone, then a generator that also sees the rest of the measured rays.

    Keeps the prior's gate and traces. Slices stand alone, as those of the judge do.

    Parameters
    ----------
    prior : LearnedInpainter
        Without a generator.
    weights : Path
        Of an `EvidenceGenerator`.
    """

    name = "generator"
    trace = "lost"

    def __init__(self, prior: LearnedInpainter, weights: Path) -> None:
        self._prior = prior
        self.neighbours, self.gate = prior.neighbours, prior.gate
        state = torch.load(weights, weights_only=True)["generator"]
        self._generator = EvidenceGenerator(state).eval()

    def facts(self) -> ModelFacts:
        """Return what the prior is."""
        return self._prior.facts()

    def lost_rays(self, slice_cache: SliceCache, ks: Any) -> Any:
        """As the prior widens them."""
        return self._prior.lost_rays(slice_cache, ks)

    def inpaint(self, slab: Slab) -> Float:
        """Return the core slices' sinograms, the lost rays filled and refined."""
        filled = self._prior.inpaint(slab)
        core = slab.core_only
        refined = [
            self._refined(Slab(slab.slice_cache, [k], slice(0, 1)), filled[n])
            for n, k in enumerate(core.indices)
        ]
        return np.stack(refined)

    def _refined(self, slab: Slab, filled: Float) -> Float:
        trace = self.lost_rays(slab.slice_cache, slab.indices)[0].trace
        if not trace.any():
            return filled
        step = filled.shape[0] // VIEWS
        coarse, marks = filled[::step], trace[::step]
        evidence = evidence_of(slab, 0, coarse, slab.sinogram[0][::step], marks)
        window = trace_window(marks[None], _BINS_CONTEXT, _BINS_MULTIPLE)
        three = [
            np.repeat(one[None, :, window].astype(np.float32), 3, axis=0)
            for one in (coarse, marks, slab.sinogram[0][::step])
        ]
        seen = evidence.channels(marks)[..., window]
        with torch.no_grad():
            given = [torch.from_numpy(np.ascontiguousarray(one))[None] for one in (*three, seen)]
            out = self._generator(*given)[0, 0].numpy()
        residual = np.zeros_like(coarse)
        residual[:, window] = out - coarse[:, window]
        return np.where(trace, filled + interpolate_views(residual[None], step)[0], filled)


def rest_near_metal(slab: Slab, evidence: Evidence, nearness_mm: Float) -> Float:
    """Return what the rest shows beside metal, HU (rows, columns): the untrained rule.

    Smoothed by 0.5 mm, whole to 6 mm from metal and nothing from 10 mm. It changes pixels, not
    rays alone, so that it is no method of ours.
    """
    radon = coarser(slab.radon, slab.hu.shape[1:], len(evidence.rest))
    smooth = ndimage.gaussian_filter1d(evidence.rest, _SMOOTH_MM / radon.geometry.bin_mm, axis=-1)
    shown = difference_to_hu(radon.fbp(np.asarray(smooth, np.float32)[None]))[0]
    weight = np.clip((_NOTHING_MM - nearness_mm) / (_NOTHING_MM - _FULL_MM), 0.0, 1.0)
    return np.asarray(weight * shown, np.float32)
