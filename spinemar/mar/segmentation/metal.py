"""Segment metal: bright, saturated at its core, connected through the slices, in the body.

Enamel (to about 3000 HU), dense cortex (2000), contrast and the table are bright too. Metal
differs by its core: titanium is near 10,000 HU at 70 keV, so on a 12-bit scale (clipped at
+3071) its inside is flat at the clip level, and on an extended scale far above everything that
lives. Contrast, even where it saturates, and teeth fade over millimetres, metal ends at an edge.
So a part connected above 1500 HU counts as metal when a large share of it is such a core, or
when nearly all of what is above the mask threshold is; then all of it above that threshold
belongs to the mask, since generous masks cost little and steel blooms. An undiluted bolus in
an arm vein, as bright as metal and as sharp, is the exception that this cannot tell apart.

Where a scale ends below 3000 HU, metal is what is flat at that end: tissue, however bright, has
noise. Where it ends at 2000 HU or lower, dense bone is cut flat there too, and the user is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spinemar.axial import find_axial_slices
from spinemar.errors import InputError
from spinemar.io.hounsfield import MASK_THRESHOLD_HU
from spinemar.mar.segmentation.body import find_body
from spinemar.mar.segmentation.connected_components import Component, ConnectedComponents
from spinemar.mar.segmentation.padding import without_padding
from spinemar.progress import CancelToken
from spinemar.volume import CTVolume

_BRIGHT_HU = 1500.0
_CORE_HU = 3000.0
_CORE_VOLUME_MM3 = 4.0
_CORE_SHARE_OF_BRIGHT = 0.35
_CORE_SHARE_OF_MASK = 0.85
# The end of a lower scale: dense bone reaches 2000 HU; the mask begins so far below the end.
_DENSE_BONE_HU = 2000.0
_LOWEST_END_HU = 1000.0
_BELOW_END_HU = 100.0
_FLAT_VOXELS = 5
_SKIN_MARGIN_MM = 8.0
_EVERYWHERE_SHARE = 0.15


@dataclass(frozen=True)
class MetalSegmentation:
    """Metal in a volume.

    Parameters
    ----------
    mask : ndarray of bool, shape (k, j, i)
    threshold_hu : float or None
        Threshold of the mask; None for a mask from elsewhere.
    source : {"automatic", "threshold", "mask"}
    """

    mask: NDArray[np.bool_]
    threshold_hu: float | None
    source: Literal["automatic", "threshold", "mask"]


def segment_metal(
    volume: CTVolume, threshold_hu: float | None = None, *, cancel: CancelToken | None = None
) -> MetalSegmentation:
    """Find metal.

    Parameters
    ----------
    volume : CTVolume
        Any axis order; slices must be axial.
    threshold_hu : float, optional
        A fixed threshold takes every voxel at or above it inside or at the body. By
        default the selection is automatic.
    cancel : CancelToken, optional

    Returns
    -------
    MetalSegmentation

    Raises
    ------
    GeometryError
        If the volume has no axial slices.
    InputError
        If the threshold is no number or takes in so much that it cannot be metal, or if the
        volume's scale ends where metal cannot be told from bone: it names the threshold to try.
    """
    if threshold_hu is not None and not -1000.0 < threshold_hu < 1e5:
        raise InputError(
            f"A metal threshold of {threshold_hu} HU makes no sense.",
            "Use a value between 1500 and 3500, or 'auto'.",
        )
    layout = find_axial_slices(volume.geometry)
    slices = layout.of(volume.hu)
    automatic = threshold_hu is None
    core_hu = _core_hu(slices) if automatic else _CORE_HU
    automatic_level = min(MASK_THRESHOLD_HU, core_hu - _BELOW_END_HU)
    level = automatic_level if threshold_hu is None else float(threshold_hu)
    mask = np.zeros(volume.hu.shape, dtype=np.bool_)
    target = layout.of(mask)
    connect_at = min(level, _BRIGHT_HU) if automatic else level
    components = _find_components(slices, connect_at, level, core_hu, cancel)
    skin = _Skin(slices, layout.pixel_mm, level)
    voxel_mm3 = layout.pixel_mm[0] * layout.pixel_mm[1] * layout.spacing_mm
    for component in components.parts():
        if automatic and not _is_metal(component, voxel_mm3):
            continue
        if not any(skin.is_near(*piece) for piece in component.pixels()):
            continue
        if automatic and core_hu <= _DENSE_BONE_HU:
            raise _ends_in_bone(core_hu)
        for k, rows, cols in component.pixels():
            target[k, rows, cols] = slices[k, rows, cols] >= level
    refuse_metal_everywhere(target, level)
    return MetalSegmentation(mask, level, "automatic" if automatic else "threshold")


def _core_hu(slices: NDArray[np.float32]) -> float:
    """Where metal's core begins: 3000 HU, or the end of a scale that ends lower.

    A scale ends at its largest value if several voxels hold just that.
    """
    end = float(np.max(slices))
    if not _LOWEST_END_HU <= end < _CORE_HU:
        return _CORE_HU
    flat = sum(int(np.count_nonzero(hu >= end)) for hu in slices)
    return end if flat >= _FLAT_VOXELS else _CORE_HU


def _ends_in_bone(end_hu: float) -> InputError:
    return InputError(
        f"The scale of this CT ends at {end_hu:.0f} HU, where dense bone lies as well, so metal "
        "cannot be told from it.",
        f"Try a metal threshold of {end_hu - 50:.0f} HU and look at what it takes in, give a mask "
        "of the metal, or load the CT with its full scale.",
    )


def _is_metal(component: Component, voxel_mm3: float) -> bool:
    """Whether a component has the core that only metal has."""
    core = component.total("core")
    if core < 2 or core * voxel_mm3 < _CORE_VOLUME_MM3:
        return False
    return (
        core >= _CORE_SHARE_OF_BRIGHT * component.size
        or core >= _CORE_SHARE_OF_MASK * component.total("mask")
    )


class _Skin:
    """Says whether bright pixels lie in or at the body.

    Finding the body takes longer than all the rest, so it is done only where somebody asks,
    once a slice: mostly in the first slice of each piece of metal.
    """

    def __init__(
        self, slices: NDArray[np.float32], pixel_mm: tuple[float, float], level: float
    ) -> None:
        self._slices = slices
        self._pixel_mm = pixel_mm
        self._level = level
        self._near: dict[int, NDArray[np.uint8]] = {}

    def is_near(self, k: int, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> bool:
        """Whether any of these pixels of slice k is above the level and in or at the body."""
        hu = self._slices[k]
        bright = hu[rows, cols] >= self._level
        if not bright.any():
            return False
        if k not in self._near:
            depth = find_body(without_padding(hu), self._pixel_mm).depth_mm
            self._near[k] = np.packbits(depth > -_SKIN_MARGIN_MM)  # 32 kB a slice
        index = rows * hu.shape[1] + cols
        bits = self._near[k][index >> 3] >> (7 - (index & 7)) & 1
        return bool((bits[bright] == 1).any())


def _find_components(
    slices: NDArray[np.float32],
    level: float,
    mask_level: float,
    core_hu: float,
    cancel: CancelToken | None,
) -> ConnectedComponents:
    components = ConnectedComponents()
    for k, hu in enumerate(slices):
        if cancel is not None:
            cancel.raise_if_cancelled()
        above = hu >= level
        if above.any():
            components.add_slice(k, above, {"core": hu >= core_hu, "mask": hu >= mask_level})
    return components


def refuse_metal_everywhere(mask_slices: NDArray[np.bool_], level: float | None) -> None:
    """Raise `InputError` when the mask is too large for metal in a patient.

    Parameters
    ----------
    mask_slices : ndarray of bool, shape (slices, rows, columns)
    level : float or None
        The threshold that made the mask; None for a mask from elsewhere.
    """
    area = mask_slices.reshape(len(mask_slices), -1).sum(axis=1)
    touched = area > 0
    if not touched.any():
        return
    share = float(area[touched].mean()) / (mask_slices.shape[1] * mask_slices.shape[2])
    if share <= _EVERYWHERE_SHARE:
        return
    cause = "The metal mask covers" if level is None else f"A threshold of {level:.0f} HU takes"
    raise InputError(
        f"{cause} {100 * share:.0f} % of the slices as metal, which no implant does.",
        "Raise the metal threshold (2000 to 3000 HU suits most scans), or use 'auto'."
        if level is not None
        else "Check that the mask holds metal only and belongs to this volume.",
    )
