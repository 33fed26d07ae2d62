"""What the eye is told by the correction panel: pixels of views, visible regions of widgets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from Testing.gui.longtexts import lengthen

pytestmark = pytest.mark.gui
ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py"
RED, ORANGE = (255, 0, 0), (255, 166, 0)


@pytest.fixture
def panel(host, tmp_path, monkeypatch):
    """Return the panel with a drawn body loaded, and linear interpolation chosen."""
    host.showWindow()
    host.loadModule(MODULE)
    from MetalArtifactReductionLib.choices.settings import Method
    from MetalArtifactReductionLib.panel import model, selftest

    monkeypatch.setattr(model, "storeFolder", lambda: tmp_path / "models")
    host.volume = selftest.drawnVolume(host.scene)
    show(host.volume)
    host.window.moduleSelector().selectModule("MetalArtifactReduction")
    host.process()
    import slicer

    widget = slicer.modules.MetalArtifactReductionWidget
    widget._parameterNode.method = Method.linear
    return widget


def show(volume):
    import slicer

    slicer.util.setSliceViewerLayers(background=volume, fit=True)


def correct(host, panel):
    panel.ui.correctButton.click()
    host.waitUntil(lambda: panel.run is None, 90)
    host.process(0.1)
    return panel._parameterNode.outputVolume


def pixels(host, name):
    """Return what a slice view shows, shape (height, width, 3)."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

    view = host.layoutManager.sliceWidget(name).sliceView()
    view.forceRender()
    window = view.renderWindow()
    width, height = window.GetSize()
    data = vtkUnsignedCharArray()
    window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, data)
    return vtk_to_numpy(data).reshape(height, width, 4)[::-1, :, :3].astype(int)


def count(picture, colour, within=60):
    """Count the pixels near a colour."""
    return int((np.abs(picture - np.array(colour)).max(axis=-1) < within).sum())


def compared(host):
    from MetalArtifactReductionLib.nodes.compare import viewName

    return {c: pixels(host, viewName("Axial", c)) for c in ("Before", "After", "Difference")}


def another(host, name="Another CT"):
    """Load another patient: a bright square, no metal."""
    import slicer
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes.volumes import setArray

    volume = selftest.drawnVolume(host.scene, name)
    hu = np.full((5, 96, 96), -1000, np.int16)
    hu[:, 10:86, 10:86] = 1400
    setArray(volume, hu)
    slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(volume.GetID())
    return volume


# Compare keeps its volumes.


def unchanged(before, after):
    return all(np.abs(before[c] - after[c]).mean() < 1.0 for c in before)


@pytest.mark.parametrize("way", ["propagated", "by script", "in one view"])
def test_another_ct_does_not_appear_under_before_and_after(host, panel, way):
    """By whatever way Slicer or a script hands a volume to the views."""
    import slicer
    from MetalArtifactReductionLib.nodes.compare import compareComposites

    correct(host, panel)
    told = compared(host)
    other = another(host)
    if way == "propagated":
        slicer.app.applicationLogic().PropagateVolumeSelection(1)
    elif way == "by script":
        slicer.util.setSliceViewerLayers(background=other)
    else:
        composites = compareComposites(host.scene)
        composites["Axial", "After"].SetBackgroundVolumeID(other.GetID())
    host.process(0.1)
    assert unchanged(told, compared(host))


def test_a_removed_volume_leaves_the_compare_layout(host, panel):
    from MetalArtifactReductionLib.nodes.compare import LAYOUT_ID

    correct(host, panel)
    assert host.layoutManager.layout == LAYOUT_ID
    host.scene.RemoveNode(host.volume)
    host.process(0.1)
    assert host.layoutManager.layout != LAYOUT_ID


def test_the_outline_is_drawn_over_its_own_scan_only(host, panel):
    panel._parameterNode.showCompare = False
    result = correct(host, panel)
    assert count(pixels(host, "Red"), ORANGE) > 10
    show(host.volume)
    assert count(pixels(host, "Red"), ORANGE) > 10
    other = another(host)
    show(other)
    host.process(0.1)
    assert count(pixels(host, "Red"), ORANGE) == 0
    show(result)
    host.process(0.1)
    assert count(pixels(host, "Red"), ORANGE) > 10


