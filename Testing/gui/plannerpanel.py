"""The planner's panel on a drawn spine, and how tests touch it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SpineImplantPlanner" / "SpineImplantPlanner.py"


def openPanel(
    host: Any, levels: str = "T12-L1", *, planned: bool = True, slice_mm: float = 2.0
) -> Any:
    """Open the panel on a CT of a drawn spine, with an automatic plan unless told otherwise."""
    host.showWindow()
    host.loadModule(MODULE)
    import slicer
    from SpineImplantPlannerLib.panel import selftest

    spine, made = _spine(levels, slice_mm)
    host.volume = selftest.drawnCt(host.scene, spine)
    slicer.util.setSliceViewerLayers(background=host.volume, fit=True)
    host.window.moduleSelector().selectModule("SpineImplantPlanner")
    widget = slicer.modules.SpineImplantPlannerWidget
    widget.parameters.segmentation = widget.planner.useSpine(spine)
    widget.planner.session.take(made.fields)
    if planned:
        widget.planner.loadPlan(made.plan)
    widget.fillLevels()
    host.process(0.05)
    return widget


@cache
def _spine(levels: str, slice_mm: float) -> tuple[Any, Any]:
    from SpineImplantPlannerLib.panel import selftest

    spine = selftest.drawnSpine(levels, (1.0, 1.0, slice_mm))
    return spine, plan_with_alternatives(spine, None, levels, load_catalogue(), PlanSettings())


def click(button: Any) -> None:
    """Click a button with the mouse."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def press(host: Any, key: Any, modifier: Any = None) -> None:
    """Press a key in the main window."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    host.window.activateWindow()
    host.process()
    QTest.keyClick(host.window, key, modifier or Qt.KeyboardModifier.NoModifier)
    host.process()


def finish(host: Any, panel: Any, seconds: float = 240) -> None:
    """Wait for what runs in the background."""
    host.waitUntil(lambda: panel.runner.run is None, seconds)
    host.process(0.05)


def chip(panel: Any, name: str) -> str:
    """Return the grade chip of a screw."""
    return str(panel.ui.screwTable.item(panel.screws._ids.index(name), 1).text())


def select(host: Any, panel: Any, name: str) -> None:
    """Click a screw's row."""
    panel.screws.onCell(panel.screws._ids.index(name), 0)
    host.process(0.05)


def sliceView(host: Any, name: str) -> Any:
    """Return a slice view."""
    return host.layoutManager.sliceWidget(name).sliceView()
