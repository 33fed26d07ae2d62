"""The grid a scan is reconstructed on: the patient's own, or a targeted field of view."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume, GridGeometry


def _in_plane_affine(
    volume: CTVolume, settings: ScannerSettings
) -> tuple[tuple[int, int], list[float], list[float]]:
    """Return (rows, columns), and scale and shift from new to old row and column."""
    _, rows, columns = volume.hu.shape
    column_mm, row_mm, _ = volume.spacing_mm
    if settings.reconstruction_fov_mm is None and settings.matrix is None:
        return (rows, columns), [1.0, 1.0], [0.0, 0.0]
    fov_mm = settings.reconstruction_fov_mm or max(rows * row_mm, columns * column_mm)
    matrix = settings.matrix or max(rows, columns)
    pixel_mm = fov_mm / matrix
    scale = [pixel_mm / row_mm, pixel_mm / column_mm]
    shift = [
        (size - 1) / 2 - factor * (matrix - 1) / 2
        for size, factor in zip((rows, columns), scale, strict=True)
    ]
    return (matrix, matrix), scale, shift


def output_geometry(volume: CTVolume, settings: ScannerSettings, chosen: range) -> GridGeometry:
    """Place the reconstructed slices in space.

    Parameters
    ----------
    volume : CTVolume
        The patient.
    settings : ScannerSettings
        With the targeted field of view and matrix, if any, about the centre of rotation.
    chosen : range
        Scanned slices of the volume.
    """
    (rows, columns), scale, shift = _in_plane_affine(volume, settings)
    new_to_old = np.diag([scale[1], scale[0], float(chosen.step), 1.0])
    new_to_old[:3, 3] = shift[1], shift[0], chosen.start
    return GridGeometry((len(chosen), rows, columns), volume.ijk_to_ras @ new_to_old)


def resampled_slice(
    image: NDArray[np.floating], volume: CTVolume, settings: ScannerSettings
) -> NDArray[np.float32]:
    """Bring one slice of the patient's grid (rows, columns) to the output grid."""
    shape, scale, shift = _in_plane_affine(volume, settings)
    source = np.asarray(image, dtype=np.float32)
    if shape == source.shape and scale == [1.0, 1.0]:
        return source
    moved = scipy.ndimage.affine_transform(source, scale, shift, output_shape=shape, order=1)
    return np.asarray(moved, dtype=np.float32)