def test_the_outline_switch(host, panel):
    panel._parameterNode.showCompare = False
    correct(host, panel)
    assert count(pixels(host, "Red"), ORANGE) > 10
    panel.ui.outlineCheckBox.click()
    assert count(pixels(host, "Red"), ORANGE) == 0
    panel.ui.outlineCheckBox.click()
    assert count(pixels(host, "Red"), ORANGE) > 10


# One volume a run; compare any two.


def reddish(picture):
    """Count pixels that are redder than grey."""
    red, green, blue = (picture[..., n].astype(int) for n in range(3))
    return int(np.count_nonzero((red > green + 20) & (red > blue + 20) & (abs(green - blue) < 10)))


def test_red_says_where_not_to_read_over_the_result_alone(host, panel):
    assert not panel.ui.uncertaintyCheckBox.visible
    result = correct(host, panel)
    panel.ui.resultCollapsibleButton.collapsed = False
    panel.ui.outlineCheckBox.checked = False
    host.process()
    assert panel.ui.uncertaintyCheckBox.visible
    show(result)
    host.process()
    before = reddish(pixels(host, "Red"))
    panel.ui.uncertaintyCheckBox.click()
    host.process()
    assert reddish(pixels(host, "Red")) > before + 200
    show(host.volume)
    panel.ui.uncertaintyCheckBox.click()
    panel.ui.uncertaintyCheckBox.click()  # asked for over another volume than it is about
    host.process()
    assert reddish(pixels(host, "Red")) <= before
    show(result)
    panel.ui.uncertaintyCheckBox.click()
    panel.ui.uncertaintyCheckBox.click()
    panel._parameterNode.outputVolume = None
    host.process()
    assert not panel.ui.uncertaintyCheckBox.visible
    assert reddish(pixels(host, "Red")) <= before


def test_two_runs_are_two_volumes_and_can_be_compared(host, panel):
    from MetalArtifactReductionLib.choices.settings import Method

    first = correct(host, panel)
    panel._parameterNode.method = Method.nmar
    second = correct(host, panel)
    assert first is not second
    assert first.GetScene() is not None
    assert "Linear" in first.GetName()
    assert "NMAR" in second.GetName()
    combo = panel.ui.beforeCombo
    assert [combo.itemText(n) for n in range(combo.count)] == ["Drawn body", first.GetName()]
    told = compared(host)
    combo.setCurrentIndex(1)
    host.process(0.1)
    now = compared(host)
    assert np.abs(now["Before"] - told["Before"]).mean() > 0.5  # the first result, not the input
    assert unchanged({"After": told["After"]}, {"After": now["After"]})
    assert np.abs(now["Difference"] - told["Difference"]).mean() > 0.5
    panel.ui.outputSelector.setCurrentNode(first)
    host.process(0.1)
    assert panel.resultPanel.node is first
    assert combo.itemText(1) == second.GetName()


# The first look, the preview, warnings.


@pytest.mark.parametrize(("window", "level"), [(32767, 15000), (4095, 1024), (1, 3000)])
def test_an_unusable_window_becomes_the_bone_window_at_the_metal(host, panel, window, level):
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes.volumes import setWindow

    volume = selftest.drawnVolume(host.scene, "New", slices=31)
    hu = selftest.drawnHu(31)
    hu[:25] = np.minimum(hu[:25], 800)  # metal in the last slices only
    from SpineMARLib.nodes.volumes import setArray

    setArray(volume, hu)
    setWindow(volume, window, level)
    show(volume)
    dull = pixels(host, "Red")
    panel._parameterNode.inputVolume = volume
    host.process(0.1)
    clear = pixels(host, "Red")
    assert count(clear, (255, 255, 255), 30) > 50  # the screws' heads are in the slice now
    grey = clear.reshape(-1, 3).mean(axis=1)
    assert ((grey > 60) & (grey < 200)).mean() > 0.05  # and tissue is grey
    assert np.abs(clear - dull).mean() > 5


