"""PythonQt's idioms on top of PySide6: properties are attributes, signals connect by name.

Slicer's Qt binding is PythonQt. Modules write ``button.enabled = True``, ``label.text`` and
``button.connect("clicked(bool)", slot)``; PySide6 has getters, setters and signal objects. This
file changes the PySide6 classes of this process once, so that both ways of a module work, and
publishes them as the module ``qt``.
"""

from __future__ import annotations

import ctypes
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtSvg, QtUiTools, QtWidgets

_QT_MODULES = (QtCore, QtGui, QtWidgets, QtNetwork, QtSvg, QtUiTools)

# Getters that C++ looks up by name as virtual methods of Python objects (a property there would
# be called for ever), and static methods that share their name with a property.
_LEFT_AS_METHODS = frozenset(
    {
        ("QWidget", "sizeHint"),
        ("QWidget", "minimumSizeHint"),
        ("QLayout", "spacing"),
        ("QTimer", "singleShot"),
        ("QGuiApplication", "platformName"),
        ("QApplication", "startDragDistance"),
    }
)

_CASTS: dict[str, Callable[[Any], Any]] = {
    "bool": bool,
    "int": int,
    "double": float,
    "float": float,
    "QString": str,
    "QStringList": lambda value: [str(v) for v in value if v != ""],
}


def _getter(cls: type, name: str) -> Callable[[Any], Any]:
    capital = name[0].upper() + name[1:]
    for method in (name, f"is{capital}"):
        original = getattr(cls, method, None)
        if isinstance(original, types.BuiltinFunctionType):  # static, as applicationName is
            return lambda self: original()
        if callable(original):
            return original
    return lambda self: QtCore.QObject.property(self, name)


def _setter(cls: type, name: str, typeName: str) -> Callable[[Any, Any], None]:
    cast = _CASTS.get(typeName, lambda value: value)
    method = getattr(cls, f"set{name[0].upper()}{name[1:]}", None)
    if isinstance(method, types.BuiltinFunctionType):
        return lambda self, value: method(cast(value))
    if callable(method):
        return lambda self, value: method(self, cast(value))

    def setProperty(self: Any, value: Any) -> None:
        QtCore.QObject.setProperty(self, name, cast(value))

    return setProperty


def _addProperties(cls: type) -> None:
    meta = cls.staticMetaObject
    if meta.className() != cls.__name__:
        return
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        item = meta.property(index)
        name = item.name()
        if (cls.__name__, name) in _LEFT_AS_METHODS:
            continue
        setter = _setter(cls, name, item.typeName()) if item.isWritable() else None
        setattr(cls, name, property(_getter(cls, name), setter))


def _signalOf(sender: QtCore.QObject, signature: str) -> Any:
    """Find a signal from ``name(types)``; MRML types are not Qt's, so the name alone may decide."""
    name, _, types_ = signature.partition("(")
    signal = _plainGetAttribute(sender, name)
    if not hasattr(signal, "connect"):
        raise ValueError(f"{type(sender).__name__} has no signal {signature}")
    types_ = types_.rstrip(")").replace("const ", "").replace("&", "").strip()
    try:
        return signal[types_] if types_ else signal
    except (KeyError, IndexError, TypeError):
        return signal


_plainGetAttribute = QtCore.QObject.__getattribute__


def _connect(sender: QtCore.QObject, *arguments: Any) -> Any:
    if not isinstance(arguments[0], str):  # PySide6's own call: (sender, signal, callable)
        return _plainGetAttribute(sender, "connect")(*arguments)
    if len(arguments) == 2:
        signature, slot = arguments
        _signalOf(sender, signature).connect(slot)
        return True
    if len(arguments) == 3 and isinstance(arguments[2], str):
        signature, receiver, slotName = arguments
        _signalOf(sender, signature).connect(getattr(receiver, slotName.partition("(")[0]))
        return True
    raise TypeError("connect takes (signal, callable) or (signal, receiver, slot)")


