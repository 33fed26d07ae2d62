"""May an earlier CT be believed? What is refused, and what is said."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spinemar.errors import InputError
from spinemar.registration.motions import LAID_OVER, VertebraMotion

_LEAST_BODY_LIKENESS = 0.7
_LEAST_OVERLAP = 0.1
#: So alike are a vertebra and its surroundings in two CTs of one patient, metal and its streaks
#: apart; less is a doubtful registration.
SAME_VERTEBRA = 0.88
# So alike are bodies only where they are one patient's: they have 0.87 to 0.96, another region 0.83
# at most, other patients 0.78 (Docs/earlier-ct.md).
_SAME_BODY = 0.86


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


def other_patient(motions: Sequence[VertebraMotion], likeness: float) -> bool:
    """Whether the vertebrae that can be compared are those of somebody else.

    Fewer than half of them are laid over the scan's and alike. What steel leaves of streaks makes a
    patient's own vertebrae less alike, most in thick slices. So where the bodies, of which metal
    spoils little, are as alike as only one patient's are, and one vertebra at least is alike,
    others count that were laid over.

    Parameters
    ----------
    motions : sequence of VertebraMotion
    likeness : float
        Correlation of the two CTs in the body around the metal; NaN where it is not known.
    """
    judged = [one for one in motions if not math.isnan(one.likeness)]
    laid = [one.likeness for one in judged if one.found != "neighbours"]
    sure = max(laid, default=0.0) >= SAME_VERTEBRA
    enough = LAID_OVER if sure and likeness >= _SAME_BODY else SAME_VERTEBRA
    return bool(judged) and sum(one >= enough for one in laid) < 0.5 * len(judged)


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
