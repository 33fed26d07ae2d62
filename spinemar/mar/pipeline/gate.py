"""Do no harm: how much of a slice's correction to apply, from what the slice itself shows.

The corrected slice is input + strength * change. If the change were the artifact with its sign
turned, the soft tissue near metal would grow quiet; if it is something else (a wrong mask, a
method that invents streaks where there were none), it adds its own energy. The best strength in
the least-squares sense is the projection of the input's unrest on the change, the *gain*; it
overestimates, since the change repeats some anatomy, the more so the weaker the artifact is. So
strength is a fitted function of a few features, all reported with each slice, and below a
minimum the slice is left alone.

Before that, three questions of fact. Is this metal at all? What a mask covers must be bright, and
the correction must take it away: a mask on bone, muscle or air is none. Did it disturb the rays?
What a change takes from rays through undisturbed metal is in proportion to their way through it;
hardening, scatter, starvation and the scale's end bend that. And does the tissue grow
quiet? Tissue is counted where it was tissue before or would be after, so that a change that
destroys what it is judged by is seen; where the spread does not fall nothing is applied.

Each method has a gate of its own, fitted on scans with metal and on slices that should be left
alone (`spinemar-train fit-gate`, which prints what it does to each kind).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.json_records import build_record
from spinemar.errors import ModelError
from spinemar.mar.segmentation.body import Body
from spinemar.mar.segmentation.trace import nearness_mm

_NEAR_MM = 30.0
_FAR_MM = 60.0
_SKIN_MM = 5.0
_SOFT_HU = (-300.0, 300.0)
_SMOOTHING_MM = 2.4
_TRUNCATE = 4.0
_TOWARDS_OUTPUT = 0.75
_MARGIN_PX = 2
_FEW_PIXELS = 100
_LEAST_LENGTH_MM = 1.0
_MM_PER_CM = 10.0
_TINY = 1e-3
_USUAL_SPREAD_HU = 30.0
_USUAL_UNEXPLAINED = 0.15
_USUAL_CHANGE_HU = 50.0
_BRIGHT_PERCENT = 80


@dataclass(frozen=True)
class GateFeatures:
    """What the gate looks at in one slice.

    Parameters
    ----------
    spread_in_hu, spread_out_hu : float
        Standard deviation of soft tissue within 30 mm of metal, before and after.
    gain : float
        Strength that would make this tissue quietest.
    change_hu : float
        RMS of the change there.
    far_change_hu : float
        RMS of the change in the body beyond 60 mm of metal.
    trace_share : float
        Share of all rays that were replaced.
    pixels : int
        Soft-tissue pixels looked at; with too few the gate trusts the trace alone.
    metal_hu : float
        What the brightest fifth of the metal mask reaches: a mask may be drawn twice too wide.
    removed_hu : float
        Median of what the change takes away there: metal's own attenuation, where it is metal.
    unexplained_nepers : float
        Standard deviation of what the change takes from rays through metal, beyond a constant
        attenuation for each millimetre of it: what hardening, scatter and starvation did, and
        where the prior is wrong.
    bent_nepers_per_cm : float
        How much of that goes with the way through metal, as hardening does and a wrong prior
        does not, for each centimetre of the longest way.
    """

    spread_in_hu: float
    spread_out_hu: float
    gain: float
    change_hu: float
    far_change_hu: float
    trace_share: float
    pixels: int
    metal_hu: float
    removed_hu: float
    unexplained_nepers: float
    bent_nepers_per_cm: float


@dataclass(frozen=True)
class AlongMetal:
    """What a change takes from rays, against their way through metal; nepers.

    Parameters
    ----------
    unexplained_nepers, bent_nepers_per_cm : float
        As in `GateFeatures`.
    """

    unexplained_nepers: float
    bent_nepers_per_cm: float


@dataclass(frozen=True)
class GateParameters:
    """The fitted gate; a model's manifest may carry its own. The default was fitted for NMAR.

    strength = clip(offset + by_log_spread * ln(spread_in / 30)
                    + by_log_ratio * ln(spread_in / spread_out)
                    + by_log_unexplained * ln(unexplained / 0.15)
                    + by_log_change * ln(change / 50), 0, 1)

    Parameters
    ----------
    offset, by_log_spread, by_log_ratio, by_log_unexplained, by_log_change : float
    minimum : float
        Below this strength a slice is left alone.
    blind_strength : float
        Strength where too little soft tissue is near metal to tell.
    least_metal_hu, least_removed_hu : float
        What a mask covers is metal if its brightest fifth, and the median of what the change
        takes away there, are at least so much: metal of any kind lies far above both, bone,
        cement and most contrast below.
    least_log_ratio : float
        ln(spread_in / spread_out) must be above it: the tissue must grow quieter.
    most_gain : float
        A change that would have to be made this much stronger to make the tissue quietest
        repeats anatomy rather than an artifact, of which it would take away the most part.
    least_bent_nepers_per_cm : float
        `bent_nepers_per_cm` must reach it: rays that metal did not disturb need no correction.
    """

    offset: float = -0.3516
    by_log_spread: float = 0.3348
    by_log_ratio: float = 0.6544
    by_log_unexplained: float = 0.3212
    by_log_change: float = 0.0
    minimum: float = 0.2
    blind_strength: float = 0.7
    least_metal_hu: float = 2300.0
    least_removed_hu: float = 900.0
    least_log_ratio: float = 0.0
    most_gain: float = 1.35
    least_bent_nepers_per_cm: float = 0.0175

    @classmethod
    def open(cls) -> GateParameters:
        """Let everything through in full, for those who judge a method without its gate."""
        never = -1e9
        return cls(
            offset=1.0,
            by_log_spread=0.0,
            by_log_ratio=0.0,
            by_log_unexplained=0.0,
            by_log_change=0.0,
            minimum=0.0,
            blind_strength=1.0,
            least_metal_hu=never,
            least_removed_hu=never,
            least_log_ratio=never,
            most_gain=-never,
            least_bent_nepers_per_cm=never,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> GateParameters:
        """Read parameters; unknown names and anything but finite numbers are refused.

        Raises
        ------
        ModelError
            If one is.
        """
        return build_record(
            cls,
            values,
            "model's gate",
            remedy="Use the manifest that came with the model.",
            error=ModelError,
        )

    def to_json(self) -> dict[str, float]:
        """All parameters by name."""
        return asdict(self)


@dataclass(frozen=True)
class GateDecision:
    """How much of the change to apply, and why if none.

    Parameters
    ----------
    strength : float
        0 (slice left alone) to 1.
    reason : str
        One sentence.
    """

    strength: float
    reason: str

    @property
    def corrected(self) -> bool:
        """Whether anything is applied."""
        return self.strength > 0.0


def gate_features(
    hu: NDArray[np.float32],
    change: NDArray[np.float32],
    *,
    metal: NDArray[np.bool_],
    body: Body,
    trace: NDArray[np.bool_],
    pixel_mm: tuple[float, float],
    along_metal: AlongMetal,
    nearness: NDArray[np.float32] | None = None,
) -> GateFeatures:
    """Measure a slice and its proposed change.

    Parameters
    ----------
    hu : ndarray of float32, shape (rows, columns)
        Input without padding.
    change : ndarray of float32, same shape
        Correction in HU.
    metal : ndarray of bool, same shape
    body : Body
    trace : ndarray of bool, shape (views, bins)
    pixel_mm : (row spacing, column spacing) in mm
    along_metal : AlongMetal
        From `compare_with_length`.
    nearness : ndarray of float32, shape (rows, columns), optional
        Distance to metal in mm; found here if not given.

    Returns
    -------
    GateFeatures
    """
    distance = nearness_mm(metal, pixel_mm) if nearness is None else nearness
    inside = body.depth_mm > _SKIN_MM
    # Tissue is told apart well on the way from before to after: at the start strong streaks
    # leave too little of it, at the end whatever the change invents would be hidden. What was
    # tissue and is torn out of its range on that way is the change's own doing, and counts too.
    margin = _MARGIN_PX * max(pixel_mm)
    near = inside & (distance > margin) & (distance < _NEAR_MM)
    box, inner = _boxes(near, pixel_mm)
    sigma = (_SMOOTHING_MM / pixel_mm[0], _SMOOTHING_MM / pixel_mm[1])
    towards = hu[box] + np.float32(_TOWARDS_OUTPUT) * change[box]
    soft = np.zeros(towards[inner].shape, dtype=np.bool_)
    for image in (towards, hu[box]):
        smooth = ndimage.gaussian_filter(image, sigma, truncate=_TRUNCATE)[inner]
        soft |= (smooth > _SOFT_HU[0]) & (smooth < _SOFT_HU[1])
    near[box][inner] &= soft
    far = inside & (distance > _FAR_MM)
    before, step = hu[near].astype(np.float64), change[near].astype(np.float64)
    pixels = int(before.size)
    far_change = float(np.sqrt(np.mean(change[far] ** 2, dtype=np.float64))) if far.any() else 0.0
    share = float(trace.mean())
    covered = float(np.percentile(hu[metal], _BRIGHT_PERCENT)) if metal.any() else 0.0
    removed = float(-np.median(change[metal])) if metal.any() else 0.0
    if pixels < _FEW_PIXELS:
        return GateFeatures(
            0.0, 0.0, 0.0, 0.0, far_change, share, pixels, covered, removed, **vars(along_metal)
        )
    unrest = before - np.median(before + 0.5 * step)
    energy = float(step @ step)
    return GateFeatures(
        spread_in_hu=float(before.std()),
        spread_out_hu=float((before + step).std()),
        gain=float(-(unrest @ step) / energy) if energy > 0 else 0.0,
        change_hu=float(np.sqrt(energy / pixels)),
        far_change_hu=far_change,
        trace_share=share,
        pixels=pixels,
        metal_hu=covered,
        removed_hu=removed,
        **vars(along_metal),
    )


def compare_with_length(
    removed: NDArray[np.float32], lengths_mm: NDArray[np.float32], trace: NDArray[np.bool_]
) -> AlongMetal:
    """Compare what a change takes from rays with their way through metal.

    Metal alone adds to each ray in proportion to its way through it, and a slice without
    artifact shows nothing else, whatever is wrong with the prior or the mask. What is left
    beyond proportion is *unexplained*; what a cubic in the length follows of it is *bent*. A
    longer way bends more, through undisturbed metal too, whose prior is as wrong as elsewhere; so
    it is told for each centimetre.

    Parameters
    ----------
    removed : ndarray of float32, shape (views, bins)
        Line integrals before minus after.
    lengths_mm : ndarray of float32, same shape
        Way of each ray through the metal mask.
    trace : ndarray of bool, same shape

    Returns
    -------
    AlongMetal
        Standard deviations over the rays with more than a millimetre of metal.

    Examples
    --------
    Undisturbed metal, and metal whose longest rays lack attenuation:

    >>> lengths = np.linspace(0, 20, 50, dtype=np.float32)[None]
    >>> compare_with_length(0.3 * lengths, lengths, lengths > 0).bent_nepers_per_cm < 1e-6
    True
    >>> hardened = 0.3 * lengths - 0.004 * lengths**2
    >>> found = compare_with_length(hardened, lengths, lengths > 0)
    >>> round(found.bent_nepers_per_cm * 2.0, 2) == round(found.unexplained_nepers, 2) > 0.1
    True
    """
    through = trace & (lengths_mm > _LEAST_LENGTH_MM)
    taken, way = removed[through].astype(np.float64), lengths_mm[through].astype(np.float64)
    if taken.size == 0:
        return AlongMetal(0.0, 0.0)
    rest = taken - (taken @ way) / (way @ way) * way
    scaled = way / way.max()
    powers = np.stack([scaled, scaled**2, scaled**3], axis=1)
    followed = powers @ np.linalg.lstsq(powers, rest, rcond=None)[0]
    bent = np.sqrt(max(rest.var() - (rest - followed).var(), 0.0))
    return AlongMetal(float(rest.std()), float(bent / (way.max() / _MM_PER_CM)))


def _boxes(
    region: NDArray[np.bool_], pixel_mm: tuple[float, float]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the box that smoothing needs to be right in a region, and the region's box in it."""
    outer, inner = [], []
    for axis, pitch in enumerate(pixel_mm):
        found = np.flatnonzero(region.any(axis=1 - axis))
        first, stop = (int(found[0]), int(found[-1]) + 1) if found.size else (0, 0)
        reach = int(_TRUNCATE * _SMOOTHING_MM / pitch + 0.5)
        start = max(0, first - reach)
        outer.append(slice(start, min(region.shape[axis], stop + reach)))
        inner.append(slice(first - start, stop - start))
    return (outer[0], outer[1]), (inner[0], inner[1])


