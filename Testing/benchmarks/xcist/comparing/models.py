"""What a new model is worth: its scores on the judge paired with an older one's, case by case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from spinemar_study.statistics import geometric

from spinemar.errors import InputError

_REGIONS = (
    ("seen", "rmse_hu"),
    ("seen, within 20 mm", "rmse_near_hu"),
    ("outside masks", "rmse_outside_masks_hu"),
    ("outside masks, within 20 mm", "rmse_near_outside_masks_hu"),
)

_Row = Mapping[str, Any]


def compare(
    before: Sequence[_Row], after: Sequence[_Row], method: str, scale: str = "12-bit"
) -> list[str]:
    """Return a table of ratios of errors, metal counted from half of a voxel.

    Parameters
    ----------
    before, after : sequence of mapping
        Rows that `score` wrote with the older and with the newer model.
    method, scale : str
        Whose rows.

    Returns
    -------
    list of str
        Markdown: means before and after, geometric mean of the ratios with a 95 % bootstrap
        interval over cases, the worst case.

    Raises
    ------
    InputError
        If the two hold other cases.
    """
    pairs = list(_pairs(before, after, method, scale))
    lines = [
        "| metal | region | before, HU | after, HU | ratio | worst case |",
        "|---|---|---|---|---|---|",
    ]
    for alloy in ("all", *sorted({str(old["screws"]) for old, _ in pairs})):
        mine = [pair for pair in pairs if alloy in ("all", pair[0]["screws"])]
        for title, name in _REGIONS:
            old, new = (
                np.array([row["seen"][0][name] for row in rows]) for rows in zip(*mine, strict=True)
            )
            ratio = geometric(list(new / old))
            lines.append(
                f"| {alloy} ({len(mine)}) | {title} | {old.mean():.1f} | {new.mean():.1f} "
                f"| {ratio.mean:.3f} ({ratio.low:.3f} to {ratio.high:.3f}) "
                f"| {(new / old).max():.2f} |"
            )
    return lines


def _pairs(
    before: Sequence[_Row], after: Sequence[_Row], method: str, scale: str
) -> Iterator[tuple[_Row, _Row]]:
    chosen = [
        {row["case"]: row for row in rows if (row["method"], row["scale"]) == (method, scale)}
        for rows in (before, after)
    ]
    if not chosen[0] or set(chosen[0]) != set(chosen[1]):
        raise InputError(
            f"The two files hold other cases of {method} at {scale}.",
            "Score the same cases, methods and scales with both models.",
        )
    for case, old in chosen[0].items():
        yield old, chosen[1][case]
