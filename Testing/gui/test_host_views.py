"""Views: layouts, mouse and keys in slice and 3-D views, links, screenshots."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.gui


@pytest.fixture
def scene(slicerWindow):
    """Return a host with the phantom shown in four views."""
    from Testing.host.__main__ import loadSample

    slicerWindow.node = loadSample()
    slicerWindow.layoutManager.resetSliceViews()
    slicerWindow.process(0.05)
    return slicerWindow


def _red(host):
    return host.layoutManager.sliceWidget("Red").sliceView()


def _threeD(host):
    return host.layoutManager.threeDWidget(0).threeDView()


def _place(className):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass(className)
    node.CreateDefaultDisplayNodes()
    slicer.modules.markups.logic().SetActiveList(node)
    # Not StartPlaceMode: that one always places fiducials, in Slicer too.
    slicer.app.applicationLogic().GetInteractionNode().SwitchToSinglePlaceMode()
    return node


def test_four_up_has_three_slices_and_one_3d_view(slicerWindow):
    manager = slicerWindow.layoutManager
    assert sorted(manager.sliceViewNames()) == ["Green", "Red", "Yellow"]
    assert manager.threeDViewCount == 1
    orientations = {
        n: manager.sliceWidget(n).mrmlSliceNode().GetOrientation() for n in manager.sliceViewNames()
    }
    assert orientations == {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}


def test_line_is_placed_by_two_clicks(scene):
    from Testing.host import mouse

    view = _red(scene)
    height = scene.layoutManager.sliceWidget("Red").sliceLogic().GetSliceOffset()
    line = _place("vtkMRMLMarkupsLineNode")
    ends = [(-40.0, 30.0, height), (35.0, -20.0, height)]
    for end in ends:
        mouse.click(view, end)
    assert line.GetNumberOfDefinedControlPoints() == 2
    pixel = view.mrmlSliceNode().GetFieldOfView()[0] / view.width
    for n, end in enumerate(ends):
        placed = line.GetNthControlPointPositionWorld(n)
        np.testing.assert_allclose(placed, end, atol=pixel)


def test_handle_is_dragged_in_a_slice_view(scene):
    import slicer

    from Testing.host import mouse

    view = _red(scene)
    height = scene.layoutManager.sliceWidget("Red").sliceLogic().GetSliceOffset()
    line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    line.AddControlPointWorld(-30, 0, height)
    line.AddControlPointWorld(30, 0, height)
    scene.process(0.05)
    mouse.drag(view, (30, 0, height), (45, -25, height))
    np.testing.assert_allclose(line.GetNthControlPointPositionWorld(1), (45, -25, height), atol=1.5)
    np.testing.assert_allclose(line.GetNthControlPointPositionWorld(0), (-30, 0, height), atol=1e-6)


def test_handle_is_dragged_in_a_3d_view(scene):
    import slicer

    from Testing.host import mouse

    line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    line.AddControlPointWorld(-30, 0, 0)
    line.AddControlPointWorld(30, 0, 0)
    view = _threeD(scene)
    view.resetFocalPoint()
    scene.process(0.05)
    mouse.drag(view, (30, 0, 0), (30, 0, 20))  # the camera looks along the posterior axis
    x, _, z = line.GetNthControlPointPositionWorld(1)
    assert (x, z) == pytest.approx((30, 20), abs=2.5)


def test_click_in_3d_lands_on_the_model(scene):
    import slicer
    import vtk

    from Testing.host import mouse

    sphere = vtk.vtkSphereSource()
    sphere.SetRadius(20)
    sphere.SetThetaResolution(40)
    sphere.SetPhiResolution(40)
    slicer.modules.models.logic().AddModel(sphere.GetOutputPort())
    view = _threeD(scene)
    view.resetFocalPoint()
    scene.process(0.05)
    point = _place("vtkMRMLMarkupsFiducialNode")
    mouse.click(view, (5, 0, 5))
    assert np.linalg.norm(point.GetNthControlPointPositionWorld(0)) == pytest.approx(20, abs=1)


def test_transform_handle_is_dragged(scene):
    import slicer

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.CreateDefaultDisplayNodes()
    transform.GetDisplayNode().SetEditorVisibility(True)
    scene.process(0.05)
    before = slicer.util.arrayFromTransformMatrix(transform).copy()
    from Testing.host import mouse

    height = scene.layoutManager.sliceWidget("Red").sliceLogic().GetSliceOffset()
    center = transform.GetCenterOfTransformation()
    mouse.drag(_red(scene), (center[0], center[1], height), (25, -20, height))
    after = slicer.util.arrayFromTransformMatrix(transform)
    assert np.abs(after - before).max() > 5


def test_wheel_and_slider_browse_slices(scene):
    from PySide6.QtCore import QPoint, QPointF, Qt
    from PySide6.QtGui import QWheelEvent

    widget = scene.layoutManager.sliceWidget("Red")
    before = widget.sliceLogic().GetSliceOffset()
    view = widget.sliceView()
    event = QWheelEvent(
        QPointF(50, 50),
        view.mapToGlobal(QPointF(50, 50)),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    scene.app.sendEvent(view, event)
    assert widget.sliceLogic().GetSliceOffset() - before == pytest.approx(2.5)
    widget.sliceController().sliceOffsetSlider().value = 3
    assert widget.sliceLogic().GetSliceOffset() == pytest.approx(3 * 2.5, abs=1.3)


def test_compare_layout_shows_linked_volumes(scene):
    import slicer

    layout = slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
    scene.layoutManager.setLayout(layout)
    names = scene.layoutManager.sliceViewNames()
    assert len(names) == 2
    for name in names:
        widget = scene.layoutManager.sliceWidget(name)
        widget.mrmlSliceNode().SetOrientationToAxial()
        widget.mrmlSliceCompositeNode().SetLinkedControl(True)
        widget.mrmlSliceCompositeNode().SetBackgroundVolumeID(scene.node.GetID())
    scene.process(0.05)
    first, second = (scene.layoutManager.sliceWidget(n) for n in names)
    first.sliceController().setSliceOffsetValue(20.0)
    scene.process(0.05)
    assert second.sliceLogic().GetSliceOffset() == pytest.approx(20.0)


def test_custom_layout_from_xml(scene):
    views = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="Compare{n}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{n}</property></view></item>'
        for n in range(3)
    )
    node = scene.layoutManager.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(5011, f'<layout type="horizontal">{views}</layout>')
    scene.layoutManager.setLayout(5011)
    scene.process()
    assert scene.layoutManager.sliceViewNames() == ["Compare0", "Compare1", "Compare2"]
    widths = [scene.layoutManager.sliceWidget(f"Compare{n}").width for n in range(3)]
    assert max(widths) - min(widths) <= 2
    assert scene.layoutManager.threeDViewCount == 0


def test_one_3d_view(scene):
    import slicer

    scene.layoutManager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUp3DView)
    assert scene.layoutManager.threeDViewCount == 1
    assert scene.layoutManager.sliceViewNames() == []


def test_screenshot_shows_the_volume(scene, tmp_path):
    from PySide6.QtGui import QImage

    picture = QImage(str(scene.screenshot(tmp_path / "four.png")))
    red = _red(scene)
    corner = red.mapTo(scene.window, red.rect.center())
    values = {
        picture.pixelColor(corner.x() + dx, corner.y()).lightness() for dx in range(-220, 220)
    }
    assert max(values) - min(values) > 60


def test_rendering_waits_while_it_is_paused(scene):
    import slicer

    view = _red(scene)
    scene.process(0.05)
    count = view.renderCount
    with slicer.util.RenderBlocker():
        scene.layoutManager.sliceWidget("Red").sliceController().setSliceOffsetValue(5)
        scene.process(0.05)
        assert view.renderCount == count
    assert view.renderCount == count + 1


def test_views_are_fast_enough_to_drag_in(scene):
    import time

    view = _red(scene)
    controller = scene.layoutManager.sliceWidget("Red").sliceController()
    start = time.process_time()
    for n in range(20):
        controller.setSliceOffsetValue(n * 2.5)
        view.forceRender()
    assert (time.process_time() - start) / 20 < 0.05
