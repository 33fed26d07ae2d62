"""Keys of a module: they live from its `enter()` to its `exit()`."""

import qt
import slicer


class Shortcuts:
    """The shortcuts of one panel.

    Parameters
    ----------
    parent : QWidget
        Used where Slicer has no main window.
    """

    def __init__(self, parent):
        self._parent = parent
        self._shortcuts = {}

    def enable(self, slots):
        """Make a shortcut for each key of a mapping."""
        window = slicer.util.mainWindow() or self._parent
        for keys, slot in slots.items():
            shortcut = qt.QShortcut(qt.QKeySequence(keys), window)
            shortcut.connect("activated()", slot)
            # Qt calls this one instead where the application has the same key.
            shortcut.connect("activatedAmbiguously()", slot)
            self._shortcuts[keys] = shortcut

    def setEnabled(self, keys, enabled):
        """Leave a key to Slicer for a while, or take it back."""
        if keys in self._shortcuts:
            self._shortcuts[keys].enabled = enabled

    def disable(self):
        """Give all keys back to Slicer."""
        for shortcut in self._shortcuts.values():
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = {}
