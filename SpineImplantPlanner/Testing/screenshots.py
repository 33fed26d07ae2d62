"""Pictures of the panel on the sample CT, made with real mouse events in the host.

    python -m Testing.host SpineImplantPlanner --size 1500x1250 --volume CT \
        --script SpineImplantPlanner/Testing/screenshots.py

The variables PLANNER_PICTURES (folder) and PLANNER_SPINE (folder with labels.npy, ijk_to_ras.npy
and frames.json, to save the 20 s of fitting) are optional.
"""

import os
import time
from pathlib import Path

import numpy as np

from spinemar.io import read_labels
from spinemar.sample_data import sample_labels
from spinemar.spine.serial import spine_from_json
from spinemar.volume import LabelVolume
from Testing.host import mouse

# The host's command puts these into this script.
host, widget = globals()["host"], globals()["widget"]
OUT = Path(os.environ.get("PLANNER_PICTURES", "Docs/images/planner"))


def finish(seconds=300):
    start = time.monotonic()
    host.waitUntil(lambda: widget.runner.run is None, seconds)
    host.process(0.2)
    return time.monotonic() - start


def view(name):
    return host.layoutManager.sliceWidget(name).sliceView()


def chip(name):
    return widget.ui.screwTable.item(widget.screws._ids.index(name), 4).text()


def shot(name):
    host.screenshot(OUT / f"{name}.png")


def select(name):
    widget.screws.onCell(widget.screws._ids.index(name), 0)
    host.process(0.1)


def zoom(millimetres):
    for name in ("Red", "Yellow", "Green"):
        node = view(name).mrmlSliceNode()
        columns, rows, _ = node.GetDimensions()
        depth = node.GetFieldOfView()[2]
        node.SetFieldOfView(millimetres, millimetres * rows / columns, depth)
    host.process(0.1)


def spine():
    """The fitted labels: from the folder named, else through the panel's own button."""
    kept = os.environ.get("PLANNER_SPINE")
    if kept:
        folder = Path(kept)
        labels = LabelVolume(np.load(folder / "labels.npy"), np.load(folder / "ijk_to_ras.npy"))
        widget.spine._take(spine_from_json((folder / "frames.json").read_text(), labels))
        return
    labels = read_labels(sample_labels())
    logic = widget.planner
    widget.runner.start(lambda: logic.workshop.segment(logic.ct(), labels), widget.spine._take)
    print(f"frames: {finish():.1f} s")


ui, planner = widget.ui, widget.planner
spine()
ui.upperCombo.setCurrentText("T11")
ui.lowerCombo.setCurrentText("L2")
ui.planButton.click()
print(f"plan T11-L2: {finish():.1f} s")
print([(name, chip(name)) for name in widget.screws._ids])
select("L1-right")
zoom(110.0)
volume_view = host.layoutManager.threeDWidget(0).threeDView()
planner.spineNode.GetDisplayNode().SetVisibility3D(True)
planner.spineNode.CreateClosedSurfaceRepresentation()
camera = volume_view.cameraNode()
centre = np.mean([s.entry for s in planner.plan.screws], axis=0)
camera.SetFocalPoint(*centre)
camera.SetPosition(*(centre + np.array([120, -330, 120])))
camera.SetViewUp(0, 0, 1)
host.process(0.2)
shot("automatic")
before = planner.plan
for n, mm in enumerate((0.0, *[1.0] * 9)):
    screw = planner.plan.screw("L1-right")
    middle = (np.array(screw.entry) + screw.tip) / 2
    view("Red").mrmlSliceNode().JumpSliceByCentering(*middle)
    host.process(0.05)
    if mm:
        mouse.drag(view("Red"), middle, middle - (mm, 0, 0))
    print(f"dragged {n} mm: {chip('L1-right')}")
    if chip("L1-right").startswith("C"):
        shot("dragged")
        break
while planner.plan != before:
    ui.undoButton.click()
print("undone:", chip("L1-right"))
ui.probeButton.click()
host.process(0.2)
shot("probe")
ui.standardButton.click()
ui.spineStep.collapsed = True
ui.screwsStep.collapsed = True
ui.rodsStep.collapsed = False
ui.checkStep.collapsed = False
ui.rodViewButton.click()
ui.checkButton.click()
host.process(0.3)
shot("rods")
ui.standardButton.click()
ui.rodsStep.collapsed = ui.checkStep.collapsed = True
ui.exportStep.collapsed = False
ui.pairsBox.collapsed = False
select("L1-right")
ui.previewButton.click()
print(f"preview of one slice: {finish():.1f} s")
shot("preview")
print("messages:", host.messages)
