"""Undo and redo: plans are immutable, so a history is the plans themselves.

A plan is graded on a spine, and a spine can be corrected or its levels renamed: each step keeps
the spine that it belongs to, so that one undo takes back both.
"""

from __future__ import annotations

from dataclasses import dataclass

from spinemar.planning.plans.commands import Command
from spinemar.planning.plans.plan import Plan
from spinemar.spine.model import SpineModel

# Spines are large (labels on the CT's grid): steps on older ones than these are forgotten.
_MOST_SPINES = 4


@dataclass(frozen=True)
class Step:
    """A plan, what was done to get there, and the spine it is graded on."""

    plan: Plan
    description: str
    spine: SpineModel | None = None


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
    def of(cls, plan: Plan, spine: SpineModel | None = None) -> History:
        """Return a history that starts with a plan."""
        return cls((Step(plan, "Start", spine),))

    @property
    def plan(self) -> Plan:
        """The present plan."""
        return self.steps[self.position].plan

    @property
    def spine(self) -> SpineModel | None:
        """The spine of the present plan."""
        return self.steps[self.position].spine

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
        return self.put(Step(command.apply(self.plan), command.description, self.spine))

    def put(self, step: Step) -> History:
        """Return the history with a step made elsewhere, such as another spine with its grades."""
        steps = _with_few_spines((*self.steps[: self.position + 1], step)[-self.most :])
        return History(steps, len(steps) - 1, self.most)

    def undo(self) -> History:
        """Return the history one step back; itself at the start."""
        return History(self.steps, max(self.position - 1, 0), self.most)

    def redo(self) -> History:
        """Return the history one step forth; itself at the end."""
        return History(self.steps, min(self.position + 1, len(self.steps) - 1), self.most)


def _with_few_spines(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    seen: list[SpineModel] = []
    for n in range(len(steps) - 1, -1, -1):
        spine = steps[n].spine
        if spine is None or any(spine is one for one in seen):
            continue
        if len(seen) == _MOST_SPINES:
            return steps[n + 1 :]
        seen.append(spine)
    return steps
