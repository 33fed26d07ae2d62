"""Hostile plans, catalogues, jobs, surfaces and models through the commands that read them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.construct_mesh import export_stl
from spinemar.implants.surfaces.imported import read_mesh
from spinemar.io import write_volume
from spinemar.planning.plans.plan import ImportedMesh, Plan, Screw
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from Testing.core.reliability.conftest import drawn_ct, snapshot

SCREW = Screw("L1-left", "L1", "left", (0.0, 0.0, 0.0), (0.0, 45.0, 0.0), 6.5, 45.0)
GOOD = plan_to_json(Plan(levels=("L1",), screws=(SCREW,)))
DEEP = "[" * 200_000

HOSTILE = {
    "deep": (DEEP, "nested too deep"),
    "deep and closed": ("[" * 900 + "]" * 900, "not a SpineMAR"),
    "NaN": (GOOD.replace("6.5", "NaN"), "it holds NaN"),
    "infinity": (GOOD.replace("6.5", "-Infinity"), "it holds -Infinity"),
    "huge number": (GOOD.replace("6.5", "1e999"), "is too large"),
    "endless digits": (GOOD.replace("6.5", "9" * 6000), "not valid JSON"),
    "wrong type": (GOOD.replace("6.5", '"thick"'), "not of kind float"),
    "half a character": (GOOD.replace("L1-left", "\\ud800"), "half a character"),
    "truncated": (GOOD[:200], "not valid JSON"),
    "empty": ("", "not valid JSON"),
    "no plan": ('{"format": "other"}', "not a SpineMAR"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_plan(refused, tmp_path: Path, case: str) -> None:
    text, words = HOSTILE[case]
    write_volume(tmp_path / "ct.nrrd", drawn_ct())
    (tmp_path / "plan.json").write_text(text)
    said = refused("voxelize", tmp_path / "plan.json", tmp_path / "ct.nrrd", "-o",
                   tmp_path / "metal.nrrd")  # fmt: skip
    assert words in said


def test_hostile_catalogue(refused, tmp_path: Path) -> None:
    write_volume(tmp_path / "ct.nrrd", drawn_ct())
    (tmp_path / "plan.json").write_text(GOOD)
    for text, words in (
        (DEEP, "nested too deep"),
        ('{"format": "spinemar-catalogue", "version": [[[[[[[[1]]]]]]]]}', "is of version"),
        ('{"format": "spinemar-catalogue", "version": 1, "name": 5}', "not of kind str"),
        ('{"format": "spinemar-catalogue", "version": 1, "screws": NaN}', "it holds NaN"),
        ("\udcff\udcfe", "it is not UTF-8 text"),
    ):
        (tmp_path / "own.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        said = refused("voxelize", tmp_path / "plan.json", tmp_path / "ct.nrrd", "-o",
                       tmp_path / "metal.nrrd", "--catalogue", tmp_path / "own.json")  # fmt: skip
        assert words in said


def test_huge_plan_file_is_not_read(refused, tmp_path: Path) -> None:
    write_volume(tmp_path / "ct.nrrd", drawn_ct())
    with (tmp_path / "plan.json").open("wb") as stream:
        stream.truncate(300 << 20)  # sparse
    said = refused("voxelize", tmp_path / "plan.json", tmp_path / "ct.nrrd", "-o",
                   tmp_path / "metal.nrrd", folder=tmp_path / "nothing")  # fmt: skip
    assert "larger than 16 MiB, far too large" in said
    assert not (tmp_path / "metal.nrrd").exists()


def test_messages_stay_short_whatever_a_file_holds() -> None:
    raw = json.loads(GOOD)
    raw["screws"][0]["diameter_mm"] = ["x" * 10_000] * 100
    with pytest.raises(InputError) as caught:
        plan_from_json(json.dumps(raw))
    assert len(str(caught.value)) < 500
    raw = json.loads(GOOD)
    raw["y" * 10_000] = 1
    with pytest.raises(InputError) as caught:
        plan_from_json(json.dumps(raw))
    assert len(str(caught.value)) < 500


def test_names_in_a_plan_never_become_paths(tmp_path: Path) -> None:
    """Surfaces named after implants stay in their folder, one file an implant."""
    names = ("../../escaped", "/etc/passwd", "..", "a/b", "a_b", "A_B", "x" * 300, "nul\0l", "")
    screws = tuple(
        Screw(name, "L1", "left", (20.0 * n, 0.0, 0.0), (20.0 * n, 45.0, 0.0), 6.5, 45.0)
        for n, name in enumerate(names)
    )
    paths = export_stl(tmp_path / "stl", Plan(screws=screws), load_catalogue())
    assert len({str(p).lower() for p in paths}) == len(names)
    assert sorted(tmp_path.rglob("*.stl")) == sorted(paths)
    assert [p.name for p in tmp_path.iterdir()] == ["stl"]
    assert all(p.parent == tmp_path / "stl" for p in paths)


def _stl(count: int, triangles: int = 4) -> bytes:
    corners = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]], "<f4")
    faces = [(0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)][:triangles]
    body = b"".join(bytes(12) + corners[list(face)].tobytes() + bytes(2) for face in faces)
    return b"made for a test".ljust(80) + struct.pack("<I", count) + body


def test_a_good_surface_is_read(tmp_path: Path) -> None:
    (tmp_path / "good.stl").write_bytes(_stl(4))
    points, triangles = read_mesh(tmp_path / "good.stl")
    assert (len(points), len(triangles)) == (4, 4)


@pytest.mark.parametrize("count", [5, 10_000, 2**31, 2**32 - 1])
def test_stl_bombs_are_refused_by_their_size(tmp_path: Path, count: int) -> None:
    (tmp_path / "bomb.stl").write_bytes(_stl(count))
    with pytest.raises(InputError, match="truncated, damaged"):
        read_mesh(tmp_path / "bomb.stl")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bomb.vtk", "# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\n"
                     "POINTS 99999999999999 float\n0 0 0\n"),
        ("bomb.vtp", '<VTKFile type="PolyData"><PolyData><Piece NumberOfPoints="99999999999" '
                     'NumberOfPolys="9"><Points><DataArray type="Float32" '
                     'NumberOfComponents="3">0</DataArray></Points></Piece></PolyData></VTKFile>'),
        ("junk.obj", "f 1 2 99999999\n"),
        ("junk.stl", "solid x\nfacet\n"),
    ],
)  # fmt: skip
def test_surfaces_that_would_take_the_process_with_them(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="surface"):
        read_mesh(tmp_path / name)


def test_open_and_huge_surfaces(tmp_path: Path) -> None:
    (tmp_path / "open.stl").write_bytes(_stl(3, 3))
    with pytest.raises(InputError, match="is not closed"):
        read_mesh(tmp_path / "open.stl")
    with (tmp_path / "huge.stl").open("wb") as stream:
        stream.truncate(300 << 20)  # sparse
    with pytest.raises(InputError, match="larger than 256 MiB"):
        read_mesh(tmp_path / "huge.stl")


@pytest.mark.parametrize("path", [r"\\server\share\plate.stl", "//server/share/plate.stl"])
def test_a_plan_cannot_have_another_machine_asked(path: str) -> None:
    mesh = ImportedMesh("m", path, "0" * 64, tuple(float(n % 5 == 0) for n in range(16)))
    plan = plan_from_json(plan_to_json(Plan(meshes=(mesh,))))
    with pytest.raises(InputError, match="on another machine"):
        read_mesh(Path(plan.meshes[0].path))


def test_foreign_model_through_the_command_line(refused, scan_file: Path, tmp_path: Path) -> None:
    for content in ('{"name": "foreign"}', DEEP, "", '{"schema": "spinemar-model/1"}'):
        (tmp_path / "manifest.json").write_text(content)
        said = refused("correct", scan_file, "-o", tmp_path / "o.nrrd", "--method", "generator",
                       "--model", tmp_path / "manifest.json")  # fmt: skip
        assert "The model's manifest manifest.json" in said


def test_facts_never_replace_a_file_of_another_kind(
    refused, scan_file: Path, tmp_path: Path
) -> None:
    """A plan, or the header of raw data, that bears the result's name stays."""
    (tmp_path / "case.json").write_text(GOOD)
    before = snapshot(tmp_path)
    said = refused("correct", scan_file, "-o", tmp_path / "case.nrrd", "--overwrite")
    assert "case.json exists already and would be replaced" in said
    assert snapshot(tmp_path) == before