def test_a_window_that_somebody_chose_stays(host, panel):
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes.volumes import setWindow

    volume = selftest.drawnVolume(host.scene, "New")
    setWindow(volume, 350, 50)
    show(volume)
    before = pixels(host, "Red")
    panel._parameterNode.inputVolume = volume
    host.process(0.1)
    assert np.abs(pixels(host, "Red") - before).mean() < 1


def withBone(host, panel):
    """Put a bright bone of 2700 HU, as no metal is, far from the screws."""
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes.volumes import setArray

    hu = selftest.drawnHu()
    y, x = np.mgrid[:96, :96] - 48.0
    hu[:, np.hypot(x, y + 20) < 5] = 1400
    hu[:, np.hypot(x, y + 20) < 3] = 2700
    setArray(host.volume, hu)
    panel._parameterNode.inputVolume = None
    panel._parameterNode.inputVolume = host.volume
    host.process()


def test_the_preview_is_the_mask_that_automatic_takes(host, panel):
    """A bone above 2500 HU is no metal to the automatic selection, so it is not coloured."""
    import slicer

    from spinemar.mar.segmentation.metal import segment_metal
    from spinemar.volume import CTVolume
    from SpineMARLib.nodes.volumes import arrayOf, ijkToRas

    withBone(host, panel)
    show(host.volume)
    panel.ui.previewCheckBox.click()
    assert "Looking for metal" in panel.ui.previewLabel.text
    host.waitUntil(lambda: "count as metal" in panel.ui.previewLabel.text, 60)
    assert panel.ui.previewLabel.visible
    hu = arrayOf(host.volume)
    mask = segment_metal(CTVolume(hu, ijkToRas(host.volume))).mask
    assert 0 < mask.sum() < (hu >= 2500).sum()
    red = host.layoutManager.sliceWidget("Red")
    picture = pixels(host, "Red")
    index = round(float(host.scene.GetNodeByID("vtkMRMLSliceNodeRed").GetSliceOffset() / 2.5))

    def colourAt(j, i):
        ras = ijkToRas(host.volume) @ [i, j, index, 1]
        x, y, _z = red.sliceView().convertRASToXYZ(ras[:3])
        return picture[picture.shape[0] - 1 - round(y), round(x)]

    screw = np.argwhere(mask[index]).mean(axis=0)
    left = np.argwhere(mask[index])[:, 1] < screw[1]
    screw = np.argwhere(mask[index])[left].mean(axis=0)
    assert colourAt(*screw)[0] > colourAt(*screw)[2] + 80  # reddish
    assert np.ptp(colourAt(28, 48)) < 20  # the bone is grey
    assert slicer.util.arrayFromVolume(panel.metalPanel.preview.node).sum() == mask.sum()


def test_a_threshold_that_takes_bone_warns(host, panel):
    from MetalArtifactReductionLib.choices.settings import MetalSource

    withBone(host, panel)
    panel.ui.settingsCollapsibleButton.collapsed = False
    panel._parameterNode.metalSource = MetalSource.threshold
    panel.ui.thresholdSlider.value = 1200
    host.waitUntil(lambda: panel.ui.boneLabel.visible, 60)
    assert "1200 HU also takes" in panel.ui.boneLabel.text
    assert "most likely bone" in panel.ui.boneLabel.text
    assert not panel.ui.boneLabel.visibleRegion().isEmpty()
    panel.ui.thresholdSlider.value = 2900
    host.process()
    assert not panel.ui.boneLabel.visible


def test_no_sentence_outlives_its_input(host, panel):
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes.volumes import setArray

    plain = selftest.drawnVolume(host.scene, "No metal")
    setArray(plain, np.minimum(selftest.drawnHu(), 800))
    panel._parameterNode.inputVolume = plain
    correct(host, panel)
    assert "No metal was found" in panel.ui.progressLabel.text
    panel._parameterNode.inputVolume = host.volume
    host.process()
    assert panel.ui.progressLabel.text == ""
    panel.ui.previewCheckBox.click()
    host.waitUntil(lambda: "count as metal" in panel.ui.previewLabel.text, 60)
    panel._parameterNode.inputVolume = None
    host.process()
    assert not panel.ui.previewLabel.visible
    assert not [label.text for label in (panel.ui.progressLabel, panel.ui.boneLabel) if label.text]


