"""A scan as a correction begins with it: its metal found by itself, and what follows from that."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.segmentation.low_saturation import low_clip_hu
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume


def slices_with_metal(scan: CTVolume) -> tuple[NDArray[np.bool_], SliceCache]:
    """Return the metal of axial slices (slices, rows, columns), and their cache."""
    metal = segment_metal(scan).mask
    pixel_mm = scan.spacing_mm[1], scan.spacing_mm[0]
    radon = RadonTransform(scan.hu.shape[1:], pixel_mm, threads=1)
    return metal, SliceCache(scan.hu, metal, radon, clip_hu=low_clip_hu(scan.hu))
