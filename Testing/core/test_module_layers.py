"""In the modules: Qt and the global scene are for panels; logic gets its scene handed in."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLANNER = ROOT / "SpineImplantPlanner"
CORRECTION = ROOT / "MetalArtifactReduction"

SHARED = ROOT / "SpineMARLib"

# Panels, and what belongs to the application itself: sample data, self tests, other modules.
PANELS = {
    path
    for library in (*PLANNER.glob("*Lib"), *CORRECTION.glob("*Lib"), SHARED)
    for room in ("steps", "panel", "views")
    for path in library.glob(f"{room}/**/*.py")
}
# Of `slicer.util`, logic may use what takes all it needs as arguments.
GLOBAL_UTIL = {
    "addVolumeFromArray", "getNode", "getNodes", "getNodesByClass", "getModule", "loadScene",
    "loadVolume", "saveScene", "saveNode", "mainWindow", "selectModule", "setSliceViewerLayers",
    "errorDisplay", "infoDisplay", "confirmYesNoDisplay", "confirmOkCancelDisplay",
    "showStatusMessage", "pip_install", "updateVolumeFromArray", "moduleSelector",
}  # fmt: skip
LOGIC = sorted(
    path
    for library in (*PLANNER.glob("*Lib"), *CORRECTION.glob("*Lib"), SHARED)
    for path in library.rglob("*.py")
    if path not in PANELS
)


def imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def attributes(tree: ast.AST) -> set[str]:
    """Return dotted names such as slicer.util.getNode."""
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("path", LOGIC, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_logic_knows_neither_qt_nor_the_global_scene(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not imports(tree) & {"qt", "ctk", "PySide6", "PythonQt"}
    used = attributes(tree)
    for name in ("mrmlScene", "app", "modules"):
        assert not {x for x in used if x.startswith(f"slicer.{name}")}, name
    assert not {x for x in used if x.startswith("slicer.util.")} & {
        f"slicer.util.{name}" for name in GLOBAL_UTIL
    }


def test_logic_is_most_of_it() -> None:
    names = {f"{path.parent.name}/{path.name}" for path in LOGIC}
    assert {"plan/session.py", "plan/exporting.py", "nodes/implants.py", "nodes/metal.py",
            "nodes/spine.py", "handles/dragging.py", "handles/clicking.py", "jobs/plannerjobs.py",
            "SpineImplantPlannerLib/logic.py",
            "nodes/results.py", "nodes/transient.py", "SpineMARLib/jobrun.py"} <= names  # fmt: skip


@pytest.mark.parametrize("module", [PLANNER, CORRECTION], ids=lambda path: path.name)
def test_files_are_short(module: Path) -> None:
    def lines(path: Path) -> int:
        return len(path.read_text(encoding="utf-8").splitlines())

    assert lines(module / f"{module.name}.py") < 500
    for path in module.glob("*Lib/**/*.py"):
        assert lines(path) <= 350, path.name
