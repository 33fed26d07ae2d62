"""Count files, lines and public names of the core, now and at an earlier commit.

    python scripts/count_core.py [COMMIT]
    python scripts/count_core.py --since COMMIT   # the lines that each commit since then added

Public names are functions, classes, methods and constants without a leading underscore, at the top
of a module or a class; of them, the front door's are those that `spinemar` itself offers.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def now() -> Iterator[tuple[str, str]]:
    """Yield path and text of the core's files as they stand."""
    for path in sorted((ROOT / "spinemar").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def then(commit: str) -> Iterator[tuple[str, str]]:
    """Yield path and text of the core's files as they were."""
    command = ["git", "archive", commit, "spinemar"]
    packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None and member.name.endswith(".py"):
                yield member.name, file.read().decode("utf-8")


def names_of(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the public names that statements define, those of classes too."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not node.name.startswith("_"):
                yield node.name
                if isinstance(node, ast.ClassDef):
                    yield from names_of([n for n in node.body if isinstance(n, ast.FunctionDef)])
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and not target.id.startswith("_"):
                    yield target.id


def count(files: Iterator[tuple[str, str]]) -> tuple[int, int, int, int]:
    """Return files (but `__init__.py` that only names its room), lines, public names, packages."""
    rooms = modules = lines = names = 0
    for path, text in files:
        tree = ast.parse(text)
        lines += len(text.splitlines())
        names += len(list(names_of(tree.body)))
        if path.endswith("__init__.py") and len(tree.body) <= 1:
            rooms += 1
        else:
            modules += 1
    return modules, lines, names, rooms


def growth(commit: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of the core that each later commit added, less those taken, and its title."""
    command = ["git", "log", "--reverse", "--format=%x00%h %s", "--numstat", f"{commit}..HEAD"]
    log = subprocess.run(
        [*command, "--", "spinemar/*.py"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    for entry in log.split("\0")[1:]:
        title, *files = entry.strip().splitlines()
        counts = [line.split("\t") for line in files if line]
        yield sum(int(added) - int(taken) for added, taken, _ in counts), title


if __name__ == "__main__":
    if sys.argv[1:2] == ["--since"]:
        for lines, title in growth(sys.argv[2]):
            print(f"{lines:+6} {title}")
        sys.exit()
    rows = {"now": count(now())}
    if len(sys.argv) > 1:
        rows = {sys.argv[1]: count(then(sys.argv[1]))} | rows
    print("            files    lines  public names  rooms (an __init__ that only names them)")
    for title, (modules, lines, names, rooms) in rows.items():
        print(f"{title[:10]:10}{modules:7}{lines:9}{names:14}{rooms:7}")
