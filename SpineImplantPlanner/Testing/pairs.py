"""Training pairs made from the panel on the sample CT, killed on the way, and gone on with.

    python -m Testing.host SpineImplantPlanner --volume CT \
        --script SpineImplantPlanner/Testing/pairs.py

The variables PLANNER_PAIRS (50), PLANNER_MATRIX (128) and PLANNER_STORE (a new folder) are
optional. Prints how many pairs stood when the worker was killed, how many were made afterwards,
and whether every pair of the store can be read.
"""

import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from spinemar.dataset.storage.reader import PairStore

# The host's command puts these into this script.
host, widget = globals()["host"], globals()["widget"]
COUNT = int(os.environ.get("PLANNER_PAIRS", "50"))
MATRIX = os.environ.get("PLANNER_MATRIX", "128")
STORE = Path(os.environ.get("PLANNER_STORE") or Path(tempfile.mkdtemp()) / "pairs.zarr")
MAKING = "Making pairs"

ui, runner = widget.ui, widget.runner
ui.scanStep.collapsed = ui.pairsBox.collapsed = False
ui.spineStep.collapsed = ui.screwsStep.collapsed = True
ui.pairsSpinBox.value = COUNT
ui.matrixCombo.setCurrentText(MATRIX)
ui.storePath.currentPath = str(STORE)
host.process(0.2)


def click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def far():
    return runner.run is None or (
        runner.run.progress.stage == MAKING and runner.run.progress.done >= COUNT // 3
    )


start = time.monotonic()
print(f"click: {ui.pairsButton.text}")
click(ui.pairsButton)
host.waitUntil(far, 3600)
assert runner.run is not None, [message.text for message in host.messages]
done = runner.run.progress.done
os.kill(runner.run.pid, signal.SIGKILL)
host.waitUntil(lambda: runner.run is None, 60)
print(f"killed after {done} pairs, {time.monotonic() - start:.0f} s")
print(f"told: {host.messages[-1].text}")
host.process(0.2)
print(f"click: {ui.pairsButton.text}")
start = time.monotonic()
click(ui.pairsButton)
host.waitUntil(lambda: runner.run is None, 3600)
host.process(0.5)
print(f"{ui.pairsLabel.text} {time.monotonic() - start:.0f} s")
store = PairStore(STORE)
good = sum(
    all(np.isfinite(np.asarray(values, float)).all() for values in store[n].values())
    for n in range(len(store))
)
print(f"{len(store)} pairs in the store, {good} of them finite throughout")
print("contact sheet:", widget.pairs.sheets)
host.screenshot(STORE.with_name("panel.png"))
