"""MkDocs hook: pages that are lists of what is there, made while building.

A page of the API reference for each package of `spinemar`, from its docstrings, and the index of
the decisions in Docs/adr. They lie in no folder, so a new module or decision is listed at once.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "spinemar"
DECISIONS = ROOT / "Docs" / "adr"
# Commands are documented by --help and Docs/command-line.md.
SKIPPED = {"cli"}


def on_files(files: Any, config: Any) -> Any:
    """Add api/PACKAGE.md, api/index.md and adr/index.md."""
    pages = {f"api/{name}.md": _page(name, modules) for name, modules in _packages().items()}
    pages["api/index.md"] = _index()
    pages["adr/index.md"] = _decisions()
    for address, text in pages.items():
        files.append(File.generated(config, address, content=text))
    return files


def _packages() -> dict[str, list[Path]]:
    """List the modules of each package; those beside the packages are the package `spinemar`."""
    found: dict[str, list[Path]] = {"spinemar": []}
    for path in sorted(CORE.rglob("*.py")):
        parts = path.relative_to(CORE).parts
        if parts[0] in SKIPPED or any(part.startswith("_") for part in parts):
            continue
        found.setdefault(parts[0] if len(parts) > 1 else "spinemar", []).append(path)
    return found


def _page(package: str, modules: list[Path]) -> str:
    place = CORE / "__init__.py" if package == "spinemar" else CORE / package / "__init__.py"
    name = "spinemar" if package == "spinemar" else f"spinemar.{package}"
    face = ast.parse(place.read_text("utf-8"))
    lines = [f"# {name}", "", ast.get_docstring(face) or "", ""]
    lines += _front_door(face) if package == "spinemar" else []
    for path in modules:
        dotted = ".".join(path.relative_to(CORE.parent).with_suffix("").parts)
        lines += [f"::: {dotted}", ""]
    return "\n".join(lines)


def _front_door(face: ast.Module) -> list[str]:
    """List the names that type checkers see on `spinemar`, with links to where they are from."""
    lines = ["| name | from |", "|---|---|"]
    typed = next(node for node in face.body if isinstance(node, ast.If))
    for node in typed.body:
        if isinstance(node, ast.ImportFrom) and node.module != "typing":
            room = str(node.module).split(".")[1]
            page = room if (CORE / room).is_dir() else "spinemar"
            names = ", ".join(f"`{alias.name}`" for alias in node.names)
            lines.append(f"| {names} | [`{node.module}`]({page}.md) |")
    return [*lines, ""]


def _index() -> str:
    lines = [
        "# API reference",
        "",
        "The [front door](spinemar.md) is what stays: about forty names, `import spinemar` and",
        "`spinemar.correct_volume(...)`. Everything else is internal and may move from one version",
        "to the next; it is documented here all the same, from its docstrings. Arrays are",
        "`(k, j, i)` for volumes and `(slices, views, bins)` for sinograms; lengths are mm,",
        "angles radians unless a name says otherwise (`_deg`), positions RAS; images are HU,",
        "line integrals dimensionless. Errors are of the family `SpinemarError`.",
        "",
        "| package | modules |",
        "|---|---|",
    ]
    for package, modules in _packages().items():
        names = ", ".join(f"`{path.stem}`" for path in modules)
        lines.append(f"| [{package}]({package}.md) | {names} |")
    return "\n".join(lines)


def _decisions() -> str:
    lines = [
        "# Decisions",
        "",
        "One short page for each decision that is not plain from the code: what, why, what it",
        "costs, and what else was thought of.",
        "",
    ]
    for path in sorted(DECISIONS.glob("*.md")):
        title = path.read_text("utf-8").partition("\n")[0].lstrip("# ")
        lines.append(f"* [{title}]({path.name})")
    return "\n".join(lines)
