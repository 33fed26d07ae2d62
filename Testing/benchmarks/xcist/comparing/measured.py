"""Arms that see the measured lost rays: the untrained rule, and networks of the study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from spinemar_study.measured.evidence import evidence_of
from spinemar_study.measured.inpainters import EvidenceInpainter, rest_near_metal
from spinemar_study.scenes.central_slice import CentralSlice
from spinemar_training.data.prefill import VIEWS

from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.learned import LearnedInpainter
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.segmentation.trace import nearness_mm
from spinemar.volume import CTVolume
from Testing.benchmarks.xcist.score import MIDDLE, Picture

RULE_STRENGTH = 0.65
CALM_NEPERS = 0.12
"""Standard deviation of the rest in the trace up to which the rule was found to help (titanium)."""

Maker = Callable[[CTVolume], Picture]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RestOfMiddle:
    """What the measured rays of a middle slice still say.

    Parameters
    ----------
    slab : Slab
        Of that slice alone.
    filled, measured : ndarray of float32, shape (views, bins)
        Line integrals.
    trace : ndarray of bool, same shape
    change : ndarray of float32, shape (rows, columns)
        What the prior changes, HU.
    rest : ndarray of float32, shape (views, bins)
        What is left of the difference of measured and filled.
    shown_hu : ndarray of float32, shape (rows, columns)
        What the rest shows beside metal.
    """

    slab: Slab
    filled: Float
    measured: Float
    trace: Mask
    change: Float
    rest: Float
    shown_hu: Float

    @property
    def spread(self) -> float:
        """Standard deviation of the rest in the trace, nepers."""
        return float(self.rest[self.trace].std())


def by_rule(prior: LearnedInpainter, calmest_only: bool) -> Maker:
    """The prior's picture and a share of what the rest of the measured rays shows near metal."""

    def run(scan: CTVolume) -> Picture:
        result = correct_volume(scan, inpainter=prior)
        picture = Picture(result.volume, result.metal_mask, result.metal_outline)
        if result.metal_mask is None or not result.metal_mask[MIDDLE].any():
            return picture
        seen = rest_of_middle(scan, result.metal_mask, prior)
        if calmest_only and seen.spread > CALM_NEPERS:
            return picture
        strength = max((one.strength for one in result.slices if one.index == MIDDLE), default=0.0)
        hu = result.volume.hu.copy()
        free = 1.0 - np.asarray(result.metal_percent[MIDDLE], np.float32) / 100.0
        hu[MIDDLE] += np.float32(RULE_STRENGTH * strength) * free * seen.shown_hu
        return Picture(result.volume.with_hu(hu), result.metal_mask, result.metal_outline)

    return run


def rest_of_middle(scan: CTVolume, metal: Mask, prior: LearnedInpainter) -> RestOfMiddle:
    """Let the prior fill the lost rays of the middle slice, and fit the metal of what was measured.

    `metal` has the scan's shape, and metal in the middle slice.
    """
    middle = CentralSlice(scan, metal)
    proposal = middle.proposed(prior)
    assert proposal is not None
    slab = Slab(middle.cache_of(prior), [MIDDLE], slice(0, 1))
    step = len(proposal.filled) // VIEWS
    filled, trace = proposal.filled[::step], proposal.rays.trace[::step]
    measured = slab.sinogram[0][::step]
    evidence = evidence_of(slab, 0, filled, measured, trace)
    near = nearness_mm(np.ascontiguousarray(metal[MIDDLE]), slab.radon.pixel_mm)
    shown = rest_near_metal(slab, evidence, near)
    return RestOfMiddle(slab, filled, measured, trace, proposal.change, evidence.rest, shown)


def by_network(prior: LearnedInpainter, weights: Path) -> Maker:
    """A generator that sees the rest, behind the prior."""
    inpainter = EvidenceInpainter(prior, weights)

    def run(scan: CTVolume) -> Picture:
        result = correct_volume(scan, inpainter=inpainter)
        return Picture(result.volume, result.metal_mask, result.metal_outline)

    return run
