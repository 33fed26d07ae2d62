"""The scanner of a pair: protocol, field of view, and where the patient lies in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.deformation import Deformation, FloatArray
from spinemar.dataset.sampling.patients import Patient
from spinemar.physics.scanner_settings import HuScale, ScannerSettings
from spinemar.tomography.geometry import grid_width_mm
from spinemar.tomography.units import hu_to_mu

Domain = Literal["post", "raw"]

_WIDEST_SCAN_MM = 600.0
_KVP = ((80, 0.08), (100, 0.22), (120, 0.5), (140, 0.2))
_KERNELS = (("soft", 0.25), ("standard", 0.45), ("bone", 0.3))
_THIN_MM, _THICK_MM = 2.0, 4.0
_USUAL_PATH, _MOST_GAIN = 5.5, 12.0
# Of a ray's photons at least so many pass the patient: a target full of streaks teaches nothing.
_LEAST_PASSING = 500.0
_MOST_PHOTONS = 2e7  # of a ray: ten times the dose of a generous scan
_THICK_PATH, _THICK_KVP = 8.0, 120  # nobody scans shoulders with less
_FAN_SHARE = 0.05  # costs five times as much


@dataclass(frozen=True)
class ScanProtocol:
    """How a pair is scanned.

    Parameters
    ----------
    domain : {"post", "raw"}
    settings : ScannerSettings
    isocentre_ras, image_centre_ras : (right, anterior) in mm
        Centre of rotation, and middle of the reconstructed image.
    scan_fov_mm, fov_mm : float
        Width of the scanned square, and of the image.
    slice_mm, spacing_mm : float
        Slice thickness, and distance of neighbouring slices.
    """

    domain: Domain
    settings: ScannerSettings
    isocentre_ras: tuple[float, float]
    image_centre_ras: tuple[float, float]
    scan_fov_mm: float
    fov_mm: float
    slice_mm: float
    spacing_mm: float

    @property
    def layers(self) -> int:
        """Thin layers of a slice whose intensities are averaged."""
        if self.slice_mm < _THIN_MM or self.settings.geometry != "parallel":
            return 1
        return 2 if self.slice_mm < _THICK_MM else 3

    def exposed_for(self, path: float) -> ScanProtocol:
        """Return the protocol with the dose and voltage that exposure control gives a patient.

        Scanners raise the tube current for shoulders and large bodies, about as the square root
        of what they absorb; where that starves the detector, they are scanned more slowly, and
        never with a low voltage.

        Parameters
        ----------
        path : float
            Largest line integral through the patient.
        """
        gain = np.exp(np.clip((path - _USUAL_PATH) / 2, 0.0, np.log(_MOST_GAIN)))
        photons = max(self.settings.photons_per_ray * gain, _LEAST_PASSING * np.exp(path))
        kvp = max(self.settings.kvp, _THICK_KVP) if path > _THICK_PATH else self.settings.kvp
        settings = replace(self.settings, photons_per_ray=float(photons), kvp=kvp)
        return replace(self, settings=settings)

    def facts(self) -> dict[str, Any]:
        """Everything by name, for the sidecar table."""
        return {
            "scanner": self.settings.to_json(),
            "isocentre_ras": list(self.isocentre_ras),
            "image_centre_ras": list(self.image_centre_ras),
            "scan_fov_mm": self.scan_fov_mm,
            "fov_mm": self.fov_mm,
            "slice_mm": self.slice_mm,
            "spacing_mm": self.spacing_mm,
        }


def thickest_path(hu: NDArray[np.float32], pixel_mm: float) -> float:
    """Return the larger of the highest line integrals along rows and columns of a slice.

    `hu` has the shape (rows, columns); the result is dimensionless.
    """
    mu = np.maximum(hu_to_mu(hu), 0.0)
    return float(max(mu.sum(axis=0).max(), mu.sum(axis=1).max()) * pixel_mm)


def can_be_seen_through(path: float) -> bool:
    """Whether a dose that scanners have brings light through a patient.

    Enlarged shoulders can be thicker than any scanner sees through; their scan without metal is
    streaks, and no target.

    Parameters
    ----------
    path : float
        Largest line integral through the patient.
    """
    return bool(_LEAST_PASSING * np.exp(path) <= _MOST_PHOTONS)


def draw_protocol(
    patient: Patient,
    deformation: Deformation,
    spine: FloatArray,
    settings: PairSettings,
    mild: bool,
    rng: np.random.Generator,
) -> ScanProtocol:
    """Draw a scanner and its protocol.

    Parameters
    ----------
    patient : Patient
    deformation : Deformation
    spine : ndarray, shape (3,)
        Middle of the spine in the new patient, RAS mm.
    settings : PairSettings
    mild : bool
        A generous dose, for cases with little artifact.
    rng : numpy.random.Generator
    """
    domain: Domain = "raw" if rng.random() < settings.raw_share else "post"
    left, right, back, front = _body(patient, deformation)
    isocentre = np.array([(left + right) / 2, (back + front) / 2]) + rng.normal(scale=8.0, size=2)
    sides = np.abs(np.array([left, right, back, front]) - isocentre[[0, 0, 1, 1]])
    covered = min(2.0 * float(sides.max()) + 20.0, _WIDEST_SCAN_MM)
    targeted = rng.random() < settings.targeted_share
    limits = settings.truncated_fov_mm if targeted else settings.whole_fov_mm
    fov = rng.uniform(*limits)
    shift = rng.normal(scale=(12.0, 12.0))
    if domain == "raw":
        fov = covered = min(max(covered, settings.whole_fov_mm[0], fov), _WIDEST_SCAN_MM)
        centre = isocentre
    else:
        covered = max(covered, fov)
        middle = spine[:2] if targeted else isocentre
        centre = middle + shift
    thickness = float(rng.choice(settings.slice_mm))
    spacing = thickness * float(rng.choice((1.0, 1.0, 0.8, 0.6)))
    scanner = _draw_settings(domain, covered, settings, mild, rng)
    return ScanProtocol(
        domain,
        scanner,
        (float(isocentre[0]), float(isocentre[1])),
        (float(centre[0]), float(centre[1])),
        float(covered),
        float(fov),
        thickness,
        spacing,
    )


def _body(patient: Patient, deformation: Deformation) -> tuple[float, float, float, float]:
    """Return the extent of the body (left, right, back, front) in the new patient."""
    left, right, back, front = patient.body_mm
    x, y = (left + right) / 2, (back + front) / 2
    z = deformation.pivot[2]
    ends = np.array([[left, y, z], [right, y, z], [x, back, z], [x, front, z]])
    moved = deformation.to_new(ends)
    return (
        float(moved[:, 0].min()),
        float(moved[:, 0].max()),
        float(moved[:, 1].min()),
        float(moved[:, 1].max()),
    )


def _draw_settings(
    domain: Domain,
    scan_fov_mm: float,
    settings: PairSettings,
    mild: bool,
    rng: np.random.Generator,
) -> ScannerSettings:
    low, high = np.log(settings.photons)
    kernel = _pick(_KERNELS, rng)
    # Nobody reads a bone kernel at the lowest dose.
    lowest = (low + high) / 2 if mild else low + (high - low) / 3 if kernel == "bone" else low
    photons = float(np.exp(rng.uniform(lowest, high)))
    fan = rng.random() < _FAN_SHARE
    scale: HuScale = "extended" if rng.random() < settings.extended_share else "12-bit"
    bins = grid_width_mm(scan_fov_mm) / settings.scan_bin_mm
    post = domain == "post"
    return ScannerSettings(
        kvp=int(_pick(_KVP, rng)),
        photons_per_ray=photons,
        kernel=kernel,
        # Raw pairs live on the parallel grid to which every scanner's data are rebinned.
        geometry="fan-arc" if post and fan else "parallel",
        n_views=settings.scan_views if post else settings.n_views,
        n_bins=2 * round(bins / 2) if post else settings.n_bins,
        hu_scale=scale if post else "extended",
        focal_spot_mm=rng.uniform(0.6, 1.2),
        bowtie=rng.uniform(1.0, 2.5),
        electronic_noise=rng.uniform(3.0, 15.0),
        scatter=rng.uniform(0.04, 0.2),
        scatter_correction=rng.uniform(0.7, 0.97),
        starvation_filter=bool(rng.random() < 0.75),
    )


def _pick(weighted: tuple[tuple[Any, float], ...], rng: np.random.Generator) -> Any:
    weights = np.array([weight for _, weight in weighted])
    return weighted[int(rng.choice(len(weighted), p=weights / weights.sum()))][0]
