"""Step 4 of the panel: summary, collisions, plan A against plan B, lock, notes."""

import qt
import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib import probe
from SpineImplantPlannerLib.panel import tables
from SpineImplantPlannerLib.panel.translations import translated
from spinemar.implants.kinds import counts_of
from spinemar.planning.plans.commands import ReplacePlan, SetNotes
from spinemar.planning.plans.compare import compare_plans
from spinemar.planning.report.tables import collision_line

_RED = (0.97, 0.72, 0.70)


class CheckStep:
    """Looks the plan over before it is used."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        self._collisions = ()
        tables.prepare(ui.collisionTable, [_("Collision")])
        tables.prepare(
            ui.compareTable,
            [_("Screw"), _("Entry mm"), _("Tip mm"), _("Angle deg"), _("Diam. mm"), _("Length mm")],
        )
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

    def refresh(self):
        """Summarise the plan."""
        plan = self.panel.planner.plan
        letters = [s.grade.letter if s.grade else _("not graded") for s in plan.screws]
        grades = ", ".join(f"{letters.count(x)} {x}" for x in dict.fromkeys(sorted(letters)))
        counts = [f"{n} {translated(group)}" for group, n in counts_of(plan).items() if n]
        self.ui.summaryLabel.text = _("{implants}. Grades: {grades}. {warnings}").format(
            implants=", ".join(counts) or _("no implants"),
            grades=grades or "-",
            warnings=" ".join(plan.warnings),
        )
        planner = self.panel.planner
        self.ui.compareButton.enabled = planner.planA is not None
        self.ui.swapPlansButton.enabled = planner.planA is not None and not planner.session.locked
        self.ui.planLockCheckBox.blockSignals(True)
        self.ui.planLockCheckBox.checked = planner.session.locked
        self.ui.planLockCheckBox.blockSignals(False)
        if self.ui.notesEdit.toPlainText() != plan.notes and not self._timer.isActive():
            self.ui.notesEdit.blockSignals(True)
            self.ui.notesEdit.setPlainText(plan.notes)
            self.ui.notesEdit.blockSignals(False)
        if self.ui.compareButton.checked:
            self._compare()
        if self._collisions:
            self._collisions = ()
            tables.fill(self.ui.collisionTable, [])

    def onCheck(self):
        self._collisions = self.panel.planner.collisions()
        rows = [[collision_line(one)] for one in self._collisions]
        colours = {(row, 0): _RED for row in range(len(rows))}
        tables.fill(self.ui.collisionTable, rows or [[_("Nothing touches.")]], colours)

    def onCell(self, row, _column):
        if row < len(self._collisions):
            found, planner = self._collisions[row], self.panel.planner
            screws = {screw.id: screw for screw in planner.plan.screws}
            named = [screws[name] for name in (found.first, found.second) if name in screws]
            if named:
                planner.select(named[0].id)
                probe.jump(planner.scene, named[0].entry)
            elif planner.nodes.model(found.first) is not None:
                probe.jump(planner.scene, planner.nodes.centre(found.first))

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
        """Compare no more, as in a new scene."""
        self.ui.compareButton.checked = False

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
