"""LI and NMAR as inpainters; their arithmetic is shared through the slab's cache."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.inpainters.protocol import ModelFacts, Trace
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.pipeline.slab import Slab

# Fitted like NMAR's default (`spinemar-train fit-gate --method li`).
LI_GATE = GateParameters(
    offset=-1.126,
    by_log_spread=0.5122,
    by_log_ratio=1.2911,
    by_log_unexplained=0.5595,
    by_log_change=0.0011,
)


class LinearInterpolation:
    """Bridges the metal trace by straight lines along the detector."""

    name = "li"
    trace: Trace = "metal"
    neighbours = 0
    gate = LI_GATE

    def facts(self) -> ModelFacts:
        """Nothing to state: no model."""
        return ModelFacts()

    def inpaint(self, slab: Slab) -> NDArray[np.float32]:
        """Return `slab`'s LI sinograms, (core slices, views, bins)."""
        return slab.core_only.li_sinogram


class NormalizedInterpolation:
    """NMAR: the same after dividing by the projections of a tissue-class prior."""

    name = "nmar"
    trace: Trace = "metal"
    neighbours = 0
    gate = GateParameters()

    def facts(self) -> ModelFacts:
        """Nothing to state: no model."""
        return ModelFacts()

    def inpaint(self, slab: Slab) -> NDArray[np.float32]:
        """Return `slab`'s NMAR sinograms, (core slices, views, bins)."""
        return slab.core_only.nmar_sinogram
