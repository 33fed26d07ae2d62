"""The first run: what will be installed, how large it is, and a button that does it."""

from slicer.i18n import tr as _

from SpineMARLib.panel.errors import guarded
from SpineMARLib.panel.packages import downloadText


class FirstRunPanel:
    """Stands at the top of the panel for as long as packages are missing.

    Parameters
    ----------
    ui : the panel's widgets
    missing : callable
        Returns the requirements that are not met.
    install : callable
        Asks for consent and installs them.
    """

    def __init__(self, ui, missing, install):
        self.ui = ui
        self._missing, self._install = missing, install
        ui.installButton.connect("clicked()", self.onInstall)

    def refresh(self):
        """Show what is missing, or nothing."""
        wanted = self._missing()
        self.ui.firstRunFrame.visible = bool(wanted)
        if wanted:
            text = _(
                "First run: {packages} will be installed into this Slicer, once, after you have "
                "agreed. The download goes to the Python package index; no image leaves this "
                "computer. Correct artifacts asks for the same."
            )
            self.ui.firstRunLabel.text = text.format(packages=downloadText(wanted))

    def onInstall(self):
        guarded(self._install, _("Install packages"))
        self.refresh()
