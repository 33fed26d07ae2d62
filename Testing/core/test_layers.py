"""Arrows point one way: no module imports one above it, and importing the core stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "spinemar"

# From the ground up; a module may import its own layer and those before it.
LAYERS = (
    ("errors", "progress"),
    ("base", "volume"),
    ("axial", "tomography"),
    ("io",),
    ("physics", "implants", "spine"),
    ("planning", "mar"),
    ("evaluation", "dataset"),
    ("report",),
    ("demo",),
    ("jobs",),
    ("cli",),
)
RANK = {name: n for n, layer in enumerate(LAYERS) for name in layer}

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


def rank(module: str) -> int | None:
    """Layer of a full module name of ours; None for the package itself."""
    parts = module.split(".")
    if parts[0] != "spinemar" or len(parts) == 1:
        return None
    return RANK.get(parts[1])


def own_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", modules(), ids=own_name)
def test_no_module_imports_a_higher_layer_or_a_foreign_world(path: Path) -> None:
    own = rank(own_name(path))
    for name, node in imported(ast.parse(path.read_text(encoding="utf-8"))):
        top = name.split(".")[0]
        assert top not in FORBIDDEN, f"{path}:{node.lineno} imports {top}"
        other = rank(name)
        if own is not None and other is not None:
            assert other <= own, f"{path}:{node.lineno} imports {name} from a higher layer"


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


def test_every_package_of_the_core_has_a_layer() -> None:
    names = {p.stem if p.is_file() else p.name for p in CORE.iterdir()}
    names = {n for n in names if (CORE / n / "__init__.py").exists() or (CORE / f"{n}.py").exists()}
    assert names - {"__init__"} <= set(RANK), "add it to LAYERS at the right height"


def test_importing_the_whole_core_loads_nothing_heavy() -> None:
    names = [own_name(p) for p in modules() if p.name not in ("__init__.py", "__main__.py")]
    script = (
        f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        f"print(*sorted({(HEAVY | FORBIDDEN)!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
