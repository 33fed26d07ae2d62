"""What ONNX Runtime means when it will not load a file: which version is needed, and of what."""

from __future__ import annotations

import re

from spinemar.errors import ModelError

_OLDEST_OPERATOR_SET = 7  # of ai.onnx, that any ONNX Runtime reads
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_PLACE = re.compile(r"^\S+\.(?:cc|cpp|cu|h|hpp):\d+ ")
_TOO_NEW_FORMAT = re.compile(r"IR version: (\d+), max supported IR version: (\d+)")
_TOO_NEW_SET = re.compile(
    r"Opset (\d+) is under development.*domain (\S+) is till opset (\d+)", re.S
)
_NO_OPERATOR = re.compile(
    r"No Op registered for (?P<late>\w+) with domain_version of (?P<set>\d+)"
    r"|\S*?:?(?P<foreign>\w+)\(-?\d+\) is not a registered function/op"
    r"|find an implementation for (?P<kernel>\w+)\((?P<since>\d+)\)"
)


def telling_line(error: BaseException) -> str:
    """Return what an error of ONNX Runtime says, without where in its sources it says so."""
    text = _PREFIX.sub("", str(error).strip())
    if place := _PLACE.match(text):
        text = _after_signature(text[place.end() :])
    return text.splitlines()[0].strip()[:200] if text.strip() else type(error).__name__


def _after_signature(text: str) -> str:
    """Drop a C++ function's signature, whose arguments hold brackets of their own."""
    depth = 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == ")" and depth == 0:
            return text[position + 1 :].removeprefix(" const").strip() or text
    return text


def refusal(file: str, error: BaseException, runtime: str) -> ModelError:
    """Make the error for a model file that the runtime will not load.

    Parameters
    ----------
    file : str
        The file's name.
    error : Exception
        What the runtime raised.
    runtime : str
        Its version.
    """
    text = str(error)
    if found := _TOO_NEW_FORMAT.search(text):
        needed, known = found.groups()
        return _too_new(file, f"format {needed} of ONNX (its IR version)", known, runtime)
    if found := _TOO_NEW_SET.search(text):
        needed, domain, known = found.groups()
        return _too_new(file, f"operator set {needed} of {domain}", known.rstrip("."), runtime)
    if found := _NO_OPERATOR.search(text):
        return _no_operator(file, found, runtime)
    return ModelError(
        f"The model file {file} cannot be loaded ({telling_line(error)}).",
        "Get the model again, or use the method nmar.",
    )


def _too_new(file: str, needs: str, known: str, runtime: str) -> ModelError:
    return ModelError(
        f"The model file {file} needs {needs}; this onnxruntime ({runtime}) knows up to {known}.",
        f"Update onnxruntime (pip install --upgrade onnxruntime), export the model for {known} or "
        "older, or use the method nmar.",
    )


def _no_operator(file: str, found: re.Match[str], runtime: str) -> ModelError:
    name = found["late"] or found["foreign"] or found["kernel"]
    number = found["set"] or found["since"]
    if found["set"] and int(number) < _OLDEST_OPERATOR_SET:
        return ModelError(
            f"The model file {file} is written for operator set {number}; onnxruntime reads "
            f"{_OLDEST_OPERATOR_SET} and later.",
            "Export the model anew, or use the method nmar.",
        )
    of_set = f" of operator set {number}" if number else ""
    return ModelError(
        f"The model file {file} uses the operator {name}{of_set}, which this onnxruntime "
        f"({runtime}) does not have.",
        "Update onnxruntime (pip install --upgrade onnxruntime), export the model without it, or "
        "use the method nmar.",
    )
