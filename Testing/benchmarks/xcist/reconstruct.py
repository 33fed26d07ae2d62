"""XCIST's filtered back-projection, its arrays handed over whole.

The filter (`createHSP`) and the fan-beam back-projection (`fdk_equiAngle`, compiled) are XCIST's;
its Python code copies them number by number, which takes longer than the reconstruction.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = ctypes.POINTER(ctypes.c_float)


def reconstruct(cfg: Any, paths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reconstruct one row of a full turn, (views, columns), to 1/mm, (rows y, columns x)."""
    from gecatsim.reconstruction.pyfiles import fdk_equiAngle as fdk
    from gecatsim.reconstruction.pyfiles.createHSP import createHSP
    from gecatsim.reconstruction.pyfiles.mapConfigVariablesToFDK import mapConfigVariablesToFDK

    (sid, sdd, _, row_mm, column_mm, offset, offset_z, fov, size, _, thickness, centre, start,
     turn, kernel) = mapConfigVariablesToFDK(cfg)  # fmt: skip
    views, columns = paths.shape
    step = 2 * math.atan(column_mm / 2 / sdd)
    weighted = paths * np.cos((np.arange(columns) - (columns - 1) / 2) * step)
    length = 2 ** (math.ceil(math.log2(columns)) + 1)
    spectrum = np.fft.fft(weighted, 2 * length, axis=1) * createHSP(length, kernel)
    filtered = -np.fft.ifft(spectrum, axis=1).imag[:, :columns] / step
    # Two equal rows, between which the plane of the fan lies; [column][row][view] in C.
    data = np.ascontiguousarray(np.repeat(filtered.T[:, None, :], 2, axis=1), np.float32)
    image = np.zeros((size, size, 1), np.float32)
    library = fdk.load_C_recon_lib()
    library.fbp.argtypes, library.fbp.restype = [ctypes.POINTER(fdk.TestStruct)], None
    task = fdk.TestStruct(
        ScanR=sid, DistD=sdd, DecFanAng=columns * step, startangle=start, rotdir=turn,
        DecHeight=row_mm, YL=columns, ZL=2, dectorYoffset=offset, dectorZoffset=offset_z,
        AngleNumber=views, Radius=fov / 2, RecSize=size, sliceThickness=thickness,
        FOILength=size, FOIWidth=size, FOIHeight=1,
        XOffSet=centre[0], YOffSet=centre[1], ZOffSet=centre[2],
    )  # fmt: skip
    kept = [_pointers(data), _pointers(image)]
    task.GF, task.RecIm = (ctypes.cast(top, fdk.PtrPtrPtrFLOAT) for top, _ in kept)
    library.fbp(ctypes.byref(task))
    return image[:, :, 0]


def _pointers(array: NDArray[np.float32]) -> tuple[Any, Any]:
    """C's float*** into an array (a, b, c); both tables must outlive the call."""
    a, b, _ = array.shape
    base = array.ctypes.data + np.arange(a * b, dtype=np.uint64) * np.uint64(array.strides[1])
    rows = (_Floats * (a * b)).from_buffer(base)
    tops = ctypes.addressof(rows) + np.arange(a, dtype=np.uint64) * np.uint64(8 * b)
    planes = (ctypes.POINTER(_Floats) * a).from_buffer(tops)
    return planes, (rows, base, tops)
