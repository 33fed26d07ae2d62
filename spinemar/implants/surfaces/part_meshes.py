"""The surfaces of one implant, part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spinemar.implants.catalogue import Head, ScrewModel, Thread
from spinemar.implants.placement import ImportedMesh, Rod, Screw, Wire
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.screw import Part, head_pose, head_solids, shank_axis
from spinemar.implants.shapes.solids import FloatArray, Sphere, Union, cylinder, perpendicular
from spinemar.implants.surfaces.imported import placed_mesh
from spinemar.implants.surfaces.mesh import Mesh, shank_mesh, solid_mesh, tube_mesh


@dataclass(frozen=True)
class PartMesh:
    """The closed surface of one part: of implant `implant_id`, of one material."""

    implant_id: str
    name: str
    material: str
    mesh: Mesh


def solid_meshes(
    implant_id: str, parts: Iterable[Part], step_mm: float = 0.4
) -> Iterator[PartMesh]:
    """Yield the surfaces of solids on a grid of `step_mm`; of thin markers on a finer one."""
    for part in parts:
        step = min(step_mm, 0.2) if part.name == "markers" else step_mm
        yield PartMesh(implant_id, part.name, part.material, solid_mesh(part.solid, step))


def rod_meshes(rod: Rod) -> Iterator[PartMesh]:
    """Yield the surface of a rod."""
    mesh = tube_mesh(rod_curve(rod.control_points, 1.0), rod.diameter_mm / 2)
    yield PartMesh(rod.id, "rod", rod.material, mesh)


def wire_meshes(wire: Wire) -> Iterator[PartMesh]:
    """Yield the surface of a wire."""
    mesh = tube_mesh(rod_curve(wire.points, 0.5), wire.diameter_mm / 2, around=16)
    yield PartMesh(wire.id, "wire", wire.material, mesh)


def imported_meshes(item: ImportedMesh) -> Iterator[PartMesh]:
    """Yield a surface of the user's own where it was placed."""
    yield PartMesh(item.id, "mesh", item.material, Mesh(*placed_mesh(item)))


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
