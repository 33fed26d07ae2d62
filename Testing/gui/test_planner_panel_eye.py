"""What the eye is told by the planner's panel: one bar, the first look, angles, widths, reasons."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from spinemar.spine.editing import shift_levels
from Testing.gui.longtexts import lengthen
from Testing.gui.plannerpanel import MODULE, click, finish, openPanel, select, sliceView
from Testing.gui.test_planner_eye import pixels
from Testing.gui.test_planner_spine import editedWithout

pytestmark = pytest.mark.gui

STEPS = ("spineStep", "screwsStep", "rodsStep", "checkStep", "exportStep", "scanStep")
FOLDED = ("numbersBox", "scannerBox", "pairsBox")


@pytest.fixture
def panel(host):
    return openPanel(host)


def seenWhole(widget):
    """Whether all of a widget is on the screen: nothing scrolled away, nothing cut off."""
    return widget.visibleRegion().boundingRect() == widget.rect


def test_the_bar_is_never_scrolled_away(host, panel):
    """Row 6: undo, progress, Cancel, last message are seen wherever the panel is scrolled."""
    ui = panel.ui
    host.window.resize(1000, 520)
    for name in STEPS:
        getattr(ui, name).collapsed = False
    host.process(0.1)
    scroll = ui.scrollBox.verticalScrollBar()
    assert scroll.maximum > 400
    click(ui.planButton)
    host.waitUntil(lambda: ui.progressBar.visible and ui.statusLabel.text, 20)
    for place in (0, scroll.maximum // 2, scroll.maximum):
        scroll.value = place
        host.process(0.05)
        for name in ("undoButton", "progressBar", "cancelButton", "statusLabel"):
            assert seenWhole(getattr(ui, name)), (name, place)
    click(ui.cancelButton)
    finish(host, panel)
    assert not ui.progressBar.visible
    assert "Cancelled" in ui.statusLabel.text
    assert seenWhole(ui.statusLabel)


def test_the_bar_says_how_much_time_is_left(panel):
    from spinemar.progress import Progress

    panel.runner._showProgress(
        SimpleNamespace(progress=Progress("Planning", 3, 10), secondsLeft=12.3)
    )
    assert panel.ui.statusLabel.text == "Planning: 3 of 10, about 12 s left"
    panel.runner._showProgress(
        SimpleNamespace(progress=Progress("Reading", 0, 1), secondsLeft=None)
    )
    assert panel.ui.statusLabel.text == "Reading"


@pytest.mark.parametrize("way", ["use", "edits", "choose"])
def test_a_segmentation_is_read_in_a_worker(host, panel, monkeypatch, way):
    """Row 6: the click only names the segments' own arrays; a worker puts them together."""
    import slicer
    from SpineImplantPlannerLib.nodes import spine as spinenodes

    def never(*_args):
        raise AssertionError("put together while the panel waits")

    before = panel.planner.session.spine
    own = panel.planner.spineNode
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.GetSegmentation().DeepCopy(own.GetSegmentation())
    if way == "choose":
        other.SetAttribute(spinenodes.FRAMES_ATTRIBUTE, own.GetAttribute("SpineMAR.SpineFrames"))
    monkeypatch.setattr(spinenodes, "compose_labels", never)
    if way == "edits":
        assert editedWithout(own, "L1", -6) > 50
        panel.spine.takeEdits()
    else:
        panel.parameters.segmentation = other
        if way == "use":
            click(panel.ui.useSegmentationButton)
    assert panel.runner.run is not None
    assert panel.ui.cancelButton.visible
    finish(host, panel)
    assert host.messages == []
    after = panel.planner.session.spine
    assert after is not before
    assert after.levels == before.levels
    if way == "choose":
        np.testing.assert_array_equal(after.labels.labels, before.labels.labels)
        assert panel.planner.spineNode is other


