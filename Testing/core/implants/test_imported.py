"""Surfaces of one's own: units, place, shells that overlap, STL as its many writers write it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest

from spinemar.base.files.hashes import file_sha256
from spinemar.cli.main import main
from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import ImportedMesh, Rod
from spinemar.implants.surfaces.imported import read_mesh, voxelize_triangles
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_to_json
from spinemar.volume import GridGeometry

SIDE = 60
GRID = GridGeometry((SIDE, SIDE, SIDE), np.eye(4))
CENTRE = np.eye(4)
CENTRE[:3, 3] = 30.0


def cylinder(radius=3.0, length=40.0, centre=(0.0, 0.0, 0.0), around=48) -> np.ndarray:
    """Triangles (n, 3, 3) with outward normals, along z."""
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    low = np.c_[radius * np.cos(angle), radius * np.sin(angle), np.full(around, -length / 2)]
    high = low + np.array([0, 0, length])
    after = np.roll(np.arange(around), -1)
    ends = np.tile([0, 0, length / 2], (around, 1))
    faces = [
        np.stack([low, low[after], high[after]], axis=1),
        np.stack([low, high[after], high], axis=1),
        np.stack([-ends, low[after], low], axis=1),
        np.stack([ends, high, high[after]], axis=1),
    ]
    return np.concatenate(faces) + np.array(centre)


def ball(radius: float, centre=(0.0, 0.0, 0.0)) -> np.ndarray:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersSources import vtkSphereSource

    source = vtkSphereSource()
    source.SetRadius(radius)
    source.SetThetaResolution(40)
    source.SetPhiResolution(40)
    source.Update()
    data = source.GetOutput()
    points = vtk_to_numpy(data.GetPoints().GetData()).astype(float)
    return points[vtk_to_numpy(data.GetPolys().GetConnectivityArray()).reshape(-1, 3)] + centre


def binary(triangles: np.ndarray, head: bytes = b"screw", tail: bytes = b"") -> bytes:
    records = b"".join(bytes(12) + t.astype("<f4").tobytes() + bytes(2) for t in triangles)
    return head.ljust(80) + struct.pack("<I", len(triangles)) + records + tail


def text(triangles: np.ndarray, form: str = "{:.6e}", indent: str = "  ", end: str = "\n") -> bytes:
    rows = ["solid screw"]
    for triangle in triangles.astype("<f4"):
        rows += [f"{indent}facet normal 0 0 0", f"{indent * 2}outer loop"]
        rows += [indent * 3 + "vertex " + " ".join(form.format(v) for v in p) for p in triangle]
        rows += [f"{indent * 2}endloop", f"{indent}endfacet"]
    return end.join([*rows, "endsolid screw", ""]).encode()


def mesh(path: Path, content: bytes, matrix: np.ndarray = CENTRE) -> ImportedMesh:
    path.write_bytes(content)
    return ImportedMesh("m", str(path), file_sha256(path), tuple(matrix.ravel().tolist()))


def volume_mm3(item: ImportedMesh, grid: GridGeometry = GRID) -> float:
    return float(voxelize_plan(Plan(meshes=(item,)), grid, load_catalogue())["Ti-6Al-4V"].sum())


ROD = cylinder()
ROD_MM3 = np.pi * 9 * 40
MANY = text(ROD[:96]).replace(b"endsolid screw", b"endsolid one\nsolid two") + text(ROD[96:])[12:]


@pytest.mark.parametrize(
    "content",
    [
        binary(ROD),
        binary(ROD, head=b"solid made by a program that writes binary"),
        binary(ROD, head=b"SOLID facet and facet again"),
        binary(ROD, tail=b"\0"),
        binary(ROD, tail=b"made by a scanner " * 9),
        binary(ROD, head=b"solid x", tail=b"\0" * 50),
        text(ROD),
        text(ROD).upper(),
        text(ROD).title(),
        text(ROD, end="\r\n"),
        text(ROD, indent="\t"),
        text(ROD, indent=""),
        text(ROD, form="{:.9g}"),
        b"\xef\xbb\xbf" + text(ROD),
        b"\n  " + text(ROD),
        text(ROD) + b"\0\0\0",
        text(ROD).replace(b"solid screw", b"solid"),
        text(ROD).replace(b"endsolid screw\n", b""),
        text(ROD).replace(b"solid screw", b"solid screw of 4 x 40 mm (facet) endloop", 1),
        MANY,
    ],
)
def test_stl_of_every_writer(tmp_path: Path, content: bytes) -> None:
    assert volume_mm3(mesh(tmp_path / "rod.stl", content)) == pytest.approx(ROD_MM3, rel=0.01)
    assert volume_mm3(mesh(tmp_path / "ROD.STL", content)) == pytest.approx(ROD_MM3, rel=0.01)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"solid",
        b"solid x\nendsolid x\n",
        binary(ROD)[:-1],
        binary(ROD)[:1000],
        binary(ROD[:0]),
        text(ROD)[:-200],
        text(ROD).replace(b"vertex", b"vertx", 1),
        text(ROD).replace(b"e+", b",", 1),
        text(ROD).replace(b"vertex -", b"vertex nan -", 1),
        b"solid facet " + b"outer loop " * 1000,
        b"solid facet outer loop vertex " + b"1" * 100_000,
    ],
)
def test_stl_that_is_not_whole_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rod.stl").write_bytes(content)
    with pytest.raises(InputError, match=r"truncated, damaged|no triangles|not closed"):
        read_mesh(tmp_path / "rod.stl")


@pytest.mark.parametrize(
    ("triangles", "mm3"),
    [
        (np.concatenate([ROD, cylinder(length=30, centre=(0, 0, 10))]), np.pi * 9 * 45),
        (np.concatenate([ROD, cylinder(length=20, centre=(0, 0, 0.001))]), ROD_MM3),
        (np.concatenate([ROD, cylinder(centre=(12, 0, 0))]), 2 * ROD_MM3),
        # Shells that touch: they share the edges of a face.
        (np.concatenate([cylinder(length=20, centre=(0, 0, z)) for z in (-10, 10)]), ROD_MM3),
        (np.concatenate([ROD, ROD, ROD]), ROD_MM3),
        # A hole: the inner shell is turned inwards.
        (np.concatenate([ROD, cylinder(1.5, 30)[:, ::-1]]), ROD_MM3 - np.pi * 2.25 * 30),
        # Turned inside out as a whole, or one shell of two.
        (ROD[:, ::-1], ROD_MM3),
        (np.concatenate([ROD, cylinder(centre=(12, 0, 0))[:, ::-1]]), 2 * ROD_MM3),
        (np.concatenate([ball(8), ball(8, (5, 0, 0)), ball(8, (0, 5, 0))]), None),
    ],
)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_overlapping_shells_count_once(tmp_path: Path, triangles, mm3, axis) -> None:
    turned = np.roll(triangles, axis, axis=2)
    found = volume_mm3(mesh(tmp_path / "m.stl", binary(turned)))
    if mm3 is None:
        z, y, x = np.mgrid[-20:20:0.25, -20:20:0.25, -20:20:0.25]
        inside = [np.hypot(np.hypot(x - a, y - b), z) < 8 for a, b in ((0, 0), (5, 0), (0, 5))]
        mm3 = np.any(inside, axis=0).sum() / 64
    assert found == pytest.approx(mm3, rel=0.02)


def placed(shift) -> np.ndarray:
    matrix = CENTRE.copy()
    matrix[:3, 3] += shift
    return matrix


def command_line(folder: Path, plan: Plan, command: str) -> list[str]:
    """Write a plan and a CT of a block; return what puts the one into the other, into `out`."""
    (folder / "plan.json").write_text(plan_to_json(plan))
    hu = np.full(GRID.shape, -1000, np.int16)
    hu[10:50, 10:50] = 40
    nibabel.save(nibabel.Nifti1Image(hu, np.eye(4)), folder / "ct.nii.gz")
    written, ct, out = (str(folder / n) for n in ("plan.json", "ct.nii.gz", "out"))
    if command == "voxelize":
        return ["voxelize", written, ct, "-o", out]
    return ["simulate", ct, "--implants", written, "-o", out]


@pytest.mark.parametrize(
    ("triangles", "matrix", "told", "remedy"),
    [
        (ROD / 1000, CENTRE, "0.006 x 0.006 x 0.04 mm large", "--scale 1000 if its file is in met"),
        (ROD / 25.4, CENTRE, "0.24 x 0.24 x 1.6 mm large", "--scale 25.4 if its file is in inches"),
        (ROD / 10, CENTRE, "0.6 x 0.6 x 4 mm large", "--scale 10 if its file is in cm"),
        (
            ROD * 1000,
            CENTRE,
            "40000 mm large, and thus larger",
            "--scale 0.001 if its file is in m",
        ),
        (
            ROD,
            placed((500, 0, 0)),
            "it is 6 x 6 x 40 mm large and reaches from (527, 27, 10)",
            "pla",
        ),
        (ROD, placed((0, 0, -51)), "lies outside the CT", "mesh_to_ras"),
        (ROD, placed((-60, -60, 0)), "the CT from (0, 0, 0) to (59, 59, 59)", "turned (LPS)"),
        (ROD / 1000, placed((0, 90, 0)), "lies outside the CT", "--scale 1000"),
    ],
)
@pytest.mark.parametrize("command", ["voxelize", "simulate"])
def test_a_surface_that_makes_no_metal_is_refused_with_size_and_place(
    tmp_path: Path, capfd, triangles, matrix, told, remedy, command
) -> None:
    item = mesh(tmp_path / "plate.stl", binary(triangles), matrix)
    assert main(command_line(tmp_path, Plan(meshes=(item,)), command)) == 2
    said = " ".join(capfd.readouterr().err.split())
    assert told in said
    assert remedy in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("unit", "scale"), [(1e-3, "1000"), (1 / 25.4, "25.4"), (1e3, "0.001")])
def test_scale_reads_other_units(tmp_path: Path, capfd, unit: float, scale: str) -> None:
    item = mesh(tmp_path / "rod.stl", binary(ROD * unit))
    arguments = command_line(tmp_path, Plan(meshes=(item,)), "voxelize")
    assert main([*arguments, "--scale", scale, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["volume_mm3"]["Ti-6Al-4V"] == pytest.approx(ROD_MM3, rel=0.01)


@pytest.mark.parametrize("command", ["voxelize", "simulate"])
def test_a_plan_beside_the_ct_is_refused(tmp_path: Path, capfd, command: str) -> None:
    """Of screws and rods too, not of surfaces alone."""
    rod = Rod("rod", "", ((300.0, 0, 0), (300.0, 0, 40)))
    assert main(command_line(tmp_path, Plan(rods=(rod,)), command)) == 2
    assert "None of the plan's implants lies in this CT" in " ".join(capfd.readouterr().err.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "1e9"])
def test_scales_that_are_none(tmp_path: Path, capfd, scale: str) -> None:
    (tmp_path / "plan.json").write_text(plan_to_json(Plan()))
    code = main(["voxelize", str(tmp_path / "plan.json"), "ct.nii", "-o", "out", "--scale", scale])
    assert code == 2
    assert "is not possible" in " ".join(capfd.readouterr().err.split())


def test_a_small_marker_is_an_implant_where_it_fills_voxels(tmp_path: Path) -> None:
    item = mesh(tmp_path / "bead.stl", binary(ball(0.5)))
    fine = GridGeometry((90, 90, 90), np.diag([0.5, 0.5, 0.5, 1.0]))
    matrix = tuple(placed((-10.0,) * 3).ravel().tolist())
    bead = volume_mm3(ImportedMesh("m", item.path, item.sha256, matrix), fine) / 8
    assert bead == pytest.approx(np.pi / 6, rel=0.05)


def test_only_some_slices_of_a_surface(tmp_path: Path) -> None:
    """Slices beside the surface are empty, and no reason to refuse it."""
    item = mesh(tmp_path / "rod.stl", binary(ROD))
    plan = Plan(meshes=(item,))
    whole = voxelize_plan(plan, GRID, load_catalogue())["Ti-6Al-4V"]
    for part in (slice(0, 5), slice(20, 30)):
        found = voxelize_plan(plan, GRID, load_catalogue(), part)["Ti-6Al-4V"]
        np.testing.assert_allclose(found, whole[part], atol=1e-6)


def test_a_column_through_an_edge_fills_nothing_above_it() -> None:
    """However crossings are counted at an edge, no column stays filled to the end."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        corners = np.round(rng.uniform(5, 15, (4, 3)) * 4) / 4  # on the columns' lattice
        faces = np.array([(0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)])
        found = voxelize_triangles(corners, faces, GridGeometry((20, 20, 20), np.eye(4)))
        a, b, c = corners[1:] - corners[0]
        truth = abs(float(np.cross(a, b) @ c)) / 6
        assert found is not None
        assert found[1].sum() == pytest.approx(truth, abs=0.05 * truth + 1.5)
