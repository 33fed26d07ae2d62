"""Correct the metal artifacts of a volume, streaming through its slices.

For every slice with metal: project, let the inpainter fill the lost rays, reconstruct only the
difference, ask the gate how much of it to apply, put the metal back. Slices without metal are
not touched. Memory: the result, the mask, and about 15 MB for each of the dozen slices that
are in work at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import FaultError, GeometryError, InputError
from spinemar.mar.axial import AxialSlices, find_axial_slices
from spinemar.mar.gate import GateParameters, decide, gate_features
from spinemar.mar.inpainting import Inpainter
from spinemar.mar.metal import MetalSegmentation, refuse_metal_everywhere, segment_metal
from spinemar.mar.methods import Device, Method, make_inpainter
from spinemar.mar.padding import padding_mask
from spinemar.mar.products import SliceProducts
from spinemar.mar.provenance import geometry_facts, make_provenance
from spinemar.mar.result import CorrectionResult, SliceReport
from spinemar.mar.saturated import low_clip_hu
from spinemar.mar.slab import Slab
from spinemar.mar.stopwatch import Stopwatch
from spinemar.mar.trace import LostRays
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume

_SLICES_AT_A_TIME = 8
_STAGE = "Correcting"


def correct_volume(
    volume: CTVolume,
    *,
    method: Method = "auto",
    metal_threshold_hu: float | None = None,
    metal_mask: NDArray[np.bool_] | None = None,
    model: Path | None = None,
    device: Device = "auto",
    inpainter: Inpainter | None = None,
    gate: GateParameters | None = None,
    measured: NDArray[np.float32] | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> CorrectionResult:
    """Remove metal artifacts.

    Parameters
    ----------
    volume : CTVolume
        Acquired axial slices in any axis order and direction, any matrix, any number.
    method : {"auto", "generator", "nmar", "li"}
        "auto" takes the given or shipped model if there is one, else NMAR.
    metal_threshold_hu : float, optional
        By default metal is found automatically.
    metal_mask : ndarray of bool, shape of `volume.hu`, optional
        Metal known from elsewhere; overrides the threshold.
    model : Path, optional
        Manifest of a model, or its folder.
    device : {"auto", "cpu", "cuda"}
    inpainter : Inpainter, optional
        Overrides `method`, `model` and `device`.
    gate : GateParameters, optional
        Overrides the inpainter's do-no-harm gate.
    measured : ndarray of float32, shape (slices, views, bins), optional
        Raw data on the grid that these slices would be reprojected to; see `mar/raw.py`.
    progress : callable
    cancel : CancelToken, optional

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
    """
    watch = Stopwatch()
    layout = find_axial_slices(volume.geometry)
    _refuse_constant(volume)
    progress(Progress("Finding metal", 0, 1))
    with watch.stage("metal"):
        metal = _find_metal(volume, layout, metal_threshold_hu, metal_mask, cancel)
    progress(Progress("Finding metal", 1, 1))
    touched = np.flatnonzero(layout.of(metal.mask).any(axis=(1, 2)))
    radon = RadonTransform(layout.shape, layout.pixel_mm)
    geometry = geometry_facts(layout, radon)
    if touched.size == 0:
        message = "No metal was found; the volume is unchanged."
        provenance = make_provenance(method, metal, geometry, None)
        return CorrectionResult(volume, metal.mask, (), provenance, watch.finished(), message)
    with watch.stage("model"):
        worker = inpainter or make_inpainter(method, model, device)
    run = _Run(
        volume,
        metal.mask,
        layout,
        radon=radon,
        inpainter=worker,
        gate=gate or worker.gate,
        watch=watch,
        measured=measured,
    )
    hu, reports = run.all_slices(touched, progress, cancel)
    provenance = make_provenance(method, metal, geometry, worker)
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
        measured: NDArray[np.float32] | None = None,
    ) -> None:
        self._measured = measured
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
        products = SliceProducts(
            self._source, self._metal, self._radon, clip_hu=clip, measured=self._measured
        )
        products.cancel = cancel
        reports: list[SliceReport] = []
        progress(Progress(_STAGE, 0, len(touched)))
        # Slow inpainters take fewer slices at a time, so that a cancel is heard in time.
        longest = getattr(self._inpainter, "slices_at_a_time", _SLICES_AT_A_TIME)
        for start, stop in _runs(touched, longest):
            if cancel is not None:
                cancel.raise_if_cancelled()
            products.forget_before(start - self._inpainter.neighbours)
            slab = Slab.around(products, start, stop, self._inpainter.neighbours)
            reports += self._one_slab(slab, products, target)
            progress(Progress(_STAGE, len(reports), len(touched)))
        return out, tuple(reports)

    def _one_slab(
        self, slab: Slab, products: SliceProducts, target: NDArray[np.float32]
    ) -> list[SliceReport]:
        core = slab.core_only
        with self._watch.stage("project"):
            sinogram = core.sinogram
            metal_trace = core.metal_trace
        with self._watch.stage("inpaint"):
            lost = core.lost_rays if self._inpainter.trace == "lost" else None
            trace = metal_trace if lost is None else core.lost_ray_trace
            filled = _checked(self._inpainter.inpaint(slab), sinogram, self._inpainter.name)
            filled = np.where(trace, filled, sinogram)
        with self._watch.stage("reconstruct"):
            change = products.delta_hu(filled, sinogram)
        with self._watch.stage("gate"):
            for name in ("body", "nearness"):
                products.get(name, core.indices)  # all at once, before the threads ask one by one

            def finish(n: int) -> SliceReport:
                k = core.indices[n]
                rays = lost[n] if lost else LostRays(trace[n], 0.0, capped=False)
                one = Slab(products, [k], slice(0, 1))
                report, applied = self._judge(one, change[n], rays)
                if report.corrected:
                    keep = one.metal[0] | padding_mask(self._source[k])
                    target[k] = np.where(keep, self._source[k], self._source[k] + applied)
                return report

            return products.each(finish, range(len(core.indices)))

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


def _runs(touched: NDArray[np.intp], longest: int) -> Iterator[tuple[int, int]]:
    """Split slice indices into runs (start, stop) of consecutive slices."""
    breaks = np.flatnonzero(np.diff(touched) > 1) + 1
    for part in np.split(touched, breaks):
        for first in range(0, len(part), longest):
            piece = part[first : first + longest]
            yield int(piece[0]), int(piece[-1]) + 1


def _checked(
    filled: NDArray[np.float32], sinogram: NDArray[np.float32], name: str
) -> NDArray[np.float32]:
    if filled.shape != sinogram.shape or not np.isfinite(filled).all():
        raise FaultError(
            f"The method {name} returned rays that cannot be used.",
            "Use the method nmar, and report this with the model's name.",
        )
    return filled


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