def test_renaming_makes_nothing_anew(host, panel, monkeypatch):
    """Row 6: a large CT's voxels, outlines, surfaces and bone fields stay; only names change."""
    from SpineImplantPlannerLib.nodes import spine as spinenodes
    from SpineImplantPlannerLib.plan import session

    def never(*_args):
        raise AssertionError("made anew while the panel waits")

    planner = panel.planner
    for level in planner.session.spine.levels:
        planner.session.field(level)
    monkeypatch.setattr(spinenodes, "addLevels", never)
    monkeypatch.setattr(session, "bone_field", never)
    monkeypatch.setattr(planner.nodes._surfaces, "place", never)
    select(host, panel, "L1-right")
    place = planner.selectedScrew().entry

    def told(levels):
        """Compare segments, spine and plan; a screw can be graded at once."""
        spine, node = planner.session.spine, planner.spineNode
        assert spine.levels == levels
        labels, names = spinenodes.labelsOf(node, host.volume)
        np.testing.assert_array_equal(labels.labels, spine.labels.labels)
        assert tuple(names.values()) == levels
        assert spinenodes.spineOf(node, host.volume).levels == levels
        screw = next(s for s in planner.plan.screws if s.level == levels[0])
        assert planner.session.gradedScrew(screw.without_grade()).grade.letter == "A"
        segmentation = node.GetSegmentation()
        for n in range(segmentation.GetNumberOfSegments()):
            segment = segmentation.GetNthSegment(n)
            wanted = spinenodes.levelColour(segment.GetName())
            assert segment.GetColor() == pytest.approx(wanted)
        assert planner.selectedScrew().entry == place  # the same screw, whatever it is called
        assert planner.selectedScrew().level == levels[1]
        ids = {item.id for item in planner.plan.items()}
        assert {name for _, name in planner.nodes._nodes} == ids
        for name in ids:
            assert planner.nodes.model(name).GetName() == name
        assert panel.planner._watcher._observed.keys() == planner.nodes.handles().keys()

    planner.takeShifted(shift_levels(planner.session.spine, 2))
    told(("L2", "L3"))
    planner.takeShifted(shift_levels(planner.session.spine, 0))
    told(("L2", "L3"))
    planner.takeShifted(shift_levels(planner.session.spine, -1))
    told(("L1", "L2"))
    for levels in (("L2", "L3"), ("L2", "L3"), ("T12", "L1")):
        click(panel.ui.undoButton)
        told(levels)
    click(panel.ui.redoButton)
    told(("L2", "L3"))


def seesIn3d(host):
    host.process(0.2)
    return pixels(host.layoutManager.threeDWidget(0).threeDView())


def bone(picture):
    """Count pixels that are no background: greyer than the view's violet."""
    return int((np.ptp(picture, axis=-1) < 12).sum())


