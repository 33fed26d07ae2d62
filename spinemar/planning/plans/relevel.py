"""A plan whose levels were counted wrong: every name moves up or down, every implant stays."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from spinemar.errors import InputError
from spinemar.implants.kinds import KINDS
from spinemar.planning.plans.plan import Plan
from spinemar.spine.labels.levels import SACRUM, VERSE_IDS, shift_level


def shift_plan_levels(plan: Plan, steps: int) -> Plan:
    """Rename the levels of all implants `steps` further towards the feet (negative: the head).

    Whatever kind an implant is of: its `level` ("L1", or "L4/L5" of a disc) moves, the levels in
    the ids of those that have one ("L1-left", "cage-L4/L5") follow, and so do the ids by which
    others name them. Places, grades and locks stay.

    Raises
    ------
    InputError
        If a level would run past C1, or a sacrum become a vertebra or a vertebra the sacrum.
    """
    _check_sacrum({*plan.levels, *(screw.level for screw in plan.screws if screw.level)}, steps)
    moved = {
        item.id: shifted_text(item.id, steps) for item in plan.items() if hasattr(item, "level")
    }
    groups: dict[str, Any] = {
        kind.group: tuple(_moved(item, moved, steps) for item in getattr(plan, kind.group))
        for kind in KINDS
    }
    levels = tuple(shifted_text(level, steps) for level in plan.levels)
    return replace(plan, levels=levels, warnings=(), **groups)


def _check_sacrum(levels: set[str], steps: int) -> None:
    """Refuse to make a vertebra with pedicles of a sacrum, or a sacrum of one; discs may move."""
    for level in sorted(levels) if steps else ():
        becomes = shift_level(level, steps)
        if SACRUM in (level, becomes):
            raise InputError(
                f"{level} does not become {becomes}: a sacrum is none of the vertebrae.",
                "Plan anew on a spine whose levels are right.",
            )


def _moved(item: Any, names: dict[str, str], steps: int) -> Any:
    changes: dict[str, Any] = {"id": names.get(item.id, item.id)}
    if hasattr(item, "level"):
        changes["level"] = shifted_text(item.level, steps)
    for named in ("screw_ids", "rod_ids"):
        if getattr(item, named, None) is not None:
            changes[named] = tuple(names.get(name, name) for name in getattr(item, named))
    return replace(item, **changes)


def shifted_text(text: str, steps: int) -> str:
    """Rename every level that stands in a text as a word of its own."""

    def shifted(word: re.Match[str]) -> str:
        return shift_level(word[0], steps) if word[0] in VERSE_IDS else word[0]

    return re.sub(r"[A-Za-z0-9]+", shifted, text)
