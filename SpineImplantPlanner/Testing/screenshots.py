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
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from spinemar.demo.sample_data import sample_labels
from spinemar.io import read_labels
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
    return widget.ui.screwTable.item(widget.screws._ids.index(name), 1).text()


def click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    host.process(0.05)


def key(code, modifier=Qt.KeyboardModifier.NoModifier):
    host.window.activateWindow()
    host.process()
    QTest.keyClick(host.window, code, modifier)
    host.process(0.05)


def shot(name):
    """Take a picture, in few enough pixels and colours to keep the repository small."""
    path = host.screenshot(OUT / f"{name}.png")
    with Image.open(path) as picture:
        size = [round(0.8 * n) for n in picture.size]
        small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    small.quantize(palette=palette(small), dither=Image.Dither.NONE).save(path, optimize=True)


def palette(picture):
    """Return 64 greys for the CT, and 192 colours for all else, thin outlines included."""
    pixels = np.asarray(picture).reshape(-1, 3)
    coloured = pixels[np.ptp(pixels.astype(int), axis=1) > 12]
    rest = Image.fromarray(coloured[None]).quantize(192, method=Image.Quantize.MEDIANCUT)
    greys = [round(255 * n / 63) for n in range(64) for _ in range(3)]
    found = Image.new("P", (1, 1))
    found.putpalette(greys + rest.getpalette()[: 3 * 192])
    return found


def select(name):
    widget.screws.onCell(widget.screws._ids.index(name), 0)
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
    widget.runner.start(lambda: logic.plannerJobs.segment(logic.ct(), labels), widget.spine._take)
    print(f"frames: {finish():.1f} s")


ui, planner = widget.ui, widget.planner
spine()
planner.volumeNode.GetDisplayNode().SetAutoWindowLevel(False)
planner.volumeNode.GetDisplayNode().SetWindowLevel(1800, 350)
ui.upperCombo.setCurrentText("T11")
ui.lowerCombo.setCurrentText("L2")

# The automatic construct.
click(ui.planButton)
print(f"plan T11-L2: {finish():.1f} s")
print([(name, chip(name)) for name in widget.screws._ids])
volume_view = host.layoutManager.threeDWidget(0).threeDView()
host.waitUntil(lambda: not widget.views.spine3d.busy, 300)
host.process(0.2)
shot("automatic")
select("L1-right")
camera = volume_view.cameraNode()
centre = np.mean([s.entry for s in planner.plan.screws], axis=0)
camera.SetFocalPoint(*centre)
camera.SetPosition(*(centre + np.array([120, -330, 120])))
camera.SetViewUp(0, 0, 1)
host.process(0.2)

# One screw dragged medially by its shaft, a millimetre at a time, until its chip says D.
before, taken = planner.plan, False
for mm in range(12):
    screw = planner.plan.screw("L1-right")
    middle = (np.array(screw.entry) + screw.tip) / 2
    view("Red").mrmlSliceNode().JumpSliceByCentering(*middle)
    host.process(0.05)
    print(f"dragged {mm} mm: {chip('L1-right')}")
    if chip("L1-right").startswith("C") and not taken:
        shot("dragged")
        taken = True
    if chip("L1-right").startswith("D"):
        break
    mouse.drag(view("Red"), middle, middle - (1.0, 0, 0))
steps = 0
while planner.plan != before:
    key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    steps += 1
print(f"undone in {steps} steps: {chip('L1-right')}")

# In the 3-D view, by its tip.
screw = planner.plan.screw("L1-right")
mouse.drag(volume_view, screw.tip, np.add(screw.tip, (6.0, 0, 0)))
print("tip dragged in 3-D:", chip("L1-right"))
key(Qt.Key.Key_H)
host.process(0.3)
shot("profile")
key(Qt.Key.Key_H)
click(ui.undoButton)

# Probe view.
select("L1-right")
click(ui.probeButton)
host.process(0.2)
shot("probe")
click(ui.standardButton)

# Rods: contoured anew, one of them shaped by hand in the 3-D view, collisions.
ui.spineStep.collapsed = ui.screwsStep.collapsed = True
ui.rodsStep.collapsed = ui.checkStep.collapsed = False
host.process(0.1)
click(ui.contourButton)
rod = planner.plan.rods[0]
point = np.array(rod.control_points[1])
mouse.drag(volume_view, point, np.add(point, (5.0, 0, 0)))
moved = next(r for r in planner.plan.rods if r.id == rod.id)
print(f"rod point moved by {np.subtract(moved.control_points[1], point).round(1)} mm")
click(ui.undoButton)
click(ui.rodViewButton)
click(ui.checkButton)
host.process(0.3)
shot("rods")
click(ui.standardButton)

# Metal into the CT: while step 6 is open a worker waits.
ui.rodsStep.collapsed = ui.checkStep.collapsed = True
ui.scanStep.collapsed = ui.pairsBox.collapsed = False
select("L1-right")
host.process(10.0)
click(ui.previewButton)
print(f"preview of three slices: {finish():.1f} s; {ui.statusLabel.text}")
shot("preview")
print("messages:", host.messages)
