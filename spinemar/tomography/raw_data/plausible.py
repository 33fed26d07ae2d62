"""Whether raw data are what they should be: line integrals, and parallel views of half a turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError

_TOO_LARGE = 25.0  # exp(-25): no detector counts so few photons
_SHARE_TOO_LARGE = 0.05
_OUTER_SHARE = 0.04
_MISSES_TOO_MUCH = 1.3
_LEAST = 0.5
_SAME_WITHIN_STEPS, _OPEN_BEYOND_STEPS = 1.5, 6.0

_EXPORT = (
    "Export line integrals: the natural logarithm of open over measured beam, about 0 beside the "
    "body and positive in it."
)


def check_line_integrals(projections: NDArray[np.float32]) -> None:
    """Refuse counts, transmissions, and logarithms of the wrong sign or without the open beam.

    Parameters
    ----------
    projections : ndarray of float32, shape (..., bins)

    Raises
    ------
    InputError
        If they cannot be line integrals.
    """
    bins = projections.shape[-1]
    edge = max(1, round(_OUTER_SHARE * bins))
    outer = float(np.mean([projections[..., :edge].mean(), projections[..., -edge:].mean()]))
    inner = float(projections[..., bins // 3 : bins - bins // 3].mean())
    large = float(np.mean(projections > _TOO_LARGE))
    if inner < 0:
        raise InputError(
            f"The raw data are no line integrals: they are negative where the body is (mean "
            f"{inner:.3g}). Is it a logarithm without its minus sign?",
            _EXPORT,
        )
    if outer > max(_MISSES_TOO_MUCH * inner, _LEAST):
        raise InputError(
            f"The raw data are no line integrals: they are larger beside the body ({outer:.3g}) "
            f"than through it ({inner:.3g}). Are they counts, or a share that came through?",
            _EXPORT,
        )
    if large > _SHARE_TOO_LARGE:
        raise InputError(
            f"The raw data are no line integrals: {100 * large:.0f} % of them are above "
            f"{_TOO_LARGE:g}, more than any body and metal.",
            _EXPORT,
        )


def check_half_turn(projections: NDArray[np.float32]) -> None:
    """Refuse parallel views that do not end where the first one, mirrored, would follow.

    Parameters
    ----------
    projections : ndarray, shape (slices, views, bins)

    Raises
    ------
    InputError
        If they span a whole turn, or another angle than half a turn.
    """
    views = projections.shape[1]
    if views < 4:
        return
    pairs = zip(range(views - 1), range(1, views), strict=True)
    step = float(np.median([_rms(projections[:, b] - projections[:, a]) for a, b in pairs]))
    half, flipped = views // 2, projections[:, :, ::-1]
    # Once round, the second half mirrors the first. What mirrors itself tells nothing, and its
    # whole turn reconstructs as its half does.
    repeats = _rms(projections[:, half : 2 * half] - flipped[:, :half])
    lopsided = _rms(projections - flipped)
    if repeats < _SAME_WITHIN_STEPS * step < lopsided:
        raise InputError(
            "The parallel views go round a whole turn: its second half mirrors the first.",
            "Give half a turn, which holds every ray once: the first half of the views.",
        )
    mirrored = _rms(projections[:, -1] - flipped[:, 0])
    if mirrored > _OPEN_BEYOND_STEPS * step:
        raise InputError(
            "The parallel views do not span half a turn about the middle bin: the last one is not "
            "the mirror of the first.",
            "Check the angle that the views span, and that the axis of rotation is in the middle "
            "of the bins.",
        )


def _rms(difference: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))
