"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spinemar.evaluation import Scores
from spinemar.io.study import Study
from spinemar.mar.result import CorrectionResult
from spinemar.mar.settings import METHOD_TITLES
from spinemar.volume import CTVolume


@dataclass(frozen=True)
class ReportedCorrection:
    """One method's result.

    Parameters
    ----------
    result : CorrectionResult
    scores : Scores or None
        Against the truth, where there is one.
    filled : ndarray of float32, shape (views, bins), or None
        Inpainted sinogram of the slice that the sinogram picture shows.
    """

    result: CorrectionResult
    scores: Scores | None = None
    filled: NDArray[np.float32] | None = None

    @property
    def name(self) -> str:
        """The method's name for people."""
        method = self.result.provenance.method
        return METHOD_TITLES.get(method, method)


@dataclass(frozen=True)
class Sinogram:
    """Rays of one slice.

    Parameters
    ----------
    index : int
        Axial slice.
    rays : ndarray of float32, shape (views, bins)
        Line integrals before the correction.
    trace : ndarray of bool, shape (views, bins)
        Rays that may be replaced.
    """

    index: int
    rays: NDArray[np.float32]
    trace: NDArray[np.bool_]


@dataclass(frozen=True)
class ReportContent:
    """Everything that a report shows.

    Parameters
    ----------
    title : str
    before : CTVolume
        The scan with artifacts.
    corrected : tuple of Corrected
        One for each method, all on the grid of `before`; the last one is the recommended.
    metal : ndarray of bool, shape of `before`
    truth : CTVolume or None
        The same scan without metal, where it is known.
    scores_before : Scores or None
        Of `before` against `truth`.
    sinogram : Sinogram or None
    facts : mapping of str to str
        Further lines for the table of how it was made.
    introduction : str
        One or two sentences under the title.
    study : Study
        Which scan it is, for every page.
    """

    title: str
    before: CTVolume
    corrected: tuple[ReportedCorrection, ...]
    metal: NDArray[np.bool_]
    truth: CTVolume | None = None
    scores_before: Scores | None = None
    sinogram: Sinogram | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    introduction: str = ""
    study: Study = field(default_factory=Study)
