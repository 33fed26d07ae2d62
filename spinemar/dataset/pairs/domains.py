"""Both domains of a pair: raw data as measured, and images projected again.

What an inpainter meets in use is computed by the very code that runs in use: metal found in
the stored image, traces, LI and NMAR of `spinemar.mar`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.pairs.encoding import encode_hu, encode_integrals
from spinemar.dataset.pairs.exposure import Float, Measured, recentred
from spinemar.dataset.pairs.surroundings import Surroundings
from spinemar.dataset.sampling.protocol import ScanProtocol
from spinemar.errors import InputError
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.segmentation.low_saturation import low_clip_hu
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.physics.scans.stored_values import stored_hu
from spinemar.tomography.geometry import SinogramGeometry, grid_width_mm
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import hu_to_mu, mu_to_hu
from spinemar.volume import CTVolume

SINOGRAMS = ("sinogram", "target", "prior", "li_sinogram")
TRACES = ("metal_trace", "lost_ray_trace")
IMAGES = ("input", "li", "nmar", "truth")
MASKS = ("metal", "saturated")
FRACTIONS = ("metal_fraction",)
FIELDS = (*SINOGRAMS, *TRACES, *IMAGES, *MASKS, *FRACTIONS)
"""Arrays of a pair: sinograms and traces (slices, views, bins), images and masks (slices, rows,
columns), fractions (slices, metals, rows, columns)."""
EARLIER = ("earlier_ct",)
"""Images (slices, rows, columns) that a store holds only where it is asked for them."""
ALL_FIELDS = (*FIELDS, *EARLIER)
IN_HU = (*IMAGES, *EARLIER)

_NEAR_MM = 20.0


@dataclass(frozen=True)
class MetalSearch:
    """How metal is found: above a threshold, or, without one, by itself on the slab around."""

    threshold_hu: float | None
    around: Surroundings | None


@dataclass(frozen=True)
class PairArrays:
    """Stored arrays of a pair, but for its true metal, and what was measured on them."""

    arrays: dict[str, NDArray[Any]]
    facts: dict[str, Any]


def image_radon(fov_mm: float, settings: PairSettings) -> RadonTransform:
    """Return the transform between a pair's stored images and sinograms."""
    matrix, pixel = settings.matrix, fov_mm / settings.matrix
    bin_mm = grid_width_mm(fov_mm) / settings.n_bins
    geometry = SinogramGeometry(settings.n_views, settings.n_bins, bin_mm)
    return RadonTransform((matrix, matrix), (pixel, pixel), geometry, threads=1)


def post_pair(
    measured: Measured, protocol: ScanProtocol, settings: PairSettings, search: MetalSearch
) -> PairArrays | None:
    """Reconstruct, store as HU, find metal, project again; None if no metal is found."""
    centre, iso = protocol.image_centre_ras, protocol.isocentre_ras
    # Columns run to the left and rows to the back, RAS axes the other way.
    x_mm, y_mm = iso[0] - centre[0], iso[1] - centre[1]
    both = np.concatenate([measured.scan, measured.truth])
    moved, wide = recentred(both, measured.geometry, x_mm, y_mm)
    matrix, pixel = settings.matrix, protocol.fov_mm / settings.matrix
    back = RadonTransform((matrix, matrix), (pixel, pixel), wide, threads=1)
    hu = stored_hu(mu_to_hu(back.fbp(moved)), protocol.settings.hu_scale)
    images, truth = np.split(hu, 2)
    radon = image_radon(protocol.fov_mm, settings)
    metal = _find_metal(images, protocol, search)
    if metal is None:
        return None
    slice_cache = SliceCache(images, metal, radon, clip_hu=low_clip_hu(images))
    target = radon.forward(hu_to_mu(truth))
    return _collected(slice_cache, truth, target, np.zeros(target.shape, np.bool_))


