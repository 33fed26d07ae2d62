"""Correct the metal artifacts of a volume, streaming through its slices.

For every slice with metal: project, let the inpainter fill the lost rays, reconstruct only the
difference, ask the gate how much of it to apply, put the metal back inside its true outline.
Slices without metal are not touched. With the patient's earlier CT all of that happens twice: the
first result is what the earlier CT is registered with, the second takes its detail from it.
Slabs of a few slices are in work side by side (`parallel.py`); each depends on its own slices and
their neighbours alone, so the number of threads does not change the result.
Memory: the result, the mask, and about 15 MB for each slice that is in work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.axial import AxialSlices, find_axial_slices
from spinemar.errors import GeometryError, InputError
from spinemar.mar.correction.proposal import Proposal, propose
from spinemar.mar.correction.provenance import geometry_facts, make_provenance
from spinemar.mar.earlier.given import EarlierCt
from spinemar.mar.earlier.slices import LaidSlices
from spinemar.mar.earlier.use import EarlierUse
from spinemar.mar.inpainters.learned import LearnedInpainter
from spinemar.mar.inpainters.learned.pictures import FusedPictures, KeptPictures
from spinemar.mar.inpainters.methods import make_inpainter, make_outliner
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.pipeline.gate import GateParameters, decide
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.pipeline.stopwatch import Stopwatch
from spinemar.mar.pipeline.threads import ThreadPlan, in_order
from spinemar.mar.result import CorrectionResult, SliceReport
from spinemar.mar.segmentation.metal import (
    MetalSegmentation,
    refuse_metal_everywhere,
    segment_metal,
)
from spinemar.mar.segmentation.outline import (
    GivenOutline,
    Outline,
    Outliner,
    inscribed_width_mm,
    scale_end_hu,
    whole_percent,
)
from spinemar.mar.segmentation.padding import padding_mask
from spinemar.mar.settings import CorrectionSettings
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.registration.laid import Laid
from spinemar.tomography.cuda import make_radon
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume

_SLICES_AT_A_TIME = 2  # what one complex transform carries
_STAGE = "Correcting"
_Done = tuple[NDArray[np.float32], NDArray[np.uint8], tuple[SliceReport, ...]]
"""HU, metal that was put back in percent, and a report of each slice."""
_AIR_HU = -1000


def correct_volume(
    volume: CTVolume,
    settings: CorrectionSettings | None = None,
    *,
    metal_mask: NDArray[np.bool_] | None = None,
    inpainter: Inpainter | None = None,
    outliner: Outliner | None = None,
    gate: GateParameters | None = None,
    measured: NDArray[np.float32] | None = None,
    earlier: EarlierCt | None = None,
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
        Metal known from elsewhere; overrides the threshold, and is put back as it is.
    inpainter : Inpainter, optional
        Overrides the settings' method and model.
    outliner : Outliner, optional
        Finds what of the metal mask is put back; by default the model's network, and the mask
        itself where one is given.
    gate : GateParameters, optional
        Overrides the inpainter's do-no-harm gate.
    measured : ndarray of float32, shape (slices, views, bins), optional
        Raw data on the grid that these slices would be reprojected to; see `mar/raw.py`.
    earlier : EarlierCt, optional
        The same patient's CT from before the metal, for the learned method: where it agrees
        with the measured rays, its detail fills the lost ones. The result says in `earlier`
        how it was registered and how far it was believed.
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
        message = _without_metal(metal)
        provenance = make_provenance(chosen.method, metal, geometry, None)
        return CorrectionResult(
            volume, metal.mask, whole_percent(metal.mask), (), provenance, watch.finished(), message
        )
    with watch.stage("model"):
        worker = inpainter or make_inpainter(chosen.method, chosen.model, chosen.device)
        learned = None if earlier is None else _able_to_use(worker)
        edge = outliner or _outliner_for(metal, chosen)
    plan = ThreadPlan.for_machine(threads, getattr(worker, "most_workers", None))
    radon = make_radon(layout.shape, layout.pixel_mm, rays, plan.threads_each, chosen.device)
    run = _Run(
        volume,
        metal.mask,
        layout,
        radon=radon,
        outliner=edge,
        gate=gate or worker.gate,
        watch=watch,
        threads=plan,
        measured=measured,
    )
    if earlier is None or learned is None:
        hu, percent, reports = run.all_slices(worker, touched, progress, cancel)
        use = None
    else:
        hu, percent, reports, use = _with_earlier(run, learned, earlier, touched, progress, cancel)
    geometry = {**geometry, "transforms": radon.engine}
    provenance = make_provenance(
        chosen.method,
        metal,
        geometry,
        worker,
        radon.fallback,
        outlines=[report.outline for report in reports],
        outliner=edge,
    )
    return CorrectionResult(
        volume.with_hu(hu),
        metal.mask,
        percent,
        reports,
        provenance,
        watch.finished(),
        _message(reports, use),
        use,
    )


def _outliner_for(metal: MetalSegmentation, settings: CorrectionSettings) -> Outliner:
    """Take a mask that somebody drew for the outline; else the model says it, for every method."""
    if metal.source == "mask":
        return GivenOutline()
    return make_outliner(settings.model, settings.device)


def _with_earlier(
    run: _Run,
    worker: LearnedInpainter,
    earlier: EarlierCt,
    touched: NDArray[np.intp],
    progress: ProgressCallback,
    cancel: CancelToken | None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], tuple[SliceReport, ...], EarlierUse]:
    """Correct, lay the earlier CT over the result, and correct again with its detail.

    What the gate refuses with the earlier CT's detail is left to the network's own picture: an
    earlier CT never costs a slice its correction.
    """
    kept = KeptPictures(worker.pictures)
    first = worker.with_pictures(kept).without_generator()
    hu, _, _ = run.all_slices(first, touched, progress, cancel, "Correcting for the registration")
    with run.watch.stage("registration"):
        laid = run.lay_over(hu, earlier, progress, cancel)
        slices = run.laid_slices(laid, touched)
    pictures = FusedPictures(kept, slices)
    done = run.all_slices(worker.with_pictures(pictures), touched, progress, cancel)
    refused = run.left_alone(done[2])
    if refused.size:
        plain = worker.with_pictures(kept)
        done = run.completed(done, run.all_slices(plain, refused, progress, cancel))
        pictures.disbelieve(refused)
    return *done, run.use_of(earlier, laid, pictures.slices)


def _able_to_use(inpainter: Inpainter) -> LearnedInpainter:
    if isinstance(inpainter, LearnedInpainter):
        return inpainter
    raise InputError(
        f"The method {inpainter.name} cannot use an earlier CT: it has no picture of its own that "
        "the earlier one could refine.",
        "Use the method generator with a model that has a prior network, or leave the earlier CT "
        "out.",
    )


def _message(reports: Sequence[SliceReport], use: EarlierUse | None = None) -> str:
    fixed = sum(report.corrected for report in reports)
    message = f"{fixed} of {len(reports)} slices with metal were corrected."
    unsure = sum(report.corrected and report.outline == "threshold" for report in reports)
    if unsure:
        message += (
            f" In {unsure} of them the metal's outline could not be told from its glow; "
            "everything above the threshold was put back there, so metal looks too thick."
        )
    if use is not None:
        message += (
            " The earlier CT lent its detail."
            if use.believed
            else (" The earlier CT was registered, but nowhere did the measured rays bear it out.")
        )
    return message


class _Run:
    """One pass over the slices with metal."""

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
        self.watch = watch

    def all_slices(
        self,
        inpainter: Inpainter,
        touched: NDArray[np.intp],
        progress: ProgressCallback,
        cancel: CancelToken | None,
        stage: str = _STAGE,
    ) -> _Done:
        """Correct the slices with metal in a copy of the volume."""
        out = self._volume.hu.copy()
        percent = np.zeros(out.shape, dtype=np.uint8)
        targets = self._layout.of(out), self._layout.of(percent)
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
            return [self._apply(one, slice_cache, targets, top) for one in proposals]

        size = getattr(inpainter, "slices_at_a_time", _SLICES_AT_A_TIME)
        runs = _runs(touched, size)
        for n, finished in enumerate(in_order(one_run, runs, self._threads.workers)):
            reports += finished
            if n + 1 < len(runs):
                slice_cache.forget_before(runs[n + 1][0] - neighbours - 1)
            progress(Progress(stage, len(reports), len(touched)))
        return out, percent, tuple(sorted(reports, key=lambda report: report.index))

    def left_alone(self, reports: Sequence[SliceReport]) -> NDArray[np.intp]:
        """Return the slices, counted from one end of the stack, that were not corrected."""
        count = len(self._source)
        left = [self._layout.stored_index(one.index, count) for one in reports if not one.corrected]
        return np.array(sorted(left), dtype=np.intp)

    def completed(self, done: _Done, again: _Done) -> _Done:
        """Take the slices of a second pass that it corrected."""
        better = {one.index: one for one in again[2] if one.corrected}
        for stored in better:
            k = self._layout.stored_index(stored, len(self._source))
            self._layout.of(done[0])[k] = self._layout.of(again[0])[k]
            self._layout.of(done[1])[k] = self._layout.of(again[1])[k]
        return done[0], done[1], tuple(better.get(one.index, one) for one in done[2])

    def lay_over(
        self,
        corrected: NDArray[np.float32],
        earlier: EarlierCt,
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> Laid:
        """Register an earlier CT with a corrected volume."""
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
        """Return the slices of an earlier CT that was laid over the scan."""
        return LaidSlices(laid, self._layout.geometry_of(self._volume.geometry), touched)

    def use_of(
        self,
        earlier: EarlierCt,
        laid: Laid,
        slices: Mapping[int, tuple[NDArray[np.float32], NDArray[np.float32]]],
    ) -> EarlierUse:
        """Return what became of an earlier CT, on the scan's grid as it is stored."""
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
        targets: tuple[NDArray[np.float32], NDArray[np.uint8]],
        top_hu: float,
    ) -> SliceReport:
        """Write as much of a proposal as the gate lets through; return what was done."""
        k = proposal.index
        outline = self._outline(k, slice_cache, top_hu)
        decision = decide(proposal.features, self._gate)
        applied = np.float32(decision.strength) * proposal.change
        if decision.corrected:
            applied *= 1 - outline.put_back
            applied[padding_mask(self._source[k])] = 0.0
            targets[0][k] = self._source[k] + applied
        targets[1][k] = outline.percent
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


def _without_metal(metal: MetalSegmentation) -> str:
    """Say that nothing was done, and how what was missed could be found."""
    if metal.source == "mask":
        return "The metal mask is empty; the volume is unchanged."
    if metal.source == "threshold":
        return f"No metal was found above {metal.threshold_hu:.0f} HU; the volume is unchanged."
    return (
        "No metal was found; the volume is unchanged. Thin wires and clips are fainter than "
        "implants: a threshold of about 2000 HU finds them."
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
