"""Step 1 of the panel: the CT and its spine."""

import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib import probe, tables
from SpineImplantPlannerLib.relabel import renamed
from SpineImplantPlannerLib.shared import checkInput
from SpineImplantPlannerLib.spinenodes import labelsOf
from spinemar.errors import InputError
from spinemar.spine.levels import LEVELS
from spinemar.spine.model import CONFIDENT

_WEAK = (1.0, 0.82, 0.55)


class SpineStep:
    """Segments the spine, or takes over what there is."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        tables.prepare(ui.spineTable, [_("Level"), _("Confidence"), _("Pedicles"), _("Remark")])
        tables.choices(ui.relabelCombo, LEVELS)
        ui.segmentButton.connect("clicked()", self.onSegment)
        ui.useSegmentationButton.connect("clicked()", self.onUse)
        ui.totalSegmentatorButton.connect("clicked()", self.onTotalSegmentator)
        ui.editSpineButton.connect("clicked()", self.onEdit)
        ui.relabelButton.connect("clicked()", self.onRelabel)
        ui.spineTable.connect("cellClicked(int,int)", self.onCell)
        ui.totalSegmentatorButton.visible = hasattr(slicer.modules, "totalsegmentator")

    def refresh(self):
        """Show the spine that there is."""
        logic, ui = self.panel.planner, self.ui
        hasCt = logic.volumeNode is not None
        node = ui.segmentationSelector.currentNode()
        idle = self.panel.runner.run is None
        ui.segmentButton.enabled = hasCt and idle
        ui.useSegmentationButton.enabled = hasCt and idle and node is not None
        spine = logic.session.spine
        for name in ("editSpine", "relabel"):
            getattr(ui, f"{name}Button").enabled = spine is not None
        ui.editSpineButton.enabled = spine is not None
        rows, colours = [], {}
        for row, vertebra in enumerate(spine.vertebrae if spine is not None else ()):
            widths = [
                f"{side[0].upper()} {vertebra.pedicles[side].width_mm:.1f}"
                for side in ("left", "right")
                if side in vertebra.pedicles
            ]
            remark = vertebra.warnings[0] if vertebra.warnings else ""
            rows.append(
                [vertebra.level, f"{100 * vertebra.confidence:.0f} %", ", ".join(widths), remark]
            )
            if vertebra.confidence < CONFIDENT:
                colours[row, 1] = _WEAK
        tables.fill(ui.spineTable, rows, colours)

    def onSegment(self):
        self.panel.runner.start(self._segment, self._take)

    def _segment(self):
        logic = self.panel.planner
        questions = checkInput(logic.volumeNode)
        for question in questions:
            if not slicer.util.confirmYesNoDisplay(question.text, windowTitle=self.panel.title):
                return None
        self.panel.ensurePackages()
        return logic.workshop.segment(logic.ct())

    def onUse(self):
        """Take over a segmentation: at once if it is ours and unchanged, else in the worker."""
        node = self.ui.segmentationSelector.currentNode()
        logic = self.panel.planner

        def start():
            labels, names = labelsOf(node, logic.volumeNode)
            return logic.workshop.segment(logic.ct(), labels, names)

        self.panel.runner.start(start, self._take)

    def _take(self, spine):
        logic = self.panel.planner
        if not spine.vertebrae:
            raise InputError(
                "No vertebra with pedicles was found.", "Check that the CT shows the spine."
            )
        own = logic.spineNode
        chosen = self.ui.segmentationSelector.currentNode()
        node = logic.useSpine(spine, own if own is chosen else None)
        self.panel.parameters.segmentation = node
        middle = spine.vertebrae[len(spine.vertebrae) // 2]
        probe.jump(logic.scene, middle.body_centre_ras)
        self.panel.fillLevels()
        self.ui.statusLabel.text = _("{count} vertebrae: {first} to {last}.").format(
            count=len(spine.vertebrae), first=spine.levels[0], last=spine.levels[-1]
        )

    def onCell(self, row, _column):
        spine = self.panel.planner.session.spine
        if spine is not None and row < len(spine.vertebrae):
            vertebra = spine.vertebrae[row]
            tables.choices(self.ui.relabelCombo, LEVELS, vertebra.level)
            probe.jump(self.panel.planner.scene, vertebra.body_centre_ras)

    def onRelabel(self):
        row = self.ui.spineTable.currentRow()
        logic = self.panel.planner

        def rename():
            spine = logic.requireSpine()
            if row < 0:
                raise InputError("No vertebra is selected.", "Click its row in the table first.")
            new = renamed(spine, spine.levels[row], self.ui.relabelCombo.currentText)
            logic.useSpine(new, logic.spineNode)
            self.panel.fillLevels()

        self.panel.runner.guarded(rename)

    def onEdit(self):
        """Open the Segment Editor with this spine and CT; the module's own button leads back."""
        logic = self.panel.planner
        if not hasattr(slicer.modules, "segmenteditor"):
            slicer.util.infoDisplay(_("This Slicer has no Segment Editor."))
            return
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(logic.spineNode)
        editor.setSourceVolumeNode(logic.volumeNode)

    def onTotalSegmentator(self):
        slicer.util.selectModule("TotalSegmentator")
        widget = slicer.modules.totalsegmentator.widgetRepresentation().self()
        widget.ui.inputVolumeSelector.setCurrentNode(self.panel.planner.volumeNode)
