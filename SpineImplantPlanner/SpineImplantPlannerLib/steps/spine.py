"""Step 1 of the panel: the CT and its spine."""

import qt
import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.handles.clicking import Clicks
from SpineImplantPlannerLib.nodes.spine import FRAMES_ATTRIBUTE, hipPiecesOf, piecesOf
from SpineImplantPlannerLib.panel import reasons, tables
from SpineImplantPlannerLib.panel.others import totalsegmentator
from SpineImplantPlannerLib.panel.others.detour import Detour, isInstalled
from SpineImplantPlannerLib.panel.runner import CT, SPINE
from spinemar.errors import InputError
from spinemar.spine.labels.levels import LEVELS, steps_between
from spinemar.spine.model import CONFIDENT

_WEAK = (1.0, 0.82, 0.55)


class SpineStep:
    """Segments the spine, or takes over what there is; corrects levels and vertebrae."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        self._clicks = self._detour = self._chosen = None
        ui = self.ui
        tables.prepare(ui.spineTable, [_("Level"), _("Confidence"), _("Pedicles, mm"), _("Remark")])
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
        ui.show3dCheckBox.connect("toggled(bool)", lambda _on: panel.views.show3d())

    def refresh(self):
        """Show the spine that there is."""
        logic, ui = self.panel.planner, self.ui
        hasCt = logic.volumeNode is not None
        node = ui.segmentationSelector.currentNode()
        idle = self.panel.runner.run is None
        spine = logic.session.spine
        busy = (not idle, _("Wait for what runs, or cancel it."))
        noCt = (not hasCt, _("Choose a CT first."))
        noSpine = (spine is None, _("Segment the spine first."))
        reasons.allow(
            ui.spineReason,
            ((ui.segmentButton, ui.totalSegmentatorButton), reasons.first(noCt, busy)),
            (
                (ui.useSegmentationButton,),
                reasons.first(
                    noCt, (node is None, _("Choose a segmentation above to use it.")), busy
                ),
            ),
        )
        locked = (logic.session.locked, _("Unlock the plan in step 4."))
        reasons.allow(
            ui.levelsReason,
            ((ui.editSpineButton,), reasons.first(noSpine)),
            ((ui.mendButton,), reasons.first(noSpine, noCt, busy)),
            ((ui.relabelButton,), reasons.first(noSpine, locked)),
        )
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
        self.panel.runner.start(self._segment, self._take, about=(CT,))

    def _segment(self):
        logic = self.panel.planner
        if not self.panel.acceptsInput():
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
            pieces, names = piecesOf(node)
            return logic.plannerJobs.segment(logic.ct(), pieces, names, pelvis=hipPiecesOf(node))

        self.panel.runner.start(start, self._take, about=(CT,))

    def choose(self, node):
        """Read the spine from a segmentation that this module made; leave any other alone."""
        logic, frames = self.panel.planner, node.GetAttribute(FRAMES_ATTRIBUTE)
        again, self._chosen = node is self._chosen, node  # parameters are told of more than once
        if again or not frames or logic.volumeNode is None or self.panel.runner.run is not None:
            return

        def start():
            pieces, _names = piecesOf(node)
            return logic.plannerJobs.restore(logic.ct(), frames, pieces, hipPiecesOf(node))

        def finish(spine):
            logic.chooseSpine(spine, node)
            self.panel.fillLevels()

        self.panel.runner.start(start, finish, about=(CT,))

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
            self.panel.views.showSpine()

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
            self.panel.views.lookAt(vertebra.body_centre_ras)

    def onRelabel(self):
        """Count all levels anew from the vertebra whose row is chosen, or confirm its name."""
        row = self.ui.spineTable.currentRow()
        logic = self.panel.planner

        def start():
            spine = logic.requireSpine()
            if not 0 <= row < len(spine.levels):
                raise InputError("No vertebra is selected.", "Click its row in the table first.")
            wanted = self.ui.relabelCombo.currentText
            steps = steps_between(spine.levels[row], wanted)
            # The present name, chosen again, confirms it.
            return logic.plannerJobs.shiftLevels(spine, steps)

        def finish(spine):
            logic.takeShifted(spine)
            self.panel.fillLevels()

        self.panel.runner.start(start, finish, about=(SPINE,))

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
            return logic.plannerJobs.correct(logic.ct(), spine, level, point)

        self.panel.runner.start(
            start,
            lambda spine: self._take(spine, f"Segment {level} again", False),
            about=(CT, SPINE),
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
        spine, node = logic.session.spine, logic.spineNode
        if spine is None or node is None or not logic.scene.IsNodePresent(node):
            return

        def start():
            self.panel.ensurePackages()
            pieces, _names = piecesOf(node)
            return logic.plannerJobs.takeEdits(logic.ct(), spine, pieces, hipPiecesOf(node))

        def finish(edited):
            if edited.spine is None:
                self.ui.statusLabel.text = _("The segmentation was not changed.")
            else:
                self._take(edited.spine, f"Edit {', '.join(edited.levels)}", False)

        self.panel.runner.start(start, finish, about=(CT, SPINE))

    def close(self):
        """Take the button out of the other module."""
        if self._detour is not None:
            self._detour.end()
