"""Surfaces: closed, manifold, outward, and of the solid's own volume."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from spinemar.base.files.hashes import file_sha256
from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.construct_mesh import construct_meshes, export_stl
from spinemar.implants.kinds import construct_parts
from spinemar.implants.placement import Cage, Crosslink, ImportedMesh, Rod, Screw
from spinemar.implants.shapes.rod import Tube, rod_curve
from spinemar.implants.shapes.thread import ThreadedShank
from spinemar.implants.surfaces.imported import is_closed, read_mesh, voxelize_triangles
from spinemar.implants.surfaces.mesh import shank_mesh, tube_mesh
from spinemar.implants.voxelize import voxelize_plan, voxelize_solid
from spinemar.planning.plans.plan import Plan
from spinemar.volume import GridGeometry

vtk = pytest.importorskip("vtkmodules")


def plan() -> Plan:
    lean = (0.0, -float(np.cos(0.3)), float(np.sin(0.3)))
    screw = Screw("L1-left", "L1", "left", (-20.0, -40.0, 0.0), (-20.0, 5.0, 0.0), 6.5, 45.0,
                  head_axis=lean)  # fmt: skip
    mono = replace(screw, id="L1-right", side="right", entry=(20.0, -40.0, 0.0), head_axis=None,
                   tip=(20.0, 5.0, 0.0), kind="monoaxial", model="generic-monoaxial")  # fmt: skip
    cages = [
        Cage(f"cage-{shape}", "L1/L2", (0.0, 0.0, -20.0 - 30 * n), (1.0, 0.0, 0.0),
             (0.0, 1.0, 0.0), 30.0, 11.0 if shape == "curved" else 24.0, 11.0, 8.0, shape)
        for n, shape in enumerate(("block", "wedge", "curved"))
    ]  # fmt: skip
    rod = Rod("rod", "left", ((-20.0, -52.0, 40.0), (-21.0, -53.0, 0.0), (-20.0, -50.0, -40.0)))
    link = Crosslink("link", (-20.0, -52.0, 20.0), (20.0, -52.0, 20.0), (0.0, -1.0, 0.0))
    return Plan(screws=(screw, mono), rods=(rod,), cages=tuple(cages), crosslinks=(link,))


def manifold(triangles: np.ndarray) -> bool:
    """Every edge in two triangles and every vertex with one ring of triangles."""
    if not is_closed(triangles):
        return False
    fans: dict[int, list[tuple[int, int]]] = {}
    for a, b, c in triangles.tolist():
        for corner, first, second in ((a, b, c), (b, c, a), (c, a, b)):
            fans.setdefault(corner, []).append((first, second))
    for fan in fans.values():
        after = dict(fan)
        start = here = fan[0][0]
        for _ in range(len(fan)):
            here = after[here]
            if here == start:
                break
        seen, here = 1, after[start]
        while here != start:
            seen, here = seen + 1, after[here]
        if seen != len(fan):
            return False
    return True


def test_every_part_is_closed_manifold_and_of_its_volume():
    catalogue = load_catalogue()
    meshes = list(construct_meshes(plan(), catalogue))
    solids: Counter[str] = Counter()
    grid = GridGeometry((330, 260, 200), np.array(
        [[0.4, 0, 0, -40], [0, 0.4, 0, -75], [0, 0, 0.4, -90], [0, 0, 0, 1.0]]))  # fmt: skip
    for part in construct_parts(plan(), catalogue):
        found = voxelize_solid(part.solid, grid)
        solids[part.name] += found[1].sum(dtype=float) * 0.4**3
    volumes: Counter[str] = Counter()
    for part in meshes:
        assert manifold(part.mesh.triangles), (part.implant_id, part.name)
        assert part.mesh.volume_mm3() > 0
        volumes[part.name] += part.mesh.volume_mm3()
    for name in ("shank", "rod", "crosslink", "cage", "set screw"):
        assert volumes[name] == pytest.approx(solids[name], rel=0.03), name
    # The tulip's surface encloses the ball and neck, which the solids do not count twice.
    assert volumes["tulip"] == pytest.approx(solids["tulip"], rel=0.25)


def test_shank_mesh_is_the_analytic_solid():
    thread = load_catalogue().screw("generic-polyaxial").thread
    mesh = shank_mesh(6.5, 45.0, thread, around=72)
    solid = ThreadedShank(np.zeros(3), np.array([0, 0, 45.0]), 6.5, thread)
    assert mesh.volume_mm3() == pytest.approx(solid.volume_mm3(), rel=0.005)
    assert np.abs(solid.distance(mesh.points)).max() < 1e-6


def test_tube_mesh_does_not_twist_or_leak():
    curve = rod_curve([(0, 0, 0), (5, 10, 40), (0, 0, 80), (10, -5, 120)], 1.0)
    mesh = tube_mesh(curve, 2.75, around=64)
    assert manifold(mesh.triangles)
    truth = np.pi * 2.75**2 * Tube(curve, 2.75).length_mm()
    assert mesh.volume_mm3() == pytest.approx(truth, rel=0.01)


def test_stl_files_read_back_closed_and_voxelise_like_the_plan(tmp_path):
    paths = export_stl(tmp_path / "stl", plan(), load_catalogue())
    assert {p.name for p in paths} >= {"L1-left.stl", "rod.stl", "link.stl", "cage-block.stl"}
    rod = tmp_path / "stl" / "rod.stl"
    grid = GridGeometry((60, 100, 100), np.array(
        [[0.8, 0, 0, -60], [0, 0.8, 0, -90], [0, 0, 2.0, -60], [0, 0, 0, 1.0]]))  # fmt: skip
    imported = ImportedMesh("m", str(rod), file_sha256(rod), tuple(np.eye(4).ravel().tolist()))
    only_rod = Plan(rods=plan().rods)
    ours = voxelize_plan(only_rod, grid, load_catalogue())["Ti-6Al-4V"]
    theirs = voxelize_plan(Plan(meshes=(imported,)), grid, load_catalogue())["Ti-6Al-4V"]
    assert theirs.sum() == pytest.approx(ours.sum(), rel=0.02)
    assert np.abs(theirs - ours).mean() < 0.002


@pytest.mark.parametrize("suffix", [".stl", ".obj", ".vtk", ".vtp"])
def test_other_peoples_surfaces_are_read(tmp_path, suffix):
    from vtkmodules.vtkFiltersSources import vtkSphereSource
    from vtkmodules.vtkIOGeometry import vtkOBJWriter, vtkSTLWriter
    from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    source = vtkSphereSource()
    source.SetRadius(10.0)
    source.SetThetaResolution(64)
    source.SetPhiResolution(64)
    writers = {".stl": vtkSTLWriter, ".obj": vtkOBJWriter, ".vtk": vtkPolyDataWriter,
               ".vtp": vtkXMLPolyDataWriter}  # fmt: skip
    path = tmp_path / f"ball{suffix}"
    writer = writers[suffix]()
    writer.SetFileName(str(path))
    writer.SetInputConnection(source.GetOutputPort())
    writer.Write()
    points, triangles = read_mesh(path)
    assert is_closed(triangles)
    matrix = np.diag([0.7, 0.7, 1.9, 1.0])
    matrix[:3, 3] = -15.0
    _, fractions = voxelize_triangles(points, triangles, GridGeometry((16, 43, 43), matrix))
    assert fractions.sum() * 0.7 * 0.7 * 1.9 == pytest.approx(4 / 3 * np.pi * 1000, rel=0.01)


def test_broken_surfaces_are_refused(tmp_path):
    from vtkmodules.vtkFiltersSources import vtkPlaneSource
    from vtkmodules.vtkIOGeometry import vtkSTLWriter

    with pytest.raises(InputError, match="does not exist"):
        read_mesh(tmp_path / "none.stl")
    (tmp_path / "junk.stl").write_bytes(b"junk")
    with pytest.raises(InputError):
        read_mesh(tmp_path / "junk.stl")
    (tmp_path / "model.step").write_text("x")
    with pytest.raises(InputError, match="format"):
        read_mesh(tmp_path / "model.step")
    source, writer = vtkPlaneSource(), vtkSTLWriter()
    writer.SetFileName(str(tmp_path / "open.stl"))
    writer.SetInputConnection(source.GetOutputPort())
    writer.Write()
    with pytest.raises(InputError, match="not closed"):
        read_mesh(tmp_path / "open.stl")
    rod = export_stl(tmp_path, Plan(rods=plan().rods), load_catalogue())[0]
    with pytest.raises(InputError, match="changed"):
        read_mesh(rod, "0" * 64)
