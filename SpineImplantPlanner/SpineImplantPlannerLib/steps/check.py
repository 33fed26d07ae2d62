"""Step 4 of the panel: summary, alignment, collisions, plan A against plan B, lock, notes."""

from html import escape

import qt
import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.panel import reasons, tables
from SpineImplantPlannerLib.panel.translations import translated
from SpineImplantPlannerLib.views.endplates import EndplateSheets
from spinemar.implants.kinds import counts_of
from spinemar.planning.alignment.plates import measured_plates
from spinemar.planning.plans.commands import ReplacePlan, SetNotes
from spinemar.planning.plans.compare import compare_plans
from spinemar.planning.report.colours import GRADE_COLOURS
from spinemar.planning.report.tables import alignment_rows, collision_line
from spinemar.planning.report.wording import danger_line, grade_counts, in_canal


class CheckStep:
    """Looks the plan over before it is used."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        self._collisions = self._dangers = ()
        tables.prepare(ui.collisionTable, [_("Collision")])
        tables.prepare(
            ui.compareTable,
            [
                _("Screw"),
                _("Entry, mm"),
                _("Tip, mm"),
                _("Angle, °"),
                _("Diameter, mm"),
                _("Length, mm"),
            ],
        )
        tables.prepare(ui.alignmentTable, [_("Angle"), _("Now, °"), _("With cages, °")])
        self._measured, self._sheets = None, EndplateSheets()
        ui.showAlignmentCheckBox.connect("toggled(bool)", self.onShowAlignment)
        for name, slot in (
            ("check", self.onCheck),
            ("keep", self.onKeep),
            ("swapPlans", self.onSwap),
        ):
            getattr(ui, f"{name}Button").connect("clicked()", slot)
        ui.compareButton.connect("toggled(bool)", self.onCompare)
        ui.planLockCheckBox.connect("toggled(bool)", self.onLock)
        ui.collisionTable.connect("cellClicked(int,int)", self.onCell)
        # Notes are a step of the history once the user pauses, not one a letter.
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(800)
        self._timer.connect("timeout()", self.onNotes)
        ui.notesEdit.connect("textChanged()", self._timer.start)

    def close(self):
        self._timer.stop()
        self._sheets.remove()

    def refresh(self):
        """Summarise the plan."""
        plan = self.panel.planner.plan
        grades = ", ".join(f"{n} {name}" for name, n in grade_counts(plan, translated).items())
        counts = [f"{n} {translated(group)}" for group, n in counts_of(plan).items() if n]
        dangers = "; ".join(danger_line(screw, translated) for screw in in_canal(plan))
        self.ui.summaryLabel.text = _("{dangers}{implants}. Grades: {grades}. {warnings}").format(
            dangers=f"<b>{escape(dangers)}.</b><br>" if dangers else "",
            implants=", ".join(counts) or _("no implants"),
            grades=grades or "-",
            warnings="".join(f"<br>{escape(text)}" for text in plan.warnings),
        )
        planner = self.panel.planner
        noA = (planner.planA is None, _("Keep a plan as A to compare with it."))
        locked = (planner.session.locked, _("The plan is locked."))
        reasons.allow(
            self.ui.compareReason,
            ((self.ui.compareButton,), reasons.first(noA)),
            ((self.ui.swapPlansButton,), reasons.first(noA, locked)),
        )
        self.ui.planLockCheckBox.blockSignals(True)
        self.ui.planLockCheckBox.checked = planner.session.locked
        self.ui.planLockCheckBox.blockSignals(False)
        if self.ui.notesEdit.toPlainText() != plan.notes and not self._timer.isActive():
            self.ui.notesEdit.blockSignals(True)
            self.ui.notesEdit.setPlainText(plan.notes)
            self.ui.notesEdit.blockSignals(False)
        if self.ui.compareButton.checked:
            self._compare()
        self._align()
        if self._collisions or self._dangers:
            self._collisions = self._dangers = ()
            tables.fill(self.ui.collisionTable, [])

    def _align(self):
        """Show the angles of the present spine, now and with the plan's cages."""
        spine, cages = self.panel.planner.session.spine, self.panel.planner.plan.cages
        if self._measured == (id(spine), cages):
            return
        self._measured = id(spine), cages
        rows = [] if spine is None else alignment_rows(spine.vertebrae, cages, spine.femoral_heads)
        tables.fill(self.ui.alignmentTable, rows)
        if spine is None:
            remark = _("Segment the spine first.")
        else:
            remark = _("Lying in the scanner, in lateral and frontal projection. {doubt}").format(
                doubt=spine.heads_doubt
            )
        self.ui.alignmentLabel.text = remark.strip()
        reasons.allow(
            self.ui.alignmentReason,
            (
                (self.ui.showAlignmentCheckBox,),
                reasons.first((not rows, _("No curve of this spine is seen as a whole."))),
            ),
        )
        self.onShowAlignment()

    def onShowAlignment(self, _on=None):
        """Draw the endplates that the angles lie between, or take them away."""
        planner = self.panel.planner
        spine = planner.session.spine
        if spine is None or not self.ui.showAlignmentCheckBox.checked:
            self._sheets.remove()
            return
        plates = measured_plates(spine.vertebrae, planner.plan.cages, spine.femoral_heads)
        self._sheets.show(planner.scene, plates)

    def onCheck(self):
        planner = self.panel.planner
        self._dangers, self._collisions = in_canal(planner.plan), planner.collisions()
        self.panel.views.showNames()
        rows = [[danger_line(screw, translated)] for screw in self._dangers]
        colours = {(row, 0): GRADE_COLOURS["E"] for row in range(len(rows))}
        rows += [[collision_line(one)] for one in self._collisions]
        tables.fill(self.ui.collisionTable, rows or [[_("Nothing touches.")]], colours)

    def onCell(self, row, _column):
        planner, row = self.panel.planner, row - len(self._dangers)
        if row < 0:
            screw = self._dangers[row]
            planner.select(screw.id)
            self.panel.views.lookAt(screw.entry)
        elif row < len(self._collisions):
            found = self._collisions[row]
            screws = {screw.id: screw for screw in planner.plan.screws}
            named = [screws[name] for name in (found.first, found.second) if name in screws]
            if named:
                planner.select(named[0].id)
                self.panel.views.lookAt(named[0].entry)
            elif planner.nodes.model(found.first) is not None:
                self.panel.views.lookAt(planner.nodes.centre(found.first))

    def onKeep(self):
        self.panel.planner.keepAsA(self.panel.planner.plan)
        self.refresh()
        slicer.util.showStatusMessage(_("Kept as plan A."), 2000)

    def onCompare(self, on):
        """List the differences from plan A and show it beside this one, or stop that."""
        planner = self.panel.planner
        if on and planner.planA is not None:
            planner.ghost.show(planner.planA, planner.plan)
            self._compare()
        else:
            planner.ghost.remove()
            tables.fill(self.ui.compareTable, [])

    def forget(self):
        """Compare and draw no more, as in a new scene."""
        self.ui.compareButton.checked = self.ui.showAlignmentCheckBox.checked = False
        self._measured = None
        self._sheets.remove()

    def _compare(self):
        if self.panel.planner.planA is None:
            return
        found = compare_plans(self.panel.planner.planA, self.panel.planner.plan)
        rows = [
            [
                d.screw_id,
                f"{d.entry_mm:.1f}",
                f"{d.tip_mm:.1f}",
                f"{d.angle_deg:.1f}",
                f"{d.diameter_mm:+g}",
                f"{d.length_mm:+g}",
            ]
            for d in found.differences
        ]
        rows += [[name, _("only in A"), "", "", "", ""] for name in found.only_first]
        rows += [[name, _("only in B"), "", "", "", ""] for name in found.only_second]
        if found.differences:
            rows.append([_("mean"), f"{found.mean_entry_mm:.1f}", f"{found.mean_tip_mm:.1f}",
                         f"{found.mean_angle_deg:.1f}", "", ""])  # fmt: skip
        tables.fill(self.ui.compareTable, rows)

    def onSwap(self):
        planner = self.panel.planner
        present, wanted = planner.plan, planner.planA

        def swap():
            planner.do(ReplacePlan(wanted, _("Show plan A")))
            planner.keepAsA(present)
            self.refresh()

        self.panel.runner.guarded(swap)

    def onLock(self, on):
        self.panel.planner.setLocked(on)

    def onNotes(self):
        text = self.ui.notesEdit.toPlainText()
        planner = self.panel.planner
        if text != planner.plan.notes:
            self.panel.runner.guarded(lambda: planner.do(SetNotes(text)))
