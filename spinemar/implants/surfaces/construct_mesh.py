"""Surfaces of a whole construct, part by part, and STL files of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from spinemar.implants.catalogue import Catalogue, Head, ScrewModel, Thread
from spinemar.implants.placement import Construct, Screw
from spinemar.implants.shapes.cage import cage_parts
from spinemar.implants.shapes.crosslink import crosslink_parts
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.screw import head_pose, head_solids, shank_axis
from spinemar.implants.shapes.solids import FloatArray, Sphere, Union, cylinder, perpendicular
from spinemar.implants.surfaces.imported import read_mesh
from spinemar.implants.surfaces.mesh import Mesh, shank_mesh, solid_mesh, tube_mesh


@dataclass(frozen=True)
class PartMesh:
    """The closed surface of one part: of implant `implant_id`, of one material."""

    implant_id: str
    name: str
    material: str
    mesh: Mesh


def construct_meshes(construct: Construct, catalogue: Catalogue) -> Iterator[PartMesh]:
    """Yield the surfaces of all parts of a construct, in RAS mm."""
    for screw in construct.screws:
        yield from screw_meshes(screw, catalogue.screw(screw.model))
    for rod in construct.rods:
        mesh = tube_mesh(rod_curve(rod.control_points, 1.0), rod.diameter_mm / 2)
        yield PartMesh(rod.id, "rod", rod.material, mesh)
    for cage in construct.cages:
        for part in cage_parts(cage):
            step = 0.2 if part.name == "markers" else 0.5
            yield PartMesh(cage.id, part.name, part.material, solid_mesh(part.solid, step))
    for link in construct.crosslinks:
        for part in crosslink_parts(link):
            yield PartMesh(link.id, part.name, part.material, solid_mesh(part.solid))
    for item in construct.meshes:
        points, triangles = read_mesh(Path(item.path), item.sha256)
        matrix = np.reshape(np.asarray(item.mesh_to_ras, float), (4, 4))
        yield PartMesh(item.id, "mesh", item.material, Mesh(points, triangles).moved(matrix))


def screw_meshes(screw: Screw, model: ScrewModel) -> Iterator[PartMesh]:
    """Yield shank, neck with ball, tulip and set screw of a screw.

    The shapes are made once per size and then only moved: dragging stays fast.
    """
    pose = head_pose(screw, model)
    axis = shank_axis(screw)
    along = _matrix(np.asarray(screw.entry, float), axis, perpendicular(axis, (1.0, 0.0, 0.0)))
    head = _matrix(pose.ball, pose.axis, pose.slot)
    core = screw.diameter_mm * model.thread.core_ratio / 2
    shank = _shank(screw.diameter_mm, screw.length_mm, model.thread)
    neck = _neck(core, model.head)
    tulip, locking = _head(model.head)
    metal = model.head_material or screw.material
    yield PartMesh(screw.id, "shank", screw.material, shank.moved(along))
    yield PartMesh(screw.id, "neck", screw.material, neck.moved(along))
    yield PartMesh(screw.id, "tulip", metal, tulip.moved(head))
    yield PartMesh(screw.id, "set screw", metal, locking.moved(head))


@lru_cache(maxsize=64)
def _shank(diameter_mm: float, length_mm: float, thread: Thread) -> Mesh:
    return shank_mesh(diameter_mm, length_mm, thread)


@lru_cache(maxsize=64)
def _neck(radius: float, head: Head) -> Mesh:
    """Return neck and ball on the axis +z, the entry at the origin."""
    ball = np.array([0.0, 0.0, -head.neck_mm])
    return solid_mesh(Union([cylinder(ball, np.zeros(3), radius), Sphere(ball, head.ball_mm)]))


@lru_cache(maxsize=16)
def _head(head: Head) -> tuple[Mesh, Mesh]:
    """Return tulip and set screw, the ball's centre at the origin, slot +x, axis +z."""
    tulip, locking = head_solids(head, np.zeros(3), np.array([0.0, 0, 1]), np.array([1.0, 0, 0]))
    pin = tube_mesh(np.stack([locking.start, locking.end]), locking.start_radius, around=48)
    return solid_mesh(tulip), pin


def _matrix(origin: FloatArray, z: FloatArray, x: FloatArray) -> FloatArray:
    """Return the 4x4 matrix that takes local x and z to the given unit vectors."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    matrix[:3, 3] = origin
    return matrix


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
