"""The parameter node wrapper: typed properties that live in the scene and on the panel."""

import enum
import pathlib
from types import SimpleNamespace
from typing import Annotated, Optional

import pytest

pytestmark = pytest.mark.gui
slicer = pytest.importorskip("slicer", reason="needs slicer-core")


class Method(enum.Enum):
    generator = 1
    nmar = 2

    def label(self):
        return {"generator": "Learned", "nmar": "NMAR"}[self.name]


@pytest.fixture
def wrapper(host):
    """Return a class with every type of parameter, and a node to keep them in."""
    from slicer.parameterNodeWrapper import (
        Choice,
        Default,
        Minimum,
        WithinRange,
        parameterNodeWrapper,
    )

    @parameterNodeWrapper
    class Parameters:
        volume: slicer.vtkMRMLScalarVolumeNode
        method: Method = Method.nmar
        threshold: Annotated[float, WithinRange(500, 4000)] = 2500.0
        slices: Annotated[int, Minimum(1), Default(3)]
        device: Annotated[str, Choice(["auto", "cuda", "cpu"])] = "auto"
        preview: bool = True
        model: pathlib.Path
        names: list[str]
        limit: Optional[float]  # noqa: UP045 - Slicer's serializer wants typing.Optional
        pair: tuple[int, str]

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Parameters")
    return Parameters, node


def test_defaults(wrapper):
    cls, node = wrapper
    p = cls(node)
    assert (p.volume, p.method, p.threshold, p.slices) == (None, Method.nmar, 2500.0, 3)
    assert (p.device, p.preview, p.names, p.limit) == ("auto", True, [], None)


def test_values_live_in_the_node(wrapper):
    cls, node = wrapper
    p = cls(node)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    p.volume, p.method, p.threshold = volume, Method.generator, 3000.0
    p.model, p.limit, p.pair = pathlib.Path("/models/a"), 4.5, (2, "b")
    p.names = ["L1"]
    p.names.append("L2")
    again = cls(node)
    assert again.volume is volume
    assert (again.method, again.threshold, again.limit) == (Method.generator, 3000.0, 4.5)
    assert (again.model, again.names, again.pair) == (
        pathlib.Path("/models/a"),
        ["L1", "L2"],
        (2, "b"),
    )
    assert node.GetParameter("method") == "generator"  # names are kept, so they are API


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 100.0),
        ("slices", 0),
        ("device", "tpu"),
        ("slices", 2.5),
        ("preview", "yes"),
        ("volume", 3),
    ],
)
def test_bad_values_are_refused(wrapper, name, value):
    cls, node = wrapper
    p = cls(node)
    before = getattr(p, name)
    with pytest.raises((ValueError, TypeError)):
        setattr(p, name, value)
    assert getattr(p, name) == before


def test_saved_with_the_scene(wrapper, tmp_path):
    cls, node = wrapper
    p = cls(node)
    p.method, p.threshold = Method.generator, 1234.5
    p.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    path = str(tmp_path / "scene.mrb")
    slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(path)
    again = cls(slicer.util.getNode("Parameters"))
    assert (again.method, again.threshold) == (Method.generator, 1234.5)
    assert again.volume is slicer.util.getNode("CT")


def test_gui_follows_and_leads(wrapper):
    import ctk
    import qt

    cls, node = wrapper
    p = cls(node)
    ui = SimpleNamespace(
        a=ctk.ctkSliderWidget(),
        b=qt.QComboBox(),
        c=qt.QCheckBox(),
        d=slicer.qMRMLNodeComboBox(),
        e=qt.QComboBox(),
        f=qt.QLabel("not connected"),
    )
    for widget, name in zip(
        "abcde", ("threshold", "method", "preview", "volume", "device"), strict=True
    ):
        getattr(ui, widget).setProperty("SlicerParameterName", name)
    ui.d.noneEnabled = True
    ui.d.setMRMLScene(slicer.mrmlScene)
    tag = p.connectGui(ui)
    assert (ui.a.value, ui.a.minimum, ui.b.currentText) == (2500.0, 500.0, "NMAR")
    p.threshold, p.device = 3000.0, "cpu"
    assert (ui.a.value, ui.e.currentText) == (3000.0, "cpu")
    ui.a.value = 2000
    ui.b.setCurrentIndex(0)
    ui.c.click()
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    ui.d.setCurrentNode(volume)
    assert (p.threshold, p.method, p.preview, p.volume) == (2000.0, Method.generator, False, volume)
    p.disconnectGui(tag)
    ui.a.value = 900
    p.method = Method.nmar
    assert (p.threshold, ui.b.currentText) == (2000.0, "Learned")


def test_widget_that_does_not_fit_is_an_error(wrapper):
    import qt

    cls, node = wrapper
    label = qt.QLabel()
    label.setProperty("SlicerParameterName", "threshold")
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        cls(node).connectGui(SimpleNamespace(label=label))


def test_unbounded_slider_is_an_error(host):
    import ctk
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    @parameterNodeWrapper
    class Loose:
        value: float = 1.0

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    with pytest.raises(RuntimeError, match="unbounded"):
        Loose(node).connectParametersToGui({"value": ctk.ctkSliderWidget()})
