"""PythonQt's idioms on PySide6: what a module may write."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gui


@pytest.fixture
def qt(host):
    import qt

    return qt


def test_properties_are_attributes(qt):
    button = qt.QPushButton("Go")
    assert button.text == "Go"
    button.text = "Stop"
    button.enabled = None  # PythonQt takes anything for a bool
    assert (button.text, button.enabled) == ("Stop", False)
    spin = qt.QDoubleSpinBox()
    spin.maximum = 10
    spin.value = 7
    assert spin.value == 7.0


def test_setters_and_methods_still_work(qt):
    combo = qt.QComboBox()
    combo.addItem("a", 1)
    combo.addItem("b", 2)
    combo.setCurrentIndex(1)
    assert (combo.count, combo.currentText, combo.currentData, combo.itemData(0)) == (2, "b", 2, 1)


def test_signals_connect_by_signature_and_by_attribute(qt):
    button, got = qt.QPushButton(), []
    button.connect("clicked(bool)", lambda checked: got.append(("bool", checked)))
    button.connect("clicked()", lambda: got.append("plain"))
    button.clicked.connect(lambda: got.append("attribute"))
    button.click()
    assert got == [("bool", False), "plain", "attribute"]


def test_a_slot_gets_as_many_arguments_as_it_takes(qt):
    slider, got = qt.QSlider(), []

    class Panel:
        def onChanged(self):
            got.append("none")

        def onValue(self, value):
            got.append(value)

    panel = Panel()
    slider.connect("valueChanged(int)", panel.onChanged)
    slider.connect("valueChanged(int)", panel.onValue)
    slider.value = 5
    assert got == ["none", 5]


def test_disconnect(qt):
    button, got = qt.QPushButton(), []
    slot = lambda: got.append(1)  # noqa: E731
    button.connect("clicked()", slot)
    assert button.disconnect("clicked()", slot)
    button.click()
    assert got == []
    assert not button.disconnect("clicked()", slot)


def test_unknown_signal_is_an_error(qt):
    with pytest.raises((ValueError, AttributeError)):
        qt.QPushButton().connect("klicked()", print)


def test_names_and_children(qt):
    parent = qt.QWidget()
    child = qt.QLabel("x", parent)
    child.name = "theLabel"
    assert child.objectName == "theLabel"
    assert parent.findChildren("QLabel", "theLabel") == [child]
    assert child.className() == "QLabel"


def test_every_property_of_every_widget_can_be_read(qt):
    from PySide6 import QtWidgets

    for name in dir(QtWidgets):
        cls = getattr(qt, name)
        if not (isinstance(cls, type) and issubclass(cls, qt.QWidget)) or "Rhi" in name:
            continue
        try:
            widget = cls()
        except (TypeError, NotImplementedError):
            continue  # needs arguments, or is abstract
        meta = widget.metaObject()
        for prop in [meta.property(n).name() for n in range(meta.propertyCount())]:
            getattr(widget, prop)


def test_error_in_a_slot_fails_the_test(host, qt):
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    assert isinstance(host.errors.pop(), ZeroDivisionError)


def test_timer_runs_in_the_event_loop(host, qt):
    got = []
    qt.QTimer.singleShot(1, lambda: got.append(1))
    host.waitUntil(lambda: got, 2)
