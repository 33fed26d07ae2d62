"""How far a corrected value may be off: where two methods differ, and where rays were lost.

Nobody knows the error of a lost ray. What can be known of a pixel is how much of what it is made of
was replaced (the share of the rays through it that are lost), and how much two ways of replacing
that differ, beside it and in the slice as a whole. The three of them together, scaled on scans
whose truth is known, say how large errors are (``Docs/uncertainty.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.mar.correction.proposal import Proposal
from spinemar.mar.pipeline.slab import Slab
from spinemar.tomography.radon import RadonTransform

Float = NDArray[np.float32]

SHOWN_FROM_HU, DO_NOT_READ_HU = 100, 300
"""Where pictures begin to turn red, and where they are as red as they get: bone cannot be told from
soft tissue there."""
MOST_HU = 32_767
"""What is written cannot hold more."""
_BESIDE_MM = 4.0
_SEVERITY_WITHIN_MM = 40.0


@dataclass(frozen=True)
class UncertaintyScale:
    """What makes HU of the three terms; 95 of 100 errors lie within the root of their sum.

    Parameters
    ----------
    beside : float
        Times the mean square of the two methods' difference within some 4 mm.
    severity : float
        Times the square of the lost share and of the difference's RMS near metal.
    lost_hu2 : float
        Times the square of the lost share.
    """

    beside: float
    severity: float
    lost_hu2: float


SCALES: Mapping[str, UncertaintyScale] = {
    "generator": UncertaintyScale(1.08, 0.449, 12_200.0),
    "nmar": UncertaintyScale(10.2, 0.0, 520_000.0),
    "li": UncertaintyScale(18.8, 0.0, 282_000.0),
}
"""By method; see `python -m Testing.benchmarks.uncertainty fit`."""


@dataclass(frozen=True)
class UncertaintyTerms:
    """What of a slice tells how far its corrected values may be off, before any scale.

    Parameters
    ----------
    beside_hu2 : ndarray of float32, shape (rows, columns)
        Mean square within some 4 mm of what two methods' changes differ by.
    severity_hu : float
        RMS of that difference within 40 mm of metal.
    lost_share : ndarray of float32, shape (rows, columns)
        Share of the rays through each pixel that were replaced.
    """

    beside_hu2: Float
    severity_hu: float
    lost_share: Float

    def squares(self) -> Float:
        """Return the three terms that a scale weighs, HU^2, HU^2 and none; (3, rows, columns)."""
        lost = self.lost_share**2
        return np.stack([self.beside_hu2, lost * np.float32(self.severity_hu**2), lost])

    def within_hu(self, scale: UncertaintyScale) -> Float:
        """Return the HU within which 95 of 100 errors lie, shape (rows, columns)."""
        weights = np.array([scale.beside, scale.severity, scale.lost_hu2], dtype=np.float32)
        within: Float = np.sqrt(np.tensordot(weights, self.squares(), 1))
        return within


def uncertainty_terms(
    slab: Slab, proposal: Proposal, method: str, strength: float
) -> UncertaintyTerms:
    """Return the terms of one slice.

    Parameters
    ----------
    slab : Slab
        The slice of the proposal alone.
    proposal : Proposal
    method : str
        What proposed it; it is compared with NMAR, and NMAR with linear interpolation.
    strength : float
        How much of the change is applied: what is not changed cannot be drawn wrongly.
    """
    other = (slab.li_hu if method == "nmar" else slab.nmar_hu)[0] - slab.hu[0]
    differs = (np.float32(strength) * (proposal.change - other)).astype(np.float32)
    pixel = slab.radon.pixel_mm
    beside = ndimage.gaussian_filter(differs**2, [_BESIDE_MM / side for side in pixel])
    near = slab.bodies[0].mask & (slab.nearness_mm[0] < _SEVERITY_WITHIN_MM)
    severity = float(np.sqrt(np.mean(differs[near] ** 2))) if near.any() else 0.0
    lost = np.float32(strength) * lost_share(slab.radon, proposal.rays.trace)
    return UncertaintyTerms(np.maximum(beside, 0), severity, lost)


def lost_share(radon: RadonTransform, trace: NDArray[np.bool_]) -> Float:
    """Return which share of the rays through each pixel a trace holds, shape (rows, columns)."""
    both = np.stack([trace, np.ones_like(trace)]).astype(np.float32)
    lost, all_rays = radon.adjoint(both)
    share: Float = np.clip(lost / np.maximum(all_rays, np.finfo(np.float32).tiny), 0.0, 1.0)
    return share
