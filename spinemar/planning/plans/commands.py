"""What a user does to a plan, one small command each; a plan goes in, a plan comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from spinemar.errors import InputError
from spinemar.implants.checks import Point
from spinemar.implants.kinds import GROUPS, kind_of
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.planning.plans.plan import Plan
from spinemar.planning.vectors import as_point


class Implant(Protocol):
    """What an implant of any kind has: a record of `spinemar.implants.kinds`."""

    @property
    def id(self) -> str:
        """Unique in the plan."""
        ...

    @property
    def locked(self) -> bool:
        """Whether no step may change it."""
        ...


_Kind = TypeVar("_Kind", bound=Implant)


class Command(Protocol):
    """A change of a plan with a name for the user interface."""

    @property
    def description(self) -> str:
        """What it does, such as "Move L1-left"."""
        ...

    def apply(self, plan: Plan) -> Plan:
        """Return the changed plan."""
        ...


@dataclass(frozen=True)
class MoveScrew:
    """Give a screw a new entry and direction; its length stays, its grade goes."""

    screw_id: str
    entry: Point
    tip: Point

    @property
    def description(self) -> str:
        """See `Command`."""
        return f"Move {self.screw_id}"

    def apply(self, plan: Plan) -> Plan:
        """See `Command`; an `InputError` if entry and tip would coincide."""
        screw = _unlocked(plan.screw(self.screw_id))
        axis = np.subtract(self.tip, self.entry)
        length = float(np.linalg.norm(axis))
        if not np.isfinite(length) or length < 1e-6:
            raise InputError("Entry and tip of the screw coincide.", "Move one of them away.")
        tip = np.asarray(self.entry) + axis / length * screw.length_mm
        moved = replace(
            screw.without_grade(),
            entry=self.entry,
            tip=as_point(tip),
            head_axis=None,
            slot_axis=None,
        )
        return plan.with_screw(moved)


@dataclass(frozen=True)
class ResizeScrew:
    """Give a screw another diameter and length; its entry stays, its grade goes."""

    screw_id: str
    diameter_mm: float
    length_mm: float

    @property
    def description(self) -> str:
        """See `Command`."""
        return f"Resize {self.screw_id} to {self.diameter_mm:g} x {self.length_mm:g} mm"

    def apply(self, plan: Plan) -> Plan:
        """See `Command`."""
        screw = _unlocked(plan.screw(self.screw_id))
        tip = np.asarray(screw.entry) + self.length_mm * shank_axis(screw)
        return plan.with_screw(
            replace(
                screw.without_grade(),
                diameter_mm=self.diameter_mm,
                length_mm=self.length_mm,
                tip=as_point(tip),
            )
        )


@dataclass(frozen=True)
class PutImplant:
    """Add an implant, or replace the unlocked one of the same id."""

    implant: Implant

    @property
    def description(self) -> str:
        """See `Command`."""
        return f"Set {self.implant.id}"

    def apply(self, plan: Plan) -> Plan:
        """See `Command`."""
        group = kind_of(self.implant).group
        items = getattr(plan, group)
        if any(item.id == self.implant.id for item in items):
            changed = tuple(
                self.implant if item.id == self.implant.id and _unlocked(item) else item
                for item in items
            )
            return _with_group(plan, group, changed)
        return _with_group(plan, group, (*items, self.implant))


@dataclass(frozen=True)
class RemoveImplant:
    """Take an unlocked implant out; rods forget a removed screw."""

    implant_id: str

    @property
    def description(self) -> str:
        """See `Command`."""
        return f"Remove {self.implant_id}"

    def apply(self, plan: Plan) -> Plan:
        """See `Command`."""
        _unlocked(find(plan, self.implant_id))
        groups: dict[str, Any] = {
            name: tuple(item for item in getattr(plan, name) if item.id != self.implant_id)
            for name in GROUPS
        }
        groups["rods"] = tuple(
            replace(rod, screw_ids=tuple(n for n in rod.screw_ids if n != self.implant_id))
            for rod in groups["rods"]
        )
        return replace(plan, **groups)


@dataclass(frozen=True)
class LockImplant:
    """Lock an implant against every change, or unlock it."""

    implant_id: str
    locked: bool

    @property
    def description(self) -> str:
        """See `Command`."""
        return f"{'Lock' if self.locked else 'Unlock'} {self.implant_id}"

    def apply(self, plan: Plan) -> Plan:
        """See `Command`."""
        found: Any = find(plan, self.implant_id)
        item = replace(found, locked=self.locked)
        group = kind_of(item).group
        changed = tuple(item if old.id == item.id else old for old in getattr(plan, group))
        return _with_group(plan, group, changed)


@dataclass(frozen=True)
class SetNotes:
    """Replace the plan's notes."""

    notes: str

    @property
    def description(self) -> str:
        """See `Command`."""
        return "Edit notes"

    def apply(self, plan: Plan) -> Plan:
        """See `Command`."""
        return replace(plan, notes=self.notes)


@dataclass(frozen=True)
class ReplacePlan:
    """Put a whole other plan in place, such as an automatic one; locked implants must stay."""

    plan: Plan
    name: str = "Plan automatically"

    @property
    def description(self) -> str:
        """See `Command`."""
        return self.name

    def apply(self, plan: Plan) -> Plan:
        """See `Command`; an `InputError` if it would change what is locked."""
        for group in GROUPS:
            new = {item.id: item for item in getattr(self.plan, group)}
            for item in getattr(plan, group):
                if item.locked and not _same_place(item, new.get(item.id)):
                    raise InputError(f"{item.id} is locked.", "Unlock it first.")
        return self.plan


def _with_group(plan: Plan, group: str, items: tuple[Any, ...]) -> Plan:
    changes: dict[str, Any] = {group: items}
    return replace(plan, **changes)


def find(plan: Plan, implant_id: str) -> Implant:
    """Return the implant of that id, of any kind.

    Raises
    ------
    InputError
        If there is none.
    """
    for item in plan.items():
        if item.id == implant_id:
            found: Implant = item
            return found
    raise InputError(f"The plan has no implant {implant_id!r}.", "Choose one of the plan's.")


def _unlocked(implant: _Kind) -> _Kind:
    """Return an implant that may be changed, or refuse.

    Raises
    ------
    InputError
        If it is locked.
    """
    if implant.locked:
        raise InputError(f"{implant.id} is locked.", "Unlock it first.")
    return implant


def _same_place(old: Implant, new: Implant | None) -> bool:
    """Whether a locked implant stayed; its head may have turned and its grade changed."""
    if isinstance(old, Screw) and isinstance(new, Screw):
        free: dict[str, Any] = {"grade": None, "head_axis": None, "slot_axis": None}
        return replace(old, **free) == replace(new, **free)
    return old == new
