"""How far a proton beam would miss: water-equivalent thickness along simple paths.

Relative stopping power follows the CT number by straight lines between ICRU tissues, whose
stopping power is Bethe's for protons of 100 MeV (electron density and mean excitation energy of
ICRU Report 44; water 75 eV) and whose CT number is their attenuation at 70 keV.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STOPPING_POWER = ((-1000.0, 0.001), (-90.0, 0.969), (45.0, 1.041), (1561.0, 1.690))
"""(HU, relative stopping power) of air, adipose tissue, muscle and cortical bone."""
FIELD_MM = 25.0
"""Half the width of the treatment field about the metal's middle, and the depth beyond it."""


def stopping_power(hu: NDArray[np.floating]) -> NDArray[np.float64]:
    """Relative stopping power of tissue, any shape; beyond cortical bone the last slope goes on."""
    heights, powers = np.array(STOPPING_POWER).T
    slope = (powers[-1] - powers[-2]) / (heights[-1] - heights[-2])
    beyond = np.maximum(np.asarray(hu, dtype=np.float64) - heights[-1], 0.0)
    return np.asarray(np.interp(hu, heights, powers) + slope * beyond)


def beam_ranges_mm(
    hu: NDArray[np.floating],
    body: NDArray[np.bool_],
    metal: NDArray[np.bool_],
    pixel_mm: tuple[float, float],
) -> NDArray[np.float64]:
    """Water-equivalent thickness of rays from the four sides to the far end of a target.

    Parameters
    ----------
    hu : ndarray, shape (rows, columns)
        Metal should be given a tissue's value: only what lies around it is compared.
    body, metal : ndarray of bool, shape (rows, columns)
        The field is 50 mm wide about the metal's middle; rays end 25 mm beyond that middle.
    pixel_mm : (row spacing, column spacing)

    Returns
    -------
    ndarray, shape (rays,)
        mm of water.
    """
    power = np.where(body, stopping_power(hu), 0.0)
    middle = [float(np.mean(index)) for index in np.nonzero(metal)]
    found = []
    for axis in (0, 1):
        across = 1 - axis
        beside = (np.arange(power.shape[across]) - middle[across]) * pixel_mm[across]
        rays = np.compress(np.abs(beside) <= FIELD_MM, power, axis=across)
        place = (np.arange(power.shape[axis]) - middle[axis]) * pixel_mm[axis]
        for way in (place <= FIELD_MM, place >= -FIELD_MM):
            found.append(np.compress(way, rays, axis=axis).sum(axis=axis) * pixel_mm[axis])
    return np.concatenate(found)
