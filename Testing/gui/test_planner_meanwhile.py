"""What a job brings is taken only where that which it is about is still there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from spinemar.progress import Progress
from spinemar.spine.model import SpineModel
from Testing.gui.plannerpanel import click, finish, openPanel

pytestmark = pytest.mark.gui


class Waiting:
    """A run that ends when it is told to; nobody may look at what it brings."""

    running, error, log = True, None, ""
    secondsLeft = None  # noqa: N815
    progress = Progress("Working", 0, 2)

    def letWork(self, beatSeconds):
        pass

    def cancel(self):
        pass

    close = cancel

    @property
    def result(self):
        raise AssertionError("taken over")


def _choose(panel):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Ours")
    node.Copy(panel.planner.spineNode)
    panel.spine.choose(node)


def _rename(panel):
    panel.ui.spineTable.setCurrentCell(0, 0)
    panel.ui.relabelCombo.setCurrentText("T11")
    click(panel.ui.relabelButton)


JOBS = {
    "segment": lambda panel: click(panel.ui.segmentButton),
    "correct": lambda panel: panel.spine._mend((0.0, 0.0, 0.0)),
    "takeEdits": lambda panel: panel.spine.takeEdits(),
    "restore": _choose,
    "plan": lambda panel: click(panel.ui.planButton),
    "voxelize": lambda panel: click(panel.ui.metalButton),
    "scan": lambda panel: click(panel.ui.previewButton),
    "scan all": lambda panel: click(panel.ui.scanButton),
    "found": lambda panel: click(panel.ui.findImplantsButton),
    "shiftLevels": _rename,
}
OF_THE_SPINE = ("correct", "takeEdits", "plan", "shiftLevels")
CASES = [(job, "CT") for job in JOBS if job != "shiftLevels"] + [(j, "spine") for j in OF_THE_SPINE]


@pytest.mark.parametrize(("job", "what"), CASES)
def test_what_was_changed_meanwhile_gets_no_result_of_another(host, monkeypatch, job, what) -> None:
    import slicer

    panel = openPanel(host)
    from SpineImplantPlannerLib.jobs import found as foundjob

    run = Waiting()
    owner, name = (
        (foundjob, "start") if job == "found" else (panel.planner.plannerJobs, job.split()[0])
    )
    monkeypatch.setattr(owner, name, lambda *_, **__: run)
    JOBS[job](panel)
    host.waitUntil(lambda: panel.runner.run is run, 10)
    host.messages.clear()

    if what == "CT":
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Another CT")
        other.Copy(host.volume)
        panel.parameters.inputVolume = other
        assert panel.planner.volumeNode is other
    else:
        spine = panel.planner.session.spine
        panel.planner.useSpine(
            SpineModel(spine.labels, spine.vertebrae, spine.canal_ras), panel.planner.spineNode
        )
    spine, plan = panel.planner.session.spine, panel.planner.plan
    count = host.scene.GetNumberOfNodes()
    run.running = False
    finish(host, panel, 10)

    assert [text.split("\n")[0] for text in _texts(host)] == [f"The {what} was changed meanwhile."]
    assert panel.planner.session.spine is spine
    assert panel.planner.plan == plan
    assert host.scene.GetNumberOfNodes() == count


def _texts(host) -> list[str]:
    return [str(getattr(message, "text", message)) for message in host.messages]


def test_what_stayed_gets_its_result(host, monkeypatch) -> None:
    panel = openPanel(host)
    spine = panel.planner.session.spine
    again = SpineModel(spine.labels, spine.vertebrae, spine.canal_ras)
    done = SimpleNamespace(
        running=False, error=None, log="", letWork=lambda beatSeconds: None, result=again
    )
    monkeypatch.setattr(panel.planner.plannerJobs, "segment", lambda *_, **__: done)
    click(panel.ui.segmentButton)
    finish(host, panel, 10)
    assert panel.planner.session.spine is again
