"""Surfaces of a whole construct, part by part, and STL files of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.implants.catalogue import Catalogue
from spinemar.implants.kinds import implants_of
from spinemar.implants.placement import Construct
from spinemar.implants.surfaces.mesh import Mesh
from spinemar.implants.surfaces.part_meshes import PartMesh

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")])
Records = NDArray[np.void]


def construct_meshes(construct: Construct, catalogue: Catalogue) -> Iterator[PartMesh]:
    """Yield the surfaces of all parts of a construct, in RAS mm."""
    for kind, item in implants_of(construct):
        yield from kind.surfaces(item, catalogue)


def implant_meshes(construct: Construct, catalogue: Catalogue) -> dict[str, list[Mesh]]:
    """Return the surfaces of every implant's parts by its id, in RAS mm."""
    parts: dict[str, list[Mesh]] = {}
    for part in construct_meshes(construct, catalogue):
        parts.setdefault(part.implant_id, []).append(part.mesh)
    return parts


def export_stl(
    folder: Path, construct: Construct, catalogue: Catalogue, whole: Path | None = None
) -> list[Path]:
    """Write one binary STL file per implant into a folder, RAS mm, and return their paths.

    Parameters
    ----------
    folder : path
    construct : Construct
    catalogue : Catalogue
    whole : path, optional
        One more file, which holds all of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[Path, list[Records]] = {}
    taken: set[str] = set()
    for implant_id, meshes in implant_meshes(construct, catalogue).items():
        name = _file_name(implant_id, taken)
        taken.add(name.lower())
        path = folder / f"{name}.stl"
        written[path] = [_triangles(mesh) for mesh in meshes]
        _write_stl(path, written[path])
    if whole is None:
        return list(written)
    _write_stl(whole, [part for parts in written.values() for part in parts])
    return [*written, whole]


def _triangles(mesh: Mesh) -> Records:
    """Return the triangles as a binary STL file has them."""
    corners = mesh.points[mesh.triangles]
    (ax, ay, az), (bx, by, bz) = ((corners[:, n] - corners[:, 0]).T for n in (1, 2))
    # Written out: a tenth of the time that a cross product of arrays takes.
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    length = np.maximum(np.sqrt(x * x + y * y + z * z), 1e-12)
    triangles = np.zeros(len(corners), dtype=_RECORD)
    for n, part in enumerate((x, y, z)):
        triangles["normal"][:, n] = part / length
    triangles["corners"] = corners
    return triangles


def _write_stl(path: Path, parts: Sequence[Records]) -> None:
    from spinemar.base.atomic_files import atomic_path

    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(b"SpineMAR, RAS mm".ljust(80))
        file.write(np.uint32(sum(len(part) for part in parts)).tobytes())
        for part in parts:
            file.write(part.tobytes())


def _file_name(implant_id: str, taken: set[str]) -> str:
    """Make an implant's id a file name of its own, whatever a plan calls it."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", implant_id).strip(".")[:80] or "implant"
    name, number = stem, 2
    while name.lower() in taken:
        name, number = f"{stem}_{number}", number + 1
    return name
