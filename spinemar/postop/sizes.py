"""What size a fitted shank is: its outer diameter, and the catalogue's size that is likeliest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spinemar.implants.catalogue import ScrewModel
from spinemar.planning.plans.plan import Screw
from spinemar.postop.fit import FittedShank

# A thread holds less metal than its outer cylinder, and networks draw it a little thicker than it
# is: outer over fitted diameter, measured on simulated scans of the training patients
# (Docs/postop.md).
_OUTER_PER_FITTED = 1.264
_DIAMETER_ERROR_MM, _LENGTH_ERROR_MM = 0.4, 1.5


@dataclass(frozen=True)
class NearestSize:
    """The size of the catalogue that a fitted screw is likeliest of.

    Parameters
    ----------
    model : str
    diameter_mm, length_mm : float
    likelihood : float
        Among all sizes of the model, 0 to 1.
    """

    model: str
    diameter_mm: float
    length_mm: float
    likelihood: float


def with_one_blur(fits: Sequence[FittedShank]) -> list[FittedShank]:
    """Give all shanks of a scan the same blur, and each the radius that goes with it.

    How blurred metal looks is the scanner's and the metal's, and so the same for all screws; a fit
    alone may take a thick shank for a thin one that is more blurred. The radius follows along the
    line on which the fit hardly changes.

    Parameters
    ----------
    fits : sequence of FittedShank
        Of one scan.
    """
    if not fits:
        return []
    blur_mm = float(np.median([fit.blur_mm for fit in fits]))
    return [
        replace(
            fit,
            blur_mm=blur_mm,
            radius_mm=max(fit.radius_mm + fit.radius_per_blur * (blur_mm - fit.blur_mm), 0.5),
        )
        for fit in fits
    ]


def outer_diameter_mm(fit: FittedShank) -> float:
    """Return the outer diameter of the thread.

    Parameters
    ----------
    fit : FittedShank
        Its radius is that of a smooth cylinder with as much metal as was seen.
    """
    return 2.0 * fit.radius_mm * _OUTER_PER_FITTED


def nearest_size(screw: Screw, model: ScrewModel) -> NearestSize:
    """Return the likeliest size of a model, errors taken as normal.

    Parameters
    ----------
    screw : Screw
    model : ScrewModel
    """
    diameters, lengths = np.array(model.diameters_mm), np.array(model.lengths_mm)
    across = np.exp(-0.5 * ((diameters - screw.diameter_mm) / _DIAMETER_ERROR_MM) ** 2)
    along = np.exp(-0.5 * ((lengths - screw.length_mm) / _LENGTH_ERROR_MM) ** 2)
    d, n = int(np.argmax(across)), int(np.argmax(along))
    total = max(float(across.sum() * along.sum()), 1e-12)
    likely = float(across[d] * along[n]) / total
    return NearestSize(model.id, float(diameters[d]), float(lengths[n]), likely)
