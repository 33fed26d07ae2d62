"""One exposure of the detector: line integrals in, corrected projections out.

The steps are pure functions of their own files; this one only sets their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.effects.aperture import detect
from spinemar.physics.effects.beam_hardening import WaterCorrection, water_correction
from spinemar.physics.effects.bowtie import BOWTIE_MATERIAL, bowtie_mm
from spinemar.physics.effects.detector import smooth_starved, to_projection
from spinemar.physics.effects.noise import noisy_signal
from spinemar.physics.effects.polychromatic import transmission
from spinemar.physics.effects.scatter import scatter_signal
from spinemar.physics.materials import REFERENCE_KEV
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.spectra import Beam, detected_beam


@dataclass(frozen=True)
class Exposure:
    """What reaches the detector, before noise, in signals of an open central ray.

    Parameters
    ----------
    signal, variance : ndarray of float32, shape (views, bins)
        Mean signal, and variance of the signal of one photon per ray.
    """

    signal: NDArray[np.float32]
    variance: NDArray[np.float32]


@dataclass(frozen=True)
class Acquisition:
    """A calibrated scanner: beam, bowtie, air scan and water correction for its rays.

    Parameters
    ----------
    settings : ScannerSettings
    materials : tuple of str
        Order of the materials in `expose`.
    beam : Beam
    ray_mm : float
        Distance between rays at the centre of rotation.
    bowtie : ndarray, shape (rays,)
        Millimetres of aluminium before each ray (rays = bins * oversampling).
    air : Exposure, shape (bins,)
        Air scan.
    correction : WaterCorrection
    """

    settings: ScannerSettings
    materials: tuple[str, ...]
    beam: Beam
    ray_mm: float
    bowtie: NDArray[np.float32]
    air: Exposure
    correction: WaterCorrection

    def expose(self, paths_mm: NDArray[np.float32]) -> Exposure:
        """Send the beam through the patient.

        Parameters
        ----------
        paths_mm : ndarray, shape (materials, views, rays)
            Millimetres of each material along each ray.
        """
        views = paths_mm.shape[1]
        filters = np.broadcast_to(self.bowtie, (1, views, len(self.bowtie)))
        return _expose(self, np.concatenate((paths_mm, filters)))

    def read_out(
        self, exposure: Exposure, noise: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Measure, correct and take the logarithm.

        Parameters
        ----------
        exposure : Exposure
        noise : ndarray, shape (2, views, bins), or None
            Deviates from `spinemar.physics.effects.noise.deviates`; None measures without noise.

        Returns
        -------
        ndarray of float32, shape (views, bins)
            Line integrals as if of water at 70 keV.
        """
        settings = self.settings
        signal, variance = exposure.signal, exposure.variance
        bin_mm = self.ray_mm * settings.ray_oversampling
        if settings.scatter > 0:
            extra = scatter_signal(signal, self.air.signal, bin_mm, settings.scatter)
            signal, variance = signal + extra, variance + extra
        photons = settings.photons_per_ray
        if noise is None:
            counts = signal * np.float32(photons)
        else:
            counts = noisy_signal(
                signal,
                variance,
                photons,
                noise,
                quantum=settings.quantum_noise,
                electronic=settings.electronic_noise,
            )
        if settings.scatter > 0 and settings.scatter_correction > 0:
            # The scanner knows only what it measured, scatter and noise included.
            measured = np.maximum(counts, 0.0) / np.float32(photons)
            guess = scatter_signal(measured, self.air.signal, bin_mm, settings.scatter)
            counts = counts - guess * np.float32(photons * settings.scatter_correction)
        if settings.starvation_filter:
            counts = smooth_starved(counts)
        projections = to_projection(
            counts,
            self.air.signal,
            photons,
            floor_photons=settings.floor_photons,
            saturation=settings.saturation or float("inf"),
        )
        return self.correction(projections)


def calibrate(
    settings: ScannerSettings, implant_materials: Sequence[str], offsets_mm: NDArray[np.floating]
) -> Acquisition:
    """Prepare a scanner for a set of rays.

    Parameters
    ----------
    settings : ScannerSettings
    implant_materials : sequence of str
        Materials besides water and cortical bone.
    offsets_mm : ndarray, shape (rays,)
        Distance of each ray from the centre of rotation, rays = bins * oversampling.
    """
    tissues = ("water", "cortical_bone")
    materials = (*tissues, *(name for name in implant_materials if name not in tissues))
    beam = detected_beam(
        settings.kvp,
        list(dict.fromkeys((*materials, BOWTIE_MATERIAL))),
        n_groups=settings.n_energies,
        monochromatic_kev=None if settings.polychromatic else REFERENCE_KEV,
    )
    rays = np.asarray(offsets_mm, dtype=np.float64)
    bowtie = bowtie_mm(rays, settings.bowtie)
    bins = rays.reshape(-1, settings.ray_oversampling).mean(axis=1)
    correction = water_correction(
        beam, bowtie_mm(bins, settings.bowtie), hardening=settings.water_correction
    )
    ray_mm = float(np.abs(np.diff(rays)).mean())
    blank = Exposure(np.ones(1, np.float32), np.ones(1, np.float32))
    draft = Acquisition(settings, materials, beam, ray_mm, bowtie, blank, correction)
    air = draft.expose(np.zeros((len(materials), 1, len(rays)), dtype=np.float32))
    return Acquisition(
        settings,
        materials,
        beam,
        ray_mm,
        bowtie,
        Exposure(air.signal[0], air.variance[0]),
        correction,
    )


def _expose(acquisition: Acquisition, paths_mm: NDArray[np.float32]) -> Exposure:
    """Beer-Lambert for all materials and the bowtie, then the detector's aperture."""
    beam, settings = acquisition.beam, acquisition.settings
    mu = beam.mu_table((*acquisition.materials, BOWTIE_MATERIAL))
    shares = np.stack((beam.signal, beam.photons * beam.response**2))
    both = detect(
        transmission(paths_mm, mu, shares),
        settings.ray_oversampling,
        settings.focal_spot_mm,
        acquisition.ray_mm,
    )
    return Exposure(both[0], both[1])
