"""What became of an earlier CT in a correction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.registration.motions import Registration
from spinemar.registration.motions_json import registration_facts
from spinemar.volume import LabelVolume


@dataclass(frozen=True, eq=False)
class EarlierUse:
    """How an earlier CT was laid over the scan, and how far it was believed.

    Parameters
    ----------
    registration : Registration
        Transforms, and facts of every vertebra.
    registered_hu : ndarray of int16, shape (k, j, i) of the scan
        The earlier CT on the scan's grid, in the slices with metal; air elsewhere and where it
        shows nothing.
    agreement_percent : ndarray of uint8, same shape
        Weight of its detail in the prior, 0 (not believed or not needed) to 100.
    labels : LabelVolume or None
        Its vertebrae, moved onto the scan.
    facts : mapping of str to str
        Of `EarlierCt.facts`.
    """

    registration: Registration
    registered_hu: NDArray[np.int16]
    agreement_percent: NDArray[np.uint8]
    labels: LabelVolume | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def believed(self) -> bool:
        """Whether it lent anything to any slice."""
        return bool(self.agreement_percent.any())

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {
            "facts": dict(self.facts),
            "registration": registration_facts(self.registration),
            "mean_agreement_percent": self._mean_agreement(),
        }

    def _mean_agreement(self) -> float:
        used = self.agreement_percent[self.agreement_percent > 0]
        return round(float(used.mean()), 1) if used.size else 0.0
