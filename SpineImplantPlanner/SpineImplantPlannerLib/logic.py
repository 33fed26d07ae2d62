"""The planner on a scene that it is given: session and nodes in step, everything can be undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from SpineImplantPlannerLib.handles.dragging import HandleWatcher
from SpineImplantPlannerLib.handles.shaft import ShaftHandle
from SpineImplantPlannerLib.jobs.found import Found
from SpineImplantPlannerLib.jobs.handing import Ct
from SpineImplantPlannerLib.jobs.plannerjobs import Planned, PlannerJobs, Scanned
from SpineImplantPlannerLib.nodes import metal as metalnodes
from SpineImplantPlannerLib.nodes import planstore
from SpineImplantPlannerLib.nodes import spine as spinenodes
from SpineImplantPlannerLib.nodes.ghost import Ghost
from SpineImplantPlannerLib.nodes.huplot import HuPlot
from SpineImplantPlannerLib.nodes.implants import ImplantNodes
from SpineImplantPlannerLib.plan.session import PlanningSession, ungraded
from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, load_catalogue
from spinemar.implants.checks import Point
from spinemar.implants.placement import Rod, Screw
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.grades.contacts.collisions import Collision, find_collisions
from spinemar.planning.plans.commands import Command, MoveScrew, PutImplant, find
from spinemar.planning.plans.plan import Plan
from spinemar.planning.report.wording import head_label
from spinemar.spine.editing import renamed_by
from spinemar.spine.model import SpineModel
from spinemar.volume import CTVolume
from SpineMARLib.nodes import keptplan
from SpineMARLib.nodes.volumes import arrayOf, geometryOf, ijkToRas


class PlannerLogic:
    """One plan in one scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    temporaryFolder : path
        For what is handed to and from the worker.
    command : sequence of str, optional
        Command line of the worker; by default this Python's.
    catalogue : Catalogue, optional
        What can be placed, here and in the worker; the generic one by default.

    Attributes
    ----------
    onPlan : callable
        Called after every change of the plan.
    onMoving : callable
        Called with the screw as it would be, during a drag.
    onSelected : callable
        Called with the id of the selected implant, or None.
    onRefused : callable
        Called with the error where a drag was refused.
    """

    def __init__(
        self,
        scene: Any,
        temporaryFolder: str | Path,
        command: Sequence[str] | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.scene = scene
        self.session = PlanningSession(catalogue or load_catalogue())
        self.plannerJobs = PlannerJobs(temporaryFolder, self.session.catalogue, command)
        self.nodes = ImplantNodes(scene, self.session.catalogue)
        self.plot = HuPlot(scene)
        self.ghost = Ghost(scene, self.session.catalogue)
        self.preview = metalnodes.ScanPreview(scene)
        self.volumeNode: Any = None
        self.spineNode: Any = None
        self.selected: str | None = None
        self.planA: Plan | None = None
        self._previewed: Plan | None = None
        self.onPlan: Callable[[], None] = lambda: None
        self.onMoving: Callable[[Screw], None] = lambda _screw: None
        self.onSelected: Callable[[str | None], None] = lambda _name: None
        self.onRefused: Callable[[InputError], None] = lambda _error: None
        self.shaft = ShaftHandle(scene, self._moving, self._moved)
        self._watcher = HandleWatcher(self.nodes, self._moving, self._moved, self.select)

    @property
    def plan(self) -> Plan:
        """The present plan."""
        return self.session.plan

    # CT and spine.

    def setVolume(self, volumeNode: Any) -> None:
        """Plan in this CT; a plan that there is stays."""
        if volumeNode is self.volumeNode:
            return
        self.volumeNode = volumeNode
        if volumeNode is None or volumeNode.GetImageData() is None:
            self.session.volume = None
            return
        self.session.volume = CTVolume(arrayOf(volumeNode), ijkToRas(volumeNode))

    def ct(self) -> Ct:
        """Return the CT for the worker.

        Raises
        ------
        InputError
            If none is chosen.
        """
        if self.volumeNode is None or self.volumeNode.GetImageData() is None:
            raise InputError("No CT is chosen.", "Choose the CT in step 1.")
        return Ct(arrayOf(self.volumeNode), ijkToRas(self.volumeNode))

    def useSpine(
        self, spine: SpineModel, node: Any = None, description: str = "Segment the spine"
    ) -> Any:
        """Show a spine, and grade the plan on it, as one step that can be undone."""
        self.spineNode = spinenodes.addSpine(self.scene, self.volumeNode, spine, node)
        if not spine.labels.geometry.same_as(geometryOf(self.volumeNode)):
            labels, _ = spinenodes.labelsOf(self.spineNode, self.volumeNode)
            spine = replace(spine, labels=labels)
        self.session.setSpine(spine, description)
        self._changed()
        return self.spineNode

    def useFound(self, found: Found) -> Any:
        """Show what was found in a postoperative CT, with its vertebrae: one step."""
        self.session.setFound(found.plan, found.spine, found.fields)
        self.spineNode = spinenodes.addSpine(self.scene, self.volumeNode, found.spine)
        self._changed()
        return self.spineNode

    def chooseSpine(self, spine: SpineModel, node: Any) -> None:
        """Take over a spine that a segmentation of this module's was read into."""
        self.spineNode = node
        self.session.setSpine(spine, "Choose the spine")
        self._changed()

    def takeShifted(self, shifted: SpineModel) -> None:
        """Take the spine as `shift_levels` renamed it, and rename the implants in it."""
        if self.session.locked:
            raise InputError("The plan is locked.", "Unlock it first.")
        before, plan = self.session.spine, self.plan
        self.session.takeShifted(shifted)
        self._showSpine(before, plan)
        self._changed()

    def _showSpine(self, before: SpineModel | None, plan: Plan) -> None:
        """Have the scene show the spine of the present step, not the one before and its plan."""
        spine, node = self.session.spine, self.spineNode
        if spine is None or self.volumeNode is None:
            return
        if node is None or not self.scene.IsNodePresent(node):
            node = None
        elif before is not None:
            steps = renamed_by(before, spine)
            if steps is not None and spinenodes.renameLevels(node, spine, steps):
                ids = self.nodes.rename(plan, self.plan) if steps else {}
                self.selected = ids.get(self.selected or "", self.selected)
                return
        self.spineNode = spinenodes.addSpine(self.scene, self.volumeNode, spine, node)

    def requireSpine(self) -> SpineModel:
        """Return the spine.

        Raises
        ------
        InputError
            If there is none yet.
        """
        if self.session.spine is None:
            raise InputError(
                "The spine is not segmented yet.",
                "Segment it in step 1, or choose a segmentation of it there.",
            )
        return self.session.spine

    # The plan.

    def do(self, command: Command) -> None:
        """Do something to the plan and show it; everything is put back where it is refused."""
        try:
            self.session.do(command)
        finally:
            self._changed()

    def undo(self) -> None:
        """Go one step back."""
        self._walk(self.session.undo)

    def redo(self) -> None:
        """Go one step forth."""
        self._walk(self.session.redo)

    def _walk(self, step: Callable[[], Plan]) -> None:
        spine, plan = self.session.spine, self.plan
        step()
        if self.session.spine is not spine:
            self._showSpine(spine, plan)
        self._changed()
        back = next((s.id for s in self.plan.screws if s not in plan.screws), None)
        if self.selected is None and back is not None:
            self.select(back)  # a deleted screw comes back as it was: selected

    def takePlanned(self, planned: Planned) -> None:
        """Keep the bone fields of an automatic plan."""
        self.session.take(planned.fields)

    def takePelvis(self, field: BoneField) -> None:
        """Grade the screws into the ilium in the pelvis that was outlined for them."""
        self.session.takePelvis(field)
        self._changed()

    def loadPlan(self, plan: Plan) -> None:
        """Start anew with a plan from elsewhere, graded here: its grades may be of another CT."""
        self.session.replaceAll(self.session.graded(ungraded(plan)))
        self._changed()

    def rebuild(self) -> bool:
        """Take the plan over from a scene that was loaded, exactly; False if it has none."""
        self.nodes.find()
        plan = planstore.keptPlan(self.scene)
        if plan is None:
            return False
        node = keptplan.planNode(self.scene)
        self.setVolume(node.GetNodeReference(keptplan.CT_ROLE))
        self.spineNode = node.GetNodeReference(planstore.SPINE_ROLE)
        known = self.spineNode is not None and self.volumeNode is not None
        spine = spinenodes.spineOf(self.spineNode, self.volumeNode) if known else None
        self.session.adopt(plan, spine)
        self.session.locked = planstore.isLocked(self.scene)
        self.planA = planstore.keptPlanA(self.scene)
        self._changed()
        return True

    def keepAsA(self, plan: Plan) -> None:
        """Keep a plan as plan A, in the scene too."""
        self.planA = plan
        planstore.keepPlanA(self.scene, plan, self.volumeNode)
        if self.ghost.shown:
            self.ghost.show(plan, self.plan)

    def setLocked(self, locked: bool) -> None:
        """Lock the whole plan, or unlock it."""
        self.session.locked = locked
        self._changed()  # which keeps it in the scene

    def collisions(self) -> tuple[Collision, ...]:
        """Return what touches what must not, and mark it in the views."""
        spine = self.session.spine
        labels = None if spine is None else spine.labels
        found = find_collisions(self.plan, self.session.catalogue, labels)
        self.nodes.mark(self.plan, {name for one in found for name in (one.first, one.second)})
        return found

    def showPreview(self, scanned: Scanned) -> None:
        """Show freshly scanned slices over the CT, until the plan changes."""
        self.preview.show(self.volumeNode, scanned)
        self._previewed = self.plan

    # Selection and hands.

    def select(self, implantId: str | None) -> None:
        """Select an implant, or none."""
        known = implantId is not None and self.nodes.model(implantId) is not None
        implantId = implantId if known else None
        if implantId == self.selected:
            return
        self.selected = implantId
        self.nodes.select(implantId)
        self._plotSelected()
        self.onSelected(implantId)

    def headLabel(self, screw: Screw) -> str:
        """Return what stands at a screw's head in the views: name, grade, whether it touches."""
        return head_label(screw, touches=screw.id in self.nodes.colliding)

    def selectedScrew(self) -> Screw | None:
        """Return the selected screw; None if something else is selected."""
        return next((s for s in self.plan.screws if s.id == self.selected), None)

    def release(self) -> None:
        """Stop listening to the scene; nodes stay."""
        self._watcher.release()
        self.shaft.remove()
        self.nodes.release()
        self.preview.remove()
        self.ghost.remove()
        self.plot.remove()
        self.plannerJobs.close()

    def _moving(self, implantId: str, points: tuple[Point, ...]) -> None:
        item = find(self.plan, implantId)
        if self.session.locked or item.locked:
            return
        try:
            if isinstance(item, Rod):
                self.nodes.preview(replace(item, control_points=points))
                return
            if not isinstance(item, Screw) or len(points) != 2:
                return
            screw = self.session.moved(implantId, *points)
        except InputError:
            return  # entry upon tip for a moment; the end of the drag says so
        self.nodes.preview(screw)
        self.plot.show(screw.id, self.session.profile(screw))
        self.onMoving(screw)

    def _moved(self, implantId: str, points: tuple[Point, ...]) -> None:
        self.nodes.touch(implantId)
        try:
            item = find(self.plan, implantId)
            if len(points) < 2 or (isinstance(item, Screw) and len(points) > 2):
                self._changed()  # a point was deleted, or added: it is put back
            elif isinstance(item, Screw):
                if points != (item.entry, item.tip):
                    self.do(MoveScrew(implantId, *points))
            elif isinstance(item, Rod) and points != item.control_points:
                self.do(PutImplant(replace(item, control_points=points)))
        except InputError as error:
            self.onRefused(error)

    def _changed(self) -> None:
        plan = self.plan
        self.nodes.show(plan, self.volumeNode, locked=self.session.locked)
        self._watcher.follow()
        if self._previewed is not plan:
            self.preview.remove()
        if self.ghost.shown and self.planA is not None:
            self.ghost.show(self.planA, plan)
        planstore.keepPlan(
            self.scene, plan, self.volumeNode, self.spineNode, locked=self.session.locked
        )
        if self.selected is not None and self.nodes.model(self.selected) is None:
            self.selected = None
            self.onSelected(None)
        self.nodes.select(self.selected)
        self._plotSelected()
        self.onPlan()

    def _plotSelected(self) -> None:
        screw = self.selectedScrew()
        self.shaft.attach(screw, locked=self.session.locked)
        if screw is not None:
            self.plot.show(screw.id, self.session.profile(screw))
