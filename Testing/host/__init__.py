"""A headless 3D Slicer for tests and for developers without the application.

The MRML scene, the module logics, the displayable managers and ``slicer.util`` are Slicer's own
(from the ``slicer-core`` wheel); Qt is PySide6 behind a layer that speaks PythonQt's idioms. What
the wheel leaves out (application, module manager, layout manager, parameter node wrapper, the
qMRML and ctk widgets) is stood in for by the small files of this folder.

``Docs/developer/host.md`` says how to use it and what it cannot prove.
"""

from __future__ import annotations
