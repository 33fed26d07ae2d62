"""Arrows point one way (contracts in pyproject.toml), and importing the core stays light."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "spinemar"

FORBIDDEN = {"slicer", "qt", "ctk", "PythonQt", "torch", "lightning", "monai", "astra", "mrml"}
# Only inside functions: each costs start-up time or may be missing.
HEAVY = {
    "SimpleITK", "pydicom", "onnxruntime", "onnx", "skimage", "vtk", "vtkmodules", "matplotlib",
    "dask", "distributed", "zarr", "pyarrow", "xraydb", "spekpy", "PIL", "jinja2", "cupy",
    "cufinufft",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def imported(tree: ast.AST) -> list[tuple[str, ast.stmt]]:
    """Full names of everything imported, with the statement."""
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            # `from spinemar import sample_data` imports spinemar.demo.sample_data
            found += [(f"{node.module}.{alias.name}", node) for alias in node.names]
    return found


def own_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", modules(), ids=own_name)
def test_heavy_packages_are_imported_inside_functions(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for name, node in imported(tree):
        if id(node) not in inside | typing_only:
            assert name.split(".")[0] not in HEAVY, f"{path}:{node.lineno} imports {name} at once"


def test_importing_the_whole_core_loads_nothing_heavy() -> None:
    names = [own_name(p) for p in modules() if p.name not in ("__init__.py", "__main__.py")]
    script = (
        f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        f"print(*sorted({(HEAVY | FORBIDDEN)!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


SIDES = ("spinemar", "Training/spinemar_training", "Training/spinemar_study",
         "SpineMARLib", "SpineImplantPlanner/SpineImplantPlannerLib",
         "MetalArtifactReduction/MetalArtifactReductionLib")  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """Copy the packages, to build into the copy what must not be."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for side in SIDES:
        shutil.copytree(ROOT / side, folder / side, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def lint_imports(house: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("importlinter", reason="needs import-linter (pip install .[dev])")
    places = [house, *(house / side for side in {side.split("/")[0] for side in SIDES[1:]})]
    script = "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=house, capture_output=True, check=False,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room", "line", "broken"),
    [
        ("spinemar/mar/segmentation/padding.py", "", ""),
        (
            "spinemar/mar/segmentation/padding.py",
            "from spinemar.mar import raw",
            "Rooms of mar",
        ),
        ("spinemar/volume.py", "import spinemar.io", "Rooms of the core"),
        ("spinemar/planning/plans/plan.py", "import spinemar.planning.report.page", "of planning"),
        ("spinemar/volume.py", "import spinemar_training.features", "stand on the core"),
        ("spinemar/volume.py", "import slicer", "neither Slicer nor Qt"),
        ("spinemar/volume.py", "import torch", "no PyTorch"),
        ("Training/spinemar_training/cli.py", "import spinemar_study", "stand on the core"),
        ("SpineImplantPlanner/SpineImplantPlannerLib/logic.py", "import torch", "never loaded"),
        (
            "SpineImplantPlanner/SpineImplantPlannerLib/logic.py",
            "import MetalArtifactReductionLib",
            "stand on the core",
        ),
        ("SpineMARLib/nodes/volumes.py", "import SpineMARLib.panel.errors", "the modules share"),
    ],
)
def test_an_arrow_that_points_up_is_found(house: Path, room: str, line: str, broken: str) -> None:
    """Inside a function too, where it would not run before it is called."""
    path = house / room
    text = path.read_text(encoding="utf-8")
    try:
        path.write_text(f"{text}\n\ndef up():\n    {line or 'pass'}\n", encoding="utf-8")
        done = lint_imports(house)
    finally:
        path.write_text(text, encoding="utf-8")
    assert (done.returncode == 0) == (not broken), done.stdout
    failed = [one for one in done.stdout.splitlines() if one.endswith("BROKEN")]
    assert [one for one in failed if broken in one] if broken else not failed


def test_rooms_hold_at_most_ten_entries() -> None:
    """In these packages and the folders in them, so that a newcomer sees all at a glance."""
    tops = [CORE / name for name in ("mar", "planning", "spine", "physics")]
    tops += [ROOT / side for side in SIDES if side.endswith("Lib")]
    for top in tops:
        for room in (top, *(path for path in top.rglob("*") if path.is_dir())):
            entries = [p.name for p in room.iterdir() if p.is_file() or any(p.rglob("*.py"))]
            assert len(entries) <= 10 or room.name == "__pycache__", (room, sorted(entries))


def ends_of_tables(tree: ast.AST) -> set[int]:
    """Lines on which a table ends: a statement whose value is one collection."""
    found = set()
    for node in ast.walk(tree):
        value = getattr(node, "value", None) if isinstance(node, ast.stmt) else None
        if isinstance(value, ast.Call) and len(value.args) == 1:
            value = value.args[0]  # frozenset({...}), np.array([...])
        if isinstance(value, ast.Tuple | ast.List | ast.Set | ast.Dict):
            found.add(node.end_lineno)
    return found


@pytest.mark.parametrize("side", ["scripts", *SIDES])
def test_the_formatter_is_switched_off_for_tables_alone(side: str) -> None:
    for path in (ROOT / side).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        skipped = [n for n, line in enumerate(text.splitlines(), 1) if line.endswith("# fmt: skip")]
        wrong = set(skipped) - ends_of_tables(ast.parse(text))
        assert not wrong, f"{path.relative_to(ROOT)}: {sorted(wrong)}"
