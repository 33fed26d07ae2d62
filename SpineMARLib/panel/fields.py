"""Fields of a panel: labels that are there only while they say something, paths of folders."""

import ctk
import qt


def chooseFolders(*fields):
    """Let the buttons of path fields open folders; ctk's own choice is files."""
    for field in fields:
        field.filters = ctk.ctkPathLineEdit.Dirs


def tell(label, text):
    """Show a text; without one the label takes no room."""
    label.text = text
    label.visible = bool(text)


def keepEmptyHidden(button):
    """Have a collapsible button show no empty label when it is opened.

    It shows all that it has hidden itself, whatever was said to the label meanwhile.
    """

    def onCollapsed(collapsed):
        if not collapsed:
            for label in button.findChildren(qt.QLabel):
                if not label.text and label.objectName:
                    label.visible = False

    button.connect("contentsCollapsed(bool)", onCollapsed)
