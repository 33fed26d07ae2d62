"""How much memory the GPU has to spare, and how many slices fit into it."""

from __future__ import annotations

import ctypes
import ctypes.util
import os

_MOST_SLICES = 4
"""Several slabs are in work at a time, which fills the largest GPUs with batches of this size;
larger ones would keep more slices in the host's memory."""
_BLIND_SLICES = 2
_SHARE = 0.5
"""Of the free memory: the rest is for other programs, transforms and the runtime's rounding."""
_ACTIVATIONS = 24.0
"""Bytes that a network run holds for each byte of its input, workspaces included; see
`NetworkSession`, which halves the batch where this was too little."""


class _NvmlMemory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def free_gpu_bytes() -> int | None:
    """Ask the driver for the free memory of the first GPU; None where there is no driver to ask."""
    for name in ("libnvidia-ml.so.1", "nvml.dll"):
        try:
            library = ctypes.CDLL(name)
            break
        except OSError:
            continue
    else:
        return None
    handle, memory = ctypes.c_void_p(), _NvmlMemory()
    try:
        if library.nvmlInit_v2() != 0:
            return None
        index = ctypes.c_uint(_physical_number())
        found = library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == 0
        found = found and library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0
        library.nvmlShutdown()
    except AttributeError:  # a driver too old for these names
        return None
    return int(memory.free) if found else None


def _physical_number() -> int:
    """Return the first GPU's number for the driver; CUDA_VISIBLE_DEVICES hides and reorders."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    return int(chosen) if chosen.isdigit() else 0


def slices_that_fit(free_bytes: int | None, input_bytes: int) -> int:
    """Choose the batch for the free memory.

    Parameters
    ----------
    free_bytes : int or None
        None where nobody knows.
    input_bytes : int
        Size of one slice's input to the network.

    Returns
    -------
    int
        At least one, at most 4.
    """
    if free_bytes is None:
        return _BLIND_SLICES
    fit = int(_SHARE * free_bytes / (_ACTIVATIONS * max(1, input_bytes)))
    return min(max(1, fit), _MOST_SLICES)