@pytest.mark.parametrize("kind", ["result", "few slices"])
def test_no_is_the_default_where_a_result_is_given_as_input(host, panel, kind):
    import qt
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes.volumes import setArray

    if kind == "result":
        panel._parameterNode.inputVolume = correct(host, panel)
    else:
        setArray(host.volume, selftest.drawnHu()[2:4])
    defaults = []

    def answer(message):
        box = message.box
        defaults.append(box.defaultButton() is box.button(qt.QMessageBox.No))
        return qt.QMessageBox.No

    host.answer = answer
    panel.ui.correctButton.click()
    assert panel.run is None
    assert defaults == [kind == "result"]


# The panel.


def test_the_table_says_slice_what_and_why_and_a_click_goes_there(host, panel):
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    panel._parameterNode.showCompare = False
    correct(host, panel)
    table = panel.ui.resultTable
    headers = [table.horizontalHeaderItem(n).text() for n in range(table.columnCount)]
    assert headers == ["Slice", "What was done", "Why"]
    assert table.item(0, 2).text().endswith(".")
    spacing = host.volume.GetSpacing()[2]
    for row in (2, 0, 1):
        rectangle = table.visualItemRect(table.item(row, 1))
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=rectangle.center())
        host.process(0.05)
        offset = host.layoutManager.sliceWidget("Red").sliceLogic().GetSliceOffset()
        assert offset == pytest.approx((int(table.item(row, 0).text()) - 1) * spacing, abs=0.1)


def test_the_panel_runs_from_volumes_to_the_result(host, panel):
    """Row 12: what is needed is seen from above to below; metal and method are one line."""
    ui = panel.ui
    ui.resultCollapsibleButton.collapsed = False
    host.process(0.05)
    order = (ui.inputSelector, ui.summaryLabel, ui.settingsCollapsibleButton, ui.correctButton,
             ui.resultCollapsibleButton)  # fmt: skip
    places = [widget.mapTo(panel.parent, widget.rect.topLeft()).y() for widget in order]
    assert places == sorted(places)
    for widget in order:
        assert not widget.visibleRegion().isEmpty(), widget.objectName
    for hidden in (ui.metalSourceCombo, ui.thresholdSlider, ui.methodCombo, ui.deviceCombo):
        assert hidden.visibleRegion().isEmpty(), hidden.objectName
    assert "linear interpolation" in ui.summaryLabel.text
    assert ui.summaryLabel.height < 60
    bars = []
    ui.correctButton.click()
    host.waitUntil(lambda: bars.append(ui.progressBar.visible) or panel.run is None, 90)
    assert any(bars)
    bar = ui.progressBar.mapTo(panel.parent, ui.progressBar.rect.topLeft()).y()
    assert places[3] <= bar <= ui.resultTable.mapTo(panel.parent, ui.resultTable.rect.topLeft()).y()


def test_words_and_scale_stand_in_the_compare_views(host, panel):
    from MetalArtifactReductionLib.nodes.compare import viewName

    host.volume.SetName("CT of the thoracic and lumbar spine, thin slices, B70 kernel")
    correct(host, panel)
    host.process(0.1)
    after = host.layoutManager.sliceWidget(viewName("Axial", "After"))
    text = panel.resultPanel._texts._texts["Axial", "After"].GetInput()
    assert "mm wide" in " ".join(text.split())
    sign = panel.resultPanel._texts._texts["Axial", "Difference"].GetInput()
    assert "white: brighter after; black: darker" in " ".join(sign.split())
    difference = pixels(host, viewName("Axial", "Difference"))
    height, width = difference.shape[:2]
    bar = difference[int(0.2 * height) : int(0.75 * height), int(0.75 * width) :]
    shades = {int(v) for v in np.unique(bar)}
    assert len([s for s in shades if 30 < s < 225]) > 60  # a ramp, not plain grey
    assert bar.max() > 240
    for column in ("Before", "After", "Difference"):  # and no word is cut off at an edge
        lines = pixels(host, viewName("Axial", column))[:60]
        assert count(lines[:, :2], (255, 255, 255), 30) == 0
        assert count(lines[:, -2:], (255, 255, 255), 30) == 0
    assert count(difference[:, -2:], (255, 255, 255), 30) == 0
    top = pixels(host, viewName("Axial", "After"))[:40]
    assert count(top, (255, 255, 255), 30) > 40  # letters
    after.sliceController().setSliceOffsetValue(0.0)  # a slice without metal
    host.process(0.1)
    text = panel.resultPanel._texts._texts["Axial", "After"].GetInput()
    assert "not touched" in " ".join(text.split())
    host.layoutManager.setLayout(3)
    host.process(0.1)
    assert panel.resultPanel._texts._texts == {}


