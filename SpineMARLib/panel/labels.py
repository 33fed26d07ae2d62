"""Labels that are there only while they say something, in folded parts of a panel too."""

import qt


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
