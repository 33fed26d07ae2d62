"""Read from an ONNX file what must not be in it, without loading it.

A model file from elsewhere may point at other files (external data) or ask for operators that
need foreign code. Both are refused before the runtime sees the file. ONNX is a protocol buffer;
only the few fields that matter are read here, so that no ONNX package is needed at run time.
"""

from __future__ import annotations

from collections.abc import Iterator

from spinemar.errors import ModelError

_RUNTIME_DOMAINS = {"", "ai.onnx", "com.microsoft"}
_MAX_DEPTH = 16

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_OP_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14


def refuse_unsafe(data: bytes, name: str) -> None:
    """Raise `ModelError` for external data, custom operators or a file that is no ONNX model.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        What to call it in the message.
    """
    try:
        graphs = 0
        for number, value in _fields(memoryview(data)):
            if number == _MODEL_GRAPH:
                graphs += 1
                _check_graph(_message(value), name, 0)
            elif number == _MODEL_OPSET:
                _check_domains(_message(value), _OPSET_DOMAIN, name, "an operator set")
            elif number == _MODEL_FUNCTIONS:
                raise _unfit(name, "defines operators of its own")
            elif number == _MODEL_TRAINING:
                raise _unfit(name, "holds steps of a training")
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise _unfit(name, "is no ONNX model or is damaged") from error
    if graphs != 1:
        raise _unfit(name, "is no ONNX model or is damaged")


def _check_graph(graph: memoryview, name: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    for number, value in _fields(graph):
        if number == _GRAPH_NODE:
            _check_node(_message(value), name, depth)
        elif number == _GRAPH_INITIALIZER:
            _check_tensor(_message(value), name)
        elif number == _GRAPH_SPARSE:
            _check_sparse(_message(value), name)


def _check_sparse(sparse: memoryview, name: str) -> None:
    for _, part in _fields(sparse):
        if isinstance(part, memoryview):
            _check_tensor(part, name)


def _check_node(node: memoryview, name: str, depth: int) -> None:
    _check_domains(node, _NODE_DOMAIN, name, f"the operator {_text(node, _NODE_OP_TYPE)[:60]}")
    for number, value in _fields(node):
        if number != _NODE_ATTRIBUTE:
            continue
        for part, content in _fields(_message(value)):
            if part in _ATTRIBUTE_TENSOR and isinstance(content, memoryview):
                _check_tensor(content, name)
            elif part in _ATTRIBUTE_GRAPH and isinstance(content, memoryview):
                _check_graph(content, name, depth + 1)
            elif part in _ATTRIBUTE_SPARSE and isinstance(content, memoryview):
                _check_sparse(content, name)


def _check_tensor(tensor: memoryview, name: str) -> None:
    for number, value in _fields(tensor):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0):
            raise _unfit(name, "keeps its weights in another file")


def _check_domains(message: memoryview, wanted: int, name: str, what: str) -> None:
    """Check a domain wherever it stands: a field may be given twice, and the last one holds."""
    for number, value in _fields(message):
        if number != wanted:
            continue
        domain = bytes(_message(value)).decode()
        if domain not in _RUNTIME_DOMAINS:
            raise _unfit(name, f"needs {what} of the foreign domain '{domain[:60]}'")


def _unfit(name: str, problem: str) -> ModelError:
    return ModelError(f"The model file {name} {problem}.", "Use the model as it was published.")


def _text(message: memoryview, wanted: int) -> str:
    for number, value in _fields(message):
        if number == wanted:
            return bytes(_message(value)).decode()
    return ""


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of a protocol buffer message."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            size, position = _varint(data, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position + size > len(data):
            raise ValueError("truncated")
        yield number, data[position : position + size]
        position += size


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("endless number")
