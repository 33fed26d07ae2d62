"""Surfaces of files from elsewhere: STL here, the rest by VTK in a process that may be lost.

VTK's readers believe every count that a file claims: some damaged files end the process that reads
them, others ask for all of its memory. So files are read in a process of their own, with bounds,
and only numbers come back.

``python -m spinemar.implants.surfaces.surface_files FILE`` writes points and triangles to stdout.
"""

from __future__ import annotations

import io
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.extras import require
from spinemar.base.interpreter import own_interpreter, worker_environment
from spinemar.base.json_text import shown
from spinemar.errors import InputError
from spinemar.implants.surfaces.stl import MAX_BYTES, read_stl

SUFFIXES = (".stl", ".obj", ".vtk", ".vtp")
_MEMORY_BYTES = 4 << 30
_SECONDS = 120

Surface = tuple[NDArray[np.float64], NDArray[np.int64]]


def read_surface(path: Path) -> Surface:
    """Read points (n, 3) and triangles (m, 3) of a STL, OBJ, VTK or VTP file.

    Raises
    ------
    InputError
        If the file is missing, too large, damaged or of another format, or VTK is missing that
        all but STL need.
    """
    # A name that starts like this asks another machine for the file.
    if str(path).startswith(("\\\\", "//")):
        raise InputError(f"The surface {shown(str(path))} lies on another machine.", "Copy it.")
    if not path.is_file():
        raise InputError(f"The surface {path} does not exist.", "Choose the file again.")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path.name} is of no known surface format.", "Use STL, OBJ, VTK or VTP.")
    state = path.stat()
    if state.st_size > MAX_BYTES:
        raise InputError(
            f"The surface {path.name} is larger than {MAX_BYTES >> 20} MiB.",
            "Export it with fewer triangles.",
        )
    key = str(path.resolve()), state.st_mtime_ns, state.st_size
    points, triangles = _read_stl(*key) if path.suffix.lower() == ".stl" else _read_apart(*key)
    return points.copy(), triangles.copy()


@lru_cache(maxsize=8)
def _read_stl(path: str, _changed_ns: int, _size: int) -> Surface:
    """Read a STL file, here: its reader believes no count."""
    found = read_stl(Path(path))
    if found is None:
        raise _damaged(Path(path).name)
    return found


@lru_cache(maxsize=8)
def _read_apart(path: str, _changed_ns: int, _size: int) -> Surface:
    """Read a file in another process; the same file is read once."""
    command = [own_interpreter(), "-m", "spinemar.implants.surfaces.surface_files", path]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=_SECONDS,
            env=worker_environment(),
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as late:
        raise _damaged(Path(path).name) from late
    if done.returncode == _NO_VTK:
        require("Reading a surface", "vtkmodules.vtkIOGeometry")
    if done.returncode != 0:
        raise _damaged(Path(path).name)
    stream = io.BytesIO(done.stdout)
    points, triangles = (np.load(stream, allow_pickle=False) for _ in range(2))
    return points, triangles


def _damaged(name: str) -> InputError:
    return InputError(
        f"The surface {name} cannot be read: it is truncated, damaged or not the format that its "
        "name says.",
        "Export it again.",
    )


# What follows runs in the other process.

_NO_VTK = 3


def _main(path: str) -> int:
    _bound_memory()
    try:
        points, triangles = _read_with_vtk(path)
    except ImportError:
        return _NO_VTK
    stream = io.BytesIO()
    np.save(stream, points)
    np.save(stream, triangles)
    sys.stdout.buffer.write(stream.getvalue())
    sys.stdout.buffer.flush()
    return 0


def _bound_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or soft > _MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _read_with_vtk(path: str) -> Surface:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkCleanPolyData, vtkTriangleFilter
    from vtkmodules.vtkIOGeometry import vtkOBJReader
    from vtkmodules.vtkIOLegacy import vtkPolyDataReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    readers: dict[str, Any] = {
        ".obj": vtkOBJReader,
        ".vtk": vtkPolyDataReader,
        ".vtp": vtkXMLPolyDataReader,
    }
    reader = readers[Path(path).suffix.lower()]()
    reader.SetFileName(path)
    triangulate, clean = vtkTriangleFilter(), vtkCleanPolyData()
    triangulate.SetInputConnection(reader.GetOutputPort())
    triangulate.PassLinesOff()
    triangulate.PassVertsOff()
    clean.SetInputConnection(triangulate.GetOutputPort())
    clean.Update()
    data = clean.GetOutput()
    if data.GetNumberOfPoints() == 0 or data.GetNumberOfPolys() == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    points = vtk_to_numpy(data.GetPoints().GetData()).astype(np.float64)
    cells = vtk_to_numpy(data.GetPolys().GetConnectivityArray()).astype(np.int64)
    triangles = cells.reshape(-1, 3)
    distinct = (triangles != np.roll(triangles, 1, axis=1)).all(axis=1)
    return points, triangles[distinct]


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
