"""Tungsten tube spectra, the detector's response, and their reduction to a few energies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.physics.materials import mu_per_mm
from spinemar.physics.tables import table

_SCINTILLATOR_MM = 1.4
"""Thickness of the gadolinium oxysulphide ceramic of the detector."""


@dataclass(frozen=True)
class Spectrum:
    """Photons that leave the tube (after its fixed filters), by energy.

    Parameters
    ----------
    energies_kev : ndarray, shape (energies,)
    photons : ndarray, shape (energies,)
        Share of the photons in each bin; the sum is 1.
    """

    energies_kev: NDArray[np.float64]
    photons: NDArray[np.float64]

    @property
    def mean_energy_kev(self) -> float:
        """Photon-weighted mean energy."""
        return float(self.energies_kev @ self.photons / self.photons.sum())

    def behind(self, material: str, thickness_mm: float) -> Spectrum:
        """Harden the spectrum by a layer of material, sum 1 again."""
        left = self.photons * np.exp(-mu_per_mm(material, self.energies_kev) * thickness_mm)
        return Spectrum(self.energies_kev, left / left.sum())


def tube_voltages() -> tuple[int, ...]:
    """Tube voltages in kVp for which a spectrum is shipped."""
    return tuple(int(name) for name in table("spectra") if name != "energy_kev")


def load_spectrum(kvp: int) -> Spectrum:
    """Read the shipped spectrum of a tube voltage.

    Parameters
    ----------
    kvp : int
        80, 100, 120 or 140.

    Returns
    -------
    Spectrum
        1 keV bins where there are photons.

    Raises
    ------
    InputError
        If there is none of this voltage.
    """
    if kvp not in tube_voltages():
        raise InputError(
            f"There is no spectrum for {kvp} kVp.",
            f"Use one of {', '.join(map(str, tube_voltages()))} kVp.",
        )
    columns = table("spectra")
    photons = columns[str(kvp)]
    present = photons > 1e-7
    photons = photons[present]
    return Spectrum(columns["energy_kev"][present], photons / photons.sum())


@dataclass(frozen=True)
class Beam:
    """A spectrum as the detector weighs it, reduced to a few energy groups.

    Parameters
    ----------
    energies_kev : ndarray, shape (groups,)
        Mean energy of each group.
    photons : ndarray, shape (groups,)
        Share of the absorbed photons; the sum is 1.
    response : ndarray, shape (groups,)
        Mean signal of one absorbed photon; the photon-weighted mean is 1.
    mu : dict of str to ndarray, shape (groups,)
        Signal-weighted mean attenuation in 1/mm of each material asked for.
    """

    energies_kev: NDArray[np.float64]
    photons: NDArray[np.float64]
    response: NDArray[np.float64]
    mu: dict[str, NDArray[np.float64]]

    @property
    def signal(self) -> NDArray[np.float64]:
        """Share of the signal of each group; the sum is 1."""
        return self.photons * self.response

    def mu_table(self, materials: Sequence[str]) -> NDArray[np.float64]:
        """Attenuation as a table (materials, groups) in the order asked for."""
        return np.stack([self.mu[name] for name in materials])


def detected_beam(
    kvp: int,
    materials: Sequence[str],
    *,
    n_groups: int = 24,
    monochromatic_kev: float | None = None,
) -> Beam:
    """Reduce a tube spectrum to a few groups for the polychromatic sum.

    The scintillator weighs each photon by the energy it deposits.
    Each group carries its photons, its mean response and signal-weighted mean attenuation, so
    thin objects are exact and thick ones converge quickly with the number of groups.

    Parameters
    ----------
    kvp : int
        Tube voltage.
    materials : sequence of str
        Materials the rays may cross.
    n_groups : int
        Number of energies in the polychromatic sum.
    monochromatic_kev : float, optional
        Replace the spectrum by one line: no beam hardening.

    Raises
    ------
    InputError
        If there is no energy, or a voltage or material that is not tabulated.
    """
    if n_groups < 1:
        raise InputError("A beam needs at least one energy.", "Use 12 energies or more.")
    if monochromatic_kev is not None:
        energy = np.array([float(monochromatic_kev)])
        mu = {name: mu_per_mm(name, energy) for name in materials}
        return Beam(energy, np.ones(1), np.ones(1), mu)
    spectrum = load_spectrum(kvp)
    energies = spectrum.energies_kev
    absorbed = spectrum.photons * -np.expm1(-mu_per_mm("Gd2O2S", energies) * _SCINTILLATOR_MM)
    signal = absorbed * energies
    absorbed, signal = absorbed / absorbed.sum(), signal / signal.sum()
    group = _energy_groups(signal, n_groups)
    count = group.max() + 1
    photons = np.bincount(group, absorbed, count).astype(np.float64)
    share = np.bincount(group, signal, count).astype(np.float64)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(group, signal * values, count) / share)

    mu = {name: mean(mu_per_mm(name, energies)) for name in materials}
    return Beam(mean(energies), photons, share / photons, mu)


def _energy_groups(signal: NDArray[np.float64], n_groups: int) -> NDArray[np.int64]:
    """Group number of each 1 keV bin: groups of about equal share of a flattened signal.

    The root flattens the spectrum, so that its hard end, which alone passes metal, and its soft
    end, where attenuation changes fastest, get groups of their own.
    """
    flattened = np.sqrt(signal)
    middle = np.cumsum(flattened) - flattened / 2
    group = np.floor(middle / flattened.sum() * n_groups).astype(np.int64)
    return np.unique(group, return_inverse=True)[1].reshape(-1)
