"""A plan whose levels were counted wrong: every name moves up or down, every implant stays."""

from __future__ import annotations

from dataclasses import replace

from spinemar.planning.plans.plan import Plan
from spinemar.spine.labels.levels import VERSE_IDS, shift_level


def shift_plan_levels(plan: Plan, steps: int) -> Plan:
    """Rename the levels of all implants `steps` further towards the feet (negative: the head).

    Ids that begin with a level, such as "L1-left", follow; places, grades and locks stay.

    Raises
    ------
    InputError
        If a level would run past C1 or the sacrum.
    """
    names = {screw.id: _renamed(screw.id, steps) for screw in plan.screws}
    return replace(
        plan,
        levels=tuple(_shifted(level, steps) for level in plan.levels),
        screws=tuple(
            replace(screw, id=names[screw.id], level=_shifted(screw.level, steps))
            for screw in plan.screws
        ),
        rods=tuple(
            replace(rod, screw_ids=tuple(names.get(name, name) for name in rod.screw_ids))
            for rod in plan.rods
        ),
        cages=tuple(
            replace(
                cage,
                level=_disc(cage.level, steps),
                id=cage.id.replace(cage.level, _disc(cage.level, steps)) if cage.level else cage.id,
            )
            for cage in plan.cages
        ),
        warnings=(),
    )


def _shifted(level: str, steps: int) -> str:
    return shift_level(level, steps) if level in VERSE_IDS else level


def _renamed(name: str, steps: int) -> str:
    level, dash, rest = name.partition("-")
    return f"{_shifted(level, steps)}{dash}{rest}"


def _disc(disc: str, steps: int) -> str:
    return "/".join(_shifted(level, steps) for level in disc.split("/"))
