"""What a method would do to slices: its rays, its change, and what the gate sees of it.

The one way from slices to a correction: `correct_volume` applies it, reports draw its rays, and
studies score it at other strengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import FaultError
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.pipeline.gate import GateFeatures, compare_with_length, gate_features
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.segmentation.trace import LostRays

Float = NDArray[np.float32]

_LEAST_NEPERS = -0.2
_MOST_ADDED_NEPERS = 1.0


@dataclass(frozen=True)
class Proposal:
    """A method's correction of one slice, in full.

    Parameters
    ----------
    index : int
        Slice in the stack.
    rays : LostRays
        What it may replace.
    filled : ndarray of float32, shape (views, bins)
        Line integrals, the lost ones replaced.
    change : ndarray of float32, shape (rows, columns)
        What that adds to the image, HU.
    features : GateFeatures
    """

    index: int
    rays: LostRays
    filled: Float
    change: Float
    features: GateFeatures


def propose(slab: Slab, inpainter: Inpainter) -> list[Proposal]:
    """Let a method correct the core slices of a slab.

    Parameters
    ----------
    slab : Slab
        With the neighbours that the method wants.
    inpainter : Inpainter

    Raises
    ------
    FaultError
        If the method returns rays of another shape or that are no numbers.
    """
    core, slice_cache = slab.core_only, slab.slice_cache
    rays = _lost_rays_for(inpainter, core)
    with slice_cache.watch.stage("inpaint"):
        filled = inpainter.inpaint(slab)
        sinograms = core.each("sinogram")
        added = _added(filled, sinograms, [one.trace for one in rays], inpainter.name)
    changes = slice_cache.change_hu(added)
    proposals = []
    for n, k in enumerate(core.indices):
        one = Slab(slice_cache, [k], slice(0, 1))
        with slice_cache.watch.stage("gate"):
            features = gate_features(
                one.hu[0],
                changes[n],
                metal=one.metal[0],
                body=one.bodies[0],
                trace=rays[n].trace,
                pixel_mm=slab.radon.pixel_mm,
                along_metal=compare_with_length(-added[n], one.metal_lengths_mm[0], rays[n].trace),
                nearness=one.nearness_mm[0],
            )
        proposals.append(Proposal(k, rays[n], sinograms[n] + added[n], changes[n], features))
    return proposals


def _lost_rays_for(inpainter: Inpainter, core: Slab) -> list[LostRays]:
    """Return the rays of each slice that a method may replace."""
    if inpainter.trace == "metal":
        return [LostRays(trace, 0.0, capped=False) for trace in core.each("metal_trace")]
    wider = getattr(inpainter, "lost_rays", None)
    if wider is None:
        return core.lost_rays
    rays: list[LostRays] = wider(core.slice_cache, core.indices)
    return rays


def _added(
    filled: Float, sinograms: Sequence[Float], traces: Sequence[NDArray[np.bool_]], name: str
) -> Float:
    """Return what an inpainter adds to the lost rays; it cannot change any other.

    No ray can have less attenuation than air, and metal takes photons away: what lies behind it
    never attenuates much more than what was measured through it. Rays that claim otherwise are
    held at these limits, for the gate to judge.
    """
    if filled.shape != (len(sinograms), *sinograms[0].shape) or not np.isfinite(filled).all():
        raise FaultError(
            f"The method {name} returned rays that cannot be used.",
            "Use the method nmar, and report this with the model's name.",
        )
    added = np.zeros(filled.shape, dtype=np.float32)
    for one, after, before, trace in zip(added, filled, sinograms, traces, strict=True):
        np.subtract(after, before, out=one, where=trace)
        lowest = np.minimum(np.float32(_LEAST_NEPERS) - before, np.float32(0.0))
        np.clip(one, lowest, np.float32(_MOST_ADDED_NEPERS), out=one)
    return added
