"""Step 1 of the panel: the CT and its spine."""

import qt
import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib import probe
from SpineImplantPlannerLib.handles.clicking import Clicks
from SpineImplantPlannerLib.nodes.spine import labelsOf
from SpineImplantPlannerLib.panel import tables, totalsegmentator
from SpineImplantPlannerLib.panel.detour import Detour, isInstalled
from spinemar.errors import InputError
from spinemar.spine.labels.levels import LEVELS, level_position
from spinemar.spine.model import CONFIDENT
from SpineMARLib.nodes.guards import checkInput

_WEAK = (1.0, 0.82, 0.55)


class SpineStep:
    """Segments the spine, or takes over what there is; corrects levels and vertebrae."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        self._clicks = self._detour = None
        ui = self.ui
        tables.prepare(ui.spineTable, [_("Level"), _("Confidence"), _("Pedicles"), _("Remark")])
        tables.choices(ui.relabelCombo, LEVELS)
        for name, slot in (
            ("segment", self.onSegment),
            ("useSegmentation", self.onUse),
            ("totalSegmentator", self.onTotalSegmentator),
            ("editSpine", self.onEdit),
            ("relabel", self.onRelabel),
        ):
            getattr(ui, f"{name}Button").connect("clicked()", slot)
        ui.mendButton.connect("toggled(bool)", self.onMend)
        ui.spineTable.connect("cellClicked(int,int)", self.onCell)
        ui.totalSegmentatorButton.visible = isInstalled(totalsegmentator.MODULE)

    def refresh(self):
        """Show the spine that there is."""
        logic, ui = self.panel.planner, self.ui
        hasCt = logic.volumeNode is not None
        node = ui.segmentationSelector.currentNode()
        idle = self.panel.runner.run is None
        spine = logic.session.spine
        ui.segmentButton.enabled = ui.totalSegmentatorButton.enabled = hasCt and idle
        ui.useSegmentationButton.enabled = hasCt and idle and node is not None
        ui.editSpineButton.enabled = spine is not None
        ui.mendButton.enabled = spine is not None and hasCt and idle
        ui.relabelButton.enabled = spine is not None and not logic.session.locked
        rows, colours = [], {}
        for row, vertebra in enumerate(spine.vertebrae if spine is not None else ()):
            widths = [
                f"{side[0].upper()} {vertebra.pedicles[side].width_mm:.1f}"
                for side in ("left", "right")
                if side in vertebra.pedicles
            ]
            rows.append([vertebra.level, f"{100 * vertebra.confidence:.0f} %",
                         ", ".join(widths), " ".join(vertebra.warnings)])  # fmt: skip
            if vertebra.confidence < CONFIDENT:
                colours[row, 1] = _WEAK
        tables.fill(ui.spineTable, rows, colours)

    # Segmentations from here and elsewhere.

    def onSegment(self):
        self.panel.runner.start(self._segment, self._take)

    def _segment(self):
        logic = self.panel.planner
        for question in checkInput(logic.volumeNode):
            if not slicer.util.confirmYesNoDisplay(question.text, windowTitle=self.panel.title):
                return None
        self.panel.ensurePackages()
        return logic.plannerJobs.segment(logic.ct())

    def onUse(self):
        """Take a segmentation over: only what was edited if it is ours, else all of it."""
        node = self.ui.segmentationSelector.currentNode()
        logic = self.panel.planner
        if node is logic.spineNode and logic.session.spine is not None:
            self.takeEdits()
            return

        def start():
            self.panel.ensurePackages()
            labels, names = labelsOf(node, logic.volumeNode)
            return logic.plannerJobs.segment(logic.ct(), labels, names)

        self.panel.runner.start(start, self._take)

    def _take(self, spine, description="Segment the spine", show=True):
        logic = self.panel.planner
        if not spine.vertebrae:
            raise InputError(
                "No vertebra with pedicles was found.", "Check that the CT shows the spine."
            )
        own = logic.spineNode
        chosen = self.ui.segmentationSelector.currentNode()
        node = logic.useSpine(spine, own if own is chosen else None, description)
        self.panel.parameters.segmentation = node
        self.panel.fillLevels()
        self.ui.statusLabel.text = _("{count} vertebrae: {first} to {last}.").format(
            count=len(spine.vertebrae), first=spine.levels[0], last=spine.levels[-1]
        )
        if show:
            middle = spine.vertebrae[len(spine.vertebrae) // 2]
            probe.jump(logic.scene, middle.body_centre_ras)

    def onTotalSegmentator(self):
        """Run TotalSegmentator on this CT, and come back with its vertebrae."""
        volume = self.panel.planner.volumeNode
        self._detour = Detour(totalsegmentator.MODULE, self._afterTotalSegmentator)
        segmentation = self.panel.runner.guarded(lambda: totalsegmentator.run(volume))
        if segmentation is not None:
            self._detour.home()

    def _afterTotalSegmentator(self):
        node = totalsegmentator.result()
        if node is not None:
            self.ui.segmentationSelector.setCurrentNode(node)
            self.onUse()

    # Corrections.

    def onCell(self, row, _column):
        spine = self.panel.planner.session.spine
        if spine is not None and row < len(spine.vertebrae):
            vertebra = spine.vertebrae[row]
            tables.choices(self.ui.relabelCombo, LEVELS, vertebra.level)
            self.panel.automatic.chooseSite(vertebra.level)
            probe.jump(self.panel.planner.scene, vertebra.body_centre_ras)

    def onRelabel(self):
        """Count all levels anew from the vertebra whose row is chosen, or confirm its name."""
        row = self.ui.spineTable.currentRow()
        logic = self.panel.planner

        def rename():
            spine = logic.requireSpine()
            if not 0 <= row < len(spine.levels):
                raise InputError("No vertebra is selected.", "Click its row in the table first.")
            wanted = self.ui.relabelCombo.currentText
            steps = int(level_position(wanted) - level_position(spine.levels[row]))
            # The present name, chosen again, confirms it.
            logic.shiftLevels(steps)
            self.panel.fillLevels()

        self.panel.runner.guarded(rename)

    def onMend(self, on):
        """Wait for a click into the body of the chosen level, then segment it again."""
        if self._clicks is not None:
            self._clicks.stop()
            self._clicks = None
        if on:
            self.ui.statusLabel.text = _("Click into the middle of the body of {level}.").format(
                level=self.ui.relabelCombo.currentText
            )
            self._clicks = Clicks(
                self.panel.planner.scene,
                1,
                "Middle of the body",
                self._mend,
                self._mended,
                lambda call: qt.QTimer.singleShot(0, call),
            )

    def _mended(self):
        self._clicks = None
        self.ui.mendButton.checked = False
        self.ui.statusLabel.text = ""

    def _mend(self, point):
        logic = self.panel.planner
        level = self.ui.relabelCombo.currentText

        def start():
            self.panel.ensurePackages()
            spine = logic.requireSpine()
            return logic.plannerJobs.edit(logic.ct(), spine, spine.labels, correct=(level, point))

        self.panel.runner.start(
            start, lambda spine: self._take(spine, f"Segment {level} again", False)
        )

    def onEdit(self):
        """Open the Segment Editor with this spine, CT, and the vertebra of the chosen row."""
        logic = self.panel.planner
        if not isInstalled("SegmentEditor"):
            slicer.util.infoDisplay(
                _("This Slicer has no Segment Editor."), windowTitle=self.panel.title
            )
            return
        self._detour = Detour("SegmentEditor", self.takeEdits)
        editor = self._detour.widget.self().editor
        editor.setSegmentationNode(logic.spineNode)
        editor.setSourceVolumeNode(logic.volumeNode)
        segmentation = logic.spineNode.GetSegmentation()
        segment = segmentation.GetSegmentIdBySegmentName(self.ui.relabelCombo.currentText)
        if segment:
            editor.setCurrentSegmentID(segment)

    def takeEdits(self):
        """Fit the vertebrae anew that were edited; nothing happens where none was."""
        logic = self.panel.planner
        edited = self.panel.runner.guarded(logic.editedLevels)
        if edited is None:
            return
        labels, levels = edited
        if not levels:
            self.ui.statusLabel.text = _("The segmentation was not changed.")
            return
        spine = logic.session.spine

        def start():
            self.panel.ensurePackages()
            return logic.plannerJobs.edit(logic.ct(), spine, labels, levels)

        self.panel.runner.start(
            start,
            lambda new: self._take(new, f"Edit {', '.join(levels)}", False),
        )

    def close(self):
        """Take the button out of the other module."""
        if self._detour is not None:
            self._detour.end()
