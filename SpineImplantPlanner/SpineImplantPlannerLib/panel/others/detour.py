"""To another module and back: a button on top of its panel leads home with what was done there."""

import qt
import slicer
from slicer.i18n import tr as _

HOME = "SpineImplantPlanner"
BUTTON = "backToSpineImplantPlannerButton"


class Detour:
    """One visit to another module.

    Parameters
    ----------
    moduleName : str
        As Slicer's module selector knows it.
    back : callable
        Called after the button led back.
    """

    def __init__(self, moduleName, back):
        self._back = back
        slicer.util.selectModule(moduleName)
        self.widget = getattr(slicer.modules, moduleName.lower()).widgetRepresentation()
        old = self.widget.findChild(qt.QPushButton, BUTTON)
        if old is not None:
            self._remove(old)
        self.button = qt.QPushButton(_("Back to Spine Implant Planner"))
        self.button.objectName = BUTTON
        self.button.toolTip = _("Return, and take over what you changed.")
        self.button.connect("clicked()", self.home)
        self.widget.layout().insertWidget(0, self.button)

    def home(self):
        """Go back, and do what was meant to follow."""
        self.end()
        slicer.util.selectModule(HOME)
        self._back()

    def end(self):
        """Take the button away."""
        if self.button is not None:
            self._remove(self.button)
            self.button = None

    @staticmethod
    def _remove(button):
        button.hide()
        button.setParent(None)
        button.deleteLater()


def isInstalled(moduleName):
    """Whether this Slicer has a module."""
    return hasattr(slicer.modules, moduleName.lower())
