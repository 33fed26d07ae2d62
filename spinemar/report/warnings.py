"""What a reader of a correction's report has to know before looking at its pictures."""

from __future__ import annotations

from collections.abc import Iterable

from spinemar.report.content import ReportContent, ReportedCorrection

_MOST_RANGES = 8


def warnings_of(content: ReportContent) -> list[str]:
    """List what is unsafe about the recommended result, the worst first.

    Returns
    -------
    list of str
        Sentences; empty where there is nothing to warn of.
    """
    final = content.corrected[-1]
    rising = sorted(rising_slices(content, final))
    unsure = [s.index for s in final.result.slices if s.corrected and s.outline == "threshold"]
    left = final.result.left_alone
    lines = []
    if rising:
        lines.append(f"The error rises in {_slices(rising)}: do not use the correction there.")
    if unsure:
        lines.append(
            f"Metal looks too thick in {_slices(unsure)}: its outline could not be told from its "
            "glow."
        )
    if left:
        lines.append(f"Left as scanned, artifacts and all: {_slices(left)}. The table says why.")
    if final.result.provenance.fallback:
        lines.append(final.result.provenance.fallback)
    return lines


def rising_slices(content: ReportContent, one: ReportedCorrection) -> frozenset[int]:
    """Slices in which a correction's error against the truth is larger than the scan's own.

    Empty where there is no truth.
    """
    if content.scores_before is None or one.scores is None:
        return frozenset()
    before = {s.index: s.rmse_hu for s in content.scores_before.slices}
    return frozenset(
        s.index for s in one.scores.slices if s.rmse_hu > before.get(s.index, s.rmse_hu)
    )


def _slices(indices: Iterable[int]) -> str:
    """Name slices as people count them, runs of neighbours as one."""
    numbers = sorted(index + 1 for index in indices)
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]}" if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    named = ", ".join(texts[:_MOST_RANGES])
    more = sum(len(run) for run in runs[_MOST_RANGES:])
    noun = "slice" if len(numbers) == 1 else "slices"
    return f"{noun} {named}" + (f" and {more} more" if more else "")