def _disconnect(sender: QtCore.QObject, *arguments: Any) -> bool:
    if len(arguments) not in (1, 2):
        raise TypeError("disconnect takes (signal) or (signal, callable)")
    signal = _signalOf(sender, arguments[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # PySide6 warns where PythonQt says False
        try:
            return signal.disconnect(*arguments[1:]) is not False
        except RuntimeError:
            return False


def _getAttribute(self: QtCore.QObject, name: str) -> Any:
    # PySide6 answers "connect" before it looks into the class, so the class cannot replace it.
    if name == "connect":
        return lambda *arguments: _connect(self, *arguments)
    if name == "disconnect":
        return lambda *arguments: _disconnect(self, *arguments)
    return _plainGetAttribute(self, name)


class QFileDialog(QtWidgets.QFileDialog):
    """PythonQt's static file dialogs return the path alone, PySide6's the filter as well."""

    @staticmethod
    def getOpenFileName(*args: Any, **kwargs: Any) -> str:
        return QtWidgets.QFileDialog.getOpenFileName(*args, **kwargs)[0]

    @staticmethod
    def getSaveFileName(*args: Any, **kwargs: Any) -> str:
        return QtWidgets.QFileDialog.getSaveFileName(*args, **kwargs)[0]

    @staticmethod
    def getOpenFileNames(*args: Any, **kwargs: Any) -> list[str]:
        return QtWidgets.QFileDialog.getOpenFileNames(*args, **kwargs)[0]


def _addAliases() -> None:
    QtCore.QObject.name = property(
        lambda self: self.objectName, lambda self, value: self.setObjectName(value)
    )
    QtCore.QObject.className = lambda self: self.metaObject().className()
    for cls in (QtWidgets.QDialog, QtWidgets.QMenu, QtCore.QEventLoop):
        if not hasattr(cls, "exec_"):
            cls.exec_ = cls.exec
    plainFindChildren = QtCore.QObject.findChildren

    def findChildren(self: QtCore.QObject, kind: Any = QtCore.QObject, name: str = "") -> list:
        if isinstance(kind, str):  # PythonQt takes a class name as well
            found = plainFindChildren(self, QtCore.QObject)
            return [c for c in found if c.inherits(kind) and (not name or c.name == name)]
        if name:
            return plainFindChildren(self, kind, name)
        return plainFindChildren(self, kind)

    QtCore.QObject.findChildren = findChildren


def _qtModule() -> types.ModuleType:
    module = types.ModuleType("qt", "Qt as PythonQt shows it (PySide6 underneath).")
    module.QFileDialog = QFileDialog

    def find(name: str) -> Any:
        for qtModule in _QT_MODULES:
            if hasattr(qtModule, name):
                return getattr(qtModule, name)
        raise AttributeError(f"module 'qt' has no attribute {name!r}")

    module.__getattr__ = find
    return module


def _makeSingletonsImmortal() -> None:
    """Keep PySide6 wheels built for Python 3.12 from wearing out None on older Pythons.

    From 3.12 on None, True and False are immortal, and such wheels return them without counting a
    reference. On an older Python each call then takes one away, until the interpreter aborts.
    """
    if sys.version_info < (3, 12):
        for singleton in (None, True, False, NotImplemented):
            ctypes.c_ssize_t.from_address(id(singleton)).value += 1 << 40


def install() -> types.ModuleType:
    """Give the PySide6 classes PythonQt's idioms and publish them as module ``qt``, once."""
    if "qt" in sys.modules:
        return sys.modules["qt"]
    _makeSingletonsImmortal()
    seen: set[type] = set()
    for qtModule in _QT_MODULES:
        for name in dir(qtModule):
            cls = getattr(qtModule, name)
            if isinstance(cls, type) and issubclass(cls, QtCore.QObject) and cls not in seen:
                seen.add(cls)
                _addProperties(cls)
    _addAliases()
    QtCore.QObject.__getattribute__ = _getAttribute
    sys.modules["qt"] = _qtModule()
    return sys.modules["qt"]


def hushPlatform() -> None:
    """Drop the offscreen platform's remark about size hints; everything else goes to stderr."""

    def handle(kind: Any, context: Any, text: str) -> None:
        if "propagateSizeHints" not in text:
            sys.stderr.write(f"Qt: {text}\n")

    QtCore.qInstallMessageHandler(handle)
