"""Which widget shows which type of parameter: the pairs that Slicer connects."""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qt

from Testing.host.ctkchoices import ctkDirectoryButton, ctkPathLineEdit
from Testing.host.ctkvalues import ctkSliderWidget
from Testing.host.mrmlwidgets import qMRMLSliderWidget
from Testing.host.nodeselectors import qMRMLNodeComboBox
from Testing.host.standins import parameterannotations as notes
from Testing.host.standins import parameterserializers as types_


@dataclass
class Connector:
    """How one widget is read, written and listened to."""

    widget: Any
    read: Callable[[], Any]
    write: Callable[[Any], None]
    signal: str
    slot: Any = None

    def connect(self, slot: Any) -> None:
        self.slot = slot
        getattr(self.widget, self.signal).connect(slot)

    def disconnect(self) -> None:
        if self.slot is not None:
            getattr(self.widget, self.signal).disconnect(self.slot)
            self.slot = None


def _first(annotations: list[Any], kind: type) -> Any:
    return next((a for a in annotations if isinstance(a, kind)), None)


def _applyRange(widget: Any, annotations: list[Any], integers: bool) -> None:
    for kind, setter in ((notes.Decimals, "setDecimals"), (notes.SingleStep, "setSingleStep")):
        found = _first(annotations, kind)
        if found is not None:
            getattr(widget, setter)(found.value)
    within = _first(annotations, notes.WithinRange)
    low, high = _first(annotations, notes.Minimum), _first(annotations, notes.Maximum)
    bounded = within is not None or (low is not None and high is not None)
    if isinstance(widget, qt.QSlider | ctkSliderWidget) and not bounded:
        raise RuntimeError("A slider's parameter is unbounded: give it WithinRange, or both ends.")
    largest = 2**31 - 1 if integers else float("inf")
    minimum = within.minimum if within else (low.minimum if low else -largest)
    maximum = within.maximum if within else (high.maximum if high else largest)
    widget.setRange(minimum, maximum)


def _value(widget: Any) -> Connector:
    return Connector(widget, lambda: widget.value, lambda v: widget.setValue(v), "valueChanged")


def _forChoices(widget: Any, choices: list[tuple[str, Any]]) -> Connector:
    widget.clear()
    for text, _ in choices:
        widget.addItem(text)

    def write(value: Any) -> None:
        rows = [row for row, (_, choice) in enumerate(choices) if choice == value]
        if not rows:
            raise ValueError(f"Unable to find value {value} in choices {choices}")
        widget.setCurrentIndex(rows[0])

    return Connector(widget, lambda: choices[widget.currentIndex][1], write, "currentIndexChanged")


def _forCombo(widget: Any, kind: Any, annotations: list[Any]) -> Connector:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        label = getattr(kind, "label", lambda member: member.name)
        return _forChoices(widget, [(label(member), member) for member in kind])
    choice = _first(annotations, notes.Choice)
    if choice is None:
        raise RuntimeError("A combo box needs an enum, or a parameter with Choice.")
    return _forChoices(widget, [(str(c), c) for c in choice.choices])


def _forPath(widget: Any, kind: Any) -> Connector:
    if type(widget) is ctkPathLineEdit:
        return Connector(
            widget,
            lambda: kind(widget.currentPath),
            lambda v: widget.setCurrentPath(str(v)),
            "currentPathChanged",
        )
    return Connector(
        widget,
        lambda: kind(widget.directory),
        lambda v: widget.setDirectory(str(v)),
        "directoryChanged",
    )


def _forNode(widget: Any, kind: Any) -> Connector:
    names = [k.__name__ for k in types_.unionArguments(kind) if k is not type(None)]
    widget.setNodeTypes(names)
    return Connector(widget, widget.currentNode, widget.setCurrentNode, "currentNodeChanged")


def createConnector(widget: Any, annotated: Any) -> Connector:
    """Join a widget and a parameter type, or raise as Slicer does where they do not fit."""
    kind, annotations = types_.split(annotated)
    exact = type(widget)
    if kind is bool and exact in (qt.QCheckBox, qt.QPushButton, qt.QToolButton):
        widget.setCheckable(True)
        return Connector(widget, lambda: widget.checked, lambda v: widget.setChecked(v), "toggled")
    if kind is int and exact in (qt.QSlider, qt.QSpinBox):
        _applyRange(widget, annotations, integers=True)
        return _value(widget)
    if kind is float and exact in (qt.QDoubleSpinBox, ctkSliderWidget, qMRMLSliderWidget):
        _applyRange(widget, annotations, integers=False)
        return _value(widget)
    if exact is qt.QComboBox:
        return _forCombo(widget, kind, annotations)
    if kind is str and exact is qt.QLineEdit:
        return Connector(widget, lambda: widget.text, lambda v: widget.setText(v), "textChanged")
    if kind is str and exact in (qt.QTextEdit, qt.QPlainTextEdit):
        return Connector(widget, widget.toPlainText, widget.setPlainText, "textChanged")
    if exact in (ctkPathLineEdit, ctkDirectoryButton) and issubclass(kind, pathlib.PurePath):
        return _forPath(widget, kind)
    if exact is qMRMLNodeComboBox and types_.isNode(kind):
        return _forNode(widget, kind)
    raise RuntimeError(
        f"Unable to create GUI connector from datatype '{annotated}' to widget type '{exact}'"
    )