def raw_pair(
    measured: Measured, protocol: ScanProtocol, settings: PairSettings, search: MetalSearch
) -> PairArrays | None:
    """Take the measured rays themselves; None if no metal is found.

    Outside the trace the target is the scan. There the two differ by scattered radiation and by
    the projector's ringing alone, far below the noise; by how much is noted.
    """
    radon = image_radon(protocol.fov_mm, settings)
    hu = mu_to_hu(radon.fbp(np.concatenate([measured.scan, measured.truth])))
    images, truth = np.split(stored_hu(hu, "extended"), 2)
    metal = _find_metal(images, protocol, search)
    if metal is None:
        return None
    slice_cache = SliceCache(
        images, metal, radon, clip_hu=low_clip_hu(images), measured=measured.scan
    )
    return _collected(slice_cache, truth, measured.truth, measured.touched, one_noise=True)


def _find_metal(
    images: Float, protocol: ScanProtocol, search: MetalSearch
) -> NDArray[np.bool_] | None:
    """Find metal as in use; None if the middle slice shows none."""
    around, count = search.around, len(images)
    stack = images if around is None else np.concatenate([around.below, images, around.above])
    first = 0 if around is None else len(around.below)
    pixel = protocol.fov_mm / images.shape[-1]
    affine = np.diag([-pixel, -pixel, protocol.spacing_mm, 1.0])
    try:
        mask = segment_metal(CTVolume(stack, affine), search.threshold_hu).mask
    except InputError:  # a threshold that took in everything
        return None
    mask = np.ascontiguousarray(mask[first : first + count])
    return mask if mask[count // 2].any() else None


def _collected(
    slice_cache: SliceCache,
    truth: Float,
    target: Float,
    touched: NDArray[np.bool_],
    *,
    one_noise: bool = False,
) -> PairArrays:
    ks = range(len(truth))
    get = slice_cache.get
    lost_rays = get("lost_rays", ks)
    metal_trace = np.stack(get("metal_trace", ks)) | touched
    lost_trace = np.stack([lost.trace for lost in lost_rays]) | metal_trace
    sinogram = np.stack(get("sinogram", ks))
    difference = (sinogram - target)[~lost_trace]
    if one_noise:
        target = np.where(metal_trace, target, sinogram)
    images = np.stack(get("hu", ks))
    metal, nmar = slice_cache.metal_slices, np.stack(get("nmar_hu", ks))
    li = np.stack(get("li_hu", ks))
    saturated = np.stack(get("saturated", ks))
    arrays: dict[str, NDArray[Any]] = {
        "sinogram": encode_integrals(sinogram),
        "target": encode_integrals(target),
        "prior": encode_integrals(np.stack(get("nmar_prior_sinogram", ks))),
        "li_sinogram": encode_integrals(np.stack(get("li_sinogram", ks))),
        "metal_trace": metal_trace,
        "lost_ray_trace": lost_trace,
        "input": encode_hu(images),
        "li": encode_hu(li),
        "nmar": encode_hu(nmar),
        "truth": encode_hu(truth),
        "metal": metal,
        "saturated": saturated,
    }
    middle = len(truth) // 2
    keep = ~metal[middle]
    near = keep & (get("nearness", [middle])[0] <= _NEAR_MM)
    facts = {
        "pixel_mm": slice_cache.radon.pixel_mm[0],
        "bin_mm": slice_cache.radon.geometry.bin_mm,
        "metal_pixels": metal.sum(axis=(1, 2)).tolist(),
        "saturated_pixels": saturated.sum(axis=(1, 2)).tolist(),
        "metal_trace_share": _shares(metal_trace),
        "lost_ray_share": _shares(lost_trace),
        "added_share": [lost.added_share for lost in lost_rays],
        "capped": [lost.capped for lost in lost_rays],
        "outside_rms": _rms(difference),
        "outside_max": float(np.abs(difference).max(initial=0.0)),
        "truth_max_hu": float(truth.max()),
        "rmse_hu": {
            name: [_rms((image[middle] - truth[middle])[where]) for where in (keep, near)]
            for name, image in (("input", images), ("li", li), ("nmar", nmar))
        },
    }
    return PairArrays(arrays, facts)


def _shares(traces: NDArray[np.bool_]) -> list[float]:
    return [float(trace.mean()) for trace in traces]


def _rms(values: Float) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0
