"""What is being planned: the CT, its spine, the plan with its history. No Slicer, no Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.checks import Point
from spinemar.implants.placement import PELVIS, Screw
from spinemar.planning.constructs.rods import RodSettings, contour_rod, hooks_on_rod
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.grades.findings import with_findings
from spinemar.planning.grades.gertzbein_robbins import graded_screw, with_level_standing
from spinemar.planning.grades.hu_profile import HuProfile, hu_profile
from spinemar.planning.plans.commands import Command, MoveScrew, ReplacePlan
from spinemar.planning.plans.history import History, Step
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.relevel import shift_plan_levels
from spinemar.planning.trajectories.mirror import Plane, midsagittal_plane
from spinemar.spine.editing import renamed_by
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import SpineModel, VertebraFrame
from spinemar.volume import CTVolume

# So many profiles are remembered, before all of them are forgotten.
_PROFILES = 200
# Of so many spines the bone fields are kept, as many as the history has: 8 MB a vertebra.
_SPINES = 4


@dataclass(frozen=True)
class Settled:
    """A command with everything that follows from it, so that one undo takes all of it back."""

    command: Command
    follow: Callable[[Plan, Plan], Plan]

    @property
    def description(self) -> str:
        """See `Command`."""
        return self.command.description

    def apply(self, plan: Plan) -> Plan:
        """See `Command`."""
        return self.follow(plan, self.command.apply(plan))


class PlanningSession:
    """One plan for one CT.

    Parameters
    ----------
    catalogue : Catalogue
        Of everything that is placed.
    volume : CTVolume or None
        For HU along the tracks.
    spine : SpineModel or None
        For grades and automatic plans; without it screws are *not graded*.
    plan : Plan, optional
        To start with, taken as it is.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        volume: CTVolume | None = None,
        spine: SpineModel | None = None,
        plan: Plan | None = None,
    ) -> None:
        self.volume = volume
        self.catalogue = catalogue
        self.rodsFollow = True
        self.locked = False
        self.history = History.of(plan or Plan(), spine)
        self._fields: list[tuple[SpineModel | None, dict[str, BoneField]]] = []
        self._planes: dict[str, tuple[BoneField, Plane]] = {}
        self._profiled: dict[Screw, HuProfile] = {}
        self._profiledIn: tuple[object, object] = (None, None)

    @property
    def plan(self) -> Plan:
        """The present plan."""
        return self.history.plan

    @property
    def spine(self) -> SpineModel | None:
        """The spine; None before it is segmented."""
        return self.history.spine

    def setSpine(self, spine: SpineModel | None, description: str = "Segment the spine") -> None:
        """Take another spine; the plan is graded anew on it, all of it one step."""
        first = self.spine is None and self.plan == Plan()
        self._putGraded(Step(ungraded(self.plan), description, spine))
        if first:
            self.history = History.of(self.plan, spine)

    def setFound(
        self, plan: Plan, spine: SpineModel, fields: Mapping[str, BoneField] | None = None
    ) -> None:
        """Take what was found in a postoperative CT, and its spine, as one step.

        Screws are graded on in the bone that they were found in (`fields`), so that one that is
        moved and moved back has the letter that it had.

        Raises
        ------
        InputError
            If the plan is locked, or something in it is.
        """
        if self.locked:
            raise InputError("The plan is locked.", "Unlock it first.")
        self._keep(spine, dict(fields or {}))
        put = ReplacePlan(plan, "Find implants")
        self._putGraded(Step(put.apply(self.plan), put.description, spine))

    def adopt(self, plan: Plan, spine: SpineModel | None) -> None:
        """Start anew with a plan and its spine exactly as they were saved."""
        self.history = History.of(plan, spine)

    def takeShifted(self, shifted: SpineModel) -> None:
        """Take the spine as `shift_levels` renamed it, and rename the implants in it.

        By 0 steps the present names are stated, which nothing speaks against any more.

        Raises
        ------
        InputError
            If it is not the present spine renamed, or a level would run past C1 or the sacrum.
        """
        steps = None if self.spine is None else renamed_by(self.spine, shifted)
        if self.spine is None or steps is None:
            raise InputError("The spine was changed meanwhile.", "Rename its levels again.")
        fields = self._known()
        renamed = {
            to.level: replace(fields[was.level], frame=to)
            for was, to in zip(self.spine.vertebrae, shifted.vertebrae, strict=True)
            if was.level in fields
        }
        pelvis = fields.get(PELVIS)
        if pelvis is not None and SACRUM in shifted.levels:
            renamed[PELVIS] = replace(pelvis, frame=shifted.vertebra(SACRUM))
        plan = shift_plan_levels(self.plan, steps)
        self._keep(shifted, renamed)
        self._putGraded(Step(plan, "Rename levels", shifted))

    def _putGraded(self, step: Step) -> None:
        """Put a step whose plan is graded on its own spine."""
        self._put(step)
        plan = self.graded(self.plan)
        self.history = self.history.undo().put(replace(step, plan=plan))

    def _put(self, step: Step) -> None:
        self.history = self.history.put(step)

    def take(self, fields: Mapping[str, BoneField]) -> None:
        """Keep bone fields that were computed elsewhere."""
        self._known().update(fields)

    @property
    def lacksPelvis(self) -> bool:
        """Whether screws into the ilium cannot be graded since the hips were not outlined yet."""
        seen = self.volume is not None and self.spine is not None and SACRUM in self.spine.levels
        return seen and PELVIS not in self._known() and any(s.in_pelvis for s in self.plan.screws)

    def takePelvis(self, field: BoneField) -> None:
        """Keep the outlined pelvis of the present spine, and grade on it what has no grade yet.

        No step of the user's: every step on this spine has the grades.
        """
        self.take({PELVIS: field})
        steps = tuple(
            replace(step, plan=self.graded(step.plan))
            if step.spine is self.spine and any(s.in_pelvis for s in step.plan.screws)
            else step
            for step in self.history.steps
        )
        self.history = replace(self.history, steps=steps)

    def _known(self) -> dict[str, BoneField]:
        """Return the bone fields of the present spine; those of a few others are kept for undo."""
        for spine, fields in self._fields:
            if spine is self.spine:
                return fields
        return self._keep(self.spine, {})

    def _keep(self, spine: SpineModel | None, fields: dict[str, BoneField]) -> dict[str, BoneField]:
        self._fields = [*self._fields[1 - _SPINES :], (spine, fields)]
        return fields

    def field(self, level: str) -> BoneField | None:
        """Return the bone field of a level, or of `PELVIS`; None where it is not known.

        That of the pelvis is known where screws into it were planned or graded by a job.
        """
        spine = self.spine
        fields = self._known()
        if level == PELVIS:
            return fields.get(level)
        if spine is None or level not in spine.levels:
            return None
        if level not in fields:
            fields[level] = bone_field(spine.labels, spine.vertebra(level))
        return fields[level]

    def mirrorPlane(self, level: str) -> Plane | None:
        """Return the plane that a level is mirrored across, found once; None where unknown."""
        field = self.field(level)
        if field is None:
            return None
        if self._planes.get(level, (None,))[0] is not field:
            self._planes[level] = (field, midsagittal_plane(field))
        return self._planes[level][1]

    def frame(self, level: str) -> VertebraFrame | None:
        """Return the frame of a level; None where it is not known."""
        spine = self.spine
        return spine.vertebra(level) if spine is not None and level in spine.levels else None

    def frames(self) -> dict[str, VertebraFrame]:
        """Return the frames of all levels that are known."""
        return {v.level: v for v in self.spine.vertebrae} if self.spine is not None else {}

    # Steps of the user's.

    def do(self, command: Command) -> Plan:
        """Do something to the plan, with the rods and grades that follow from it.

        Raises
        ------
        InputError
            If the plan or the implant is locked, or the command makes no sense.
        """
        if self.locked:
            raise InputError("The plan is locked.", "Unlock it first.")
        self.history = self.history.do(Settled(command, self._follow))
        return self.plan

    def undo(self) -> Plan:
        """Go one step back; a locked plan stays."""
        if not self.locked:
            self.history = self.history.undo()
        return self.plan

    def redo(self) -> Plan:
        """Go one step forth; a locked plan stays."""
        if not self.locked:
            self.history = self.history.redo()
        return self.plan

    def replaceAll(self, plan: Plan) -> None:
        """Start anew with a plan, such as one from a file or a saved scene, exactly as it is."""
        self.history = History.of(plan, self.spine)

    # What a screw would be, without a step.

    def moved(self, screwId: str, entry: Point, tip: Point) -> Screw:
        """Return a screw as it would be with this entry and direction, graded."""
        return self.gradedScrew(MoveScrew(screwId, entry, tip).apply(self.plan).screw(screwId))

    def gradedScrew(self, screw: Screw) -> Screw:
        """Return the screw with its grade, or with the reason why it has none."""
        return graded_screw(screw, self.field(screw.site), self.frames().values())

    def graded(self, plan: Plan) -> Plan:
        """Return the plan with those screws graded that are not, and with what is to check.

        The letters of others stay; whether their levels are confirmed is of the present spine.
        """
        screws = tuple(
            self.gradedScrew(s) if s.grade is None else with_level_standing(s, self.frame(s.level))
            for s in plan.screws
        )
        plan = replace(plan, screws=screws)
        return plan if self.spine is None else with_findings(plan, self.spine, self.catalogue)

    def profile(self, screw: Screw) -> HuProfile | None:
        """Return the HU along a screw's track; None without a CT, and where its metal lies."""
        if self.volume is None or screw.sighting is not None:
            return None
        place = id(self.volume), id(self.spine)
        if self._profiledIn != place:
            self._profiled, self._profiledIn = {}, place
        # Table, plot and text ask for the same ones, after every step and while one is dragged.
        if screw not in self._profiled:
            if len(self._profiled) > _PROFILES:
                self._profiled = {}
            frame = self.frame(screw.level)
            self._profiled[screw] = hu_profile(screw, self.volume, frame)
        return self._profiled[screw]

    def profiles(self, screws: Iterable[Screw] | None = None) -> dict[str, HuProfile]:
        """Return the profiles of some screws, all by default, by id."""
        wanted = self.plan.screws if screws is None else screws
        found = {screw.id: self.profile(screw) for screw in wanted}
        return {name: profile for name, profile in found.items() if profile is not None}

    def _follow(self, before: Plan, after: Plan) -> Plan:
        if self.rodsFollow and _shapes(before) == _shapes(after):
            for side in ("left", "right"):
                if _places(before, side) != _places(after, side):
                    after = withRod(after, side, self.catalogue)
        return self.graded(after)


