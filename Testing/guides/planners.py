"""Docs/guides/planners.md, step by step, as somebody would with a new Slicer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from Testing.guides.walk import ROOT, Walk

MODULE = ROOT / "SpineImplantPlanner" / "SpineImplantPlanner.py"


def steps() -> dict[str, Any]:
    """By the guide's headings."""
    return {
        "1. A CT": load, "2. The spine": spine, "3. A construct": construct,
        "4. Repair one screw": repair, "5. Rods": rods, "6. Check": check,
        "7. Report and export": export,
    }  # fmt: skip


def _panel(walk: Walk) -> Any:
    import slicer

    return slicer.modules.SpineImplantPlannerWidget


def _finished(walk: Walk) -> None:
    runner = _panel(walk).runner
    walk.wait(lambda: runner.run is None)
    assert not walk.host.messages, walk.told()


def _open(walk: Walk, name: str) -> None:
    """Open one section of the panel and fold the others."""
    ui = _panel(walk).ui
    for step in ("spineStep", "screwsStep", "rodsStep", "checkStep", "exportStep"):
        getattr(ui, step).collapsed = step != name
    walk.host.process(0.1)


def load(walk: Walk) -> str:
    """The sample CT by a click, chosen in the planner."""
    import slicer

    from Testing.host import mouse

    panel = walk.host.openModule(MODULE)
    walk.host.finishStartup()
    walk.host.app.pythonSlicer.letPipInstall()
    walk.host.clickSample("SpineCT")
    asked = walk.told()
    node = slicer.util.getNode("Spine CT")
    if panel.ui.ctSelector.currentNode() is not node:
        mouse.pick(panel.ui.ctSelector.comboBox(), "Spine CT")
    assert panel.ui.ctSelector.currentNode() is node
    return f"{slicer.util.arrayFromVolume(node).shape} voxels; asked first: {bool(asked)}"


def spine(walk: Walk) -> str:
    """Segmented by a click; a row leads to its vertebra; Show 3D shows them."""
    panel = _panel(walk)
    ui = panel.ui
    walk.click(ui.segmentButton)
    _finished(walk)
    table = ui.spineTable
    names = [str(table.item(row, 0).text()) for row in range(table.rowCount)]
    assert {"T12", "L1", "L2"} <= set(names)
    assert ui.show3dCheckBox.checked, "they are not shown"
    walk.wait(lambda: not panel.views.spine3d.busy)
    return f"{names[0]} to {names[-1]}, {len(names)} vertebrae"


def construct(walk: Walk) -> str:
    """T11 to L2 by P; each screw has a grade."""
    panel = _panel(walk)
    ui = panel.ui
    ui.upperCombo.setCurrentText("T11")
    ui.lowerCombo.setCurrentText("L2")
    walk.press("P")
    _finished(walk)
    screws = panel.planner.plan.screws
    assert len(screws) >= 6
    chips = [str(ui.screwTable.item(row, 1).text()) for row in range(ui.screwTable.rowCount)]
    return f"{len(screws)} screws: {', '.join(sorted(set(chips)))}"


def repair(walk: Walk) -> str:
    """A row is clicked, the screw dragged in a slice, typed, made thinner, and taken back."""
    from Testing.host import mouse

    panel = _panel(walk)
    ui, name = panel.ui, panel.screws._ids[0]
    panel.screws.onCell(0, 0)
    walk.host.process(0.2)
    before = panel.planner.plan
    screw = before.screw(name)
    middle = (np.array(screw.entry) + screw.tip) / 2
    view = walk.host.layoutManager.sliceWidget("Red").sliceView()
    view.mrmlSliceNode().JumpSliceByCentering(*middle)
    walk.host.process(0.1)
    mouse.drag(view, middle, np.add(middle, (2.0, 0, 0)))
    moved = panel.planner.plan.screw(name)
    assert moved != screw
    walk.press("[")
    thinner = panel.planner.plan.screw(name).diameter_mm
    assert thinner < screw.diameter_mm
    for _ in range(2):
        walk.press("Z", control=True)
    assert panel.planner.plan.screw(name) == screw
    walk.press("V")
    walk.host.process(0.3)
    walk.press("L")
    assert panel.planner.plan.screw(name).locked
    walk.click(ui.standardButton)
    return f"{name}: dragged, {screw.diameter_mm:g} to {thinner:g} mm, taken back, locked"


def rods(walk: Walk) -> str:
    """Both rods are contoured; the table tells how to bend them."""
    ui = _panel(walk).ui
    _open(walk, "rodsStep")
    walk.click(ui.contourButton)
    assert ui.bendTable.rowCount > 0
    return f"{len(_panel(walk).planner.plan.rods)} rods, {ui.bendTable.rowCount} rows of bends"


def check(walk: Walk) -> str:
    """Checked; kept as A; compared with A after a change."""
    panel = _panel(walk)
    ui = panel.ui
    _open(walk, "checkStep")
    walk.click(ui.checkButton)
    walk.click(ui.keepButton)
    panel.screws.onCell(1, 0)
    walk.host.process(0.1)
    walk.press("]")
    walk.click(ui.compareButton)
    assert ui.compareTable.rowCount > 0
    return f"{ui.collisionTable.rowCount} rows to look at, {ui.compareTable.rowCount} differ from A"


def export(walk: Walk) -> str:
    """What is ticked lies in a new folder; the report is there."""
    panel = _panel(walk)
    ui = panel.ui
    _open(walk, "exportStep")
    folder = Path(walk.host.app.temporaryPath) / "exported"
    folder.mkdir()
    ui.exportPath.setCurrentPath(str(folder))
    walk.host.process(0.1)
    walk.click(ui.exportButton)
    walk.wait(lambda: panel.runner.run is None)
    written = sorted(path.name for path in folder.rglob("*") if path.is_file())
    assert any(name.endswith(".html") for name in written), walk.told()
    assert ui.openReportButton.isEnabled()
    return f"{len(written)} files"
