"""The planner's panel: angles of the spine now and with cages, and the endplates in the views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.planning.plans.commands import PutImplant
from spinemar.planning.report.tables import alignment_rows
from Testing.gui.plannerpanel import click, openPanel, sliceView

pytestmark = pytest.mark.gui

SHEET = np.array((0.98, 0.78, 0.12)) * 255


@pytest.fixture
def panel(host):
    return openPanel(host, "L1-L4")


def told(panel):
    table = panel.ui.alignmentTable
    return [
        tuple(table.item(row, column).text() for column in range(3))
        for row in range(table.rowCount)
    ]


def sheets(panel):
    return panel.planner.scene.GetFirstNodeByName("Measured endplates")


def yellow(host):
    """Count the pixels of the drawn endplates in the sagittal view."""
    from PySide6.QtGui import QImage

    host.process(0.2)
    image = sliceView(host, "Yellow").grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4)
    seen = flat[:, : image.width(), 2::-1].astype(int)
    # A line is drawn over what is below it.
    like = (seen[..., 0] > 100) & (seen[..., 0] - seen[..., 2] > 60) & (seen[..., 1] > 70)
    return int(like.sum())


def test_the_table_tells_now_and_with_cages(host, panel):
    planner, ui = panel.planner, panel.ui
    spine = planner.session.spine
    assert ("Lordosis L1 to L4", "0", "-") in told(panel)
    ui.cageLevelCombo.setCurrentText("L2/L3")
    ui.cageModelCombo.setCurrentText("generic-plif")
    click(ui.cageButton)
    cage = planner.plan.cages[0]
    assert cage.level == "L2/L3"
    assert told(panel) == alignment_rows(spine.vertebrae, planner.plan.cages)
    after = {name: then for name, _, then in told(panel)}
    assert after["Lordosis L1 to L4"] == "0"
    assert after["Disc L2/L3, height in mm"] == f"{cage.height_mm:.0f}"
    planner.do(PutImplant(replace(cage, lordosis_deg=8.0)))
    assert ("Lordosis L1 to L4", "0", "8") in told(panel)
    click(ui.undoButton)
    click(ui.undoButton)
    assert ("Lordosis L1 to L4", "0", "-") in told(panel)


def test_the_endplates_are_drawn_and_go(host, panel):
    planner, ui = panel.planner, panel.ui
    middle = planner.session.spine.vertebra("L2").body_centre_ras
    sliceView(host, "Yellow").mrmlSliceNode().JumpSliceByCentering(*middle)
    before = yellow(host)
    click(ui.showAlignmentCheckBox)
    assert sheets(panel) is not None
    assert yellow(host) > before + 40
    labels = planner.scene.GetFirstNodeByName("Angles of the spine")
    assert labels.GetNthControlPointLabel(0) == "Lordosis L1 to L4: 0°"
    ui.cageLevelCombo.setCurrentText("L2/L3")
    ui.cageModelCombo.setCurrentText("generic-plif")
    click(ui.cageButton)
    planner.do(PutImplant(replace(planner.plan.cages[0], lordosis_deg=8.0)))
    labels = planner.scene.GetFirstNodeByName("Angles of the spine")
    text = labels.GetNthControlPointLabel(0)
    assert text == "Lordosis L1 to L4: 0°, with cages 8°"
    click(ui.showAlignmentCheckBox)
    assert sheets(panel) is None
    assert yellow(host) <= before
    click(ui.showAlignmentCheckBox)
    panel.planner.scene.Clear(0)
    host.process(0.1)
    assert sheets(panel) is None
    assert not ui.showAlignmentCheckBox.checked


def test_a_spine_without_a_whole_curve_says_so(host, panel):
    planner, ui = panel.planner, panel.ui
    spine = planner.session.spine
    cut = tuple(replace(frame, cut_off=True) for frame in spine.vertebrae)
    planner.useSpine(replace(spine, vertebrae=cut, heads_doubt="No femoral heads are seen."))
    assert told(panel) == []
    assert not ui.showAlignmentCheckBox.enabled
    assert "No curve" in ui.alignmentReason.text
    assert "No femoral heads are seen." in ui.alignmentLabel.text
