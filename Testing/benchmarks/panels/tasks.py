"""Three tasks of a day, played from the state in which a user finds the panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from Testing.benchmarks.panels.hands import Hands, outwards

ROOT = Path(__file__).resolve().parents[3]
SCREW, OFF_MM = "L1-right", 7.0
_GRADE = 1  # column of the table of screws


def module(name: str) -> Path:
    """Return the file of a module of this repository."""
    return ROOT / name / f"{name}.py"


def correct_and_send(host: Any, folder: Path) -> Hands:
    """Correct the sample scan, loaded from DICOM, and send the result to its study.

    Begins with the scan loaded and the panel just opened, as it opens. Done when the database
    has a second series.
    """
    import slicer

    from SpineMARLib.nodes.lookup import nodesOfClass
    from SpineMARLib.nodes.volumes import arrayOf
    from Testing.host.dicomdatabase import DicomDatabase, loadSeries, writeCtSeries

    host.showWindow()
    loaded = host.loadModule(module("MetalArtifactReduction"))
    host.finishStartup()
    host.clickSample("SpineCTWithImplants")
    sample = slicer.util.getNode("Spine CT with implants")
    files = writeCtSeries(folder / "series", np.array(arrayOf(sample)), 0.703125, 2.5)
    for node in nodesOfClass(host.scene, "vtkMRMLScalarVolumeNode"):
        host.scene.RemoveNode(node)
    (folder / "database").mkdir()
    slicer.dicomDatabase = DicomDatabase(folder / "database")
    node = loadSeries(slicer.dicomDatabase, files)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    host.window.moduleSelector().selectModule(loaded.name)
    panel = loaded.widgetRepresentation().self()
    host.process(0.5)

    hands = Hands(host)
    ui = panel.ui
    if ui.inputSelector.currentNode() is not node:
        hands.pick(ui.inputSelector._combo, node.GetName())
    hands.click(ui.correctButton)
    hands.wait("the correction", lambda: panel.run is None)
    hands.wait("the views", lambda: ui.dicomButton.enabled, 20.0)
    hands.click(ui.dicomButton)
    hands.wait("the series", lambda: ui.dicomButton.enabled)
    study = slicer.dicomDatabase.instanceValue(_first(slicer.dicomDatabase), "0020,000d")
    if len(slicer.dicomDatabase.seriesForStudy(study)) != 2:
        raise RuntimeError(f"nothing was sent: {[m.text for m in host.messages]}")
    del slicer.dicomDatabase
    return hands


def _first(database: Any) -> str:
    return str(next(iter(database._files)))


def planner_on_the_sample(host: Any) -> Any:
    """Open the planner on the sample CT and the segmentation that comes with it."""
    host.showWindow()
    loaded = host.loadModule(module("SpineImplantPlanner"))
    host.finishStartup()
    host.clickSample("SpineCT")
    host.window.moduleSelector().selectModule(loaded.name)
    panel = loaded.widgetRepresentation().self()
    host.process(0.5)
    return panel


def plan_and_repair(host: Any, panel: Any) -> Hands:
    """Plan T11 to L2 in a segmented CT, then drag one screw back that lies 7 mm too far inwards.

    The screw is moved by the script between the two, which does not count. Done when its grade
    is A or B.
    """
    hands, ui = Hands(host), panel.ui
    segmentation = _segmentation(host)
    if ui.segmentationSelector.currentNode() is not segmentation:
        hands.pick(ui.segmentationSelector._combo, segmentation.GetName())
    hands.click(ui.useSegmentationButton)
    hands.wait("the vertebrae", lambda: panel.runner.run is None)
    for combo, level in ((ui.upperCombo, "T11"), (ui.lowerCombo, "L2")):
        if combo.currentText != level:
            hands.pick(combo, level)
    hands.click(ui.planButton)
    hands.wait("the plan", lambda: panel.runner.run is None)
    disturb(panel)
    host.process(0.5)
    hands.cell(ui.screwTable, panel.screws._ids.index(SCREW), 0)
    for _ in range(3):
        screw = panel.planner.plan.screw(SCREW)
        if good(screw):
            break
        hands.drag(_view(host, "Red"), *outwards(screw, OFF_MM))
    if not good(panel.planner.plan.screw(SCREW)):
        raise RuntimeError(f"not repaired: {panel.planner.plan.screw(SCREW).grade}")
    return hands


def find_and_export(host: Any, panel: Any, folder: Path) -> Hands:
    """In a plan with a screw in the canal find it, look at it, and export plan and report.

    Begins with the plan there, nothing selected and the views elsewhere. Done when the screw is
    in the middle of the views and the report is open.
    """
    disturb(panel)
    panel.planner.select(None)
    for name in ("Red", "Yellow", "Green"):
        _view(host, name).mrmlSliceNode().JumpSliceByCentering(0.0, 0.0, 0.0)
    host.process(0.5)

    hands, ui = Hands(host), panel.ui
    chips = [ui.screwTable.item(row, _GRADE).text() for row in range(ui.screwTable.rowCount)]
    hands.cell(ui.screwTable, next(n for n, chip in enumerate(chips) if "in the canal" in chip))
    if panel.planner.selected != SCREW or not _in_view(host, panel.planner.plan.screw(SCREW)):
        raise RuntimeError("the screw is not shown")
    hands.type(ui.exportPath._edit, str(folder))
    hands.click(ui.exportButton)
    hands.wait("the report", lambda: panel.runner.run is None)
    if not list(folder.glob("*/plan.html")):
        raise RuntimeError(f"no report: {[m.text for m in host.messages]}")
    hands.click(ui.openReportButton)
    return hands


def disturb(panel: Any) -> None:
    """Move the screw inwards, into the canal."""
    from spinemar.planning.plans.commands import MoveScrew

    screw = panel.planner.plan.screw(SCREW)
    step = np.subtract(*reversed(outwards(screw, -OFF_MM)))
    ends = [tuple((np.array(p) + step).tolist()) for p in (screw.entry, screw.tip)]
    panel.planner.do(MoveScrew(SCREW, *ends))
    if good(panel.planner.plan.screw(SCREW)):
        raise RuntimeError("the screw still lies well")


def good(screw: Any) -> bool:
    """Whether a screw is graded A or B."""
    return screw.grade is not None and screw.grade.letter in "AB"


def play(folder: Path) -> dict[str, Hands]:
    """Play the three tasks, each in a session of its own or where the last one ended."""
    from Testing.host.host import Host

    done = {}
    with Host() as host:
        done["correct a scan and send it"] = correct_and_send(host, folder)
    with Host() as host:
        panel = planner_on_the_sample(host)
        done["plan T11 to L2 and repair a screw"] = plan_and_repair(host, panel)
        done["find a breach and export it"] = find_and_export(host, panel, folder)
        panel.runner.stop()
    return done


def _segmentation(host: Any) -> Any:
    return host.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")


def _view(host: Any, name: str) -> Any:
    return host.layoutManager.sliceWidget(name).sliceView()


def _in_view(host: Any, screw: Any) -> bool:
    """Whether the axial view cuts a screw's shaft."""
    matrix = _view(host, "Red").mrmlSliceNode().GetSliceToRAS()
    low, high = sorted((screw.entry[2], screw.tip[2]))
    return low - screw.diameter_mm <= matrix.GetElement(2, 3) <= high + screw.diameter_mm
