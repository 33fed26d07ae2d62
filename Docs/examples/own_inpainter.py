"""An inpainter of one's own: the trace filled with a constant, for a start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar import CTVolume, GateParameters, ModelFacts, Slab, Trace, correct_volume


class MedianOfTheView:
    """Fills the trace of every view with the median of its measured rays."""

    name = "median"
    trace: Trace = "metal"
    neighbours = 0
    gate = GateParameters()

    def facts(self) -> ModelFacts:
        """No network ran."""
        return ModelFacts()

    def inpaint(self, slab: Slab) -> NDArray[np.float32]:
        """Return the sinograms of the core slices, (core slices, views, bins)."""
        core = slab.core_only
        measured = np.where(core.metal_trace, np.nan, core.sinogram)
        filling = np.nanmedian(measured, axis=-1, keepdims=True)
        return np.where(core.metal_trace, filling, core.sinogram).astype(np.float32)


def correct(scan: CTVolume) -> CTVolume:
    """Correct a scan with it."""
    return correct_volume(scan, inpainter=MedianOfTheView()).volume
