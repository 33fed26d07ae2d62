"""The one place where ONNX Runtime is loaded: silenced first, and missed with a remedy."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from spinemar.base.privacy import keep_to_this_machine
from spinemar.errors import ModelError


def onnx_runtime() -> Any:
    """Load ONNX Runtime, which from here on reports to nobody.

    Returns
    -------
    module
        The package `onnxruntime`.

    Raises
    ------
    ModelError
        If it is not installed, or is and cannot be loaded.
    """
    keep_to_this_machine()
    try:
        import onnxruntime
    except ModuleNotFoundError as missing:
        if missing.name != "onnxruntime":
            raise _broken(missing) from missing
        raise ModelError(
            "Running a learned model needs the package onnxruntime.",
            "Install it (pip install onnxruntime), or use the method nmar.",
        ) from missing
    except Exception as error:  # a library that does not fit this machine, in many ways
        raise _broken(error) from error
    if not hasattr(onnxruntime, "InferenceSession"):  # an empty folder that pip left behind
        raise _broken(ImportError("it is empty"))
    # What the environment does not reach: Windows' own event tracing, and a runtime that somebody
    # else loaded into this process before.
    with suppress(Exception):
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def _broken(error: Exception) -> ModelError:
    return ModelError(
        f"The package onnxruntime is installed but cannot be loaded ({str(error)[:300]}).",
        "Install it again (pip install --force-reinstall onnxruntime; on Windows it needs "
        "Microsoft's Visual C++ Redistributable), or use the method nmar.",
    )
