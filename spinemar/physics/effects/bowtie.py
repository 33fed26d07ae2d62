"""The bowtie filter: aluminium that thickens towards the edge of the beam."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinemar.physics.materials import REFERENCE_KEV, mu_per_mm

BOWTIE_MATERIAL = "aluminium"
_EDGE_MM = 250.0
_RADIUS_MM = 300.0


def bowtie_mm(offset_mm: ArrayLike, edge_nepers: float) -> NDArray[np.float32]:
    """Thickness of the bowtie that a ray crosses.

    Parameters
    ----------
    offset_mm : array_like
        Distance of the ray from the centre of rotation.
    edge_nepers : float
        Attenuation at 250 mm for 70 keV; 0 means no bowtie.

    Returns
    -------
    ndarray of float32, shape of `offset_mm`
        Millimetres of aluminium: none in the middle, growing as the missing water of a
        cylinder of 300 mm radius does, constant outside 250 mm.
    """
    offset = np.minimum(np.abs(np.asarray(offset_mm, dtype=np.float64)), _EDGE_MM)

    def missing(r: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(1.0 - np.sqrt(1.0 - (np.asarray(r) / _RADIUS_MM) ** 2))

    nepers = edge_nepers * missing(offset) / missing(_EDGE_MM)
    return np.asarray(nepers / mu_per_mm(BOWTIE_MATERIAL, REFERENCE_KEV), dtype=np.float32)
