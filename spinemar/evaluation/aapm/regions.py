"""Where the eight scores are measured; the benchmark draws these regions by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from spinemar.evaluation.regions import filled_body

Image = NDArray[np.float32]
Region = NDArray[np.bool_]

NOISE_RADIUS_MM = 8.0
_EDGE_MM = 1.6
_EDGE_FROM_METAL_MM = 5.0
_STREAK_RING_MM = (3.0, 25.0)
_METAL_ROI_MM = 10.0
_SOFT_HU, _FAT_HU, _BONE_HU = (0.0, 120.0), (-150.0, -50.0), 200.0
_HOMOGENEOUS_HU = (-150.0, 150.0)


@dataclass(frozen=True)
class CardRegions:
    """Regions of one slice, each (rows, columns) of bool.

    Parameters
    ----------
    patient : ndarray
        The body without the true metal.
    metal : ndarray
        The true metal.
    noise : ndarray
        A circle of 8 mm radius in homogeneous tissue that artifacts reach least.
    bone_edges, fat_edges : ndarray
        Where soft tissue meets bone, and fat, at least 5 mm from metal.
    streaks : ndarray
        A ring around the metal, 3 to 25 mm from it: streaks cross it.
    around_metal : ndarray
        The metal and 10 mm around it.
    """

    patient: Region
    metal: Region
    noise: Region
    bone_edges: Region
    fat_edges: Region
    streaks: Region
    around_metal: Region


def card_regions(
    truth: Image, uncorrected: Image, metal: Region, pixel_mm: tuple[float, float]
) -> CardRegions:
    """Find the regions of one slice.

    Parameters
    ----------
    truth, uncorrected : ndarray of float32, shape (rows, columns)
        HU without and with the artifacts.
    metal : ndarray of bool, shape (rows, columns)
    pixel_mm : (row spacing, column spacing)
    """
    body = filled_body(truth)
    body = body if body.any() else np.ones_like(metal)
    patient = body & ~metal
    distance = ndimage.distance_transform_edt(~metal, sampling=pixel_mm)
    smooth = ndimage.gaussian_filter(truth, 1.0)
    soft = _between(smooth, _SOFT_HU)
    far = patient & (distance >= _EDGE_FROM_METAL_MM)
    low, high = _STREAK_RING_MM
    return CardRegions(
        patient=patient,
        metal=metal,
        noise=_noise_circle(truth, uncorrected, patient, pixel_mm),
        bone_edges=far & _meeting(soft, smooth >= _BONE_HU, pixel_mm),
        fat_edges=far & _meeting(soft, _between(smooth, _FAT_HU), pixel_mm),
        streaks=patient & (distance >= low) & (distance <= high),
        around_metal=body & (distance <= _METAL_ROI_MM),
    )


def _between(image: Image, limits: tuple[float, float]) -> Region:
    return np.asarray((image >= limits[0]) & (image <= limits[1]))


def _meeting(one: Region, other: Region, pixel_mm: tuple[float, float]) -> Region:
    """Pixels within a small distance of both."""
    if not one.any() or not other.any():
        return np.zeros_like(one)
    reach = [ndimage.distance_transform_edt(~part, sampling=pixel_mm) for part in (one, other)]
    return np.asarray((reach[0] <= _EDGE_MM) & (reach[1] <= _EDGE_MM))


def _noise_circle(
    truth: Image, uncorrected: Image, patient: Region, pixel_mm: tuple[float, float]
) -> Region:
    """Find the circle with the least spread of tissue and artifact; empty if none fits."""
    disc = _disc(pixel_mm)
    inside = _mean(patient.astype(float), disc) > 1 - 1e-6
    mean = _mean(truth, disc)
    spread = np.sqrt(np.maximum(_mean(truth.astype(float) ** 2, disc) - mean**2, 0))
    artifact = np.sqrt(np.maximum(_mean((uncorrected - truth).astype(float) ** 2, disc), 0))
    fits = inside & _between(mean.astype(np.float32), _HOMOGENEOUS_HU)
    circle = np.zeros_like(patient)
    if fits.any():
        cost = np.where(fits, spread + artifact, np.inf)
        row, column = np.unravel_index(int(np.argmin(cost)), cost.shape)
        circle[row, column] = True
        circle = ndimage.binary_dilation(circle, disc)
    return circle


def _disc(pixel_mm: tuple[float, float]) -> Region:
    half = [max(1, int(NOISE_RADIUS_MM / pixel)) for pixel in pixel_mm]
    y, x = np.mgrid[-half[0] : half[0] + 1, -half[1] : half[1] + 1]
    return np.asarray(np.hypot(y * pixel_mm[0], x * pixel_mm[1]) <= NOISE_RADIUS_MM)


def _mean(image: NDArray[np.floating], disc: Region) -> NDArray[np.float64]:
    return np.asarray(signal.fftconvolve(image, disc / disc.sum(), mode="same"))
