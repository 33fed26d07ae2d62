"""The contract of an inpainter: what it gets, what it must return.

An inpainter gets a `Slab` (spinemar/mar/pipeline/slab.py): a run of adjacent slices with
`neighbours` slices on either side, and of each slice, made once and only when read: `hu`, `metal`,
`saturated`, `bodies` (images), `sinogram`, `metal_trace`, `lost_ray_trace`, `metal_lengths_mm`
(rays), `li_sinogram`, `li_hu`, `nmar_prior_sinogram`, `nmar_sinogram`, `nmar_hu` (classical
results, shared with neighbouring slabs), and `radon` (its `geometry` and `pixel_mm`, `forward`,
`fbp`).
`slab.core` says which slices of the slab to inpaint; `slab.core_only` is the slab without the
neighbours.

It returns the sinograms of the core slices, (core slices, views, bins) float32, equal to
`slab.core_only.sinogram` outside the trace that it names; `correct_volume` enforces that,
reconstructs the difference, asks the gate, and puts the metal back.

Slabs are in work side by side, so `inpaint` is called from several threads at once. It must not
keep anything of one slab for another in the inpainter itself; what neighbouring slabs share, it
makes with `slab.slice_cache.get_or_make`. An inpainter may also state `slices_at_a_time` (an even
number, 2 by default) and `most_workers` (1 where calls must not overlap).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.pipeline.slab import Slab

Trace = Literal["metal", "lost"]


@dataclass(frozen=True)
class ModelFacts:
    """What ran, for the provenance; all None for classical methods.

    Parameters
    ----------
    name, version : str or None
    sha256 : str or None
        SHA-256 of each network file, joined by "+" in the order prior, generator.
    provider : str or None
        Execution provider that really ran.
    fallback : str or None
        Why something else ran than was asked for.
    """

    name: str | None = None
    version: str | None = None
    sha256: str | None = None
    provider: str | None = None
    fallback: str | None = None


class Inpainter(Protocol):
    """Fills the lost rays of a run of adjacent slices."""

    @property
    def name(self) -> str:
        """Method as the provenance states it: li, nmar, generator."""

    @property
    def trace(self) -> Trace:
        """Which rays it may change."""

    @property
    def neighbours(self) -> int:
        """Slices it needs on either side of those it inpaints."""

    @property
    def gate(self) -> GateParameters:
        """The do-no-harm gate fitted for this method."""

    def facts(self) -> ModelFacts:
        """Model and provider; asked after the last slab."""

    def inpaint(self, slab: Slab) -> NDArray[np.float32]:
        """Return inpainted sinograms of the core slices, (core slices, views, bins).

        Called from several threads at once.
        """