def test_what_is_disabled_says_why(host, panel):
    ui = panel.ui
    for name in ("result", "quality"):
        getattr(ui, f"{name}CollapsibleButton").collapsed = False
    panel._parameterNode.inputVolume = None
    host.process(0.05)
    reasons = {"correctButton": ui.reasonLabel, "compareButton": ui.noResultLabel,
               "dicomButton": ui.noResultLabel, "addRegionButton": ui.qualityLabel}  # fmt: skip
    for button, label in reasons.items():
        assert not getattr(ui, button).enabled
        assert label.text
        assert label.visible, button
    panel._parameterNode.inputVolume = host.volume
    panel._parameterNode.showCompare = False
    correct(host, panel)
    for label in set(reasons.values()):
        assert not label.visible
    assert not ui.dicomButton.enabled  # it was not loaded from DICOM
    assert ui.dicomLabel.visible
    assert "not loaded from DICOM" in ui.dicomLabel.text


def test_the_first_run_says_what_will_be_installed_and_how_large(host, panel, monkeypatch):
    from SpineMARLib.panel import packages

    assert not panel.ui.firstRunFrame.visible
    names = ("finufft", "scikit-image")
    monkeypatch.setattr(packages, "isMet", lambda line: packages.nameOf(line) not in names)
    panel.exit()
    panel.enter()
    host.process(0.05)
    assert panel.ui.firstRunFrame.visible
    assert "finufft, scikit-image (about 25 MB)" in panel.ui.firstRunLabel.text
    assert not panel.ui.firstRunLabel.visibleRegion().isEmpty()


def clipped(panel):
    """Name the visible widgets whose text does not fit."""
    import qt

    found = []
    for child in panel.parent.findChildren(qt.QWidget):
        texts = isinstance(child, qt.QLabel | qt.QPushButton | qt.QCheckBox)
        if not texts or not child.isVisible() or not str(child.text):
            continue
        short = child.sizeHint().width() > child.width + 1
        if isinstance(child, qt.QLabel) and child.wordWrap:
            short = child.heightForWidth(child.width) > child.height + 1
        if short:
            found.append((child.objectName, child.width, child.sizeHint().width()))
    return found


@pytest.mark.parametrize(
    ("scale", "long", "width"), [(1.0, False, 440), (1.5, False, 660), (1.0, True, 440)]
)
def test_the_panel_fits(host, panel, scale, long, width):
    """440 px at 100 %, all of it readable there, with larger letters and with longer texts."""
    import qt

    host.volume.SetName("CT of the thoracic and lumbar spine, thin slices, B70 kernel, 2024-05-17")
    panel._parameterNode.showCompare = False
    correct(host, panel)
    for name in ("settings", "quality", "batch", "result", "inputs"):
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = False
    top = panel.parent
    if long:
        lengthen(top)
    if scale != 1.0:
        font = top.font
        font.setPointSizeF(font.pointSizeF() * scale)
        for child in [top, *top.findChildren(qt.QWidget)]:
            child.setFont(font)
    host.window.takePanel()  # out of the window's scroll area, which has a width of its own
    top.resize(width, 2400)
    top.show()
    host.process(0.1)
    assert top.minimumSizeHint().width() <= width
    assert top.width <= width
    assert clipped(panel) == []
