"""The card of eight scores for every case of a pair of folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from spinemar.errors import InputError
from spinemar.evaluation.aapm.card import AapmCard, AapmScores, aapm_card
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.volume import CTVolume

_METAL_SHARE = 0.5


def cards_of(
    truths: Mapping[str, CTVolume],
    results: Mapping[str, CTVolume],
    scans: Mapping[str, CTVolume],
    metals: Mapping[str, CTVolume],
    nmars: Mapping[str, CTVolume] | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, AapmCard]:
    """Score every result by the picture of the same name in the other folders.

    Parameters
    ----------
    truths, results, scans : mapping of name to CTVolume
        Without metal, corrected, as scanned.
    metals : mapping of name to CTVolume
        True metal: a share of each voxel, or 0 and 1; half a voxel counts.
    nmars : mapping of name to CTVolume, optional
        The middle mark, see `aapm_card`.
    progress, cancel : optional
        See `spinemar.progress`.

    Raises
    ------
    InputError
        If a folder lacks a case, or a case holds no metal.
    GeometryError
        If the pictures of a case lie on different grids.
    """
    folders = {"truth": truths, "scan": scans, "metal": metals, "NMAR's result": nmars or results}
    for what, known in folders.items():
        missing = sorted(set(results) - set(known))
        if missing:
            raise InputError(f"There is no {what} of {missing[0]}.", "Name the files alike.")
    cards = {}
    for number, (name, result) in enumerate(sorted(results.items())):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(Progress("Scoring cases", number, len(results)))
        metal = metals[name].hu >= _METAL_SHARE
        middle = None if nmars is None else nmars[name]
        try:
            cards[name] = aapm_card(truths[name], result, metal, scans[name], nmar=middle)
        except InputError as error:
            raise InputError(f"{name}: {error.problem}", error.remedy) from error
    progress(Progress("Scoring cases", len(results), len(results)))
    return cards


def mean_scores(cards: Sequence[AapmCard]) -> dict[str, float]:
    """Return the mean of each score over cases that have it, and of the cases' sums.

    NaN where no case has it. A case without one of the scores has no sum.
    """
    fields = AapmScores.__dataclass_fields__
    columns = {name: [getattr(card.scores, name) for card in cards] for name in fields}
    columns["total"] = [card.scores.total for card in cards]
    return {name: _mean(values) for name, values in columns.items()}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if isfinite(value)]
    return sum(known) / len(known) if known else float("nan")
