"""Planner: replan 12 screws, regrade a moved one, voxelise a 12-screw construct, its surfaces.

Appends to build/bench.json. Run: python Testing/benchmarks/bench_planner.py
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from bench_tomography import best_seconds, machine_facts, record

from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.construct_mesh import construct_meshes
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.constructs.assemble import with_rods
from spinemar.planning.constructs.automatic import plan_construct, plan_with_alternatives
from spinemar.planning.grades.gertzbein_robbins import grade_screw
from spinemar.planning.plans.plan import Plan
from spinemar.planning.sampling.variation import vary_plan
from spinemar.volume import CTVolume, GridGeometry

# Goals in seconds.
GOALS = {"plan_12_screws": 10.0, "regrade_screw": 0.05, "voxelize_12_screws_512x512x160": 5.0}
LEVELS = "T9-L2"


def _phantom() -> ModuleType:
    """Load the boxes of the tests."""
    path = Path(__file__).resolve().parents[1] / "core" / "planning" / "conftest.py"
    spec = importlib.util.spec_from_file_location("planning_phantom", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Measure, print and record."""
    spine = _phantom().build((0.8, 0.8, 1.25), None, LEVELS)
    hu = np.where(spine.labels.labels > 0, 300.0, 40.0).astype(np.float32)
    volume = CTVolume(hu, spine.labels.ijk_to_ras)
    seconds: dict[str, float] = {}
    catalogue = load_catalogue()
    seconds["plan_12_screws"] = best_seconds(
        lambda: plan_construct(spine, volume, LEVELS, catalogue), 2
    )
    made = plan_with_alternatives(spine, volume, LEVELS, catalogue)
    plan: Plan = made.plan
    assert len(plan.screws) == 12
    screw = plan.screws[4]
    field = made.fields[screw.level]
    shifts = iter(range(10_000))

    def regrade() -> None:
        shift = 0.001 * next(shifts)
        moved = [
            tuple(np.add(point, (shift, 0.0, 0.0)).tolist()) for point in (screw.entry, screw.tip)
        ]
        grade_screw(replace(screw, entry=moved[0], tip=moved[1]), field)

    seconds["regrade_screw"] = best_seconds(regrade, 50)
    seconds["contour_two_rods"] = best_seconds(lambda: with_rods(plan, catalogue), 5)
    seconds["vary_plan"] = best_seconds(lambda: vary_plan(plan, catalogue, seed=1), 5)
    centre = np.mean([s.entry for s in plan.screws], axis=0)
    matrix = np.diag([0.78, 0.78, 1.25, 1.0])
    matrix[:3, 3] = centre - matrix[:3, :3] @ np.array([256, 256, 80])
    grid = GridGeometry((160, 512, 512), matrix)
    seconds["voxelize_12_screws_512x512x160"] = best_seconds(
        lambda: voxelize_plan(plan, grid, catalogue), 2
    )
    start = time.perf_counter()
    list(construct_meshes(plan, catalogue))
    seconds["surfaces_12_screws"] = time.perf_counter() - start
    facts: dict[str, Any] = {"machine": machine_facts()}
    entries = []
    for name, value in seconds.items():
        goal = f" (goal {GOALS[name]:g})" if name in GOALS else ""
        print(f"{name}: {value:.4f} s{goal}")
        entries.append(
            {"name": name, "peer": "spinemar", "seconds": value, "goal_s": GOALS.get(name), **facts}
        )
    record(entries)


if __name__ == "__main__":
    main()
