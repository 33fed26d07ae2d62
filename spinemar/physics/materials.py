"""Linear attenuation of tissues and implant materials by photon energy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinemar.errors import InputError
from spinemar.physics.tables import recipe, table

REFERENCE_KEV = 70.0
"""Energy at which the image's HU are read as attenuation (120 kVp behind a body)."""

METALS = ("Ti", "Ti-6Al-4V", "316L", "CoCrMo", "Ta")
"""Materials that count as metal; PEEK, cement and tissue do not."""

STORED_METALS = ("Ti", "Ti-6Al-4V", "316L", "CoCrMo", "Ta")
"""Those that training pairs tell apart, in the order of a store's entries."""


def material_names() -> tuple[str, ...]:
    """All materials of the shipped table."""
    return tuple(recipe()["materials"])


def density_g_cm3(material: str) -> float:
    """Mass density of a material in g/cm3.

    Raises
    ------
    InputError
        If the material is not known.
    """
    materials = recipe()["materials"]
    if material not in materials:
        raise InputError(
            f"The material {material!r} is not known.",
            f"Use one of: {', '.join(materials)}.",
        )
    return float(materials[material]["density_g_cm3"])


def mu_per_mm(material: str, energies_kev: ArrayLike) -> NDArray[np.float64]:
    """Linear attenuation coefficient, coherent scatter included.

    Parameters
    ----------
    material : str
        One of `material_names()`.
    energies_kev : array_like
        Photon energies in keV, within the table's 10-150 keV.

    Returns
    -------
    ndarray of float64
        1/mm, same shape as `energies_kev`; log-log interpolation of a 1 keV table.

    Raises
    ------
    InputError
        If the material is not known, or an energy lies outside the table.

    Examples
    --------
    >>> [round(float(mu_per_mm(name, 70.0)), 3) for name in ("water", "Ti-6Al-4V", "316L")]
    [0.019, 0.23, 0.688]
    """
    density = density_g_cm3(material)
    columns = table("attenuation")
    energies = np.asarray(energies_kev, dtype=np.float64)
    grid = columns["energy_kev"]
    if energies.size and (energies.min() < grid[0] or energies.max() > grid[-1]):
        raise InputError(
            f"Attenuation is tabulated from {grid[0]:g} to {grid[-1]:g} keV, not at "
            f"{energies.min():g} to {energies.max():g}.",
            "Use a diagnostic tube voltage of 80, 100, 120 or 140 kVp.",
        )
    mass = np.exp(np.interp(np.log(energies), np.log(grid), np.log(columns[material])))
    # cm2/g times g/cm3 is 1/cm.
    return np.asarray(mass * density / 10.0)


def hu_at(material: str) -> float:
    """CT number of a pure material for photons of 70 keV."""
    water = float(mu_per_mm("water", REFERENCE_KEV))
    return 1000.0 * (float(mu_per_mm(material, REFERENCE_KEV)) / water - 1.0)
