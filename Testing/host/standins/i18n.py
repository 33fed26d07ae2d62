"""Stand-in for `slicer.i18n`: the same context rules, asked of the host's application."""

from __future__ import annotations

import inspect
from pathlib import Path


def translate(context: str, text: str) -> str:
    """Translate a text in a context to the application's language."""
    import slicer

    return slicer.app.translate(context, text)


def getContext(sourceFile: str) -> str:
    """Name the context: the file, or package and file where it lies in a package."""
    path = Path(sourceFile)
    if (path.parent / "__init__.py").is_file():
        return f"{path.parent.name}.{path.stem}"
    return path.stem


def tr(text: str) -> str:
    """Translate a text in the context of the calling file."""
    # Not this frame itself: one that holds itself keeps all that its callers hold.
    caller = getattr(inspect.currentframe(), "f_back", None)
    context = getContext(caller.f_code.co_filename) if caller else ""
    return translate(context, text)