def test_the_first_look_after_planning_and_after_choosing_a_row(host, panel):
    """Row 7: slices at the construct and the screw at 110 mm; 3-D from behind, all of it seen."""
    from spinemar.planning.plans.commands import ReplacePlan
    from spinemar.planning.plans.plan import Plan
    from spinemar.planning.report.colours import GRADE_COLOURS

    panel.planner.do(ReplacePlan(Plan(), "Clear"))
    away = (300.0, 300.0, 300.0)
    for name in ("Red", "Yellow", "Green"):
        sliceView(host, name).mrmlSliceNode().JumpSliceByCentering(*away)
    click(panel.ui.planButton)
    finish(host, panel)
    view = host.layoutManager.threeDWidget(0).threeDView()
    camera = view.cameraNode()
    backwards = np.subtract(camera.GetPosition(), camera.GetFocalPoint())
    assert backwards[1] < 0
    assert abs(backwards[0]) + abs(backwards[2]) < 1e-6
    points = np.array([p for s in panel.planner.plan.screws for p in (s.entry, s.tip)])
    seen = seesIn3d(host)
    rows, columns = seen.shape[:2]
    for name in ("Red", "Yellow", "Green"):
        node = sliceView(host, name).mrmlSliceNode()
        assert min(node.GetFieldOfView()[:2]) == pytest.approx(110.0, abs=0.5)
        matrix = node.GetSliceToRAS()
        place = [matrix.GetElement(n, 3) for n in range(3)]
        assert (points.min(axis=0) - 1 <= place).all()
        assert (place <= points.max(axis=0) + 1).all()
    margin = seen.copy()
    margin[rows // 10 : -rows // 10, columns // 10 : -columns // 10] = 0
    green = GRADE_COLOURS["A"]
    shades = np.abs(seen / 255 - np.array(green)).max(axis=-1) < 0.25
    assert shades.sum() > 500
    assert shades[: rows // 20].sum() == shades[-rows // 20 :].sum() == 0
    select(host, panel, "L1-right")
    screw = panel.planner.selectedScrew()
    place = sliceView(host, "Red").mrmlSliceNode().GetSliceToRAS()
    assert abs(place.GetElement(2, 3) - screw.entry[2]) < 6.0
    assert np.linalg.norm(np.subtract(camera.GetFocalPoint(), screw.entry)) < screw.length_mm


def opened(host, window, level, metal):
    """Open the panel on a CT with this window, its views at the edge of it; before and after."""
    host.showWindow()
    host.loadModule(MODULE)
    import slicer
    from SpineImplantPlannerLib.panel import selftest

    from SpineMARLib.nodes.volumes import arrayOf, setWindow

    volume = selftest.drawnCt(host.scene, selftest.drawnSpine("L1", (1.0, 1.0, 2.0)))
    hu = arrayOf(volume)
    k, j, i = hu.shape
    if metal:
        hu[k // 2, j // 2 : j // 2 + 6, i // 2 : i // 2 + 30] = 3071
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    setWindow(volume, window, level)
    for name in ("Red", "Yellow", "Green"):
        sliceView(host, name).mrmlSliceNode().JumpSliceByCentering(0.0, 0.0, 500.0)
    host.process(0.1)
    before = pixels(sliceView(host, "Red"))
    host.window.moduleSelector().selectModule("SpineImplantPlanner")
    panel = slicer.modules.SpineImplantPlannerWidget
    panel.parameters.inputVolume = volume
    host.process(0.1)
    return before, pixels(sliceView(host, "Red"))


@pytest.mark.parametrize("metal", [False, True])
@pytest.mark.parametrize(("window", "level"), [(32767, 15000), (1, 3000)])
def test_an_unusable_window_becomes_the_bone_window_at_the_spine(host, window, level, metal):
    before, after = opened(host, window, level, metal)
    assert np.ptp(before, axis=(0, 1)).max() < 40  # one grey
    grey = after.mean(axis=-1)
    assert ((grey > 60) & (grey < 200)).mean() > 0.05  # muscle and bone
    tall, wide = grey.shape
    middle = grey[tall // 4 : -tall // 4, wide // 4 : -wide // 4]
    assert (middle > 90).mean() > 0.02  # bone is in the middle of the view
    assert ((middle > 250).sum() > 20) == metal


def test_a_window_that_somebody_chose_stays(host):
    before, after = opened(host, 350, 50, True)
    assert np.abs(after - before).mean() < 1


def test_the_vertebrae_are_shown_in_3d_by_a_box(host, panel):
    """Row 7: translucent, made by a worker, gone and back with a click."""
    select(host, panel, "L1-right")
    host.waitUntil(lambda: not panel.views.spine3d.busy, 120)
    shown = bone(seesIn3d(host))
    panel.ui.show3dCheckBox.checked = False
    hidden = bone(seesIn3d(host))
    assert shown > hidden + 3000
    panel.ui.show3dCheckBox.checked = True
    assert bone(seesIn3d(host)) == pytest.approx(shown, rel=0.02)
    assert 0.0 < panel.planner.spineNode.GetDisplayNode().GetOpacity3D() < 0.6


def test_angles_are_typed_and_the_rest_of_the_screw_stays(host, panel):
    """Row 11: in the panel, against the vertebra's own axes; RAS numbers are folded away."""
    from spinemar.planning.trajectories.angles import screw_angles

    select(host, panel, "L1-right")
    before = panel.planner.selectedScrew()
    frame = panel.planner.session.frame("L1")
    old = screw_angles(before, frame)
    assert panel.ui.convergenceSpinBox.visible
    assert not panel.ui.entryR.visible
    assert panel.ui.fillLabel.text == f"{before.diameter_mm:.1f} mm in 8.0"
    panel.ui.convergenceSpinBox.value = 11.5
    now = panel.planner.selectedScrew()
    found = screw_angles(now, frame)
    assert found.convergence_deg == pytest.approx(11.5, abs=1e-6)
    assert found.cranial_deg == pytest.approx(old.cranial_deg, abs=1e-6)
    assert (now.entry, now.length_mm) == (before.entry, before.length_mm)
    panel.ui.cranialSpinBox.value = -7.0
    found = screw_angles(panel.planner.selectedScrew(), frame)
    assert (found.convergence_deg, found.cranial_deg) == pytest.approx((11.5, -7.0), abs=1e-6)
    click(panel.ui.undoButton)
    assert panel.ui.cranialSpinBox.value == pytest.approx(old.cranial_deg, abs=0.051)


@pytest.fixture
def large(host):
    """Set the application's font to 150 %, as on a display that is scaled so."""
    from PySide6.QtWidgets import QApplication

    usual = QApplication.font()
    font = QApplication.font()
    font.setPointSizeF(1.5 * usual.pointSizeF())
    QApplication.setFont(font)
    yield
    QApplication.setFont(usual)


def checkWidths(host, panel, most):
    """All steps open: nothing needs more than `most` pixels, no button's text is cut."""
    import qt

    ui = panel.ui
    for name in (*STEPS, *FOLDED):
        getattr(ui, name).collapsed = False
    host.process(0.1)
    bar = ui.scrollBox.verticalScrollBar().sizeHint().width()
    assert ui.contentsBox.minimumSizeHint().width() + bar <= most
    assert ui.barBox.minimumSizeHint().width() <= most
    assert ui.scrollBox.horizontalScrollBar().maximum == 0
    for button in ui.SpineImplantPlanner.findChildren(qt.QAbstractButton):
        if button.visible and isinstance(button, qt.QPushButton | qt.QCheckBox):
            assert button.width >= button.minimumSizeHint().width(), button.text


def test_at_most_440_pixels_at_100_percent(host, panel):
    select(host, panel, "L1-right")
    checkWidths(host, panel, 440)


def test_usable_at_150_percent(large, host, panel):
    select(host, panel, "L1-right")
    checkWidths(host, panel, 480)


def test_usable_with_texts_40_percent_longer(host, panel):
    select(host, panel, "L1-right")
    lengthen(panel.ui.SpineImplantPlanner)
    host.process(0.1)
    checkWidths(host, panel, 480)


@pytest.mark.parametrize("state", ["empty", "planned"])
def test_every_button_that_cannot_be_used_says_why(host, state):
    """Row 12: beside it, in its own step, where it is seen without a mouse."""
    import qt
    import slicer

    if state == "planned":
        panel = openPanel(host)
    else:
        host.showWindow()
        host.loadModule(MODULE)
        host.window.moduleSelector().selectModule("SpineImplantPlanner")
        panel = slicer.modules.SpineImplantPlannerWidget
    for name in (*STEPS, *FOLDED):
        getattr(panel.ui, name).collapsed = False
    host.process(0.1)
    unused = 0
    for name in STEPS:
        step = getattr(panel.ui, name)
        said = [
            label.text
            for label in step.findChildren(qt.QLabel)
            if label.objectName.endswith("Reason") and label.visible
        ]
        for button in step.findChildren(qt.QPushButton):
            if button.visible and not button.enabled:
                unused += 1
                assert any(said), (name, button.text)
    assert unused > (8 if state == "empty" else 1)


def test_scanner_and_data_sets_have_a_section_of_their_own(host, panel):
    """Row 12: folded away from the export, and folded again in it."""
    ui = panel.ui
    ui.exportStep.collapsed = False
    host.process(0.05)
    mine = (ui.kvpCombo, ui.doseCombo, ui.kernelCombo, ui.storePath, ui.pairsButton)
    for widget in mine:
        assert not ui.exportStep.isAncestorOf(widget)
        assert ui.scanStep.isAncestorOf(widget)
    ui.scanStep.collapsed = False
    host.process(0.05)
    assert ui.scanButton.visible
    assert not any(widget.visible for widget in mine)
    ui.scannerBox.collapsed = ui.pairsBox.collapsed = False
    host.process(0.05)
    assert all(widget.visible for widget in mine)


def test_the_report_is_opened_where_it_was_written(host, panel, monkeypatch, tmp_path):
    """Row 12: nothing to open, a reason beside it; then the page itself, in the browser."""
    import qt

    opened = []
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", opened.append)
    ui = panel.ui
    ui.exportStep.collapsed = False
    host.process(0.05)
    assert not ui.openReportButton.enabled
    assert "No report was written yet" in ui.exportReason.text
    panel.export.page = tmp_path / "plan.html"
    panel.export.refresh()
    click(ui.openReportButton)
    assert [url.toLocalFile() for url in opened] == [str(tmp_path / "plan.html")]


def seenCell(table, row, column):
    """Whether all of a cell is seen in its table."""
    place = table.visualItemRect(table.item(row, column))
    return table.viewport().rect.contains(place)


def test_the_screw_that_is_selected_is_seen_in_the_table(host):
    """Row 5: its grade whole, however long it is, and no column pushed out of the table."""
    panel = openPanel(host, "T11-L2")
    table = panel.ui.screwTable
    for name in ("L2-right", "T11-left"):
        select(host, panel, name)
        panel.ui.entryR.value += 8.0 if name.endswith("left") else -8.0
        panel.ui.tipR.value += 8.0 if name.endswith("left") else -8.0
        host.process(0.1)
        row = panel.screws._ids.index(name)
        assert "in the canal" in table.item(row, 1).text()
        for column in range(table.columnCount):
            assert seenCell(table, row, column), (name, column)
        needed = table.sizeHintForIndex(table.model().index(row, 1)).height()
        assert table.rowHeight(row) >= needed


def test_no_heading_of_a_table_is_cut(large, host):
    """Row 12: at 150 %, in a table that is still empty too."""
    panel = openPanel(host)
    for name in STEPS:
        getattr(panel.ui, name).collapsed = False
    host.process(0.1)
    for name in ("spineTable", "screwTable", "bendTable", "collisionTable", "compareTable"):
        header = getattr(panel.ui, name).horizontalHeader()
        for n in range(header.count()):
            assert header.sectionSize(n) >= header.sectionSizeHint(n), (name, n)


def test_headings_have_units(panel):
    """Row 12: every number in a table or beside a label says what it is measured in."""
    tables = {
        "spineTable": {2: "mm"}, "screwTable": {2: "mm", 3: "HU"},
        "bendTable": {0: "mm", 1: "°"}, "compareTable": {1: "mm", 2: "mm", 3: "°", 4: "mm"},
    }  # fmt: skip
    for name, columns in tables.items():
        table = getattr(panel.ui, name)
        for column, unit in columns.items():
            assert unit in table.horizontalHeaderItem(column).text(), (name, column)
