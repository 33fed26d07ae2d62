"""Correct raw data: inpaint the measured rays themselves, before any image is stored.

An image has lost what its 12 bits cut off and what its matrix left out; the raw data have not.
They are rebinned to the same parallel grid that images are projected to, so every method works
on them as on images, with the measured rays in place of the projected ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.mar.correct import correct_volume
from spinemar.mar.result import CorrectionResult
from spinemar.mar.settings import CorrectionSettings
from spinemar.physics.scanner_settings import KERNELS, ScanKernel
from spinemar.physics.scans.kernels import apply_kernel
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.raw_data.helical import Interpolation
from spinemar.tomography.raw_data.plausible import check_half_turn, check_line_integrals
from spinemar.tomography.raw_data.sinogram import Sinogram
from spinemar.tomography.units import mu_to_hu
from spinemar.volume import CTVolume

_SLICES_AT_A_TIME = 8
_ABOVE_AIR_HU, _SOFT_TISSUE_HU, _SHARE_OF_SOFT_TISSUE = -700.0, 300.0, 0.15
_SMALLEST_BODY = 0.02  # share of the image


@dataclass(frozen=True)
class RawCorrection:
    """A corrected reconstruction of raw data.

    Parameters
    ----------
    before : CTVolume
        Reconstruction of the data as measured.
    result : CorrectionResult
    measured : ndarray of float32, shape (slices, views, bins)
        The rays that were corrected, on the grid that images are projected to.
    """

    before: CTVolume
    result: CorrectionResult
    measured: NDArray[np.float32]


def correct_sinogram(
    sinogram: Sinogram,
    settings: CorrectionSettings | None = None,
    *,
    matrix: int = 512,
    fov_mm: float | None = None,
    kernel: ScanKernel = "standard",
    interpolation: Interpolation = "180",
    metal_mask: NDArray[np.bool_] | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
    **changes: Any,
) -> RawCorrection:
    """Reconstruct raw data without and with metal artifact reduction.

    Parameters
    ----------
    sinogram : Sinogram
        Parallel, fan or helical.
    settings : CorrectionSettings, optional
        As for `correct_volume`, as are `changes`.
    matrix, fov_mm : int, float, optional
        Image; by default the square inside the measured field.
    kernel : {"soft", "standard", "bone"}
    interpolation : {"180", "360"}
        For helical data.
    metal_mask : ndarray of bool, optional
        Metal known from elsewhere, on the grid of `sinogram.image_grid(matrix, fov_mm)`.
    progress, cancel : optional
        See `spinemar.progress`.
    **changes
        Settings by name.

    Returns
    -------
    RawCorrection
        HU without limits; metal outside the image is not corrected.

    Raises
    ------
    InputError
        If there is no such kernel, the data are no line integrals or of another angle or unit,
        or as `correct_volume`.
    """
    if kernel not in KERNELS:
        raise InputError(f"There is no kernel {kernel!r}.", f"Use one of: {', '.join(KERNELS)}.")
    check_line_integrals(sinogram.projections)
    if sinogram.kind == "parallel":
        check_half_turn(sinogram.projections)
    grid = sinogram.image_grid(matrix, fov_mm)
    _, rows, columns = grid.shape
    pixel = grid.spacing_mm[1], grid.spacing_mm[0]
    image = SinogramGeometry.for_image((rows, columns), pixel)
    wide = _whole_field(image, sinogram.field_mm)
    progress(Progress("Rebinning", 0, 1))
    # The kernel goes first, so that measured rays and image have the same sharpness.
    measured = apply_kernel(sinogram.to_parallel(wide, interpolation), wide.bin_mm, kernel)
    progress(Progress("Rebinning", 1, 1))
    hu = _reconstruct(measured, RadonTransform((rows, columns), pixel, wide), progress, cancel)
    _check_hounsfield(hu)
    before = CTVolume(hu, grid.ijk_to_ras, {"source": "raw data"})
    rays = _middle_bins(measured, image.n_bins)
    result = correct_volume(
        before,
        settings,
        metal_mask=metal_mask,
        measured=rays,
        progress=progress,
        cancel=cancel,
        **changes,
    )
    return RawCorrection(before, result, rays)


def _check_hounsfield(hu: NDArray[np.float32]) -> None:
    """Refuse a reconstruction without soft tissue: bins in another unit, another logarithm."""
    body = hu[hu > _ABOVE_AIR_HU]
    # Metal alone in what looks like air is no body either.
    size = max(body.size, _SMALLEST_BODY * hu.size)
    soft = float(np.count_nonzero(np.abs(body) < _SOFT_TISSUE_HU)) / size
    if soft < _SHARE_OF_SOFT_TISSUE:
        raise InputError(
            f"The raw data give no Hounsfield units: {100 * soft:.0f} % of what is not air lies "
            f"within {_SOFT_TISSUE_HU:.0f} HU of water.",
            "Check that bin_mm is in millimetres, and that the projections are natural logarithms "
            "of open over measured beam.",
        )


def _whole_field(image: SinogramGeometry, field_mm: float) -> SinogramGeometry:
    """Widen the image's grid by whole bins on either side to all that was measured.

    A targeted image lies inside a larger body, whose other rays still belong to it.
    """
    missing = field_mm / image.bin_mm - image.n_bins
    more = max(0, int(np.ceil(missing / 2)))
    return SinogramGeometry(image.n_views, image.n_bins + 2 * more, image.bin_mm)


def _middle_bins(sinograms: NDArray[np.float32], n_bins: int) -> NDArray[np.float32]:
    first = (sinograms.shape[-1] - n_bins) // 2
    return np.ascontiguousarray(sinograms[..., first : first + n_bins])


def _reconstruct(
    measured: NDArray[np.float32],
    radon: RadonTransform,
    progress: ProgressCallback,
    cancel: CancelToken | None,
) -> NDArray[np.float32]:
    result = np.empty((len(measured), *radon.shape), dtype=np.float32)
    for start in range(0, len(measured), _SLICES_AT_A_TIME):
        if cancel is not None:
            cancel.raise_if_cancelled()
        part = slice(start, start + _SLICES_AT_A_TIME)
        result[part] = mu_to_hu(radon.fbp(measured[part]))
        progress(Progress("Reconstructing", min(part.stop, len(measured)), len(measured)))
    return result
