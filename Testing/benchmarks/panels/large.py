"""Every click of both panels on a CT of 512 x 512 x 560 with seventeen vertebrae."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from Testing.benchmarks.panels.hands import Hands, outwards
from Testing.benchmarks.panels.tasks import module

SHAPE, SPACING_MM = (560, 512, 512), (0.45, 0.45, 1.0)
LEVELS, PLANNED = "T1-L5", ("T10", "L2")
_HEIGHT_MM = 32.0
# Blocks of metal in this many slices, for the correction.
_METAL_SLICES = 24


def large_spine() -> Any:
    """Return a spine of boxes on the large grid."""
    from SpineImplantPlannerLib.panel import selftest

    from spinemar.spine.labels.levels import VERSE_IDS, level_range
    from spinemar.spine.model import SpineModel
    from spinemar.volume import LabelVolume

    size = np.array(SHAPE[::-1])
    matrix = np.diag([*SPACING_MM, 1.0])
    matrix[:3, 3] = -matrix[:3, :3] @ (size / 2)
    labels = np.zeros(SHAPE, np.int16)
    frames = []
    boxes = (selftest._BODY, *selftest._PEDICLES, selftest._LAMINA)
    for n, name in enumerate(level_range(LEVELS)):
        centre = np.array([0.0, 12.0, _HEIGHT_MM * (8 - n)])
        frames.append(selftest._frame(name, centre))
        for box in boxes:
            low, high = (
                np.clip(np.round((centre + end - matrix[:3, 3]) / SPACING_MM).astype(int), 0, size)
                for end in box
            )
            labels[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = VERSE_IDS[name]
    canal = np.array([frame.canal_centre_ras for frame in frames])
    return SpineModel(LabelVolume(labels, matrix), tuple(frames), canal)


def large_ct(scene: Any, labels: Any, *, metal: bool) -> Any:
    """Put a CT of those vertebrae into a scene, with blocks of metal if wanted."""
    import slicer

    from SpineMARLib.nodes.volumes import setArray

    rows = np.abs(np.arange(SHAPE[1]) - SHAPE[1] / 2) < 200
    hu = np.where(rows[None, :, None] & rows[None, None, :], 40, -1000).astype(np.int16)
    hu = np.where(labels.labels > 0, np.int16(300), hu)
    if metal:
        middle = slice(SHAPE[0] // 2, SHAPE[0] // 2 + _METAL_SLICES)
        hu[middle, 236:276, 220:226] = hu[middle, 236:276, 286:292] = 3071
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Large CT")
    setArray(node, hu)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.array(labels.ijk_to_ras)))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(1500, 300)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def click_everything() -> Hands:
    """Click all of both panels; return what each click held, planner and correction together."""
    from Testing.host.host import Host

    with Host() as host, tempfile.TemporaryDirectory() as folder:
        hands = _planner(host, Path(folder))
    with Host() as host:
        hands.touches += _correction(host).touches
    return hands


def _planner(host: Any, folder: Path) -> Hands:
    host.showWindow()
    loaded = host.loadModule(module("SpineImplantPlanner"))
    import slicer

    spine = large_spine()
    node = large_ct(host.scene, spine.labels, metal=False)
    host.window.moduleSelector().selectModule(loaded.name)
    panel = loaded.widgetRepresentation().self()
    panel.parameters.inputVolume = node
    own = panel.planner.useSpine(spine)
    panel.parameters.segmentation = own
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Another segmentation")
    other.GetSegmentation().DeepCopy(own.GetSegmentation())
    panel.fillLevels()
    host.process(1.0)
    hands, ui = Hands(host), panel.ui

    def idle() -> bool:
        return panel.runner.run is None

    hands.pick(ui.segmentationSelector._combo, other.GetName())
    hands.click(ui.useSegmentationButton)
    hands.wait("reading a segmentation", idle)
    for combo, level in zip((ui.upperCombo, ui.lowerCombo), PLANNED, strict=True):
        hands.pick(combo, level)
    hands.click(ui.planButton)
    hands.wait("planning", idle)
    _screws(hands, panel)
    _rods_and_check(hands, panel)
    _levels(hands, panel, idle)
    hands.type(ui.exportPath._edit, str(folder))
    if ui.reportCheckBox.checked:
        hands.click(ui.reportCheckBox)
    hands.click(ui.exportButton)
    for name in ("metalButton", "previewButton"):
        hands.click(getattr(ui, name))
        hands.wait(f"what {name} began", idle)
    panel.runner.stop()
    return hands


def _screws(hands: Hands, panel: Any) -> None:
    """Select, type, drag, turn, resize, mirror, lock, delete, probe, plot; undo and redo."""
    ui, host = panel.ui, hands.host
    for row in range(ui.screwTable.rowCount):
        hands.cell(ui.screwTable, row)
    hands.cell(ui.screwTable, 4)
    screw = panel.planner.selectedScrew()
    hands.number(ui.convergenceSpinBox, 8.0)
    hands.number(ui.entryR, screw.entry[0] + 1.0)
    view = host.layoutManager.sliceWidget("Red").sliceView()
    hands.drag(view, *outwards(panel.planner.selectedScrew(), 2.0))
    for combo in (ui.diameterCombo, ui.lengthCombo):
        other = next(i for i in range(combo.count) if combo.itemText(i) != combo.currentText)
        hands.pick(combo, combo.itemText(other))
    for name in ("undo", "undo", "redo", "mirror", "swap", "lock", "lock", "delete", "undo",
                 "probe", "standard", "profile", "profile"):  # fmt: skip
        hands.click(getattr(ui, f"{name}Button"), name)


def _rods_and_check(hands: Hands, panel: Any) -> None:
    ui = panel.ui
    for name in ("contour", "crosslink", "rodLock", "rodLock", "rodView", "standard", "cage",
                 "removeImplant", "check", "keep", "compare", "swapPlans"):  # fmt: skip
        button = getattr(ui, f"{name}Button")
        if button.enabled:
            hands.click(button, name)
    if ui.collisionTable.rowCount:
        hands.cell(ui.collisionTable, 0)
    for _ in range(2):
        hands.click(ui.planLockCheckBox)


def _levels(hands: Hands, panel: Any, idle: Callable[[], bool]) -> None:
    """Choose a vertebra, rename all, undo, redo; hide the vertebrae in 3-D and show them."""
    ui = panel.ui
    hands.cell(ui.spineTable, 8)
    hands.pick(ui.relabelCombo, "T10")
    hands.click(ui.relabelButton)
    hands.wait("renaming", idle)
    for name in ("undo", "redo", "undo"):
        hands.click(getattr(ui, f"{name}Button"), f"{name} of renaming")
    for _ in range(2):
        hands.click(ui.show3dCheckBox)
        hands.wait("surfaces", lambda: not panel.views.spine3d.busy)


def _correction(host: Any) -> Hands:
    host.showWindow()
    host.loadModule(module("SpineImplantPlanner"))  # which draws the spine
    loaded = host.loadModule(module("MetalArtifactReduction"))
    node = large_ct(host.scene, large_spine().labels, metal=True)
    host.window.moduleSelector().selectModule(loaded.name)
    panel = loaded.widgetRepresentation().self()
    host.process(1.0)
    hands, ui = Hands(host), panel.ui
    if ui.inputSelector.currentNode() is not node:
        hands.pick(ui.inputSelector._combo, node.GetName())
    hands.click(ui.previewCheckBox)
    hands.wait("looking for metal", lambda: "count as metal" in ui.previewLabel.text)
    hands.pick(ui.metalSourceCombo, ui.metalSourceCombo.itemText(1))
    hands.number(ui.thresholdSlider._spin, 2000.0)
    hands.wait("the mask of the threshold", lambda: panel.metalPanel._watch.run is None)
    hands.pick(ui.metalSourceCombo, ui.metalSourceCombo.itemText(0))
    linear = next(
        text for n in range(ui.methodCombo.count) if "inear" in (text := ui.methodCombo.itemText(n))
    )
    hands.pick(ui.methodCombo, linear)
    hands.click(ui.correctButton)
    hands.wait("correcting", lambda: panel.run is None)
    for name in ("toggleButton", "toggleButton", "compareButton", "softWindowButton",
                 "boneWindowButton", "outlineCheckBox", "outlineCheckBox"):  # fmt: skip
        hands.click(getattr(ui, name))
    for row in range(min(3, ui.resultTable.rowCount)):
        hands.cell(ui.resultTable, row)
    hands.click(ui.addRegionButton)
    return hands
