"""The choice of the operation's plan, which the screws that were found are compared with."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.panel import tables
from spinemar.planning.plans.plan_json import read_plan


class OperationPlan:
    """Offers no plan, plan A, the plan as it is, and plans from files."""

    def __init__(self, combo, panel):
        self._combo, self._panel = combo, panel
        self._offered = []  # texts and plans, as listed
        self._files = []  # likewise, of files that were chosen
        combo.connect("activated(int)", self.onChosen)

    @property
    def plan(self):
        """The plan that is chosen; None for none."""
        place = self._combo.currentIndex
        return self._offered[place][1] if 0 <= place < len(self._offered) else None

    def refresh(self):
        """List what there is; the choice stays."""
        planner = self._panel.planner
        self._offered = [(_("no plan"), None)]
        if planner.planA is not None:
            self._offered.append((_("plan A"), planner.planA))
        if any(screw.sighting is None for screw in planner.plan.screws):
            self._offered.append((_("the present plan"), planner.plan))
        self._offered += self._files
        tables.choices(self._combo, [*(text for text, _plan in self._offered), _("a file...")])

    def onChosen(self, index):
        """Ask for a file where none is listed yet."""
        if index < len(self._offered):
            return
        self._combo.setCurrentIndex(0)
        path = str(
            qt.QFileDialog.getOpenFileName(
                slicer.util.mainWindow(), _("The operation's plan"), "", _("Plans (*.json)")
            )
        )
        plan = self._panel.runner.guarded(lambda: read_plan(Path(path))) if path else None
        if plan is None:
            return
        name = Path(path).name
        self._files = [one for one in self._files if one[0] != name] + [(name, plan)]
        self.refresh()
        self._combo.setCurrentIndex(self._combo.findText(name))
