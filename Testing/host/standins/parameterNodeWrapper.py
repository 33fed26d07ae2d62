"""Stand-in for `slicer.parameterNodeWrapper`: typed properties kept in a parameter node."""

from __future__ import annotations

import typing
from typing import Any

import slicer
import vtk

from Testing.host.standins.parameterannotations import (
    Choice,
    Decimals,
    Default,
    Maximum,
    Minimum,
    NotNone,
    SingleStep,
    WithinRange,
)
from Testing.host.standins.parameterconnectors import createConnector
from Testing.host.standins.parameterserializers import createSerializer, split

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "WithinRange",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
    "parameterPack",
]

SlicerParameterNamePropertyName = "SlicerParameterName"


class _Parameter:
    """One parameter of a wrapper class: name, type, serializer and default."""

    def __init__(self, owner: type, name: str, annotated: Any) -> None:
        self.name = name
        self.unalteredType = annotated
        self.serializer = createSerializer(annotated)
        annotations = split(annotated)[1]
        given = next((a for a in annotations if isinstance(a, Default)), None)
        if name in owner.__dict__:
            self.default = Default(owner.__dict__[name])
        else:
            self.default = given or Default(self.serializer.default())

    def read(self, node: Any, prefix: str = "") -> Any:
        name = prefix + self.name
        if not self.serializer.isIn(node, name):
            self.serializer.write(node, name, self.default.value)
        return self.serializer.read(node, name)

    def write(self, node: Any, value: Any, prefix: str = "") -> None:
        self.serializer.write(node, prefix + self.name, value)


def _property(parameter: _Parameter) -> property:
    return property(
        lambda self: parameter.read(self.parameterNode, self._prefix),
        lambda self, value: parameter.write(self.parameterNode, value, self._prefix),
    )


class _WrapperMethods:
    """What the decorator adds to a class."""

    allParameters: dict[str, _Parameter]
    _is_parameter_node_wrapper = True

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._prefix = prefix or ""
        self._guis: dict[int, tuple[dict[str, Any], int]] = {}
        self._nextTag = 0
        self._updatingGui = False
        for parameter in self.allParameters.values():
            parameter.read(parameterNode, self._prefix)

    def _parameter(self, name: str) -> _Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        return self.allParameters[name]

    def default(self, name: str) -> Default:
        return self._parameter(name).default

    def dataType(self, name: str) -> Any:
        return self._parameter(name).unalteredType

    def isCached(self, name: str) -> bool:
        self._parameter(name)
        return False

    def getValue(self, name: str) -> Any:
        return self._parameter(name).read(self.parameterNode, self._prefix)

    def setValue(self, name: str, value: Any) -> None:
        self._parameter(name).write(self.parameterNode, value, self._prefix)

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, was: int) -> int:
        return self.parameterNode.EndModify(was)

    def Modified(self) -> None:
        self.parameterNode.Modified()

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def connectGui(self, gui: Any) -> int:
        """Connect every widget that carries the property ``SlicerParameterName``."""
        import qt

        isWidget = getattr(gui, "isWidgetType", lambda: False)()
        widgets = gui.findChildren(qt.QWidget) if isWidget else gui.__dict__.values()
        named = {w.property(SlicerParameterNamePropertyName): w for w in widgets}
        named.pop(None, None)
        return self.connectParametersToGui(named)

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        connectors = {n: createConnector(w, self.dataType(n)) for n, w in mapping.items()}
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.connect(self._guiToParameter(name, connector))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._updateGui())
        self._nextTag += 1
        self._guis[self._nextTag] = (connectors, observer)
        return self._nextTag

    def disconnectGui(self, tag: int) -> None:
        if tag in self._guis:
            connectors, observer = self._guis.pop(tag)
            self.RemoveObserver(observer)
            for connector in connectors.values():
                connector.disconnect()

    def _guiToParameter(self, name: str, connector: Any) -> Any:
        def changed(*_: Any) -> None:
            if not self._updatingGui:
                with slicer.util.NodeModify(self):
                    self.setValue(name, connector.read())

        return changed

    def _updateGui(self) -> None:
        if self._updatingGui:
            return
        self._updatingGui = True
        try:
            for connectors, _ in list(self._guis.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
        finally:
            self._updatingGui = False


def parameterNodeWrapper(classtype: type | None = None) -> Any:
    """Class decorator: annotated members become properties kept in a parameter node."""

    def wrap(cls: type) -> type:
        hints = typing.get_type_hints(cls, include_extras=True)
        cls.allParameters = {name: _Parameter(cls, name, kind) for name, kind in hints.items()}
        for name, parameter in cls.allParameters.items():
            setattr(cls, name, _property(parameter))
        for name, value in vars(_WrapperMethods).items():
            if name in (
                "__module__",
                "__qualname__",
                "__dict__",
                "__weakref__",
                "__doc__",
                "__annotations__",
                "allParameters",
            ):
                continue
            if name != "__init__" and name in cls.__dict__:
                raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
            setattr(cls, name, value)
        return cls

    return wrap if classtype is None else wrap(classtype)


class _PackSerializer:
    """A parameter pack: its members under ``name.member``."""

    def __init__(self, pack: type) -> None:
        self.pack = pack

    def default(self) -> Any:
        return self.pack()

    def isIn(self, node: Any, name: str) -> bool:
        return all(
            p.serializer.isIn(node, f"{name}.{n}") for n, p in self.pack.allParameters.items()
        )

    def write(self, node: Any, name: str, value: Any) -> None:
        with slicer.util.NodeModify(node):
            for member, parameter in self.pack.allParameters.items():
                parameter.write(node, getattr(value, member), f"{name}.")

    def read(self, node: Any, name: str) -> Any:
        return self.pack(
            **{m: p.read(node, f"{name}.") for m, p in self.pack.allParameters.items()}
        )

    def remove(self, node: Any, name: str) -> None:
        for member, parameter in self.pack.allParameters.items():
            parameter.serializer.remove(node, f"{name}.{member}")


def parameterPack(classtype: type | None = None) -> Any:
    """Class decorator for a group of parameters. Members that are changed are not written back."""

    def wrap(cls: type) -> type:
        hints = typing.get_type_hints(cls, include_extras=True)
        cls.allParameters = {name: _Parameter(cls, name, kind) for name, kind in hints.items()}

        def initialise(self: Any, *values: Any, **named: Any) -> None:
            given = dict(zip(cls.allParameters, values, strict=False)) | named
            for name, parameter in cls.allParameters.items():
                setattr(self, name, given.get(name, parameter.default.value))

        cls.__init__ = initialise
        cls.__eq__ = lambda self, other: vars(self) == vars(other)
        cls._is_parameter_pack = True
        cls.serializer = classmethod(lambda c: _PackSerializer(c))
        return cls

    return wrap if classtype is None else wrap(classtype)


def isParameterNodeWrapper(classOrObject: Any) -> bool:
    """Whether a class, or an object's class, was made by `parameterNodeWrapper`."""
    return getattr(classOrObject, "_is_parameter_node_wrapper", False)