def decide(features: GateFeatures, parameters: GateParameters) -> GateDecision:
    """Turn features into a strength.

    Returns
    -------
    GateDecision
    """
    refusal = _refused_by_rays(features, parameters)
    if refusal:
        return GateDecision(0.0, refusal)
    if features.pixels < _FEW_PIXELS:
        return GateDecision(
            parameters.blind_strength,
            "There is too little soft tissue beside the metal to judge by; "
            f"{parameters.blind_strength:.0%} of the correction is taken on trust.",
        )
    refusal = _refused_by_tissue(features, parameters)
    if refusal:
        return GateDecision(0.0, refusal)
    strength = _fitted_strength(features, parameters)
    before, after = features.spread_in_hu, features.spread_out_hu
    if strength < parameters.minimum:
        return GateDecision(
            0.0,
            "There is too little artifact here for a correction to help (streaks and noise beside "
            f"the metal {before:.0f} HU).",
        )
    return GateDecision(
        strength,
        f"Streaks and noise beside the metal fall from {before:.0f} to {after:.0f} HU with the "
        "whole correction.",
    )


def _refused_by_rays(features: GateFeatures, parameters: GateParameters) -> str | None:
    """Say why no metal disturbs the rays here, or nothing."""
    if features.trace_share == 0.0:
        return "There is too little metal here to disturb the picture: no ray passes enough of it."
    if (
        features.metal_hu < parameters.least_metal_hu
        or features.removed_hu < parameters.least_removed_hu
    ):
        return (
            f"What is marked as metal does not look like metal ({features.metal_hu:.0f} HU, of "
            f"which the correction would take away {features.removed_hu:.0f})."
        )
    if features.bent_nepers_per_cm < parameters.least_bent_nepers_per_cm:
        return (
            "The metal left its rays as they would be without any artifact (what is taken from "
            "them goes with their way through metal): there is nothing to correct."
        )
    return None


