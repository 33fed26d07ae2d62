"""The vertebrae in the 3-D view, seen from behind: a worker makes their surfaces."""

import numpy as np
import slicer

from SpineImplantPlannerLib.nodes import spine as spinenodes
from SpineMARLib.panel.jobwatch import JobWatch

# At the camera's usual angle this many times the height that shall be seen lies in between.
_DISTANCE = 1.0 / (2.0 * np.tan(np.radians(15.0)))


class Spine3d:
    """Shows vertebrae, translucent, while it is switched on; a job of its own makes the surfaces.

    Parameters
    ----------
    planner : callable
        Returns the planner.
    """

    def __init__(self, planner):
        self._planner = planner
        self._of = None
        self._watch = JobWatch(lambda _run: None, self._ready)

    @property
    def busy(self):
        """Whether surfaces are being made."""
        return self._watch.run is not None

    def show(self, on):
        """Show the present spine, or none; surfaces that are missing come when they are ready."""
        planner = self._planner()
        node, spine = planner.spineNode, planner.session.spine
        if node is None or not planner.scene.IsNodePresent(node):
            return
        display = node.GetDisplayNode()
        ready = spinenodes.hasSurfaces(node)
        if display is not None and display.GetVisibility3D() != (on and ready):
            display.SetVisibility3D(on and ready)
        if on and not ready and spine is not None and self._of is not spine:
            self._watch.close()
            self._of = spine
            self._watch.start(planner.plannerJobs.surfaces(spine))

    def _ready(self, run):
        planner, of = self._planner(), self._of
        self._of = None
        same = planner.session.spine is of and planner.spineNode is not None
        if run.error is None and same:
            spinenodes.addSurfaces(planner.spineNode, run.result)
            self.show(True)

    def stop(self):
        """Make no more surfaces."""
        self._watch.close()
        self._of = None


def lookFromBehind(centre, fieldMm):
    """Move the 3-D view's camera behind the patient: it sees a field about a point."""
    layoutManager = slicer.app.layoutManager()
    widget = None if layoutManager is None else layoutManager.threeDWidget(0)
    if widget is None:
        return
    view = widget.threeDView()
    wide, tall = view.renderWindow().GetSize()
    distance = _DISTANCE * fieldMm * max(1.0, tall / max(wide, 1))
    camera = view.cameraNode()
    modifying = camera.StartModify()
    camera.SetFocalPoint(*centre)
    camera.SetPosition(centre[0], centre[1] - distance, centre[2])
    camera.SetViewUp(0.0, 0.0, 1.0)
    camera.EndModify(modifying)
    camera.ResetClippingRange()
