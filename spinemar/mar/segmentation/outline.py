"""The implant's true outline: which pixels of the generous metal mask are metal indeed.

Everything above the mask threshold makes the trace, since rays beside the metal are spoilt too.
As a picture of the metal it is far too thick: steel glows, and on a 12-bit scale two steel
screws read as one arch. So only the outline is shown, and put back the more the surer it is;
elsewhere the corrected value stands.

On a scale that goes on above the metal the outline lies at half of the local maximum, above the
tissue beside it. Where the scale ends at its clip the maximum is cut off, and a network
says how much of each pixel is metal (`learned/metal_network.py`); where there is none, or it is
unsure, the generous mask serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

OutlineSource = Literal["network", "half maximum", "threshold", "mask"]

WHOLE_PERCENT = 100
HALF_PERCENT = 50
_SURE_PERCENT = 75
_REACH_MM = 1.0
_LARGEST_HOLE_MM2 = 1000.0
_LARGEST_GENEROUS_HOLE_MM2 = 60.0
_FLAT_SHARE = 0.02
_FLAT_PIXELS = 4
_PEAK_REACH_MM = 3.0
_RING_MM = (3.0, 8.0)
_TISSUE_HU = (-200.0, 800.0)
_FINER = 4


@dataclass(frozen=True)
class Outline:
    """Metal of one slice.

    Parameters
    ----------
    percent : ndarray of uint8, shape (rows, columns)
        Share of each pixel's volume that is metal; its outline is the half.
    source : {"network", "half maximum", "threshold", "mask"}
        How it was found; "threshold" is the generous mask itself.
    """

    percent: NDArray[np.uint8]
    source: OutlineSource

    @property
    def mask(self) -> Mask:
        """What is metal: pixels at least half of which is."""
        inside: Mask = self.percent >= HALF_PERCENT
        return inside

    @property
    def put_back(self) -> Float:
        """Share of the measured value that each pixel gets back, the corrected one the rest.

        Nothing at the outline itself, all from three quarters of metal: at the outline, where it
        is least sure, glow would be put back with the metal.
        """
        share = (self.percent.astype(np.float32) - HALF_PERCENT) / (_SURE_PERCENT - HALF_PERCENT)
        return np.clip(share, np.float32(0.0), np.float32(1.0))


class Outliner(Protocol):
    """Finds the outline of metal in one slice."""

    @property
    def sha256(self) -> str | None:
        """Of the network that it runs, if any."""

    def outline(
        self, hu: Float, generous: Mask, pixel_mm: tuple[float, float], top_hu: float
    ) -> Outline:
        """Outline the metal of the middle of three slices.

        Parameters
        ----------
        hu : ndarray of float32, shape (3, rows, columns)
            Without padding; the slice itself where it has no neighbour.
        generous : ndarray of bool, shape (rows, columns)
            Metal mask of the middle slice.
        pixel_mm : (row spacing, column spacing) in mm
        top_hu : float
            Where the stored scale ends, see `scale_end_hu`.
        """


def scale_end_hu(hu: Float, metal: Mask) -> float:
    """Find where a stored scale cuts metal off.

    Parameters
    ----------
    hu : ndarray of float32
    metal : ndarray of bool, same shape

    Returns
    -------
    float
        The largest value, if a good part of the metal has just that value; else infinity.
    """
    # Slice by slice: the values of the metal are few, a copy of the volume is not.
    values = np.concatenate([one[inside] for one, inside in zip(hu, metal, strict=True)])
    if values.size == 0:
        return float("inf")
    top = float(values.max())
    flat = int((values >= top - 1.0).sum())
    return top if flat >= max(_FLAT_PIXELS, _FLAT_SHARE * values.size) else float("inf")


class GivenOutline:
    """The mask as it is: a user's own segment."""

    sha256: str | None = None

    def outline(
        self, hu: Float, generous: Mask, pixel_mm: tuple[float, float], top_hu: float
    ) -> Outline:
        """Return the mask."""
        return Outline(whole_percent(generous), "mask")


