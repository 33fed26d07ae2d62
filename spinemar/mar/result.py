"""What a correction returns: the volume, what happened to each slice, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.earlier.use import EarlierUse
from spinemar.mar.pipeline.gate import GateFeatures
from spinemar.mar.segmentation.outline import HALF_PERCENT, OutlineSource
from spinemar.volume import CTVolume

PIPELINE_VERSION = "5"
"""Raised whenever the same model would give another result."""


@dataclass(frozen=True)
class SliceReport:
    """One slice with metal.

    Parameters
    ----------
    index : int
        Index along the axial stack axis.
    metal_area_mm2 : float
        Inside the outline, which was put back.
    metal_width_mm : float
        Of the largest circle inside the outline: how thick the implant is.
    mask_area_mm2 : float
        Of the metal mask, which made the trace.
    outline : {"network", "half maximum", "threshold", "mask"}
        How the outline was found; "threshold" means that it could not be told from the glow.
    trace_share : float
        Share of all rays that the method may replace.
    saturated_share : float
        Part of it that saturated pixels add to the metal trace.
    saturated_capped : bool
        Whether the cap cut that part.
    corrected : bool
    strength : float
        Share of the change that was applied.
    change_hu : float
        RMS of what was added in the body outside metal.
    reason : str
        Why it was corrected or left alone.
    features : GateFeatures
        What the gate saw.
    """

    index: int
    metal_area_mm2: float
    metal_width_mm: float
    mask_area_mm2: float
    outline: OutlineSource
    trace_share: float
    saturated_share: float
    saturated_capped: bool
    corrected: bool
    strength: float
    change_hu: float
    reason: str
    features: GateFeatures


@dataclass(frozen=True)
class Provenance:
    """How a corrected volume was made; goes with it wherever it is stored.

    Parameters
    ----------
    method : str
        What ran: li, nmar, generator, or none when there was no metal.
    requested_method : str
    model_name, model_version, model_sha256 : str or None
    provider : str or None
        Execution provider that really ran the networks.
    fallback : str or None
        Why something else ran than was asked for.
    metal_source : str
        "automatic", "threshold" or "mask".
    metal_threshold_hu : float or None
        None for a given mask.
    geometry : mapping
        Stack axis, matrix, pixel and slice spacing in mm, gantry tilt in degrees, views,
        bins, bin width in mm.
    software_version, pipeline_version : str
    metal_outline : mapping of str to int
        Slices by how the outline of their metal was found.
    metal_network_sha256 : str or None
        Of the network that outlined the metal.
    """

    method: str
    requested_method: str
    metal_source: str
    metal_threshold_hu: float | None
    geometry: Mapping[str, float | int | str]
    software_version: str
    pipeline_version: str = PIPELINE_VERSION
    model_name: str | None = None
    model_version: str | None = None
    model_sha256: str | None = None
    provider: str | None = None
    fallback: str | None = None
    metal_outline: Mapping[str, int] = field(default_factory=dict)
    metal_network_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """All facts by name."""
        return asdict(self)


@dataclass(frozen=True)
class CorrectionResult:
    """A corrected volume and its facts.

    Parameters
    ----------
    volume : CTVolume
        The input itself where there was no metal.
    metal_mask : ndarray of bool, shape (k, j, i)
        What made the trace: all that is bright enough to be metal or its glow.
    metal_percent : ndarray of uint8, shape (k, j, i)
        Share of each voxel that is metal; its outline is the half.
    slices : tuple of SliceReport
        One for each slice with metal.
    provenance : Provenance
    seconds : mapping of str to float
        Busy time by stage, summed over threads that work side by side; "total" is wall time.
    message : str
        One sentence for the user.
    earlier : EarlierUse or None
        What became of the earlier CT, where one was given and there was metal.
    uncertainty_hu : ndarray of int16, shape (k, j, i), or None
        HU within which 95 of 100 errors lie; 0 in the metal, around the body, and where nothing was
        changed. None where it was not asked for, and without metal.
    """

    volume: CTVolume
    metal_mask: NDArray[np.bool_]
    metal_percent: NDArray[np.uint8]
    slices: tuple[SliceReport, ...]
    provenance: Provenance
    seconds: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    earlier: EarlierUse | None = None
    uncertainty_hu: NDArray[np.int16] | None = None

    @property
    def agreement_percent(self) -> NDArray[np.uint8]:
        """How far the earlier CT was believed, shape (k, j, i); 0 everywhere without one."""
        if self.earlier is None:
            return np.zeros(self.volume.hu.shape, dtype=np.uint8)
        return self.earlier.agreement_percent

    @property
    def uncertainty_in_every_slice(self) -> NDArray[np.int16]:
        """How far each value may be off, shape (k, j, i); 0 everywhere where nothing says it."""
        if self.uncertainty_hu is None:
            return np.zeros(self.volume.hu.shape, dtype=np.int16)
        return self.uncertainty_hu

    @property
    def metal_outline(self) -> NDArray[np.bool_]:
        """The metal as it was put back, shape (k, j, i)."""
        inside: NDArray[np.bool_] = self.metal_percent >= HALF_PERCENT
        return inside

    @property
    def corrected(self) -> tuple[int, ...]:
        """Indices of the slices that were changed."""
        return tuple(report.index for report in self.slices if report.corrected)

    @property
    def left_alone(self) -> tuple[int, ...]:
        """Indices of the slices with metal that the gate left alone."""
        return tuple(report.index for report in self.slices if not report.corrected)

    def facts(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON has it: the one schema.

        What --json prints, what lies beside every corrected file, what jobs return and what the
        module keeps.
        """
        made = self.provenance
        return {
            "message": self.message,
            "method": made.method,
            "model": made.model_name and f"{made.model_name} {made.model_version}",
            "provider": made.provider,
            "fallback": made.fallback,
            "metal_voxels": int(self.metal_outline.sum()),
            "corrected": list(self.corrected),
            "left_alone": [
                {"slice": report.index, "reason": report.reason}
                for report in self.slices
                if not report.corrected
            ],
            "earlier_ct": None if self.earlier is None else self.earlier.to_json(),
            "provenance": self.provenance.to_json(),
            "slices": [asdict(report) for report in self.slices],
            "seconds": dict(self.seconds),
        }
