"""Surfaces of a whole construct, part by part, and STL files of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spinemar.implants.catalogue import Catalogue
from spinemar.implants.kinds import implants_of
from spinemar.implants.placement import Construct
from spinemar.implants.surfaces.mesh import Mesh
from spinemar.implants.surfaces.part_meshes import PartMesh


def construct_meshes(construct: Construct, catalogue: Catalogue) -> Iterator[PartMesh]:
    """Yield the surfaces of all parts of a construct, in RAS mm."""
    for kind, item in implants_of(construct):
        yield from kind.surfaces(item, catalogue)


def write_stl(path: Path, meshes: list[Mesh]) -> None:
    """Write surfaces into one binary STL file, RAS mm."""
    from spinemar.base.atomic_files import atomic_path

    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")])
    corners = np.concatenate([mesh.points[mesh.triangles] for mesh in meshes])
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    triangles = np.zeros(len(corners), dtype=record)
    triangles["normal"] = normal / np.maximum(length, 1e-12)
    triangles["corners"] = corners
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(b"SpineMAR, RAS mm".ljust(80))
        file.write(np.uint32(len(triangles)).tobytes())
        file.write(triangles.tobytes())


def export_stl(folder: Path, construct: Construct, catalogue: Catalogue) -> list[Path]:
    """Write one STL file per implant into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[Mesh]] = {}
    for part in construct_meshes(construct, catalogue):
        parts.setdefault(part.implant_id, []).append(part.mesh)
    paths = []
    taken: set[str] = set()
    for implant_id, meshes in parts.items():
        name = _file_name(implant_id, taken)
        taken.add(name.lower())
        paths.append(folder / f"{name}.stl")
        write_stl(paths[-1], meshes)
    return paths


def _file_name(implant_id: str, taken: set[str]) -> str:
    """Make an implant's id a file name of its own, whatever a plan calls it."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", implant_id).strip(".")[:80] or "implant"
    name, number = stem, 2
    while name.lower() in taken:
        name, number = f"{stem}_{number}", number + 1
    return name
