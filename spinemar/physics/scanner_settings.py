"""What the simulated scanner does; every effect can be switched off on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from spinemar.base.json_records import build_record
from spinemar.errors import InputError
from spinemar.physics.spectra import tube_voltages
from spinemar.tomography.geometry import STANDARD_BINS, STANDARD_VIEWS

ScanKernel = Literal["soft", "standard", "bone"]
ScanGeometry = Literal[
    "parallel", "fan-arc", "fan-flat", "fan-arc-short", "fan-flat-short", "helical"
]
HuScale = Literal["12-bit", "extended", "unlimited"]

KERNELS: tuple[ScanKernel, ...] = get_args(ScanKernel)


@dataclass(frozen=True)
class ScannerSettings:
    """The scanner and its protocol.

    Parameters
    ----------
    kvp : int
        Tube voltage: 80, 100, 120 or 140.
    photons_per_ray : float
        Absorbed photons of an unattenuated ray in the middle of the beam, per slice.
    kernel : {"soft", "standard", "bone"}
        Reconstruction kernel.
    geometry : str
        Where the rays run; see `ScanGeometry`.
    n_views, n_bins : int
        Views over half a turn and detector bins of the parallel sinogram that is
        reconstructed; a fan beam takes twice the views over its full turn.
    ray_oversampling : int
        Rays per detector bin; intensities, not line integrals, are averaged over the bin.
    n_energies : int
        Energies in the polychromatic sum.
    source_mm : float
        From the focal spot to the centre of rotation (fan and helical).
    detector_rows : int
        Rows of the helical detector, each as high as the volume's slices are thick.
    pitch : float
        Table feed per turn over the height of all detector rows (helical).
    helical_interpolation : {"180", "360"}
        Linear interpolation with or without the opposite rays.
    slice_thickness_mm : float, optional
        Width of the (triangular) slice sensitivity profile; None keeps the volume's slices.
    reconstruction_fov_mm, matrix : float, int, optional
        Targeted reconstruction about the centre of rotation; None keeps the volume's grid.
    hu_scale : {"12-bit", "extended", "unlimited"}
        Stored range: -1024..3071, -10240..30710 (both whole numbers), or float without limits.
    polychromatic : bool
        False: one energy (70 keV), so no beam hardening.
    water_correction : bool
        Beam-hardening correction for water.
    focal_spot_mm : float
        Blur by focal spot and aperture at the centre of rotation, FWHM; 0 is off.
    bowtie : float
        Attenuation (nepers at 70 keV) of the bowtie filter at 250 mm from the centre; 0 is off.
    quantum_noise : bool
        Poisson noise of the photons.
    electronic_noise : float
        Standard deviation in absorbed mean-energy photons; 0 is off.
    scatter : float
        Scatter-to-primary ratio in the middle of 30 cm of water; 0 is off.
    scatter_correction : float
        Share of the scatter that the scanner estimates and subtracts.
    saturation : float or None
        Highest signal, in unattenuated central rays; None is off.
    floor_photons : float
        Lowest signal after correction; photon starvation ends here. 0 is off (noise-free
        scans only: the logarithm needs something).
    starvation_filter : bool
        The scanner smooths rays with almost no photons before the logarithm.
    """

    kvp: int = 120
    photons_per_ray: float = 1e6
    kernel: ScanKernel = "standard"
    geometry: ScanGeometry = "parallel"
    n_views: int = STANDARD_VIEWS
    n_bins: int = STANDARD_BINS
    ray_oversampling: int = 2
    n_energies: int = 24
    source_mm: float = 570.0
    detector_rows: int = 4
    pitch: float = 1.0
    helical_interpolation: Literal["180", "360"] = "180"
    slice_thickness_mm: float | None = None
    reconstruction_fov_mm: float | None = None
    matrix: int | None = None
    hu_scale: HuScale = "12-bit"
    polychromatic: bool = True
    water_correction: bool = True
    focal_spot_mm: float = 0.9
    bowtie: float = 2.0
    quantum_noise: bool = True
    electronic_noise: float = 8.0
    scatter: float = 0.10
    scatter_correction: float = 0.85
    saturation: float | None = 1.5
    floor_photons: float = 1.0
    starvation_filter: bool = True

    def __post_init__(self) -> None:
        self._check_choice("kvp", tube_voltages())
        self._check_choice("kernel", KERNELS)
        self._check_choice("geometry", get_args(ScanGeometry))
        self._check_choice("hu_scale", get_args(HuScale))
        self._check_choice("helical_interpolation", ("180", "360"))
        for name, lowest, highest in (
            ("photons_per_ray", 1.0, 1e12),
            ("n_views", 8, 100_000),
            ("n_bins", 8, 100_000),
            ("ray_oversampling", 1, 8),
            ("n_energies", 1, 200),
            ("source_mm", 50.0, 10_000.0),
            ("detector_rows", 1, 64),
            ("pitch", 0.1, 2.0),
            ("focal_spot_mm", 0.0, 20.0),
            ("bowtie", 0.0, 8.0),
            ("electronic_noise", 0.0, 1e6),
            ("scatter", 0.0, 10.0),
            ("scatter_correction", 0.0, 2.0),
            ("saturation", 1e-6, 1e6),
            ("floor_photons", 0.0, 1e6),
            ("slice_thickness_mm", 1e-3, 100.0),
            ("reconstruction_fov_mm", 10.0, 2000.0),
            ("matrix", 16, 4096),
        ):
            self._check_range(name, lowest, highest)

    def _check_choice(self, name: str, choices: tuple[object, ...]) -> None:
        if getattr(self, name) not in choices:
            raise InputError(
                f"The scanner setting {name} cannot be {getattr(self, name)!r}.",
                f"Use one of: {', '.join(map(str, choices))}.",
            )

    def _check_range(self, name: str, lowest: float, highest: float) -> None:
        value = getattr(self, name)
        if value is not None and not lowest <= value <= highest:
            raise InputError(
                f"The scanner setting {name} cannot be {value}.",
                f"Use a value from {lowest:g} to {highest:g}.",
            )

    @classmethod
    def ideal(cls, **changes: Any) -> ScannerSettings:
        """Return a scanner without any physical effect, except those asked for."""
        off: dict[str, Any] = {
            "ray_oversampling": 1,
            "polychromatic": False,
            "water_correction": False,
            "focal_spot_mm": 0.0,
            "bowtie": 0.0,
            "quantum_noise": False,
            "electronic_noise": 0.0,
            "scatter": 0.0,
            "saturation": None,
            "floor_photons": 0.0,
            "starvation_filter": False,
            "hu_scale": "unlimited",
        }
        return cls(**{**off, **changes})

    def to_json(self) -> dict[str, Any]:
        """All settings by name, for provenance and data sets."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ScannerSettings:
        """Read settings; unknown names are refused.

        Raises
        ------
        InputError
            If a name is unknown or a value cannot be used.
        """
        return build_record(
            cls, values, "scanner settings", remedy="Compare with `spinemar simulate --help`."
        )
