"""The panel's part about views: probe along a screw, rod view, back to standard, HU plot."""

import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib import probe
from SpineImplantPlannerLib.panel import tables


class Views:
    """Turns slice views; every change of the selection moves them along where they are turned."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        self._fields = self._layout = None
        ui = self.ui
        ui.probeButton.connect("toggled(bool)", self.onProbe)
        ui.rodViewButton.connect("toggled(bool)", self.onRod)
        ui.standardButton.connect("clicked()", self.standard)
        ui.profileButton.connect("toggled(bool)", self.onProfile)
        for name in ("depthSlider", "turnSlider"):
            getattr(ui, name).connect("valueChanged(double)", self.onSlider)
        ui.rodSlider.connect("valueChanged(double)", self.onSlider)

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
            probe.jump(self.panel.planner.scene, middle)

    def turn(self, zoom=True):
        """Turn the views to what is chosen."""
        planner, ui = self.panel.planner, self.ui
        screw = planner.selectedScrew()
        if ui.probeButton.checked and screw is not None:
            probe.showScrew(
                planner.scene, screw, ui.depthSlider.value, ui.turnSlider.value, zoom=zoom
            )
        elif ui.rodViewButton.checked:
            rod = self.panel.rods.chosenRod()
            if rod is not None:
                probe.showRod(planner.scene, rod, ui.rodSlider.value / 100.0)

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
        probe.standard(scene)
        if self._fields is not None:
            probe.setFields(scene, self._fields)
            self._fields = None
        self.showSelected()

    def forget(self):
        """Forget views of a scene that is closed."""
        self._fields = None
        for button in (self.ui.probeButton, self.ui.rodViewButton, self.ui.profileButton):
            button.blockSignals(True)
            button.checked = False
            button.blockSignals(False)

    def onProfile(self, on):
        """Show the plot beside the views, or the layout that was there before."""
        layoutManager = slicer.app.layoutManager()
        if not on:
            if self._layout is not None:
                layoutManager.setLayout(self._layout)
            return
        planner = self.panel.planner
        screw = planner.selectedScrew()
        if screw is None:
            self.ui.profileButton.checked = False
            self.ui.statusLabel.text = _("Select a screw first.")
            return
        planner.plot.show(screw.id, planner.session.profile(screw))
        self._layout = layoutManager.layout
        layoutManager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        logic = slicer.app.applicationLogic()
        logic.GetSelectionNode().SetActivePlotChartID(planner.plot.chart.GetID())
        logic.PropagatePlotChartSelection()
