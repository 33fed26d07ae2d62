"""An inpainter of one's own: the trace filled with a constant, for a start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.protocol import ModelFacts, Trace
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.pipeline.slab import Slab
from spinemar.volume import CTVolume


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
