"""The share of each voxel that is metal: what all that follows is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.axial import find_axial_slices
from spinemar.errors import GeometryError
from spinemar.implants.shapes.solids import FloatArray
from spinemar.mar.settings import Device
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.volume import CTVolume, GridGeometry

#: From here on a voxel counts as metal: a shank between two thick slices fills neither half.
LEAST_SHARE = 0.3
#: Hardly anything but metal.
HALF = 0.5


@dataclass(frozen=True, eq=False)
class MetalShare:
    """How much of each voxel is metal.

    Parameters
    ----------
    share : ndarray of float32, shape (k, j, i)
        0 to 1.
    geometry : GridGeometry
    """

    share: NDArray[np.float32]
    geometry: GridGeometry

    def __post_init__(self) -> None:
        if np.shape(self.share) != self.geometry.shape:
            raise GeometryError(
                f"The metal of shape {np.shape(self.share)} does not fit a CT of "
                f"{self.geometry.shape}.",
                "Give the metal of this CT.",
            )

    @classmethod
    def of_percent(cls, percent: NDArray[np.generic], geometry: GridGeometry) -> MetalShare:
        """Take a correction's percent (k, j, i) of each voxel."""
        return cls(np.asarray(percent, np.float32) / np.float32(100.0), geometry)

    @cached_property
    def inside(self) -> NDArray[np.intp]:
        """Indices (n, 3) of metal voxels as (k, j, i)."""
        return np.argwhere(self.share >= LEAST_SHARE)

    @cached_property
    def points(self) -> FloatArray:
        """Centres of all metal voxels, RAS mm (n, 3)."""
        return self.geometry.to_ras(self.inside[:, ::-1].astype(np.float64))

    @cached_property
    def weights(self) -> FloatArray:
        """Shares of these voxels (n,)."""
        k, j, i = self.inside.T
        return np.asarray(self.share[k, j, i], np.float64)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return float(abs(np.linalg.det(self.geometry.ijk_to_ras[:3, :3])))

    def at(self, ras: FloatArray) -> FloatArray:
        """Return the share at points (..., 3), linear between voxels; 0 outside."""
        index = np.moveaxis(self.geometry.to_ijk(ras)[..., ::-1], -1, 0)
        found: FloatArray = ndimage.map_coordinates(
            self.share, index, output=np.float64, order=1, mode="constant", cval=0.0
        )
        return found

    def holds(self, ras: FloatArray) -> NDArray[np.bool_]:
        """Tell which points (..., 3) lie within the grid's outermost voxel centres."""
        ijk = self.geometry.to_ijk(ras)
        last = np.array(self.geometry.shape[::-1]) - 1
        return np.asarray(((ijk >= 0) & (ijk <= last)).all(axis=-1), dtype=np.bool_)


def metal_share_of(
    volume: CTVolume,
    device: Device = "auto",
    *,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> MetalShare:
    """Find the metal of a scan as it came from the scanner, without correcting it.

    It is what a correction finds: the automatic mask, and in it the outline that the model's
    network draws, or half of the maximum where the scale shows it.

    Parameters
    ----------
    volume : CTVolume
    device : {"auto", "cpu", "cuda", "cuda-fp16"}
    progress, cancel
        As everywhere.

    Raises
    ------
    GeometryError
        If the volume has no axial slices.
    """
    from spinemar.mar.inpainters.methods import make_outliner
    from spinemar.mar.segmentation.metal import segment_metal
    from spinemar.mar.segmentation.outline import scale_end_hu
    from spinemar.mar.segmentation.padding import without_padding

    mask = segment_metal(volume, cancel=cancel).mask
    share = np.zeros(volume.hu.shape, np.float32)
    if not mask.any():
        return MetalShare(share, volume.geometry)
    outliner = make_outliner(None, device)
    layout = find_axial_slices(volume.geometry)
    slices, inside, target = layout.of(volume.hu), layout.of(mask), layout.of(share)
    top = scale_end_hu(slices, inside)
    touched = [int(k) for k in np.flatnonzero(inside.any(axis=(1, 2)))]
    last = len(slices) - 1
    for n, k in enumerate(touched):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(Progress("Outlining metal", n, len(touched)))
        around = [without_padding(slices[i]) for i in (max(k - 1, 0), k, min(k + 1, last))]
        generous = np.ascontiguousarray(inside[k])
        found = outliner.outline(np.stack(around), generous, layout.pixel_mm, top)
        target[k] = found.percent / np.float32(100.0)
    progress(Progress("Outlining metal", len(touched), len(touched)))
    return MetalShare(share, volume.geometry)
