"""One pass over the slices with metal: correct each, and write what the gate lets through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.axial import AxialSlices
from spinemar.mar.correction.proposal import Proposal, propose
from spinemar.mar.correction.uncertainty import MOST_HU, UncertaintyScale, uncertainty_terms
from spinemar.mar.earlier.given import EarlierCt
from spinemar.mar.earlier.slices import LaidSlices
from spinemar.mar.earlier.use import EarlierUse
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.pipeline.gate import GateDecision, GateParameters, decide
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.pipeline.stopwatch import Stopwatch
from spinemar.mar.pipeline.threads import ThreadPlan, in_order
from spinemar.mar.result import SliceReport
from spinemar.mar.segmentation.outline import (
    Outline,
    Outliner,
    inscribed_width_mm,
    scale_end_hu,
)
from spinemar.mar.segmentation.padding import padding_mask
from spinemar.progress import CancelToken, Progress, ProgressCallback
from spinemar.registration.laid import Laid
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume

_SLICES_AT_A_TIME = 2  # what one complex transform carries
_STAGE = "Correcting"
_AIR_HU = -1000


@dataclass(frozen=True)
class Corrected:
    """What one pass made of a volume; arrays (k, j, i) as the volume is stored.

    Parameters
    ----------
    hu : ndarray of float32
    metal_percent : ndarray of uint8
        Metal that was put back.
    uncertainty_hu : ndarray of int16 or None
        HU within which 95 of 100 errors lie; 0 in the metal, around the body, and where nothing was
        changed.
    reports : tuple of SliceReport
    """

    hu: NDArray[np.float32]
    metal_percent: NDArray[np.uint8]
    uncertainty_hu: NDArray[np.int16] | None
    reports: tuple[SliceReport, ...]


class CorrectionPasses:
    """Passes over the same slices with metal, by one inpainter or another."""

    def __init__(
        self,
        volume: CTVolume,
        mask: NDArray[np.bool_],
        layout: AxialSlices,
        *,
        radon: RadonTransform,
        outliner: Outliner,
        gate: GateParameters,
        watch: Stopwatch,
        threads: ThreadPlan,
        measured: NDArray[np.float32] | None = None,
        uncertainty: UncertaintyScale | None = None,
    ) -> None:
        self._new_cache = partial(
            SliceCache.of_volume, volume, mask, layout, radon, measured=measured, watch=watch
        )
        self._outliner = outliner
        self._threads = threads
        self._source = layout.of(volume.hu)
        self._metal = layout.of(mask)
        self._volume = volume
        self._layout = layout
        self._gate = gate
        self._uncertainty = uncertainty
        self.watch = watch

    def without_uncertainty(self) -> CorrectionPasses:
        """Return the same passes, saying nothing of how far values may be off."""
        other = copy(self)
        other._uncertainty = None
        return other

    def all_slices(
        self,
        inpainter: Inpainter,
        touched: NDArray[np.intp],
        progress: ProgressCallback,
        cancel: CancelToken | None,
        stage: str = _STAGE,
    ) -> Corrected:
        """Correct the slices with metal in a copy of the volume.

        Parameters
        ----------
        inpainter : Inpainter
        touched : ndarray of int, shape (slices with metal,)
            Their indices in the stack.
        progress : callable
        cancel : CancelToken, optional
        stage : str
            What progress calls this pass.
        """
        targets = self._targets()
        top = scale_end_hu(self._source, self._metal)
        slice_cache = self._new_cache()
        slice_cache.cancel = cancel
        neighbours = inpainter.neighbours
        reports: list[SliceReport] = []
        progress(Progress(stage, 0, len(touched)))

        def one_run(run: tuple[int, int]) -> list[SliceReport]:
            slice_cache.raise_if_cancelled()
            slab = Slab.around(slice_cache, *run, neighbours)
            proposals = propose(slab, inpainter)
            return [
                self._apply(one, slice_cache, targets, top, inpainter.name) for one in proposals
            ]

        size = getattr(inpainter, "slices_at_a_time", _SLICES_AT_A_TIME)
        runs = _runs(touched, size)
        for n, finished in enumerate(in_order(one_run, runs, self._threads.workers)):
            reports += finished
            if n + 1 < len(runs):
                slice_cache.forget_before(runs[n + 1][0] - neighbours - 1)
            progress(Progress(stage, len(reports), len(touched)))
        return replace(targets, reports=tuple(sorted(reports, key=lambda report: report.index)))

    def _targets(self) -> Corrected:
        """Return a copy of the volume to correct, with no metal and no report yet."""
        shape = self._volume.hu.shape
        unsure = None if self._uncertainty is None else np.zeros(shape, dtype=np.int16)
        return Corrected(self._volume.hu.copy(), np.zeros(shape, dtype=np.uint8), unsure, ())

    def left_alone(self, reports: Sequence[SliceReport]) -> NDArray[np.intp]:
        """Return the slices of the stack that were not corrected, shape (slices,)."""
        count = len(self._source)
        left = [self._layout.stored_index(one.index, count) for one in reports if not one.corrected]
        return np.array(sorted(left), dtype=np.intp)

    def completed(self, done: Corrected, again: Corrected) -> Corrected:
        """Take the slices of a second pass that it corrected."""
        better = {one.index: one for one in again.reports if one.corrected}
        for stored in better:
            k = self._layout.stored_index(stored, len(self._source))
            for old, new in zip(self._stacks(done), self._stacks(again), strict=True):
                old[k] = new[k]
        return replace(done, reports=tuple(better.get(one.index, one) for one in done.reports))

    def _stacks(self, one: Corrected) -> list[NDArray[Any]]:
        """Return the arrays of a pass as stacks of slices."""
        arrays = (one.hu, one.metal_percent, one.uncertainty_hu)
        return [self._layout.of(array) for array in arrays if array is not None]

    def lay_over(
        self,
        corrected: NDArray[np.float32],
        earlier: EarlierCt,
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> Laid:
        """Register an earlier CT with a corrected volume, HU, shape (k, j, i)."""
        from spinemar.registration.register import lay_over

        upright = self._layout.geometry_of(self._volume.geometry)
        return lay_over(
            CTVolume(self._layout.of(corrected), upright.ijk_to_ras),
            self._metal,
            earlier.volume,
            labels=earlier.labels,
            given=earlier.transforms,
            progress=progress,
            cancel=cancel,
        )

    def laid_slices(self, laid: Laid, touched: NDArray[np.intp]) -> LaidSlices:
        """Return what was laid over the slices with metal, `touched` of shape (slices,)."""
        return LaidSlices(laid, self._layout.geometry_of(self._volume.geometry), touched)

    def use_of(
        self,
        earlier: EarlierCt,
        laid: Laid,
        slices: Mapping[int, tuple[NDArray[np.float32], NDArray[np.float32]]],
    ) -> EarlierUse:
        """Return what became of an earlier CT, on the scan's grid as it is stored.

        `slices` holds by index HU and weight of the laid slices, each of shape (rows, columns).
        """
        shape = self._volume.hu.shape
        registered = np.full(shape, _AIR_HU, dtype=np.int16)
        believed = np.zeros(shape, dtype=np.uint8)
        for k, (hu, weight) in slices.items():
            self._layout.of(registered)[k] = np.clip(np.rint(hu), -32768, 32767)
            self._layout.of(believed)[k] = np.rint(100.0 * weight)
        labels = laid.labels_on(self._volume.geometry)
        return EarlierUse(laid.registration, registered, believed, labels, earlier.facts)

    def _apply(
        self,
        proposal: Proposal,
        slice_cache: SliceCache,
        targets: Corrected,
        top_hu: float,
        method: str,
    ) -> SliceReport:
        """Write as much of a proposal as the gate lets through; return what was done."""
        k = proposal.index
        outline = self._outline(k, slice_cache, top_hu)
        decision = decide(proposal.features, self._gate)
        applied = np.float32(decision.strength) * proposal.change
        if decision.corrected:
            applied *= 1 - outline.put_back
            applied[padding_mask(self._source[k])] = 0.0
            self._layout.of(targets.hu)[k] = self._source[k] + applied
            self._write_uncertainty(proposal, slice_cache, targets, outline, decision, method)
        self._layout.of(targets.metal_percent)[k] = outline.percent
        body = slice_cache.get("body", [k])[0]
        seen = applied[body.mask & ~outline.mask]
        pixel_mm2 = self._layout.pixel_mm[0] * self._layout.pixel_mm[1]
        return SliceReport(
            index=self._layout.stored_index(k, len(self._source)),
            metal_area_mm2=float(outline.mask.sum()) * pixel_mm2,
            metal_width_mm=inscribed_width_mm(outline.percent, self._layout.pixel_mm),
            mask_area_mm2=float(self._metal[k].sum()) * pixel_mm2,
            outline=outline.source,
            trace_share=float(proposal.rays.trace.mean()),
            saturated_share=proposal.rays.added_share,
            saturated_capped=proposal.rays.capped,
            corrected=decision.corrected,
            strength=decision.strength,
            change_hu=float(np.sqrt(np.mean(seen**2))) if seen.size else 0.0,
            reason=decision.reason,
            features=proposal.features,
        )

    def _write_uncertainty(
        self,
        proposal: Proposal,
        slice_cache: SliceCache,
        targets: Corrected,
        outline: Outline,
        decision: GateDecision,
        method: str,
    ) -> None:
        if self._uncertainty is None or targets.uncertainty_hu is None:
            return
        k = proposal.index
        with self.watch.stage("uncertainty"):
            one = Slab(slice_cache, [k], slice(0, 1))
            terms = uncertainty_terms(one, proposal, method, decision.strength)
            within = np.rint(terms.within_hu(self._uncertainty))
            body = one.bodies[0].mask & ~padding_mask(self._source[k])
            within[outline.mask | ~body] = 0
            self._layout.of(targets.uncertainty_hu)[k] = np.minimum(within, MOST_HU)

    def _outline(self, k: int, slice_cache: SliceCache, top_hu: float) -> Outline:
        around = Slab.around(slice_cache, k, k + 1, 1)
        generous = np.ascontiguousarray(self._metal[k])
        hu = around.hu
        with self.watch.stage("metal"):
            return self._outliner.outline(hu, generous, self._layout.pixel_mm, top_hu)


def _runs(touched: NDArray[np.intp], size: int) -> list[tuple[int, int]]:
    """Split slice indices into runs (start, stop) of consecutive slices.

    Runs end at multiples of `size`, so that slices that share a transform stay together.
    """
    breaks = np.flatnonzero((np.diff(touched) > 1) | (touched[1:] % size == 0)) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(touched, breaks)]