class MeasuredOutline:
    """Half of the local maximum where the scale shows it, else the generous mask."""

    sha256: str | None = None

    def outline(
        self, hu: Float, generous: Mask, pixel_mm: tuple[float, float], top_hu: float
    ) -> Outline:
        """Return the outline at half maximum, or the generous mask where values are cut off."""
        if np.isfinite(top_hu):
            return _generous_outline(generous, pixel_mm)
        found = half_maximum(hu[len(hu) // 2], generous, pixel_mm)
        if not found.any():
            return _generous_outline(generous, pixel_mm)
        return Outline(whole_percent(filled(found, pixel_mm)), "half maximum")


def _generous_outline(generous: Mask, pixel_mm: tuple[float, float]) -> Outline:
    """Let the generous mask serve; its small holes are filled.

    A large hole may be the canal between two screws whose glow has met.
    """
    mask = filled(generous, pixel_mm, largest_mm2=_LARGEST_GENEROUS_HOLE_MM2)
    return Outline(whole_percent(mask), "threshold")


def outline_from_fraction(
    fraction: Float, generous: Mask, pixel_mm: tuple[float, float]
) -> Outline | None:
    """Turn a network's fractions into an outline; None where it found nothing in a mask.

    Metal is looked for inside the generous mask and a millimetre around it.

    Parameters
    ----------
    fraction : ndarray of float32, shape (rows, columns)
    generous : ndarray of bool, same shape
    pixel_mm : (row spacing, column spacing) in mm
    """
    away = ndimage.distance_transform_edt(~generous, sampling=pixel_mm)
    reach = away <= max(_REACH_MM, *pixel_mm)
    percent = np.where(reach, np.round(fraction * WHOLE_PERCENT), 0).astype(np.uint8)
    inside = percent >= HALF_PERCENT
    if not inside.any():
        return None
    percent[filled(inside, pixel_mm) & ~inside] = WHOLE_PERCENT
    return Outline(percent, "network")


def half_maximum(hu: Float, generous: Mask, pixel_mm: tuple[float, float]) -> Mask:
    """Outline metal at half of its local maximum, above the tissue beside it.

    The maximum is taken within 3 mm, after a median over 3 x 3 pixels, so that neither a spike
    of noise nor a streak sets it; the tissue is the median of a ring around each part.

    Parameters
    ----------
    hu : ndarray of float32, shape (rows, columns)
        On a scale that does not cut the metal off.
    generous : ndarray of bool, same shape
    pixel_mm : (row spacing, column spacing) in mm

    Returns
    -------
    ndarray of bool, same shape
        Within the generous mask.
    """
    found = np.zeros(generous.shape, dtype=np.bool_)
    labels, count = ndimage.label(generous, structure=np.ones((3, 3)))
    margin = [int(_RING_MM[1] / pitch) + 2 for pitch in pixel_mm]
    for n, box in enumerate(ndimage.find_objects(labels, max_label=count), start=1):
        view = tuple(
            slice(max(0, side.start - grow), side.stop + grow)
            for side, grow in zip(box, margin, strict=True)
        )
        part = labels[view] == n
        away = ndimage.distance_transform_edt(~part, sampling=pixel_mm)
        ring = (away > _RING_MM[0]) & (away <= _RING_MM[1]) & (labels[view] == 0)
        beside = np.median(hu[view][ring]) if ring.any() else 0.0
        tissue = float(np.clip(beside, *_TISSUE_HU))
        peak = _local_peak(np.where(part, hu[view], np.float32(tissue)), pixel_mm)
        found[view] |= part & (hu[view] >= tissue + 0.5 * (peak - tissue))
    return found


def _local_peak(hu: Float, pixel_mm: tuple[float, float]) -> Float:
    """Largest value within reach of each pixel, single pixels left out."""
    rows, columns = (int(np.ceil(_PEAK_REACH_MM / pitch)) for pitch in pixel_mm)
    y, x = np.mgrid[-rows : rows + 1, -columns : columns + 1]
    disc = np.hypot(y * pixel_mm[0], x * pixel_mm[1]) <= _PEAK_REACH_MM
    calm = ndimage.median_filter(hu, size=3)
    peak: Float = ndimage.grey_dilation(calm, footprint=disc)
    return peak


def filled(
    mask: Mask, pixel_mm: tuple[float, float], *, largest_mm2: float = _LARGEST_HOLE_MM2
) -> Mask:
    """Fill holes of a mask up to a size: no ray reaches the inside of a housing undisturbed.

    Examples
    --------
    >>> ring = np.ones((5, 5), dtype=bool)
    >>> ring[2, 2] = False
    >>> bool(filled(ring, (1.0, 1.0)).all())
    True
    """
    whole = ndimage.binary_fill_holes(mask)
    holes, count = ndimage.label(whole & ~mask)
    if count == 0:
        return mask
    area = np.bincount(holes.ravel(), minlength=count + 1) * pixel_mm[0] * pixel_mm[1]
    small = area <= largest_mm2
    small[0] = False
    result: Mask = mask | small[holes]
    return result


def inscribed_width_mm(percent: NDArray[np.uint8], pixel_mm: tuple[float, float]) -> float:
    """Width of the largest circle inside an outline: of a screw or a rod, how thick it looks.

    The outline is taken between pixels, where the interpolated share of metal is one half.

    Parameters
    ----------
    percent : ndarray of uint8, shape (rows, columns)
        Share of each pixel that is metal.
    pixel_mm : (row spacing, column spacing) in mm

    Examples
    --------
    >>> y, x = np.mgrid[-20:21, -20:21]
    >>> round(inscribed_width_mm(whole_percent(np.hypot(y, x) <= 6.0), (0.5, 0.5)))
    6
    """
    hit = np.argwhere(percent >= HALF_PERCENT)
    if len(hit) == 0:
        return 0.0
    low, high = hit.min(axis=0), hit.max(axis=0) + 1
    part = np.pad(percent[low[0] : high[0], low[1] : high[1]], 1).astype(np.float32)
    steps = [np.linspace(0, n - 1, (n - 1) * _FINER + 1) for n in part.shape]
    fine = ndimage.map_coordinates(part, np.meshgrid(*steps, indexing="ij"), order=1)
    pitch = [one / _FINER for one in pixel_mm]
    inside = ndimage.distance_transform_edt(fine >= HALF_PERCENT, sampling=pitch)
    return float(2.0 * inside.max() - min(pitch))


def whole_percent(mask: Mask) -> NDArray[np.uint8]:
    """Percent of metal of a mask that knows only all or nothing.

    Parameters
    ----------
    mask : ndarray of bool
        Of any shape.

    Returns
    -------
    ndarray of uint8, same shape
        0 or 100.
    """
    return np.where(mask, WHOLE_PERCENT, 0).astype(np.uint8)
