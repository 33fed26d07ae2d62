"""The metal network as a client of its manifest: how much of each pixel is metal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.boxes import bounding_box
from spinemar.mar.inpainters.models.fit import check_maps, multiple_of
from spinemar.mar.inpainters.models.manifest import Network
from spinemar.mar.inpainters.models.session import NetworkSession
from spinemar.mar.segmentation.outline import (
    HALF_PERCENT,
    WHOLE_PERCENT,
    MeasuredOutline,
    Outline,
    outline_from_fraction,
)

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

N_FEATURES = 8
USUAL_TOP_HU = 3071.0
USUAL_PIXEL_MM = 0.7
_EXTENDED_TOP_HU = 30710.0
_LOW_CLIP_HU = -1024.0
_AIR_HU = -1000.0
_MARGIN_MM = 24.0
_FINEST_MM, _COARSEST_MM = 0.3, 1.2
_UNSURE_PERCENT = 25
_LEAST_PART_MM2 = 3.0


def encode(hu: Float, pixel_mm: float, top_hu: float) -> Float:
    """Return what the network sees of three slices, (8, rows, columns).

    Parameters
    ----------
    hu : ndarray of float32, shape (3, rows, columns)
        As stored, padding replaced.
    pixel_mm : float
    top_hu : float
        Where the scale ends.
    """
    seen = np.empty((N_FEATURES, *hu.shape[1:]), dtype=np.float32)
    seen[:3] = (np.clip(hu, _LOW_CLIP_HU, USUAL_TOP_HU) + 1000.0) / 1000.0
    seen[3:6] = np.log1p(np.maximum(hu - USUAL_TOP_HU, 0.0) / 3000.0)
    seen[6] = np.log2(pixel_mm / USUAL_PIXEL_MM)
    seen[7] = np.log2(top_hu / USUAL_TOP_HU)
    return seen


class NetworkOutline:
    """Outlines metal by a network, in a window around the generous mask.

    Parameters
    ----------
    network : Network
        With input `features` (B, 8, H, W) and output `fraction` (B, 1, H, W).
    session : NetworkSession

    Raises
    ------
    ModelError
        If the network has other inputs, outputs or settings.
    """

    def __init__(self, network: Network, session: NetworkSession) -> None:
        check_maps(network, N_FEATURES, "fraction", 1)
        self._multiple = multiple_of(network)
        self._session = session
        self._measured = MeasuredOutline()

    @property
    def sha256(self) -> str | None:
        """Of the network."""
        return self._session.network.sha256

    def outline(
        self, hu: Float, generous: Mask, pixel_mm: tuple[float, float], top_hu: float
    ) -> Outline:
        """Outline the middle of three slices; see `spinemar.mar.segmentation.outline.Outliner`.

        Where the network finds nothing, half of the maximum or the generous mask serves, and so
        does that mask for a part that it half believes in: metal must not vanish.
        """
        pixel = float(np.sqrt(pixel_mm[0] * pixel_mm[1]))
        if not generous.any() or not _FINEST_MM <= pixel <= _COARSEST_MM:
            return self._measured.outline(hu, generous, pixel_mm, top_hu)
        margin = int(_MARGIN_MM / pixel)
        window = bounding_box(generous, (margin, margin))
        assert window is not None
        near = generous[window]
        fraction = self._fraction(hu[:, window[0], window[1]], pixel, min(top_hu, _EXTENDED_TOP_HU))
        found = outline_from_fraction(fraction, near, pixel_mm)
        if found is None:
            return self._measured.outline(hu, generous, pixel_mm, top_hu)
        percent = np.zeros(generous.shape, dtype=np.uint8)
        percent[window] = _with_unsure_parts(found.percent, near, pixel_mm)
        return Outline(percent, found.source)

    def _fraction(self, hu: Float, pixel_mm: float, top_hu: float) -> Float:
        rows, columns = hu.shape[1:]
        pad = [(0, 0), (0, -rows % self._multiple), (0, -columns % self._multiple)]
        padded = np.pad(hu, pad, constant_values=_AIR_HU)
        seen = encode(padded, pixel_mm, top_hu)[None]
        found = self._session.run({"features": seen})["fraction"][0, 0]
        inner: Float = np.clip(found[:rows, :columns], 0.0, 1.0)
        return inner


def _with_unsure_parts(
    percent: NDArray[np.uint8], generous: Mask, pixel_mm: tuple[float, float]
) -> NDArray[np.uint8]:
    """Take the mask for parts of it that may be metal but reach no half anywhere."""
    labels, count = ndimage.label(generous, structure=np.ones((3, 3)))
    parts = np.arange(count + 1)
    peak = ndimage.maximum(percent, labels, parts)
    area = np.bincount(labels.ravel(), minlength=count + 1) * pixel_mm[0] * pixel_mm[1]
    unsure = (peak >= _UNSURE_PERCENT) & (peak < HALF_PERCENT) & (area >= _LEAST_PART_MM2)
    unsure[0] = False
    return np.where(unsure[labels], np.uint8(WHOLE_PERCENT), percent)
