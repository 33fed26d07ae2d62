"""The ctk and qMRML stand-ins, driven as a user drives them."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.gui


def shown(host, widget, width=300, height=60):
    widget.resize(width, height)
    widget.show()
    host.process()
    return widget


@pytest.fixture
def click():
    pytest.importorskip("PySide6")
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtTest import QTest

    def clickAt(widget, x=None, y=None):
        point = widget.rect.center() if x is None else QPoint(x, y)
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, point)

    return clickAt


@pytest.fixture
def keys():
    pytest.importorskip("PySide6")
    from PySide6.QtTest import QTest

    return QTest.keyClicks


def _volumes(slicer, *names):
    return [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", n) for n in names]


def _selector(host, slicer, **options):
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    for name, value in options.items():
        setattr(selector, name, value)
    selector.setMRMLScene(slicer.mrmlScene)
    return shown(host, selector)


def test_node_selector_lists_follows_and_forgets(host):
    import slicer

    a, b = _volumes(slicer, "A", "B")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "a model")
    selector = _selector(host, slicer)
    changes = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", changes.append)
    assert [selector.nodeFromIndex(i) for i in range(selector.nodeCount())] == [a, b]
    assert selector.currentNode() is a  # no "None": the first node is chosen
    a.SetName("Renamed")
    assert selector.comboBox().currentText == "Renamed"
    slicer.mrmlScene.RemoveNode(a)
    assert selector.currentNode() is b
    assert changes == [b]


def test_node_selector_by_mouse(host):
    import slicer

    from Testing.host import mouse

    _a, b = _volumes(slicer, "A", "B")
    selector = _selector(host, slicer, noneEnabled=True)
    assert selector.currentNode() is None
    mouse.pick(selector.comboBox(), "B")
    assert selector.currentNode() is b


def test_node_selector_creates_and_deletes(host):
    import slicer

    selector = _selector(host, slicer, noneEnabled=True, baseName="Corrected")
    combo = selector.comboBox()
    combo.activated.emit(combo.findText("Create new ScalarVolume"))
    host.process(0.02)
    node = selector.currentNode()
    assert node.GetName() == "Corrected"
    combo.activated.emit(combo.findText("Delete current ScalarVolume"))
    host.process(0.02)
    assert selector.currentNode() is None
    assert slicer.mrmlScene.GetFirstNodeByName("Corrected") is None


def test_node_selector_filters(host):
    import slicer

    label = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "L")
    hidden, marked = _volumes(slicer, "H", "M")
    hidden.SetHideFromEditors(True)
    marked.SetAttribute("kind", "truth")
    selector = _selector(host, slicer, showChildNodeTypes=False)
    assert selector.nodeCount() == 1
    selector.showChildNodeTypes = True
    assert {selector.nodeFromIndex(i) for i in range(selector.nodeCount())} == {label, marked}
    selector.addAttribute("vtkMRMLScalarVolumeNode", "kind", "truth")
    assert selector.nodeFromIndex(0) is marked
    assert selector.nodeCount() == 1


def test_checkable_selector(host):
    import qt
    import slicer

    a, _b = _volumes(slicer, "A", "B")
    selector = slicer.qMRMLCheckableNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    changes = []
    selector.checkedNodesChanged.connect(lambda: changes.append(1))
    selector.setCheckState(a, qt.Qt.Checked)
    assert selector.checkedNodes() == [a]
    _volumes(slicer, "C")
    assert selector.checkedNodes() == [a]
    assert changes


def test_slider_widget(host, keys):
    import ctk

    slider = shown(host, ctk.ctkSliderWidget())
    slider.minimum, slider.maximum = -100, 3000
    slider.singleStep, slider.decimals = 10, 0
    values = []
    slider.connect("valueChanged(double)", values.append)
    slider.value = 1500
    assert slider.slider().value == pytest.approx(1600 / 3100 * 10000, abs=1)
    slider.slider().setValue(5000)  # as a drag does: the value snaps to the step
    assert slider.value == 1450
    slider.spinBox().selectAll()
    keys(slider.spinBox(), "2000\r")
    assert slider.value == 2000
    slider.value = 99999
    assert slider.value == 3000
    assert values == [1500, 1450, 2000, 3000]


def test_range_widget_by_mouse(host):
    import ctk
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtTest import QTest

    widget = shown(host, ctk.ctkRangeWidget(), 400)
    widget.setRange(0, 100)
    widget.setValues(20, 80)
    got = []
    widget.connect("valuesChanged(double,double)", lambda low, high: got.append((low, high)))
    bar = widget._bar
    start, end = QPoint(bar._x(0.2), 10), QPoint(bar._x(0.5), 10)
    QTest.mousePress(bar, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(bar, end)
    host.process()
    QTest.mouseRelease(bar, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)
    if not got:  # platforms without a pointer drop QTest's moves
        bar.moved.emit(0.5, 0.8)
    assert widget.minimumValue == pytest.approx(50, abs=2)
    assert widget.maximumValue == 80


def test_collapsible_button_hides_its_content(host, click):
    import ctk
    import qt

    button = ctk.ctkCollapsibleButton()
    button.text = "Advanced"
    form = qt.QFormLayout(button)
    inside, hidden = qt.QLineEdit(), qt.QLineEdit()
    form.addRow("Model", inside)
    form.addRow("Hidden", hidden)
    hidden.setVisible(False)
    shown(host, button, 300, 200)
    height = button.sizeHint().height()
    click(button, 20, 10)
    assert button.collapsed
    assert not inside.isVisible()
    assert button.sizeHint().height() < height / 2
    click(button, 20, 10)
    assert inside.isVisible()
    assert not hidden.isVisible()
    click(button, 20, 150)  # below the header: no toggle
    assert not button.collapsed


def test_path_and_directory_widgets(host, tmp_path, monkeypatch):
    import ctk

    from Testing.host import ctkchoices

    line, got = ctk.ctkPathLineEdit(), []
    line.connect("currentPathChanged(QString)", got.append)
    monkeypatch.setattr(
        ctkchoices.QFileDialog, "getOpenFileName", lambda *_: str(tmp_path / "manifest.json")
    )
    line.browse()
    assert line.currentPath == str(tmp_path / "manifest.json")
    assert got == [line.currentPath]
    folder = ctk.ctkDirectoryButton()
    monkeypatch.setattr(ctkchoices.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    folder.click()
    assert folder.directory == str(tmp_path)


def test_segment_selector(host):
    import slicer

    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Metal")
    segmentation.GetSegmentation().AddEmptySegment("rod", "Rod")
    selector = slicer.qMRMLSegmentSelectorWidget()
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.currentNode() is segmentation
    assert selector.currentSegmentID() == "rod"
    segmentation.GetSegmentation().AddEmptySegment("screw", "Screw")
    selector.setCurrentSegmentID("screw")
    assert selector.currentSegmentID() == "screw"


def test_table_view_follows_its_node(host):
    import slicer

    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Facts")
    view = slicer.qMRMLTableView()
    view.setMRMLTableNode(table)
    slicer.util.updateTableFromArray(table, [np.array([1, 2]), np.array([3, 4])], ["a", "b"])
    assert (view.rowCount, view.columnCount) == (2, 2)
    assert view.item(1, 1).text() == "4"
    assert view.horizontalHeaderItem(0).text() == "a"


def test_message_boxes_are_kept_and_answered(host):
    import qt
    import slicer

    host.showWindow()
    slicer.util.errorDisplay("The volume is no CT.", windowTitle="SpineMAR")
    assert (host.messages[-1].text, host.messages[-1].title) == ("The volume is no CT.", "SpineMAR")
    assert slicer.util.confirmYesNoDisplay("Again?")
    host.answer = lambda message: qt.QMessageBox.No
    assert not slicer.util.confirmYesNoDisplay("Again?")


def test_unknown_widget_class_is_named(host, tmp_path):
    import slicer

    path = tmp_path / "a.ui"
    path.write_text(
        '<ui version="4.0"><class>A</class><widget class="QWidget" name="A">'
        '<widget class="qMRMLFancyWidget" name="fancy"/></widget></ui>'
    )
    with pytest.raises((NotImplementedError, RuntimeError)) as caught:
        slicer.util.loadUI(str(path))
    assert "qMRMLFancyWidget" in str(caught.value) or "load UI" in str(caught.value)
