"""Expose the slices of a pair with and without metal: the same rays, the same noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spinemar.physics.effects.noise import deviates
from spinemar.physics.materials import METALS
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.scans.acquisition import Acquisition, Exposure, calibrate
from spinemar.physics.scans.kernels import apply_kernel
from spinemar.physics.scans.line_integrals import (
    Paths,
    Projectors,
    implant_box,
    layer_paths,
    projectors,
)
from spinemar.physics.scans.rays import RayLayout, ray_layout
from spinemar.tomography.geometry import SinogramGeometry

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """A thin layer of a slice: HU and volume fractions of materials, (rows, columns) each."""

    hu: Float
    implants: Mapping[str, Float]


@dataclass(frozen=True)
class Measured:
    """Measured projections on parallel rays, the kernel applied.

    Parameters
    ----------
    scan, truth : ndarray of float32, shape (slices, views, bins)
        With and without metal.
    touched : ndarray of bool, same shape
        Rays that pass within the blur of focal spot and kernel of metal.
    geometry : SinogramGeometry
    """

    scan: Float
    truth: Float
    touched: NDArray[np.bool_]
    geometry: SinogramGeometry


_TOUCHED_MM = 0.3
_KERNEL_REACH_MM = 2.0


def measure(
    slices: Sequence[Sequence[Layer]],
    pixel_mm: float,
    settings: ScannerSettings,
    seed: int,
) -> Measured:
    """Scan slices made of thin layers, whose intensities are averaged.

    Parameters
    ----------
    slices : sequence of sequences of Layer
    pixel_mm : float
    settings : ScannerSettings
        Parallel or fan beam.
    seed : int
    """
    shape = slices[0][0].hu.shape
    names = sorted({name for layers in slices for layer in layers for name in layer.implants})
    rays = ray_layout((shape[0], shape[1]), (pixel_mm, pixel_mm), settings)
    acquisition = calibrate(settings, names, rays.offsets_mm)
    box = implant_box(
        share for layers in slices for layer in layers for share in layer.implants.values()
    )
    project = projectors((shape[0], shape[1]), (pixel_mm, pixel_mm), rays.projected, box)
    scan, truth, touched = [], [], []
    for number, layers in enumerate(slices):
        cast = _cast(layers, acquisition, rays, project)
        noise = deviates(seed, number, rays.shape)
        with_metal = acquisition.read_out(_exposed(acquisition, [p.scan for p in cast]), noise)
        without = with_metal
        if any(p.truth is not None for p in cast):
            clean = [p.scan if p.truth is None else p.truth for p in cast]
            without = acquisition.read_out(_exposed(acquisition, clean), noise)
        scan.append(rays.rebin(with_metal))
        truth.append(rays.rebin(without))
        touched.append(_touched(cast, acquisition, rays))
    kernel, geometry = settings.kernel, rays.reconstructed
    return Measured(
        apply_kernel(np.stack(scan), geometry.bin_mm, kernel),
        apply_kernel(np.stack(truth), geometry.bin_mm, kernel),
        np.stack(touched),
        geometry,
    )


def _cast(
    layers: Sequence[Layer], acquisition: Acquisition, rays: RayLayout, project: Projectors
) -> list[Paths]:
    hu, implants = [layer.hu for layer in layers], [layer.implants for layer in layers]
    found = layer_paths(hu, implants, acquisition.materials, project, with_truth=True)
    return [
        Paths(rays.cast(paths.scan), None if paths.truth is None else rays.cast(paths.truth))
        for paths in found
    ]


def _exposed(acquisition: Acquisition, layers: Sequence[Float]) -> Exposure:
    exposures = [acquisition.expose(paths) for paths in layers]
    if len(exposures) == 1:
        return exposures[0]
    return Exposure(
        np.mean([each.signal for each in exposures], axis=0, dtype=np.float32),
        np.mean([each.variance for each in exposures], axis=0, dtype=np.float32),
    )


def _touched(cast: Sequence[Paths], acquisition: Acquisition, rays: RayLayout) -> NDArray[np.bool_]:
    """Mark parallel rays near metal: more than 0.3 mm of it in one of the bin's single rays."""
    oversampling = acquisition.settings.ray_oversampling
    metals = [n for n, name in enumerate(acquisition.materials) if name in METALS]
    views, bins = rays.shape
    lengths = np.zeros((views, bins), dtype=np.float32)
    for paths in cast:
        if metals:
            single = paths.scan[metals].sum(axis=0)
            for ray in range(oversampling):
                np.maximum(lengths, single[:, ray::oversampling], out=lengths)
    parallel = rays.rebin(lengths)
    reach_mm = _KERNEL_REACH_MM + acquisition.settings.focal_spot_mm / 2
    reach = int(np.ceil(reach_mm / rays.reconstructed.bin_mm))
    crossed = parallel > _TOUCHED_MM
    near = crossed.copy()
    for step in range(1, reach + 1):
        near[:, step:] |= crossed[:, :-step]
        near[:, :-step] |= crossed[:, step:]
    return near


def recentred(
    sinograms: Float, geometry: SinogramGeometry, x_mm: float, y_mm: float
) -> tuple[Float, SinogramGeometry]:
    """Move the centre of rotation to a point of the image plane.

    Parameters
    ----------
    sinograms : ndarray of float32, shape (n, views, bins)
    geometry : SinogramGeometry
    x_mm, y_mm : float
        New centre, along columns and rows of the image.

    Returns
    -------
    ndarray of float32, shape (n, views, wider bins)
        Shifted view by view in the frequency domain, which interpolates without loss.
    SinogramGeometry
        Widened by zeros so that nothing wraps around.
    """
    more = int(np.ceil(np.hypot(x_mm, y_mm) / geometry.bin_mm)) + 4
    wide = SinogramGeometry(geometry.n_views, geometry.n_bins + 2 * more, geometry.bin_mm)
    padded = np.pad(sinograms, ((0, 0), (0, 0), (more, more)))
    angles = geometry.angles_rad
    shift_bins = (x_mm * np.cos(angles) + y_mm * np.sin(angles)) / geometry.bin_mm
    length = int(scipy.fft.next_fast_len(wide.n_bins, real=True))
    turns = np.outer(shift_bins, np.fft.rfftfreq(length))
    spectrum = scipy.fft.rfft(padded, n=length, axis=-1)
    spectrum *= np.exp(2j * np.pi * turns).astype(np.complex64)
    moved = scipy.fft.irfft(spectrum, n=length, axis=-1)[..., : wide.n_bins]
    return np.ascontiguousarray(moved, dtype=np.float32), wide
