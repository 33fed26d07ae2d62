"""Hounsfield units and linear attenuation, both ways and without clipping.

Streaks go far below -1000 HU. Clipping them to air before projecting breaks the consistency
of the rays, so nothing is clipped here: negative attenuation is allowed on purpose.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MU_WATER_PER_MM = 0.0193
"""Linear attenuation of water at 70 keV, per mm."""


def hu_to_mu(hu: NDArray[np.floating]) -> NDArray[np.float32]:
    """Convert Hounsfield units to linear attenuation.

    Parameters
    ----------
    hu : ndarray
        Hounsfield units, any shape.

    Returns
    -------
    ndarray of float32
        Attenuation per mm; -1000 HU gives 0, lower values are negative.

    Examples
    --------
    >>> import numpy as np
    >>> [round(float(mu), 4) for mu in hu_to_mu(np.array([-1000.0, 0.0, 1000.0]))]
    [0.0, 0.0193, 0.0386]
    """
    scale = np.float32(MU_WATER_PER_MM / 1000.0)
    return np.asarray(hu, dtype=np.float32) * scale + np.float32(MU_WATER_PER_MM)


def mu_to_hu(mu: NDArray[np.floating]) -> NDArray[np.float32]:
    """Convert linear attenuation per mm (any shape) to HU, the inverse of `hu_to_mu`.

    Examples
    --------
    >>> import numpy as np
    >>> [round(float(hu)) for hu in mu_to_hu(hu_to_mu(np.array([-1200.0, 40.0])))]
    [-1200, 40]
    """
    scale = np.float32(1000.0 / MU_WATER_PER_MM)
    return np.asarray(mu, dtype=np.float32) * scale - np.float32(1000.0)


def difference_to_hu(delta_mu: NDArray[np.floating]) -> NDArray[np.float32]:
    """Convert a difference of attenuations per mm (any shape) to a difference in HU."""
    return np.asarray(delta_mu, dtype=np.float32) * np.float32(1000.0 / MU_WATER_PER_MM)
