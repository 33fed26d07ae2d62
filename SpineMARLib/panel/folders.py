"""Fields for folders."""

import ctk


def chooseFolders(*fields):
    """Let the buttons of path fields open folders; ctk's own choice is files."""
    for field in fields:
        field.filters = ctk.ctkPathLineEdit.Dirs
