"""A plan as files: JSON, CSV, surfaces, in names that say nothing about the patient."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SpineImplantPlannerLib.nodes.surfaces import polyDataOf
from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.construct_mesh import export_stl, implant_meshes
from spinemar.implants.surfaces.mesh import Mesh
from spinemar.planning.grades.hu_profile import HuProfile
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import write_plan
from spinemar.planning.report.tables import plan_csv
from spinemar.spine.model import VertebraFrame

DEFAULT_STEM = "spine_plan"


@dataclass(frozen=True)
class Wanted:
    """What shall be exported."""

    json: bool = True
    csv: bool = True
    stl: bool = True
    vtk: bool = False


def exportPlan(
    folder: Path,
    plan: Plan,
    catalogue: Catalogue,
    profiles: Mapping[str, HuProfile],
    frames: Mapping[str, VertebraFrame],
    wanted: Wanted,
    stem: str = DEFAULT_STEM,
) -> list[Path]:
    """Write what is wanted into a folder, and return the files.

    Raises
    ------
    InputError
        If the plan is empty.
    """
    if not any(True for _ in plan.items()):
        raise InputError("The plan is empty.", "Plan at least one implant, then export.")
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    if wanted.json:
        files.append(folder / f"{stem}.json")
        write_plan(files[-1], plan)
    if wanted.csv:
        files.append(folder / f"{stem}_screws.csv")
        with atomic_path(files[-1]) as temporary:
            temporary.write_text(plan_csv(plan, profiles, frames), encoding="utf-8")
    if wanted.stl:
        files += export_stl(folder / "stl", plan, catalogue, folder / f"{stem}.stl")
    if wanted.vtk:
        files += _writeVtk(folder / "vtk", implant_meshes(plan, catalogue))
    return files


def _writeVtk(folder: Path, parts: Mapping[str, Iterable[Mesh]]) -> list[Path]:
    import vtk

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, meshes in parts.items():
        files.append(folder / f"{safeName(name)}.vtk")
        with atomic_path(files[-1]) as temporary:
            writer = vtk.vtkPolyDataWriter()
            writer.SetFileName(str(temporary))
            writer.SetHeader("SpineMAR; SPACE=RAS; mm")
            writer.SetInputData(polyDataOf(list(meshes)))
            writer.SetFileTypeToBinary()
            if not writer.Write():
                raise OSError(f"{files[-1]} could not be written")
    return files


def safeName(text: str) -> str:
    """Return a text as a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text) or "implant"


def newFolder(parent: Path, stem: str = DEFAULT_STEM) -> Path:
    """Return a folder below `parent` that does not exist yet; nothing is overwritten."""
    folder, number = parent / stem, 2
    while folder.exists():
        folder, number = parent / f"{stem}_{number}", number + 1
    return folder


def fits(plan: Plan, bounds: Any) -> bool:
    """Whether most of a plan lies within bounds (r, r, a, a, s, s) of a volume."""
    points = [p for s in plan.screws for p in (s.entry, s.tip)]
    points += [p for rod in plan.rods for p in rod.control_points]
    inside = [all(bounds[2 * n] <= p[n] <= bounds[2 * n + 1] for n in range(3)) for p in points]
    return sum(inside) * 2 >= len(inside)
