"""Undo and redo: plans are immutable, so a history is the plans themselves."""

from __future__ import annotations

from dataclasses import dataclass

from spinemar.planning.commands import Command
from spinemar.planning.plan import Plan


@dataclass(frozen=True)
class Step:
    """A plan, and what was done to get there."""

    plan: Plan
    description: str


@dataclass(frozen=True)
class History:
    """A plan with what came before and what was undone; immutable as plans are.

    Parameters
    ----------
    steps : tuple of Step
        Oldest first.
    position : int
        Which of them is the present plan.
    most : int
        Older steps than this many are forgotten.
    """

    steps: tuple[Step, ...]
    position: int = 0
    most: int = 200

    @classmethod
    def of(cls, plan: Plan) -> History:
        """Return a history that starts with a plan."""
        return cls((Step(plan, "Start"),))

    @property
    def plan(self) -> Plan:
        """The present plan."""
        return self.steps[self.position].plan

    @property
    def undo_description(self) -> str | None:
        """What undo would take back, None if there is nothing."""
        return self.steps[self.position].description if self.position else None

    @property
    def redo_description(self) -> str | None:
        """What redo would do again, None if there is nothing."""
        after = self.position + 1
        return self.steps[after].description if after < len(self.steps) else None

    def do(self, command: Command) -> History:
        """Return the history after a command; what was undone before is forgotten."""
        done = Step(command.apply(self.plan), command.description)
        steps = (*self.steps[: self.position + 1], done)[-self.most :]
        return History(steps, len(steps) - 1, self.most)

    def undo(self) -> History:
        """Return the history one step back; itself at the start."""
        return History(self.steps, max(self.position - 1, 0), self.most)

    def redo(self) -> History:
        """Return the history one step forth; itself at the end."""
        return History(self.steps, min(self.position + 1, len(self.steps) - 1), self.most)
