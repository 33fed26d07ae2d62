"""The planner's panel: cement, hooks and wires, placed and removed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from Testing.gui.plannerpanel import click, openPanel

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(host):
    return openPanel(host, "T12-L1")


def place(host, panel, kind, level="L1", side="left", volume="2"):
    ui = panel.ui
    ui.furtherKindCombo.setCurrentIndex(kind)
    panel.rods.onFurtherKind()
    ui.furtherLevelCombo.setCurrentText(level)
    ui.furtherSideCombo.setCurrentText(side)
    ui.furtherVolumeCombo.setCurrentText(volume)
    click(ui.furtherButton)
    host.process(0.1)


def test_each_is_placed_shown_listed_and_removed(host, panel):
    planner, ui = panel.planner, panel.ui
    ui.rodsStep.collapsed = ui.furtherBox.collapsed = False
    place(host, panel, 0)
    assert [item.id for item in planner.plan.cements] == ["cement-L1"]
    assert planner.plan.cements[0].volume_ml == pytest.approx(2.0)
    place(host, panel, 3, side="right")
    assert [item.id for item in planner.plan.wires] == ["L1-wire-right"]
    for name in ("cement-L1", "L1-wire-right"):
        assert planner.nodes.model(name) is not None
        assert ui.implantCombo.findText(name) >= 0
    assert "1 cements" in ui.summaryLabel.text
    assert "L1-wire-right: not graded. It lies in the spinal canal" in ui.summaryLabel.text
    ui.implantCombo.setCurrentText("cement-L1")
    click(ui.removeImplantButton)
    assert planner.plan.cements == ()
    assert planner.nodes.model("cement-L1") is None
    click(ui.undoButton)
    assert planner.nodes.model("cement-L1") is not None


def test_only_what_is_meant_is_asked_for(host, panel):
    ui = panel.ui
    ui.rodsStep.collapsed = ui.furtherBox.collapsed = False
    host.process(0.1)
    for kind, cement in ((0, True), (1, False), (2, False), (3, False)):
        ui.furtherKindCombo.setCurrentIndex(kind)
        panel.rods.onFurtherKind()
        host.process(0.05)
        assert ui.furtherVolumeCombo.isVisible() is cement
        assert ui.furtherSideCombo.isVisible() is not cement


def test_what_does_not_hold_there_is_refused_in_words(host, panel, caplog):
    before = panel.planner.plan
    place(host, panel, 4)
    assert "A pedicle hook does not hold at L1" in caplog.text
    for kind in (5, 6):
        caplog.clear()
        place(host, panel, kind)
        assert "No lateral mass screws are planned at L1" in caplog.text
    assert panel.planner.plan == before


@pytest.mark.parametrize(("kind", "way"), [(1, "up"), (2, "down")])
def test_hooks_point_both_ways(host, panel, kind, way):
    place(host, panel, kind)
    assert [hook.id for hook in panel.planner.plan.hooks] == [f"L1-hook-left-{way}"]


def test_what_cannot_be_is_refused_in_words(host, panel, caplog):
    place(host, panel, 0, volume="6")
    place(host, panel, 0, level="T12", volume="6")
    before = panel.planner.plan
    frame = panel.planner.session.frame("L1")
    spine = panel.planner.session.spine
    others = tuple(f for f in spine.vertebrae if f is not frame)
    panel.planner.useSpine(replace(spine, vertebrae=others))
    place(host, panel, 3)
    assert panel.planner.plan.wires == before.wires == ()
    assert "L1" in caplog.text
