"""What a data set's pairs look like; together with a seed these settings fix every byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from spinemar.base.json_records import build_record
from spinemar.errors import InputError
from spinemar.tomography.geometry import STANDARD_BINS, STANDARD_VIEWS

N_SLICES = 3
"""Adjacent slices of a pair; the middle one is the one to correct."""


@dataclass(frozen=True)
class PairSettings:
    """Everything that is sampled; ranges are (lowest, highest), shares lie between 0 and 1.

    Parameters
    ----------
    matrix : int
        Rows and columns of the stored images.
    n_views, n_bins : int
        Stored sinograms; bins are (field of view / 512) * 736 / `n_bins` wide.
    realistic_share : float
        Share of pairs with metal where a surgeon would put it; in the others it lies anywhere.
    raw_share : float
        Share of pairs in the raw-data domain; the others are post-acquisition pairs.
    edge_share : float
        Share of pairs at an end of the metal, so that a neighbouring slice has none.
    mild_share : float
        Share of pairs with one small titanium implant and little artifact.
    low_lumbar_share : float
        Share of pairs about L4 to S1, where a CT shows these levels.
    no_rods_share : float
        Share of constructs without rods.
    cement_share, hooks_share, wires_share : float
        Shares of constructs with cement in bodies, hooks beyond their screws, wires around laminae.
    pelvic_share : float
        Share of constructs to S1 with screws into the ilium, where a CT shows the pelvis.
    most_lost_share : float
        Pairs whose middle slice loses a larger share of its rays are drawn anew.
    earlier_ct_share : float
        Share of pairs with an earlier CT, in stores that hold the array `earlier_ct`.
    earlier_off_mm : (float, float)
        Standard deviation, along each axis, of what a registration leaves a vertebra off by; drawn
        evenly on a logarithmic scale.
    earlier_changed_share : float
        Share of earlier CTs that show bone which is gone since, or lack some that has grown.
    slab_mm : float
        Half the height of the slab on which metal is found.
    targeted_share : float
        Share of post-acquisition pairs with a field of view below 300 mm about the spine.
    truncated_fov_mm, whole_fov_mm : (float, float)
        Fields of view of targeted and of whole-body reconstructions.
    extended_share : float
        Share of scans stored on the extended HU scale; the others are clipped to 12 bits.
    automatic_share : float
        Share of pairs whose metal is found automatically; in the others by a fixed threshold.
    threshold_hu : (float, float)
        Fixed thresholds.
    photons : (float, float)
        Photons per ray before exposure control, drawn evenly on a logarithmic scale.
    slice_mm : tuple of float
        Slice thicknesses.
    anatomy_mm, scan_bin_mm : float
        Pixel size at which the patient is sampled, and detector pitch at the centre.
    scan_views : int
        Views over half a turn of the simulated post-acquisition scanner.
    zoom, body_size, bone_density : (float, float)
    warp_mm : float
        Largest standard deviation of the smooth deformation.
    rotation_deg, tilt_deg : float
        Standard deviations of the patient's pose.
    mirror : bool
    """

    matrix: int = 512
    n_views: int = STANDARD_VIEWS
    n_bins: int = STANDARD_BINS
    realistic_share: float = 0.7
    raw_share: float = 0.3
    edge_share: float = 0.12
    mild_share: float = 0.08
    low_lumbar_share: float = 0.5
    no_rods_share: float = 0.06
    cement_share: float = 0.06
    hooks_share: float = 0.05
    wires_share: float = 0.03
    pelvic_share: float = 0.25
    most_lost_share: float = 0.35
    earlier_ct_share: float = 0.45
    earlier_off_mm: tuple[float, float] = (0.3, 2.0)
    earlier_changed_share: float = 0.6
    slab_mm: float = 15.0
    targeted_share: float = 0.4
    truncated_fov_mm: tuple[float, float] = (160.0, 300.0)
    whole_fov_mm: tuple[float, float] = (300.0, 500.0)
    extended_share: float = 0.3
    automatic_share: float = 0.5
    threshold_hu: tuple[float, float] = (2000.0, 3200.0)
    photons: tuple[float, float] = (1e5, 2e6)
    slice_mm: tuple[float, ...] = (0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
    anatomy_mm: float = 0.65
    scan_bin_mm: float = 0.65
    scan_views: int = 600
    zoom: tuple[float, float] = (0.85, 1.15)
    body_size: tuple[float, float] = (0.85, 1.2)
    bone_density: tuple[float, float] = (0.65, 1.45)
    warp_mm: float = 4.0
    rotation_deg: float = 4.0
    tilt_deg: float = 2.5
    mirror: bool = True

    def __post_init__(self) -> None:
        for name in ("matrix", "n_views", "n_bins", "scan_views"):
            _check(name, getattr(self, name), 16, 4096)
        for field in fields(self):
            if field.name.endswith("_share"):
                _check(field.name, getattr(self, field.name), 0.0, 1.0)
        for name, low, high in (
            ("truncated_fov_mm", 50.0, 600.0),
            ("whole_fov_mm", 50.0, 600.0),
            ("threshold_hu", 500.0, 30_000.0),
            ("photons", 1e3, 1e9),
            ("zoom", 0.5, 2.0),
            ("earlier_off_mm", 0.01, 10.0),
            ("body_size", 0.75, 1.4),
            ("bone_density", 0.2, 3.0),
        ):
            first, last = getattr(self, name)
            _check(name, first, low, high)
            _check(name, last, first, high)
        for name, low, high in (
            ("anatomy_mm", 0.2, 5.0),
            ("scan_bin_mm", 0.2, 5.0),
            ("warp_mm", 0.0, 8.0),
            ("rotation_deg", 0.0, 45.0),
            ("tilt_deg", 0.0, 10.0),
            ("slab_mm", 0.0, 100.0),
        ):
            _check(name, getattr(self, name), low, high)
        for thickness in self.slice_mm:
            _check("slice_mm", thickness, 0.3, 10.0)

    def to_json(self) -> dict[str, Any]:
        """All settings by name; pairs become lists, as JSON has them."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PairSettings:
        """Read settings; unknown names are refused.

        Raises
        ------
        InputError
            If a name is unknown or a value cannot be used.
        """
        return build_record(
            cls, values, "data set settings", remedy="Use the names in Docs/dataset.md."
        )


def _check(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InputError(
            f"The data set setting {name} cannot be {value!r}.",
            f"Use a value from {low:g} to {high:g}.",
        )


def parse_placement(text: str) -> float:
    """Return the share of realistic placements that `realistic`, `random` or `mix:R` asks for."""
    return _parse_mix(text, "placement", {"realistic": 1.0, "random": 0.0})


def parse_domain(text: str) -> float:
    """Return the share of raw-data pairs that `raw`, `post` or `mix:R` asks for."""
    return _parse_mix(text, "domain", {"raw": 1.0, "post": 0.0})


def _parse_mix(text: str, what: str, words: Mapping[str, float]) -> float:
    if text in words:
        return words[text]
    head, _, tail = text.partition(":")
    try:
        share = float(tail) if head == "mix" else float("nan")
    except ValueError:
        share = float("nan")
    if not 0.0 <= share <= 1.0:
        raise InputError(
            f"'{text}' is no {what}.", f"Use {', '.join(words)} or mix:R with R from 0 to 1."
        )
    return share
