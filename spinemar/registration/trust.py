"""May an earlier CT be believed? What is refused, and what is said."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spinemar.errors import InputError
from spinemar.registration.motions import VertebraMotion

_LEAST_BODY_LIKENESS = 0.7
_LEAST_OVERLAP = 0.1
_SAME_VERTEBRA = 0.88


def check_same_patient(likeness: float, overlap: float) -> None:
    """Refuse an earlier CT that shows another body or another region of it.

    Parameters
    ----------
    likeness : float
        Correlation of the two CTs, -1 to 1; NaN where it is not known.
    overlap : float
        Share of the metal's height that the earlier CT shows, 0 to 1.

    Raises
    ------
    InputError
        With the reason.
    """
    if not likeness >= _LEAST_BODY_LIKENESS and not math.isnan(likeness):
        raise InputError(
            "The earlier CT does not show what the scan shows "
            f"(likeness {max(likeness, 0.0):.2f}, at least {_LEAST_BODY_LIKENESS} is needed).",
            "Give a CT of the same patient and region.",
        )
    if overlap < _LEAST_OVERLAP:
        raise InputError(
            "The earlier CT does not show the levels with metal.",
            "Give a CT of the same patient that shows them.",
        )


def other_patient(motions: Sequence[VertebraMotion]) -> bool:
    """Whether the vertebrae that can be compared are those of somebody else."""
    judged = [one.likeness for one in motions if not math.isnan(one.likeness)]
    alike = sum(likeness >= _SAME_VERTEBRA for likeness in judged)
    return bool(judged) and alike < 0.5 * len(judged)


def none_registered(motions: Sequence[VertebraMotion]) -> bool:
    """Whether there are vertebrae, and not one of them could be laid over the scan's."""
    return bool(motions) and all(one.found == "neighbours" for one in motions)


def warnings_about(motions: Sequence[VertebraMotion], overlap: float) -> list[str]:
    """Say what is uncertain, in whole sentences.

    Parameters
    ----------
    motions : sequence of VertebraMotion
    overlap : float
        Share of the metal's height that the earlier CT shows, 0 to 1.
    """
    said = []
    failed = [one.level for one in motions if one.found == "neighbours"]
    if failed:
        said.append(
            f"The registration of {', '.join(failed)} could not be trusted; there the earlier CT "
            "is not used."
        )
    if overlap < 0.95:
        said.append(f"The earlier CT shows {100 * overlap:.0f} % of the levels with metal.")
    return said
