"""How typed values are kept in a parameter node: the same strings as Slicer writes."""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from typing import Any

import slicer


def split(annotated: Any) -> tuple[Any, list[Any]]:
    """Split ``Annotated[T, a, b]`` into T and [a, b]."""
    if typing.get_origin(annotated) is typing.Annotated:
        kind, *annotations = typing.get_args(annotated)
        return kind, annotations
    return annotated, []


def unionArguments(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return typing.get_args(kind)
    return (kind,)


def isNode(kind: Any) -> bool:
    """Whether the type is a MRML node class, or a union of such (with None)."""
    members = [k for k in unionArguments(kind) if k is not type(None)]
    return bool(members) and all(
        isinstance(k, type) and issubclass(k, slicer.vtkMRMLNode) for k in members
    )


class ScalarSerializer:
    """One string per value: numbers, text, booleans, paths, enum names."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def default(self) -> Any:
        if issubclass(self.kind, enum.Enum):
            return next(iter(self.kind))
        return self.kind()

    def check(self, value: Any) -> None:
        allowed: Any = (int, float) if self.kind is float else self.kind
        if isinstance(value, bool) and self.kind is not bool:
            raise TypeError(f"Expected {self.kind.__name__}, got {value!r}")
        if not isinstance(value, allowed):
            raise TypeError(f"Expected {self.kind.__name__}, got {value!r}")

    def isIn(self, node: Any, name: str) -> bool:
        return node.HasParameter(name)

    def write(self, node: Any, name: str, value: Any) -> None:
        self.check(value)
        text = value.name if isinstance(value, enum.Enum) else str(value)
        node.SetParameter(name, text)

    def read(self, node: Any, name: str) -> Any:
        text = node.GetParameter(name)
        if self.kind is bool:
            return text == "True"
        if issubclass(self.kind, enum.Enum):
            if text not in self.kind.__members__:
                raise ValueError(
                    f"Found {text!r} in parameter node but it is not a name in {self.kind!r}"
                )
            return self.kind[text]
        return self.kind(text)

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)


class NodeSerializer:
    """A node reference; the parameter of the same name says that it was ever set."""

    def __init__(self, kind: Any) -> None:
        self.kinds = tuple(k for k in unionArguments(kind) if k is not type(None))

    def default(self) -> Any:
        return None

    def isIn(self, node: Any, name: str) -> bool:
        return node.HasParameter(name)

    def write(self, node: Any, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, self.kinds):
            raise TypeError(f"Expected one of {[k.__name__ for k in self.kinds]}, got {value}")
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class OptionalSerializer:
    """``Optional[T]`` for a T that is no node."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def default(self) -> Any:
        return None

    def isIn(self, node: Any, name: str) -> bool:
        return node.HasParameter(f"{name}_1") or self.inner.isIn(node, f"{name}_0")

    def write(self, node: Any, name: str, value: Any) -> None:
        self.remove(node, name)
        if value is None:
            node.SetParameter(f"{name}_1", "True")
        else:
            self.inner.write(node, f"{name}_0", value)

    def read(self, node: Any, name: str) -> Any:
        return self.inner.read(node, f"{name}_0") if self.inner.isIn(node, f"{name}_0") else None

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(f"{name}_1")
        self.inner.remove(node, f"{name}_0")


class ObservedList(list):
    """A list that writes itself back to the parameter node whenever it changes."""

    def __init__(self, values: list[Any], save: Any) -> None:
        super().__init__(values)
        self._save = save


def _saving(method: str) -> Any:
    def call(self: ObservedList, *args: Any, **kwargs: Any) -> Any:
        result = getattr(list, method)(self, *args, **kwargs)
        self._save(list(self))
        return self if method == "__iadd__" else result

    return call


for _name in (
    "append",
    "extend",
    "insert",
    "remove",
    "pop",
    "clear",
    "sort",
    "reverse",
    "__setitem__",
    "__delitem__",
    "__iadd__",
):
    setattr(ObservedList, _name, _saving(_name))


class ListSerializer:
    """``list[T]``: the items under ``name_0``, ``name_1``, ... and ``name_len``."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def default(self) -> Any:
        return []

    def isIn(self, node: Any, name: str) -> bool:
        return node.HasParameter(f"{name}_len")

    def _length(self, node: Any, name: str) -> int:
        return int(node.GetParameter(f"{name}_len") or 0)

    def write(self, node: Any, name: str, value: Any) -> None:
        values = list(value)
        with slicer.util.NodeModify(node):
            old = self._length(node, name)
            for index, item in enumerate(values):
                self.item.write(node, f"{name}_{index}", item)
            for index in range(len(values), old):
                self.item.remove(node, f"{name}_{index}")
            node.SetParameter(f"{name}_len", str(len(values)))

    def read(self, node: Any, name: str) -> Any:
        values = [self.item.read(node, f"{name}_{i}") for i in range(self._length(node, name))]
        return ObservedList(values, lambda changed: self.write(node, name, changed))

    def remove(self, node: Any, name: str) -> None:
        for index in range(self._length(node, name)):
            self.item.remove(node, f"{name}_{index}")
        node.UnsetParameter(f"{name}_len")


class TupleSerializer:
    """``tuple[A, B]``: the items under ``name_0`` and ``name_1``."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def default(self) -> Any:
        return tuple(s.default() for s in self.items)

    def isIn(self, node: Any, name: str) -> bool:
        return self.items[0].isIn(node, f"{name}_0")

    def write(self, node: Any, name: str, value: Any) -> None:
        with slicer.util.NodeModify(node):
            for index, (serializer, item) in enumerate(zip(self.items, value, strict=True)):
                serializer.write(node, f"{name}_{index}", item)

    def read(self, node: Any, name: str) -> Any:
        return tuple(s.read(node, f"{name}_{i}") for i, s in enumerate(self.items))

    def remove(self, node: Any, name: str) -> None:
        for index, serializer in enumerate(self.items):
            serializer.remove(node, f"{name}_{index}")


class DictSerializer:
    """``dict[K, V]``: a list of pairs. Changing the dict that was read does not write it back."""

    def __init__(self, key: Any, value: Any) -> None:
        self.pairs = ListSerializer(TupleSerializer([key, value]))

    def default(self) -> Any:
        return {}

    def isIn(self, node: Any, name: str) -> bool:
        return self.pairs.isIn(node, name)

    def write(self, node: Any, name: str, value: Any) -> None:
        self.pairs.write(node, name, list(value.items()))

    def read(self, node: Any, name: str) -> Any:
        return dict(self.pairs.read(node, name))

    def remove(self, node: Any, name: str) -> None:
        self.pairs.remove(node, name)


class ValidatedSerializer:
    """Another serializer behind the validators of an ``Annotated`` type."""

    def __init__(self, inner: Any, validators: list[Any]) -> None:
        self.inner = inner
        self.validators = validators

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, node: Any, name: str, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)
        self.inner.write(node, name, value)


def createSerializer(annotated: Any) -> Any:
    """Choose the serializer of a (possibly annotated) type."""
    kind, annotations = split(annotated)
    validators = [a for a in annotations if hasattr(a, "validate")]
    serializer = _serializerOf(kind)
    return ValidatedSerializer(serializer, validators) if validators else serializer


def _serializerOf(kind: Any) -> Any:
    if isNode(kind):
        return NodeSerializer(kind)
    members = unionArguments(kind)
    if len(members) == 2 and members[1] is type(None):
        return OptionalSerializer(createSerializer(members[0]))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return ListSerializer(createSerializer(arguments[0]))
    if origin is tuple:
        return TupleSerializer([createSerializer(a) for a in arguments])
    if origin is dict:
        return DictSerializer(*(createSerializer(a) for a in arguments))
    if getattr(kind, "_is_parameter_pack", False):
        return kind.serializer()
    if isinstance(kind, type) and (
        kind in (int, float, str, bool) or issubclass(kind, enum.Enum | pathlib.PurePath)
    ):
        return ScalarSerializer(kind)
    raise TypeError(f"Unable to create serializer for type: {kind}")