def _refused_by_tissue(features: GateFeatures, parameters: GateParameters) -> str | None:
    """Say why the tissue near metal is better off without the change, or nothing."""
    if _log_ratio(features) <= parameters.least_log_ratio:
        return (
            "The tissue beside the metal would not grow quieter (streaks and noise "
            f"{features.spread_in_hu:.0f} HU before, {features.spread_out_hu:.0f} after)."
        )
    if features.gain > parameters.most_gain:
        return (
            "The correction would take away anatomy beside the metal rather than an artifact (it "
            f"would have to be {features.gain:.1f} times as strong to make the tissue quietest)."
        )
    return None


def _log_ratio(features: GateFeatures) -> float:
    return _log(features.spread_in_hu, 1.0) - _log(features.spread_out_hu, 1.0)


def _fitted_strength(features: GateFeatures, parameters: GateParameters) -> float:
    raw = (
        parameters.offset
        + parameters.by_log_spread * _log(features.spread_in_hu, _USUAL_SPREAD_HU)
        + parameters.by_log_ratio * _log_ratio(features)
        + parameters.by_log_unexplained * _log(features.unexplained_nepers, _USUAL_UNEXPLAINED)
        + parameters.by_log_change * _log(features.change_hu, _USUAL_CHANGE_HU)
    )
    return float(np.clip(raw, 0.0, 1.0))


def _log(value: float, usual: float) -> float:
    return float(np.log(max(value, _TINY) / usual))
