"""The plan: every implant of one operation, in RAS millimetres."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from spinemar import __version__
from spinemar.errors import InputError
from spinemar.implants.placement import (
    Cage,
    Cement,
    Crosslink,
    Grade,
    Hook,
    ImportedMesh,
    Rod,
    Screw,
    Wire,
)

__all__ = [
    "PLAN_VERSION",
    "Cage",
    "Cement",
    "Crosslink",
    "Grade",
    "Hook",
    "ImportedMesh",
    "Plan",
    "Rod",
    "Screw",
    "Wire",
]

PLAN_VERSION = 8


@dataclass(frozen=True)
class Plan:
    """Placed implants with their levels and notes; immutable, compared by value."""

    levels: tuple[str, ...] = ()
    screws: tuple[Screw, ...] = ()
    rods: tuple[Rod, ...] = ()
    cages: tuple[Cage, ...] = ()
    crosslinks: tuple[Crosslink, ...] = ()
    meshes: tuple[ImportedMesh, ...] = ()
    cements: tuple[Cement, ...] = ()
    hooks: tuple[Hook, ...] = ()
    wires: tuple[Wire, ...] = ()
    notes: str = ""
    warnings: tuple[str, ...] = ()
    software_version: str = __version__
    version: int = PLAN_VERSION

    def __post_init__(self) -> None:
        names = Counter(item.id for item in self.items())
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise InputError(
                f"Two implants of the plan are called {twice[0]!r}.",
                "Give every implant its own id.",
            )

    def items(self) -> Iterator[Any]:
        """Yield every implant, kind by kind."""
        # Here, since shapes need SciPy, which whoever only reads a plan's type does not.
        from spinemar.implants.kinds import implants_of

        for _, item in implants_of(self):
            yield item

    def screw(self, screw_id: str) -> Screw:
        """Return the screw of that id.

        Raises
        ------
        InputError
            If there is none; the message names those that there are.
        """
        for screw in self.screws:
            if screw.id == screw_id:
                return screw
        known = ", ".join(screw.id for screw in self.screws) or "none"
        raise InputError(f"The plan has no screw {screw_id!r}.", f"Its screws: {known}.")

    def with_screw(self, screw: Screw) -> Plan:
        """Return the plan with the screw of the same id replaced, or the screw added."""
        if any(old.id == screw.id for old in self.screws):
            screws = tuple(screw if old.id == screw.id else old for old in self.screws)
        else:
            screws = (*self.screws, screw)
        return replace(self, screws=screws)
