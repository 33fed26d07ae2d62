"""The panel's part about views: probe along a screw, rod view, back to standard, HU plot."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib import probe
from SpineImplantPlannerLib.panel import tables
from SpineImplantPlannerLib.views.captions import SliceCaptions
from SpineImplantPlannerLib.views.spine3d import Spine3d, lookFromBehind
from spinemar.implants.shapes.rod import rod_length_mm
from spinemar.planning.report.wording import short_name

# What a look at a screw or a vertebra shows, from side to side.
_FIELD_MM = 110.0


class Views:
    """Turns slice views; every change of the selection moves them along where they are turned."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        self._fields = self._layout = None
        self._captions = SliceCaptions(slicer.app.layoutManager())
        self.spine3d = Spine3d(lambda: panel.planner)
        ui = self.ui
        ui.probeButton.connect("toggled(bool)", self.onProbe)
        ui.rodViewButton.connect("toggled(bool)", self.onRod)
        ui.standardButton.connect("clicked()", self.standard)
        ui.profileButton.connect("toggled(bool)", self.onProfile)
        for name in ("depthSlider", "turnSlider"):
            getattr(ui, name).connect("valueChanged(double)", self.onSlider)
        ui.rodSlider.connect("valueChanged(double)", self.onSlider)

    def refresh(self):
        """Follow the plan: names at the screws, and what the turned views cut."""
        self.showNames()
        self.turn(zoom=False)
        self.show3d()

    def showNames(self):
        """Write the screws' names into the slices."""
        planner = self.panel.planner
        self._captions.showNames([(s, planner.headLabel(s)) for s in planner.plan.screws])

    def showMoving(self, screw):
        """Follow a drag."""
        self._captions.change(screw, self.panel.planner.headLabel(screw))

    def close(self):
        """Take everything out of the views that is not in the scene."""
        self._captions.remove()
        self.spine3d.stop()

    def show3d(self):
        """Show the vertebrae in 3-D where the box says so."""
        self.spine3d.show(self.ui.show3dCheckBox.checked)

    def showSpine(self):
        """Look at a new spine: slices at its middle, 3-D at all of it."""
        spine = self.panel.planner.session.spine
        if spine is not None and spine.vertebrae:
            centres = np.array([vertebra.body_centre_ras for vertebra in spine.vertebrae])
            self.lookAt(centres[len(centres) // 2], np.ptp(centres[:, 2]) + _FIELD_MM)

    def showConstruct(self):
        """Look at a new plan: slices at its middle, 3-D at all of it."""
        screws = self.panel.planner.plan.screws
        if screws and not self._turned():
            points = np.array([point for screw in screws for point in (screw.entry, screw.tip)])
            middle = (points.min(axis=0) + points.max(axis=0)) / 2
            self.lookAt(middle, np.ptp(points[:, 2]) + _FIELD_MM / 2)

    def lookAt(self, centre, heightMm=_FIELD_MM):
        """Move slices to a point, and the 3-D view behind it, with a height in mm about it."""
        probe.jump(self.panel.planner.scene, centre, _FIELD_MM)
        lookFromBehind(centre, max(heightMm, _FIELD_MM))

    def _turned(self):
        return self.ui.probeButton.checked or self.ui.rodViewButton.checked

    def showSelected(self):
        """Bring the selected screw into view, in whatever way the views are turned."""
        screw = self.panel.planner.selectedScrew()
        if screw is None:
            return
        self.ui.depthSlider.maximum = screw.length_mm
        if self.ui.probeButton.checked:
            self.turn()
        elif not self.ui.rodViewButton.checked:
            middle = [0.6 * a + 0.4 * b for a, b in zip(screw.entry, screw.tip, strict=True)]
            self.lookAt(middle)

    def turn(self, zoom=True):
        """Turn the views to what is chosen, and say in them what they cut."""
        planner, ui = self.panel.planner, self.ui
        screw, headers = planner.selectedScrew(), {}
        if ui.probeButton.checked and screw is not None:
            depth, turn = ui.depthSlider.value, ui.turnSlider.value
            probe.showScrew(planner.scene, screw, depth, turn, zoom=zoom)
            headers = _probeHeaders(short_name(screw), depth, turn)
        elif ui.rodViewButton.checked:
            rod = self.panel.rods.chosenRod()
            if rod is not None:
                share = ui.rodSlider.value / 100.0
                probe.showRod(planner.scene, rod, share)
                headers = _rodHeaders(rod.id, share * rod_length_mm(rod))
        self._captions.showHeaders(headers)

    def onProbe(self, on):
        if not on:
            self.standard()
            return
        screw = self.panel.planner.selectedScrew()
        if screw is None:
            self.ui.probeButton.checked = False
            self.ui.statusLabel.text = _("Select a screw first.")
            return
        self.ui.rodViewButton.blockSignals(True)
        self.ui.rodViewButton.checked = False
        self.ui.rodViewButton.blockSignals(False)
        self.ui.depthSlider.maximum = screw.length_mm
        tables.setValue(self.ui.depthSlider, 0.45 * screw.length_mm)
        self._keepFields()
        self.turn()

    def onRod(self, on):
        if not on:
            self.standard()
            return
        self.ui.probeButton.blockSignals(True)
        self.ui.probeButton.checked = False
        self.ui.probeButton.blockSignals(False)
        tables.setValue(self.ui.rodSlider, 50.0)
        self._keepFields()
        self.turn()

    def onSlider(self, _value):
        self.turn(zoom=False)

    def stepDepth(self, millimetres):
        """Step along the probe, or along the rod."""
        slider = self.ui.rodSlider if self.ui.rodViewButton.checked else self.ui.depthSlider
        slider.value = slider.value + millimetres

    def stepTurn(self, degrees):
        """Turn the probe about the screw."""
        self.ui.turnSlider.value = (self.ui.turnSlider.value + degrees + 180.0) % 360.0 - 180.0

    def _keepFields(self):
        """Remember how far the views were zoomed in before they were turned."""
        if self._fields is None:
            self._fields = probe.fields(self.panel.planner.scene)

    def standard(self):
        """Go back to standard planes, at the selected screw."""
        for button in (self.ui.probeButton, self.ui.rodViewButton):
            button.blockSignals(True)
            button.checked = False
            button.blockSignals(False)
        scene = self.panel.planner.scene
        with probe.together(scene):
            probe.standard(scene)
            self._captions.showHeaders({})
            self.showSelected()
            if self._fields is not None:
                probe.setFields(scene, self._fields)
                self._fields = None

    def forget(self):
        """Forget views of a scene that is closed."""
        self._fields = None
        self._captions.showHeaders({})
        for button in (self.ui.probeButton, self.ui.rodViewButton, self.ui.profileButton):
            button.blockSignals(True)
            button.checked = False
            button.blockSignals(False)

    def onProfile(self, on):
        """Show the plot beside the views, or the layout that was there before."""
        layoutManager = slicer.app.layoutManager()
        if not on:
            if self._layout is not None:
                self._setLayout(self._layout)
            return
        planner = self.panel.planner
        screw = planner.selectedScrew()
        if screw is None:
            self.ui.profileButton.checked = False
            self.ui.statusLabel.text = _("Select a screw first.")
            return
        planner.plot.show(screw.id, planner.session.profile(screw))
        self._layout = layoutManager.layout
        self._setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        logic = slicer.app.applicationLogic()
        logic.GetSelectionNode().SetActivePlotChartID(planner.plot.chart.GetID())
        logic.PropagatePlotChartSelection()

    def _setLayout(self, layout):
        with probe.together(self.panel.planner.scene):  # a view may be resized more than once
            slicer.app.layoutManager().setLayout(layout)


def _probeHeaders(name, depth, turn):
    """Say what the three views cut: the shaft's own planes, turned about it."""
    turned = _(", turned {degrees:.0f}°").format(degrees=turn) if turn else ""
    along = _("{name}, along, {plane}{turned}")
    return {
        probe.ACROSS: _("{name}, across, {depth:.0f} mm from entry").format(name=name, depth=depth)
        + turned,
        probe.ALONG: along.format(name=name, plane=_("sagittal"), turned=turned),
        probe.SIDE: along.format(name=name, plane=_("axial"), turned=turned),
    }


def _rodHeaders(name, depth):
    along = _("{name}, along, {plane}{turned}")
    return {
        probe.ACROSS: _("{name}, across, {depth:.0f} mm from upper end").format(
            name=name, depth=depth
        ),
        probe.ALONG: along.format(name=name, plane=_("sagittal"), turned=""),
        probe.SIDE: along.format(name=name, plane=_("coronal"), turned=""),
    }
