"""Docs/guides/clinicians.md, step by step, as somebody would with a new Slicer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from Testing.guides.walk import ROOT, Walk

MODULE = ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py"
SAMPLE = "Spine CT with implants"


def steps() -> dict[str, Any]:
    """By the guide's headings."""
    return {
        "1. Install": install, "2. Load a scan": load, "3. Look at what counts as metal": metal,
        "4. Correct": correct, "5. Compare": compare, "6. Measure": measure, "7. Keep it": keep,
    }  # fmt: skip


def _panel(walk: Walk) -> Any:
    import slicer

    return slicer.modules.MetalArtifactReductionWidget


def install(walk: Walk) -> str:
    """Packages that Slicer lacks are listed on top, with their size, and installed."""
    panel = walk.host.openModule(MODULE)
    walk.host.finishStartup()
    assert panel.ui.firstRunFrame.isVisible()
    listed = str(panel.ui.firstRunLabel.text)
    assert "finufft" in listed
    assert " MB)" in listed
    walk.host.app.pythonSlicer.letPipInstall()
    walk.click(panel.ui.installButton)
    asked = walk.told()
    assert "finufft" in asked
    assert not panel.ui.firstRunFrame.isVisible(), "something is still missing"
    calls = walk.host.app.pythonSlicer.pipCalls()
    return f"{listed.partition(' will be')[0].partition('run: ')[2]}; pip ran {len(calls)} time(s)"


def load(walk: Walk) -> str:
    """The sample comes by a click; the same scan from DICOM is chosen as the input volume."""
    import slicer

    from Testing.host import mouse

    walk.host.clickSample("SpineCTWithImplants")
    assert not walk.host.messages, walk.told()
    node = _from_dicom(slicer.util.getNode(SAMPLE))
    selector = _panel(walk).ui.inputSelector
    if selector.currentNode() is not node:
        mouse.pick(selector.comboBox(), node.GetName())
    assert selector.currentNode() is node
    return f"{slicer.util.arrayFromVolume(node).shape} voxels, by the sample and from DICOM"


def _from_dicom(sample: Any) -> Any:
    """Load the sample again as a patient's own scan: a series in a study of the database."""
    import slicer

    from SpineMARLib.nodes.volumes import ijkToRas
    from Testing.host.dicomdatabase import DicomDatabase, loadSeries, writeCtSeries

    hu = slicer.util.arrayFromVolume(sample)
    right, anterior = np.diag(ijkToRas(sample))[:2] > 0
    hu = hu[:, :: -1 if anterior else 1, :: -1 if right else 1]  # as DICOM: left, posterior
    pixel, _, thickness = sample.GetSpacing()
    folder = Path(slicer.app.temporaryPath)
    (folder / "database").mkdir()
    slicer.dicomDatabase = DicomDatabase(folder / "database")
    return loadSeries(slicer.dicomDatabase, writeCtSeries(folder / "series", hu, pixel, thickness))


def metal(walk: Walk) -> str:
    """M colours what counts as metal, and M again takes the colour away."""
    ui = _panel(walk).ui
    walk.press("M")
    walk.wait(lambda: "count as metal" in ui.previewLabel.text)
    said = str(ui.previewLabel.text)
    walk.press("M")
    assert not ui.previewCheckBox.checked
    return said


def correct(walk: Walk) -> str:
    """Cancel stops within two seconds and changes nothing; then the correction is let run."""
    import slicer

    panel = _panel(walk)
    before = slicer.util.arrayFromVolume(panel.ui.inputSelector.currentNode()).copy()
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    walk.click(panel.ui.correctButton)
    run = panel.run
    walk.wait(lambda: run.progress.stage == "Correcting" and run.progress.done > 0)
    start = time.monotonic()
    walk.click(panel.ui.cancelButton)
    walk.wait(lambda: panel.run is None, 10.0)
    cancelled = time.monotonic() - start
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == count
    walk.click(panel.ui.correctButton)
    walk.wait(lambda: panel.run is None)
    assert not walk.host.messages, walk.told()
    assert np.array_equal(before, slicer.util.arrayFromVolume(panel.ui.inputSelector.currentNode()))
    return f"cancelled in {cancelled:.1f} s; {panel.ui.statusChip.text}"


def compare(walk: Walk) -> str:
    """Three linked views; B swaps in place; a row of the table leads to its slice."""
    import slicer

    panel = _panel(walk)
    views = walk.host.layoutManager.sliceViewNames()
    shown = [name for name in views if walk.host.layoutManager.sliceWidget(name).isVisible()]
    assert len(shown) >= 3, shown
    walk.press("B")
    walk.press("B")
    walk.click(panel.ui.softWindowButton)
    table = panel.ui.resultTable
    assert table.rowCount > 0
    node = walk.host.layoutManager.sliceWidget(shown[0]).mrmlSliceNode()
    rows = []
    for row in (0, table.rowCount - 1):
        table.setCurrentCell(row, 0)
        table.cellClicked.emit(row, 0)
        walk.host.process(0.1)
        rows.append(node.GetSliceOffset())
    corrected = slicer.util.arrayFromVolume(panel._parameterNode.outputVolume)
    original = slicer.util.arrayFromVolume(panel.ui.inputSelector.currentNode())
    changed = int((corrected != original).any(axis=(1, 2)).sum())
    assert rows[0] != rows[1]
    return f"{len(shown)} views, {table.rowCount} rows, {changed} slices changed"


def measure(walk: Walk) -> str:
    """A region in muscle beside a screw and one in bone: noise before and after."""
    panel = _panel(walk)
    from MetalArtifactReductionLib.nodes import quality
    from MetalArtifactReductionLib.nodes.places import focusOf

    panel.ui.qualityCollapsibleButton.collapsed = False
    centre = focusOf(panel.resultPanel.node)
    for name, offset in (("Vertebra", (3, 17, 0)), ("Muscle", (34, -22, 0))):
        region = quality.addRegion(walk.host.scene)
        region.SetName(name)
        region.SetCenter(*(c + o for c, o in zip(centre, offset, strict=True)))
        region.SetSize(16, 16, 5)
    panel.qualityPanel.refresh()
    walk.host.process(0.2)
    table = panel.ui.qualityTable
    assert table.rowCount >= 2
    words = [
        " ".join(str(table.item(row, column).text()) for column in range(table.columnCount))
        for row in range(table.rowCount)
    ]
    return "; ".join(words)


def keep(walk: Walk) -> str:
    """A derived series in the study; a result that is given as input is asked about."""
    import qt
    import slicer

    from Testing.host import mouse

    panel = _panel(walk)
    panel.ui.qualityCollapsibleButton.collapsed = True
    walk.click(panel.ui.dicomButton)
    walk.wait(lambda: walk.host.messages)
    told = walk.told()
    assert "images were written" in told, told
    uid = panel.ui.inputSelector.currentNode().GetAttribute("DICOM.instanceUIDs").split()[0]
    study = slicer.dicomDatabase.instanceValue(uid, "0020,000d")
    assert len(slicer.dicomDatabase.seriesForStudy(study)) == 2
    walk.host.answer = lambda message: qt.QMessageBox.No
    mouse.pick(panel.ui.inputSelector.comboBox(), panel._parameterNode.outputVolume.GetName())
    walk.click(panel.ui.correctButton)
    asked = walk.told()
    assert panel.run is None
    assert "corrected" in asked, asked
    said = (" ".join(text.partition(".")[0].split()) for text in (told, asked))
    return "; a result as input: ".join(said)
