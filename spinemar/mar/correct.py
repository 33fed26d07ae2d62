"""Correct the metal artifacts of a volume, streaming through its slices.

For every slice with metal: project, let the inpainter fill the lost rays, reconstruct only the
difference, ask the gate how much of it to apply, put the metal back. Slices without metal are
not touched. Slabs of a few slices are in work side by side (`parallel.py`); each depends on its
own slices and their neighbours alone, so the number of threads does not change the result.
Memory: the result, the mask, and about 15 MB for each slice that is in work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.axial import AxialSlices, find_axial_slices
from spinemar.errors import FaultError, GeometryError, InputError
from spinemar.mar.inpainters.methods import make_inpainter
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.pipeline.gate import GateParameters, decide, gate_features
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.pipeline.stopwatch import Stopwatch
from spinemar.mar.pipeline.threads import ThreadPlan, in_order
from spinemar.mar.provenance import geometry_facts, make_provenance
from spinemar.mar.result import CorrectionResult, SliceReport
from spinemar.mar.segmentation.low_saturation import low_clip_hu
from spinemar.mar.segmentation.metal import (
    MetalSegmentation,
    refuse_metal_everywhere,
    segment_metal,
)
from spinemar.mar.segmentation.padding import padding_mask
from spinemar.mar.segmentation.trace import LostRays
from spinemar.mar.settings import CorrectionSettings
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.tomography.cuda import make_radon
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume

_SLICES_AT_A_TIME = 2  # what one complex transform carries
_STAGE = "Correcting"


def correct_volume(
    volume: CTVolume,
    settings: CorrectionSettings | None = None,
    *,
    metal_mask: NDArray[np.bool_] | None = None,
    inpainter: Inpainter | None = None,
    gate: GateParameters | None = None,
    measured: NDArray[np.float32] | None = None,
    threads: int | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
    **changes: Any,
) -> CorrectionResult:
    """Remove metal artifacts.

    Parameters
    ----------
    volume : CTVolume
        Acquired axial slices in any axis order and direction, any matrix, any number.
    settings : CorrectionSettings, optional
        Method, threshold, model, device.
    metal_mask : ndarray of bool, shape of `volume.hu`, optional
        Metal known from elsewhere; overrides the threshold.
    inpainter : Inpainter, optional
        Overrides the settings' method and model.
    gate : GateParameters, optional
        Overrides the inpainter's do-no-harm gate.
    measured : ndarray of float32, shape (slices, views, bins), optional
        Raw data on the grid that these slices would be reprojected to; see `mar/raw.py`.
    threads : int, optional
        By default the processors this process may use; the result is the same with any number.
    progress : callable
    cancel : CancelToken, optional
    **changes
        Settings by name, in place of those of `settings`: ``method="nmar"``.

    Returns
    -------
    CorrectionResult
        With the input volume itself, unchanged, where there is no metal.

    Raises
    ------
    GeometryError
        If the slices are not axial or the mask has another shape.
    InputError
        If the volume is constant, or metal seems to be everywhere.
    ModelError
        If the model cannot be used.
    CancelledError

    Examples
    --------
    Without metal the input itself comes back:

    >>> import numpy as np
    >>> hu = np.full((3, 64, 64), -1000.0, dtype=np.float32)
    >>> hu[:, 16:48, 16:48] = 40.0
    >>> volume = CTVolume(hu, np.diag([-1.0, -1.0, 2.0, 1.0]))
    >>> correct_volume(volume, method="nmar").volume is volume
    True
    """
    chosen = replace(settings or CorrectionSettings(), **changes)
    watch = Stopwatch()
    layout = find_axial_slices(volume.geometry)
    _refuse_constant(volume)
    progress(Progress("Finding metal", 0, 1))
    with watch.stage("metal"):
        metal = _find_metal(volume, layout, chosen.metal_threshold_hu, metal_mask, cancel)
    progress(Progress("Finding metal", 1, 1))
    touched = np.flatnonzero(layout.of(metal.mask).any(axis=(1, 2)))
    rays = SinogramGeometry.for_image(layout.shape, layout.pixel_mm)
    geometry = geometry_facts(layout, rays)
    if touched.size == 0:
        message = "No metal was found; the volume is unchanged."
        provenance = make_provenance(chosen.method, metal, geometry, None)
        return CorrectionResult(volume, metal.mask, (), provenance, watch.finished(), message)
    with watch.stage("model"):
        worker = inpainter or make_inpainter(chosen.method, chosen.model, chosen.device)
    plan = ThreadPlan.for_machine(threads, getattr(worker, "most_workers", None))
    radon = make_radon(layout.shape, layout.pixel_mm, rays, plan.threads_each, chosen.device)
    run = _Run(
        volume,
        metal.mask,
        layout,
        radon=radon,
        inpainter=worker,
        gate=gate or worker.gate,
        watch=watch,
        threads=plan,
        measured=measured,
    )
    hu, reports = run.all_slices(touched, progress, cancel)
    geometry = {**geometry, "transforms": radon.engine}
    provenance = make_provenance(chosen.method, metal, geometry, worker, radon.fallback)
    fixed = sum(report.corrected for report in reports)
    message = f"{fixed} of {len(reports)} slices with metal were corrected."
    return CorrectionResult(
        volume.with_hu(hu), metal.mask, reports, provenance, watch.finished(), message
    )


class _Run:
    """One pass over the slices with metal."""

    def __init__(
        self,
        volume: CTVolume,
        mask: NDArray[np.bool_],
        layout: AxialSlices,
        *,
        radon: RadonTransform,
        inpainter: Inpainter,
        gate: GateParameters,
        watch: Stopwatch,
        threads: ThreadPlan,
        measured: NDArray[np.float32] | None = None,
    ) -> None:
        self._measured = measured
        self._threads = threads
        self._source = layout.of(volume.hu)
        self._metal = layout.of(mask)
        self._volume = volume
        self._layout = layout
        self._radon = radon
        self._inpainter = inpainter
        self._gate = gate
        self._watch = watch

    def all_slices(
        self,
        touched: NDArray[np.intp],
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> tuple[NDArray[np.float32], tuple[SliceReport, ...]]:
        """Correct the slices `touched` in a copy of the volume."""
        out = self._volume.hu.copy()
        target = self._layout.of(out)
        clip = min(low_clip_hu(self._source[k]) for k in touched)
        slice_cache = SliceCache(
            self._source,
            self._metal,
            self._radon,
            clip_hu=clip,
            measured=self._measured,
            watch=self._watch,
        )
        slice_cache.cancel = cancel
        neighbours = self._inpainter.neighbours
        reports: list[SliceReport] = []
        progress(Progress(_STAGE, 0, len(touched)))

        def one_run(run: tuple[int, int]) -> list[SliceReport]:
            slice_cache.raise_if_cancelled()
            return self._one_slab(Slab.around(slice_cache, *run, neighbours), slice_cache, target)

        size = getattr(self._inpainter, "slices_at_a_time", _SLICES_AT_A_TIME)
        runs = _runs(touched, size)
        for n, finished in enumerate(in_order(one_run, runs, self._threads.workers)):
            reports += finished
            if n + 1 < len(runs):
                slice_cache.forget_before(runs[n + 1][0] - neighbours - 1)
            progress(Progress(_STAGE, len(reports), len(touched)))
        return out, tuple(reports)

    def _one_slab(
        self, slab: Slab, slice_cache: SliceCache, target: NDArray[np.float32]
    ) -> list[SliceReport]:
        core = slab.core_only
        sinograms = core.each("sinogram")
        if self._inpainter.trace == "lost":
            wider = getattr(self._inpainter, "widening_bins", 0)
            lost = [rays.widened(wider) for rays in core.lost_rays]
        else:
            lost = [LostRays(t, 0.0, capped=False) for t in core.each("metal_trace")]
        with self._watch.stage("inpaint"):
            filled = self._inpainter.inpaint(slab)
            name = self._inpainter.name
            added = _added(filled, sinograms, [rays.trace for rays in lost], name)
        change = slice_cache.change_hu(added)
        reports = []
        for n, k in enumerate(core.indices):
            one = Slab(slice_cache, [k], slice(0, 1))
            with self._watch.stage("gate"):
                report, applied = self._judge(one, change[n], lost[n])
                if report.corrected:
                    keep = self._metal[k] | padding_mask(self._source[k])
                    target[k] = np.where(keep, self._source[k], self._source[k] + applied)
            reports.append(report)
        return reports

    def _judge(
        self, one: Slab, change: NDArray[np.float32], rays: LostRays
    ) -> tuple[SliceReport, NDArray[np.float32]]:
        """Ask the gate about one slice; return its report and what to add to it."""
        hu, metal, body = one.hu[0], one.metal[0], one.bodies[0]
        pixel = self._layout.pixel_mm
        features = gate_features(
            hu,
            change,
            metal=metal,
            body=body,
            trace=rays.trace,
            pixel_mm=pixel,
            nearness=one.nearness_mm[0],
        )
        decision = decide(features, self._gate)
        applied = np.float32(decision.strength) * change
        seen = applied[body.mask & ~metal]
        report = SliceReport(
            index=one.indices[0],
            metal_area_mm2=float(metal.sum()) * pixel[0] * pixel[1],
            trace_share=float(rays.trace.mean()),
            saturated_share=rays.added_share,
            saturated_capped=rays.capped,
            corrected=decision.corrected,
            strength=decision.strength,
            change_hu=float(np.sqrt(np.mean(seen**2))) if seen.size else 0.0,
            reason=decision.reason,
            features=features,
        )
        return report, applied


def _runs(touched: NDArray[np.intp], size: int) -> list[tuple[int, int]]:
    """Split slice indices into runs (start, stop) of consecutive slices.

    Runs end at multiples of `size`, so that slices that share a transform stay together.
    """
    breaks = np.flatnonzero((np.diff(touched) > 1) | (touched[1:] % size == 0)) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(touched, breaks)]


def _added(
    filled: NDArray[np.float32],
    sinograms: Sequence[NDArray[np.float32]],
    traces: Sequence[NDArray[np.bool_]],
    name: str,
) -> NDArray[np.float32]:
    """Return what an inpainter adds to the lost rays; it cannot change any other."""
    if filled.shape != (len(sinograms), *sinograms[0].shape) or not np.isfinite(filled).all():
        raise FaultError(
            f"The method {name} returned rays that cannot be used.",
            "Use the method nmar, and report this with the model's name.",
        )
    added = np.zeros(filled.shape, dtype=np.float32)
    for one, after, before, trace in zip(added, filled, sinograms, traces, strict=True):
        np.subtract(after, before, out=one, where=trace)
    return added


def _refuse_constant(volume: CTVolume) -> None:
    low, high = np.inf, -np.inf
    for part in volume.hu:
        finite = part[np.isfinite(part)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        if low < high:
            return
    raise InputError(
        "The volume has no contrast at all: every voxel holds the same value or none.",
        "Load the CT series itself.",
    )


def _find_metal(
    volume: CTVolume,
    layout: AxialSlices,
    threshold_hu: float | None,
    mask: NDArray[np.bool_] | None,
    cancel: CancelToken | None,
) -> MetalSegmentation:
    if mask is None:
        return segment_metal(volume, threshold_hu, cancel=cancel)
    if mask.shape != volume.hu.shape:
        raise GeometryError(
            f"The metal mask has shape {mask.shape}, the volume {volume.hu.shape}.",
            "Use a mask made on this volume, or resample it to this volume's grid.",
        )
    given = np.ascontiguousarray(mask, dtype=np.bool_)
    refuse_metal_everywhere(layout.of(given), None)
    return MetalSegmentation(given, None, "mask")
