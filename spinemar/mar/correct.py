"""Correct the metal artifacts of a volume, streaming through its slices.

For every slice with metal: project, let the inpainter fill the lost rays, reconstruct only the
difference, ask the gate how much of it to apply, put the metal back inside its true outline.
Slices without metal are not touched. With the patient's earlier CT all of that happens twice: the
first result is what the earlier CT is registered with, the second takes its detail from it.
Slabs of a few slices are in work side by side (`pipeline/threads.py`); each depends on its own
slices and their neighbours alone, so the number of threads does not change the result.
Memory: the result, the mask, and about 15 MB for each slice that is in work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.axial import AxialSlices, find_axial_slices
from spinemar.errors import GeometryError, InputError
from spinemar.mar.correction.passes import Corrected, CorrectionPasses
from spinemar.mar.correction.provenance import geometry_facts, make_provenance
from spinemar.mar.correction.uncertainty import SCALES, UncertaintyScale
from spinemar.mar.earlier.given import EarlierCt
from spinemar.mar.earlier.use import EarlierUse
from spinemar.mar.inpainters.learned import LearnedInpainter
from spinemar.mar.inpainters.learned.pictures import FusedPictures, KeptPictures
from spinemar.mar.inpainters.methods import make_inpainter, make_outliner
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.pipeline.stopwatch import Stopwatch
from spinemar.mar.pipeline.threads import ThreadPlan
from spinemar.mar.result import CorrectionResult, SliceReport
from spinemar.mar.segmentation.metal import (
    MetalSegmentation,
    refuse_metal_everywhere,
    segment_metal,
)
from spinemar.mar.segmentation.outline import GivenOutline, Outliner, whole_percent
from spinemar.mar.settings import CorrectionSettings
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.tomography.cuda import make_radon
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.volume import CTVolume


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
    uncertainty: bool = False,
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
    uncertainty : bool
        Whether the result says how far each corrected value may be off.
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
    run = CorrectionPasses(
        volume,
        metal.mask,
        layout,
        radon=radon,
        outliner=edge,
        gate=gate or worker.gate,
        watch=watch,
        threads=plan,
        measured=measured,
        uncertainty=_scale_of(worker) if uncertainty else None,
    )
    if earlier is None or learned is None:
        done, use = run.all_slices(worker, touched, progress, cancel), None
    else:
        done, use = _with_earlier(run, learned, earlier, touched, progress, cancel)
    geometry = {**geometry, "transforms": radon.engine}
    provenance = make_provenance(
        chosen.method,
        metal,
        geometry,
        worker,
        radon.fallback,
        outlines=[report.outline for report in done.reports],
        outliner=edge,
    )
    return CorrectionResult(
        volume.with_hu(done.hu),
        metal.mask,
        done.metal_percent,
        done.reports,
        provenance,
        watch.finished(),
        _message(done.reports, use),
        use,
        done.uncertainty_hu,
    )


def _outliner_for(metal: MetalSegmentation, settings: CorrectionSettings) -> Outliner:
    """Take a mask that somebody drew for the outline; else the model says it, for every method."""
    if metal.source == "mask":
        return GivenOutline()
    return make_outliner(settings.model, settings.device)


def _with_earlier(
    run: CorrectionPasses,
    worker: LearnedInpainter,
    earlier: EarlierCt,
    touched: NDArray[np.intp],
    progress: ProgressCallback,
    cancel: CancelToken | None,
) -> tuple[Corrected, EarlierUse]:
    """Correct, lay the earlier CT over the result, and correct again with its detail.

    What the gate refuses with the earlier CT's detail is left to the network's own picture: an
    earlier CT never costs a slice its correction.
    """
    kept = KeptPictures(worker.pictures)
    first = worker.with_pictures(kept).without_generator()
    plain = run.without_uncertainty().all_slices(
        first, touched, progress, cancel, "Correcting for the registration"
    )
    with run.watch.stage("registration"):
        laid = run.lay_over(plain.hu, earlier, progress, cancel)
        slices = run.laid_slices(laid, touched)
    pictures = FusedPictures(kept, slices, worker.fusion())
    done = run.all_slices(worker.with_pictures(pictures), touched, progress, cancel)
    refused = run.left_alone(done.reports)
    if refused.size:
        without = worker.with_pictures(kept)
        done = run.completed(done, run.all_slices(without, refused, progress, cancel))
        pictures.disbelieve(refused)
    return done, run.use_of(earlier, laid, pictures.slices)


def _scale_of(inpainter: Inpainter) -> UncertaintyScale:
    scale = SCALES.get(inpainter.name)
    if scale is None:
        raise InputError(
            f"How far the method {inpainter.name} may be off was never measured.",
            "Correct without the uncertainty, or with another method.",
        )
    return scale


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
