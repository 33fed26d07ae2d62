"""The guide "add an implant", executed: a spacer, added to a copy by the page's own text."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "Docs" / "developer" / "index.md"

USE = """
from pathlib import Path
import numpy as np
from spinemar.cli.plan_inputs import plan_facts
from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.kinds import counts_of
from spinemar.implants.shapes.spacer import Spacer
from spinemar.implants.construct_mesh import construct_meshes, export_stl
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.plans.commands import LockImplant, PutImplant, RemoveImplant
from spinemar.planning.plans.history import History
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.relevel import shift_plan_levels
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.volume import GridGeometry

spacer = Spacer("L1-spacer", "L1", (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
history = History.of(Plan()).do(PutImplant(spacer))
plan = history.plan
assert plan_from_json(plan_to_json(plan)) == plan and plan.spacers == (spacer,)
old = plan_to_json(Plan()).replace('"spacers": [],', '')
assert plan_from_json(old) == Plan()
catalogue = load_catalogue()
affine = np.eye(4)
affine[:3, 3] = -25.0
metal = voxelize_plan(plan, GridGeometry((50, 50, 50), affine), catalogue)["Ti-6Al-4V"]
lowest = np.pi * 5.0**2 * 16.0
highest = lowest + 2 * 2.0 * 10.0 * 20.0
assert lowest < metal.sum() < highest, metal.sum()
(part,) = construct_meshes(plan, catalogue)
assert part.implant_id == "L1-spacer" and len(part.mesh.triangles) > 100
assert [path.name for path in export_stl(Path("stl"), plan, catalogue)] == ["L1-spacer.stl"]
assert plan_facts(plan)["spacers"] == ["L1-spacer"]
(moved,) = shift_plan_levels(plan, 1).spacers
assert (moved.id, moved.level) == ("L2-spacer", "L2")
assert counts_of(plan)["spacers"] == 1
locked = history.do(LockImplant("L1-spacer", True))
try:
    locked.do(RemoveImplant("L1-spacer"))
    raise SystemExit("a locked spacer was removed")
except InputError as error:
    assert "locked" in str(error)
assert locked.undo().do(RemoveImplant("L1-spacer")).plan.spacers == ()
try:
    Plan(spacers=(spacer, spacer))
    raise SystemExit("two of one name")
except InputError:
    pass
print("a spacer like any other")
"""


def steps() -> dict[str, tuple[str, str]]:
    """Return import and addition that the page shows for each file of the core."""
    page = GUIDE.read_text(encoding="utf-8")
    part = page[page.index("*A new kind of implant*") : page.index("*A material*")]
    found = re.findall(r'title="(spinemar/[^"]+)" }\n(.*?)\n\n(.*?)\n```', part, re.DOTALL)
    return {path: (imports, addition) for path, imports, addition in found}


def test_a_spacer_is_added_as_the_guide_says(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    shutil.copytree(ROOT / "spinemar", tmp_path / "spinemar",
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    example = ROOT / "Docs" / "examples" / "interspinous_spacer.py"
    shutil.copy(example, tmp_path / "spinemar" / "implants" / "shapes" / "spacer.py")
    places = {
        "spinemar/implants/kinds.py": "    # A surface of the user's own",
        "spinemar/planning/plans/plan.py": "    notes: str",
    }
    assert set(steps()) == set(places)
    for name, (imports, addition) in steps().items():
        path = tmp_path / name
        text = path.read_text(encoding="utf-8")
        assert text.count(places[name]) == 1
        text = text.replace(places[name], f"{addition}\n{places[name]}")
        text = text.replace("\nfrom spinemar.", f"\n{imports}\nfrom spinemar.", 1)
        path.write_text(text, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr
    assert "like any other" in ran.stdout
