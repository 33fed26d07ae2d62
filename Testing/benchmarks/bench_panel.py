"""The planner's panel: a screw dragged among twelve, and the preview of three slices.

The panel runs in the host (real MRML, real Qt, views rendered in software), the mouse events are
real. Times are medians by the clock, with the processor's time beside them: where other programs
use the machine, the second is the one to look at. Appends to build/bench.json.
Run: python Testing/benchmarks/bench_panel.py
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from bench_tomography import machine_facts, record

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
if find_spec("slicer_core") is None or find_spec("PySide6") is None:
    print("the panel needs slicer-core and PySide6: pip install .[slicer-tests]")
    sys.exit(0)

from Testing.gui.plannerpanel import finish, openPanel, select, sliceView  # noqa: E402
from Testing.host.host import Host  # noqa: E402

# Goals in seconds.
GOALS = {"drag_event_to_grade": 0.05, "preview_3_slices": 3.0}
LEVELS, SCREW, EVENTS = "T10-L3", "L1-right", 60


def drag(host: Host, panel: Any) -> tuple[list[float], list[float]]:
    """Drag the shaft of a screw; return the clock's and the processor's seconds per event.

    An event is over when grade, colour, model, table, text and HU plot show the new place; the
    frame is drawn after it.
    """
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtTest import QTest

    from Testing.host import mouse

    select(host, panel, SCREW)
    screw = panel.planner.selectedScrew()
    view = sliceView(host, "Red")
    middle = (np.array(screw.entry) + screw.tip) / 2
    view.mrmlSliceNode().JumpSliceByCentering(*middle)
    host.process(0.2)
    letters: list[str] = []
    panel.planner.onMoving = lambda moved: (
        panel.onMoving(moved),
        letters.append(moved.grade.letter),
    )
    start = mouse.pointIn(view, middle)
    view.interactor().InvokeEvent("EnterEvent")
    mouse._moveEvent(view, start)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    clock, processor = [], []
    for step in range(EVENTS):
        began, used = time.perf_counter(), time.process_time()
        mouse._moveEvent(view, start + QPoint(step, 0), Qt.MouseButton.LeftButton)
        clock.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
        host.process()
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton)
    if len(letters) < EVENTS // 2 or len(set(letters)) < 3:
        raise RuntimeError(f"the screw was not dragged: {letters}")
    return clock, processor


def preview(host: Host, panel: Any) -> float:
    """Click *Preview slices* and wait for the picture; return the clock's seconds."""
    began = time.perf_counter()
    panel.ui.previewButton.click()
    finish(host, panel)
    if panel.planner.preview.node is None:
        raise RuntimeError(f"no preview: {[m.text for m in host.messages]}")
    return time.perf_counter() - began


def previews(host: Host, panel: Any) -> dict[str, float]:
    """Return the seconds of the first preview, and of one that a worker waited for."""
    first = preview(host, panel)
    panel.ui.scanStep.collapsed = False  # a worker is started for the next one
    host.process(0.1)
    if panel.planner.plannerJobs._standby.pid is None:
        raise RuntimeError("no worker waits")
    host.process(8.0)
    return {"preview_3_slices_cold": first, "preview_3_slices": preview(host, panel)}


def sample_panel(host: Host) -> Any:
    """Open the panel on the sample CT with the plan of the demonstration."""
    import slicer

    from spinemar.demo import run as demo
    from spinemar.demo.sample_data import sample_ct
    from spinemar.planning.plans.plan_json import read_plan
    from Testing.gui.plannerpanel import MODULE

    host.showWindow()
    node = slicer.util.loadVolume(str(sample_ct()))
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    panel = host.openModule(MODULE)
    panel.planner.setVolume(node)
    plan = read_plan(Path(demo.__file__).with_name("sample_plan.json"))
    panel.planner.loadPlan(plan)
    sliceView(host, "Red").mrmlSliceNode().JumpSliceByCentering(*plan.screws[0].entry)
    host.process(0.2)
    return panel


def main() -> None:
    """Measure, print and record."""
    with Host() as host:
        panel = openPanel(host, LEVELS)
        count = len(panel.planner.plan.screws)
        clock, processor = drag(host, panel)
    print(
        f"drag among {count} screws: median {1000 * np.median(clock):.1f} ms from event to grade, "
        f"model and HU (processor {1000 * np.median(processor):.1f} ms), "
        f"95th percentile {1000 * np.percentile(clock, 95):.1f} ms (goal 50)"
    )
    with Host() as host:
        seconds = previews(host, sample_panel(host))
    seconds["drag_event_to_grade"] = float(np.median(clock))
    facts: dict[str, Any] = {"machine": machine_facts()}
    entries = []
    for name, value in seconds.items():
        goal = f" (goal {GOALS[name]:g})" if name in GOALS else ""
        print(f"{name}: {value:.3f} s{goal}")
        entries.append(
            {"name": name, "peer": "spinemar", "seconds": value, "goal_s": GOALS.get(name), **facts}
        )
    record(entries)


if __name__ == "__main__":
    main()
