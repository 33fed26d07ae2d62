"""Arms that see the measured lost rays: the untrained rule, and networks of the study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from spinemar_study.measured.evidence import evidence_of
from spinemar_study.measured.inpainters import VIEWS, EvidenceInpainter, rest_near_metal
from spinemar_study.scenes.central_slice import CentralSlice

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


def by_rule(prior: LearnedInpainter, calmest_only: bool) -> Maker:
    """The prior's picture and a share of what the rest of the measured rays shows near metal."""

    def run(scan: CTVolume) -> Picture:
        result = correct_volume(scan, inpainter=prior)
        picture = Picture(result.volume, result.metal_mask, result.metal_outline)
        if result.metal_mask is None or not result.metal_mask[MIDDLE].any():
            return picture
        added = _shown_by_rest(scan, result.metal_mask, prior, calmest_only)
        strength = max((one.strength for one in result.slices if one.index == MIDDLE), default=0.0)
        hu = result.volume.hu.copy()
        free = 1.0 - np.asarray(result.metal_percent[MIDDLE], np.float32) / 100.0
        hu[MIDDLE] += np.float32(RULE_STRENGTH * strength) * free * added
        return Picture(result.volume.with_hu(hu), result.metal_mask, result.metal_outline)

    return run


def _shown_by_rest(
    scan: CTVolume, metal: np.ndarray, prior: LearnedInpainter, calmest_only: bool
) -> np.ndarray:
    middle = CentralSlice(scan, metal)
    proposal = middle.proposed(prior)
    assert proposal is not None
    slab = Slab(middle.cache_of(prior), [MIDDLE], slice(0, 1))
    step = len(proposal.filled) // VIEWS
    trace = proposal.rays.trace[::step]
    evidence = evidence_of(slab, 0, proposal.filled[::step], slab.sinogram[0][::step], trace)
    if calmest_only and float(evidence.rest[trace].std()) > CALM_NEPERS:
        return np.zeros_like(scan.hu[MIDDLE])
    near = nearness_mm(np.ascontiguousarray(metal[MIDDLE]), slab.radon.pixel_mm)
    return rest_near_metal(slab, evidence, near)


def by_network(prior: LearnedInpainter, weights: Path) -> Maker:
    """A generator that sees the rest, behind the prior."""
    inpainter = EvidenceInpainter(prior, weights)

    def run(scan: CTVolume) -> Picture:
        result = correct_volume(scan, inpainter=inpainter)
        return Picture(result.volume, result.metal_mask, result.metal_outline)

    return run
