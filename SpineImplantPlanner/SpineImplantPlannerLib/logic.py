"""The planner on a scene that it is given: session and nodes in step, everything can be undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from SpineImplantPlannerLib import metalnodes, planstore, spinenodes
from SpineImplantPlannerLib.dragging import HandleWatcher
from SpineImplantPlannerLib.hunodes import HuPlot
from SpineImplantPlannerLib.implantnodes import ImplantNodes
from SpineImplantPlannerLib.session import PlanningSession
from SpineImplantPlannerLib.shafthandle import ShaftHandle
from SpineImplantPlannerLib.shared import arrayOf, ijkToRas
from SpineImplantPlannerLib.work import Ct, Planned, Workshop
from spinemar.errors import InputError
from spinemar.implants.checks import Point
from spinemar.implants.placement import Rod, Screw
from spinemar.planning.collisions import Collision, find_collisions
from spinemar.planning.commands import Command, MoveScrew, PutImplant, find
from spinemar.planning.plan import Plan
from spinemar.spine.model import SpineModel
from spinemar.volume import CTVolume


class PlannerLogic:
    """One plan in one scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    temporaryFolder : path
        For what is handed to and from the worker.
    command : sequence of str, optional
        Command line of the worker; by default this Python's.

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
        self, scene: Any, temporaryFolder: str | Path, command: Sequence[str] | None = None
    ) -> None:
        self.scene = scene
        self.session = PlanningSession()
        self.workshop = Workshop(temporaryFolder, command)
        self.nodes = ImplantNodes(scene, self.session.catalogue)
        self.plot = HuPlot(scene)
        self.preview = metalnodes.ScanPreview(scene)
        self.volumeNode: Any = None
        self.spineNode: Any = None
        self.selected: str | None = None
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

    def useSpine(self, spine: SpineModel, node: Any = None) -> Any:
        """Show a spine, and grade the plan on it."""
        self.spineNode = spinenodes.addSpine(self.scene, self.volumeNode, spine, node)
        self.session.setSpine(spine)
        self._changed()
        return self.spineNode

    def useSpineNode(self, node: Any) -> bool:
        """Take the spine from a segmentation that this module made; False for another one."""
        if node is self.spineNode and self.session.spine is not None:
            return True
        spine = None if self.volumeNode is None else spinenodes.spineOf(node, self.volumeNode)
        if spine is None:
            return False
        self.spineNode = node
        plan = self.plan
        self.session.setSpine(spine)
        if any(screw.grade is None for screw in plan.screws):
            self._changed()
        else:
            self.session.replaceAll(plan)  # it was graded when it was saved
        return True

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
        self.session.undo()
        self._changed()

    def redo(self) -> None:
        """Go one step forth."""
        self.session.redo()
        self._changed()

    def takePlanned(self, planned: Planned) -> None:
        """Keep the bone fields of an automatic plan."""
        self.session.take(planned.fields)

    def loadPlan(self, plan: Plan) -> None:
        """Start anew with a plan from elsewhere; what is not graded in it is graded here."""
        self.session.replaceAll(self.session.graded(plan))
        self._changed()

    def rebuild(self) -> bool:
        """Take the plan over from a scene that was loaded, exactly; False if it has none."""
        self.nodes.find()
        plan = planstore.keptPlan(self.scene)
        if plan is None:
            return False
        node = planstore.planNode(self.scene)
        self.setVolume(node.GetNodeReference(planstore.CT_ROLE))
        self.session.replaceAll(plan)
        spineNode = node.GetNodeReference(planstore.SPINE_ROLE)
        if spineNode is not None:
            self.useSpineNode(spineNode)
        self.session.replaceAll(plan)
        self._changed()
        return True

    def setLocked(self, locked: bool) -> None:
        """Lock the whole plan, or unlock it."""
        self.session.locked = locked
        self._changed()

    def collisions(self) -> tuple[Collision, ...]:
        """Return what touches what must not, and show it in red."""
        spine = self.session.spine
        labels = None if spine is None else spine.labels
        found = find_collisions(self.plan, labels, self.session.catalogue)
        self.nodes.mark({name for one in found for name in (one.first, one.second)})
        return found

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

    def selectedScrew(self) -> Screw | None:
        """Return the selected screw; None if something else is selected."""
        return next((s for s in self.plan.screws if s.id == self.selected), None)

    def release(self) -> None:
        """Stop listening to the scene; nodes stay."""
        self._watcher.release()
        self.shaft.remove()
        self.preview.remove()
        self.plot.remove()

    def _moving(self, implantId: str, points: tuple[Point, ...]) -> None:
        item = find(self.plan, implantId)
        if not isinstance(item, Screw) or len(points) != 2 or self.session.locked:
            return
        try:
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
            if isinstance(item, Screw) and len(points) == 2:
                if points != (item.entry, item.tip):
                    self.do(MoveScrew(implantId, *points))
            elif isinstance(item, Rod) and len(points) >= 2 and points != item.control_points:
                self.do(PutImplant(replace(item, control_points=points)))
        except InputError as error:
            self.onRefused(error)

    def _changed(self) -> None:
        plan = self.plan
        self.nodes.show(plan, self.volumeNode, locked=self.session.locked)
        self._watcher.follow()
        planstore.keepPlan(self.scene, plan, self.volumeNode, self.spineNode)
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