def _shapes(plan: Plan) -> list[tuple[object, ...]]:
    return [(r.id, r.control_points, r.diameter_mm, r.material, r.model) for r in plan.rods]


def _places(plan: Plan, side: str) -> list[object]:
    screws = [(s.id, s.entry, s.tip, s.model) for s in plan.screws if s.side == side]
    return [*screws, *hooks_on_rod(plan, side)]


def ungraded(plan: Plan) -> Plan:
    """Return the plan without grades, as it is for another spine or CT."""
    return replace(plan, screws=tuple(screw.without_grade() for screw in plan.screws))


def withRod(
    plan: Plan, side: str, catalogue: Catalogue, settings: RodSettings | None = None
) -> Plan:
    """Contour the rod of a side anew through screws and hooks; without settings if there is one.

    A locked rod stays as it is; with fewer than two of them the rod goes.
    """
    old = next((rod for rod in plan.rods if rod.side == side), None)
    if (old is None and settings is None) or (old is not None and old.locked):
        return plan
    if settings is None and old is not None:
        settings = RodSettings.of(old)
    others = tuple(rod for rod in plan.rods if rod.side != side)
    links = tuple(link for link in plan.crosslinks if side not in _sides(plan, link.rod_ids))
    screws = [screw for screw in plan.screws if screw.side == side]
    hooks = hooks_on_rod(plan, side)
    if len(screws) + len(hooks) < 2:
        return replace(plan, rods=others, crosslinks=links)
    made = contour_rod(screws, catalogue, settings, None if old is None else old.id, hooks)
    turned = {screw.id: screw for screw in made.screws}
    return replace(
        plan,
        screws=tuple(turned.get(screw.id, screw) for screw in plan.screws),
        rods=tuple(sorted((*others, made.rod), key=lambda rod: rod.side)),
        crosslinks=links,
    )


def _sides(plan: Plan, rodIds: tuple[str, str] | None) -> set[str]:
    return {rod.side for rod in plan.rods if rodIds is not None and rod.id in rodIds}
