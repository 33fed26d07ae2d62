"""The prior picture with the earlier CT's detail, where the measured rays bear it out: by rule.

It serves models that have no network for it (`candidates.py`).

Coarse structure is the network's and the kept rays'; what is finer comes from the earlier CT
near metal. How far it is believed is measured, not learned: the rays that metal did not spoil
are compared with those of either picture, and what they say of the difference is reconstructed.
Where the earlier CT explains them clearly worse than the network's picture does (a fragment that
is new, an organ that moved), the network's stays. Beside heavy metal no ray is kept that could
tell; there, where the two pictures show different things over several millimetres (a lamina that
was taken away), the network's stays too: it errs in detail, not in what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.mar.pipeline.interpolation.linear import interpolate_linearly
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.tomography.units import difference_to_hu, hu_to_mu

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

_DETAIL_MM = 25.0
"""What is finer than this comes from the earlier CT."""
FULL_MM, NONE_MM = 25.0, 45.0
"""It is used in full up to the first distance from metal, and not beyond the second."""
_FWHM = 2.3548
_EDGE_MM = 4.0
_AIR_BELOW_HU = -300.0
_AIR_RIM_MM = 5.0
_NOISE_MM, _LOCAL_MM = 1.2, 4.0
_TOLERATED_HU = 20.0
_COMPARED_MM = 7.0
_COMPARED_HU = (-300.0, 700.0)
_DIFFERENT_HU = 130.0
_MOST_DETAIL_HU = 2000.0


@dataclass(frozen=True, eq=False)
class Earlier:
    """One slice of the earlier CT, laid over the scan.

    Parameters
    ----------
    hu : ndarray of float32, shape (rows, columns)
    shown : ndarray of bool, same shape
        Where it shows anything, and may be used.
    """

    hu: Float
    shown: Mask


class Fuse(Protocol):
    """Fuses slices that share a transform; parameters and result as of `fused`."""

    def __call__(
        self,
        slice_cache: SliceCache,
        ks: Sequence[int],
        grounds: Sequence[Float],
        earlier: Sequence[Earlier],
        traces: Sequence[Mask],
        /,
    ) -> list[tuple[Float, Float]]:
        """Return pictures in HU, and weights of the earlier CT from 0 to 1."""
        ...


def fused(
    slice_cache: SliceCache,
    ks: Sequence[int],
    grounds: Sequence[Float],
    earlier: Sequence[Earlier],
    traces: Sequence[Mask],
) -> list[tuple[Float, Float]]:
    """Fuse slices that share a transform.

    Parameters
    ----------
    slice_cache : SliceCache
    ks : sequence of int
    grounds : sequence of ndarray of float32, shape (rows, columns)
        The network's pictures, HU.
    earlier : sequence of Earlier
    traces : sequence of ndarray of bool, shape (views, bins)
        The lost rays.

    Returns
    -------
    list of (picture in HU, weight of the earlier CT from 0 to 1)
    """
    pixel = slice_cache.radon.pixel_mm
    near = slice_cache.get("nearness", ks)
    details, reaches = [], []
    for ground, one, nearness in zip(grounds, earlier, near, strict=True):
        reach = reach_of(nearness, one.shown & ~_near_air(one.hu, ground, pixel), pixel)
        reach *= likeness(one.hu, ground, one.shown & (nearness > 0), pixel)
        details.append(reach * _detail(one.hu - ground, one.shown, pixel))
        reaches.append(reach)
    found = []
    for n, wrong in enumerate(missed(slice_cache, ks, grounds, details, traces)):
        trust = agreement(wrong[0], wrong[1], reaches[n] > 0, pixel)
        found.append((grounds[n] + trust * details[n], trust * reaches[n]))
    return found


def missed(
    slice_cache: SliceCache,
    ks: Sequence[int],
    grounds: Sequence[Float],
    details: Sequence[Float],
    traces: Sequence[Mask],
) -> list[Float]:
    """Return what kept rays say that pictures miss: HU, shape (2, rows, columns) a slice.

    First of the network's picture, then of the same with the detail. Parameters as of `fused`;
    the details in HU, of the pictures' shape.
    """
    with slice_cache.watch.stage("project"):
        of_ground = slice_cache.radon.forward(hu_to_mu(np.stack(grounds)))
        of_detail = slice_cache.radon.forward(hu_to_mu(np.stack(details) - np.float32(1000.0)))
    measured = slice_cache.get("sinogram", ks)
    found = []
    for n, trace in enumerate(traces):
        missing = [
            interpolate_linearly(measured[n] - of_ground[n], trace),
            interpolate_linearly(measured[n] - of_ground[n] - of_detail[n], trace),
        ]
        with slice_cache.watch.stage("reconstruct"):
            found.append(difference_to_hu(slice_cache.radon.fbp(np.stack(missing))))
    return found


def reach_of(nearness: Float, shown: Mask, pixel_mm: tuple[float, float]) -> Float:
    """Weight by distance: full near metal, fading beyond, and towards what is not shown.

    Parameters
    ----------
    nearness : ndarray of float32, shape (rows, columns)
        Distance from metal, mm.
    shown : ndarray of bool, same shape
    pixel_mm : (row spacing, column spacing)
    """
    fade = np.clip((NONE_MM - nearness) / (NONE_MM - FULL_MM), 0.0, 1.0)
    sigma = (_EDGE_MM / _FWHM / pixel_mm[0], _EDGE_MM / _FWHM / pixel_mm[1])
    inner = ndimage.binary_erosion(shown, iterations=2, border_value=1)
    soft = ndimage.gaussian_filter(inner.astype(np.float32), sigma)
    return np.asarray(fade * np.where(shown, soft, 0.0), dtype=np.float32)


def _near_air(one: Float, other: Float, pixel_mm: tuple[float, float]) -> Mask:
    """Return where either picture shows air, with a rim: lung, gut and skin move."""
    air = (one < _AIR_BELOW_HU) | (other < _AIR_BELOW_HU)
    if not air.any():
        return air
    away = ndimage.distance_transform_edt(~air, sampling=pixel_mm)
    return np.asarray(away <= _AIR_RIM_MM, dtype=np.bool_)


def likeness(earlier: Float, ground: Float, compared: Mask, pixel_mm: tuple[float, float]) -> Float:
    """Say how far two pictures show the same things, but for their detail, 0 to 1.

    Parameters
    ----------
    earlier, ground : ndarray of float32, shape (rows, columns)
        HU.
    compared : ndarray of bool, same shape
        Without metal, and where both show something.
    pixel_mm : (row spacing, column spacing)

    Returns
    -------
    ndarray of float32, same shape
        One half where they differ by 130 HU over 7 mm, from -300 to 700 HU.
    """
    difference = np.clip(earlier, *_COMPARED_HU) - np.clip(ground, *_COMPARED_HU)
    coarse = local_mean(difference, compared, _COMPARED_MM, pixel_mm) / np.float32(_DIFFERENT_HU)
    return np.asarray(1.0 / (1.0 + coarse**4), dtype=np.float32)


def local_mean(values: Float, known: Mask, width_mm: float, pixel_mm: tuple[float, float]) -> Float:
    """Return the mean of what is known about each pixel, under a Gaussian of that full width."""
    sigma = (width_mm / _FWHM / pixel_mm[0], width_mm / _FWHM / pixel_mm[1])
    total = ndimage.gaussian_filter(
        np.where(known, values, np.float32(0.0)).astype(np.float32), sigma, truncate=3.0
    )
    share = ndimage.gaussian_filter(known.astype(np.float32), sigma, truncate=3.0)
    return np.asarray(total / np.maximum(share, np.float32(1e-3)), dtype=np.float32)


def _detail(difference: Float, shown: Mask, pixel_mm: tuple[float, float]) -> Float:
    """Return what of a difference is finer than `_DETAIL_MM`, where it is shown."""
    kept = np.clip(difference, -_MOST_DETAIL_HU, _MOST_DETAIL_HU)
    coarse = local_mean(kept, shown, _DETAIL_MM, pixel_mm)
    return np.asarray(np.where(shown, kept - coarse, 0.0), dtype=np.float32)


def agreement(
    ground_misses: Float, earlier_misses: Float, compared: Mask, pixel_mm: tuple[float, float]
) -> Float:
    """Say how far the measured rays bear the earlier CT out, 0 to 1.

    Parameters
    ----------
    ground_misses, earlier_misses : ndarray of float32, shape (rows, columns)
        What kept rays say that the network's picture, and the one with the earlier CT's
        detail, miss; HU.
    compared : ndarray of bool, same shape
        Where the earlier CT is used.
    pixel_mm : (row spacing, column spacing)

    Returns
    -------
    ndarray of float32, same shape
        Near 1 where the earlier CT misses no more than the network does, beyond noise, and near
        0 where it misses clearly more.
    """
    if not compared.any():
        return np.zeros(compared.shape, dtype=np.float32)
    ground, earlier = (_local_energy(one, pixel_mm) for one in (ground_misses, earlier_misses))
    tolerated = np.float32(_TOLERATED_HU**2)
    ratio = earlier / (ground + tolerated)
    return np.asarray(1.0 / (1.0 + ratio * ratio), dtype=np.float32)


def _local_energy(misses: Float, pixel_mm: tuple[float, float]) -> Float:
    """Mean square of what is missed around each pixel, its noise averaged away first."""
    fine, local = (
        (width / _FWHM / pixel_mm[0], width / _FWHM / pixel_mm[1])
        for width in (_NOISE_MM * _FWHM, _LOCAL_MM * _FWHM)
    )
    smooth = ndimage.gaussian_filter(misses, fine, truncate=3.0)
    return np.asarray(ndimage.gaussian_filter(smooth * smooth, local, truncate=3.0), np.float32)
