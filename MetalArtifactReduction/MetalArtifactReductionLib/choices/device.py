"""What will run where, said before; and what did run, said after."""

from __future__ import annotations

import ctypes.util
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from MetalArtifactReductionLib.choices.settings import Device, Method

_METHOD_NAMES = {"generator": "the learned method", "nmar": "NMAR", "li": "linear interpolation"}


def hasNvidiaDriver(platform: str = sys.platform) -> bool:
    """Whether an NVIDIA driver is installed, by the traces it leaves."""
    if platform == "darwin":
        return False
    if platform == "win32":
        return ctypes.util.find_library("nvcuda") is not None
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def effectiveMethod(method: str, hasModel: bool) -> str:
    """Say which method "automatic" means here."""
    if method == Method.automatic.value:
        return "generator" if hasModel else "nmar"
    return method


def plannedText(method: Method, device: Device, hasModel: bool, driver: bool) -> str:
    """Say what will run."""
    effective = effectiveMethod(method.value, hasModel)
    if effective != "generator":
        return f"Will run {_METHOD_NAMES[effective]} on the CPU"
    if not hasModel:
        return "No model is installed: import one, or choose another method"
    if device is Device.cpu or not driver:
        missing = device is Device.cuda and not driver
        why = " (no NVIDIA driver found)" if missing else ""
        return f"Will run the learned method on the CPU{why}"
    return "Will run the learned method on CUDA, or on the CPU if CUDA fails"


def ranText(provenance: Mapping[str, Any]) -> str:
    """Say what did run."""
    method = str(provenance.get("method", ""))
    if method == "none":
        return "Nothing ran: there was no metal"
    provider = str(provenance.get("provider") or "")
    place = "CUDA" if provider.startswith("CUDA") else "the CPU"
    model = provenance.get("model_name")
    what = (
        f"{model} {provenance.get('model_version')}" if model else _METHOD_NAMES.get(method, method)
    )
    fallback = provenance.get("fallback")
    return f"Ran {what} on {place}" + (f" ({fallback})" if fallback else "")
