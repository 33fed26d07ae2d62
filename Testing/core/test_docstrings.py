"""Docstrings of everything public say shapes, units and errors.

That each one exists and has the right form is checked by ruff (rules D); that named parameters
exist, by `mkdocs build --strict` (griffe); that examples are true, by test_examples.py. Commands
are left out: their docstrings are the help.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "spinemar"
ARRAY = re.compile(r"\b(NDArray|FloatArray|ndarray)\b")
SHAPE = re.compile(r"\bshapes?\b|\([\w .|*+-]+,[\w .|,*+-]*\)|\b[23]x[23]\b|\b4x4\b", re.IGNORECASE)
# Name of the quantity's unit at the end of a parameter's name.
UNIT = re.compile(
    r"_(mm|mm2|mm3|hu|rad|deg|px|bins|s|ms|kev|db|bytes|share|fraction|per_mm|per_cm|g_cm3)$"
)


@dataclass(frozen=True)
class Documented:
    """A public function or method, with the docstrings that a reader sees with it."""

    where: str
    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    context: str

    @cached_property
    def own(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def text(self) -> str:
        return f"{self.own}\n{self.context}"

    @property
    def parameters(self) -> list[ast.arg]:
        every = self.node.args
        named = [*every.posonlyargs, *every.args, *every.kwonlyargs]
        return [p for p in named if p.arg not in ("self", "cls")]

    @property
    def raised(self) -> set[str]:
        """Names of the exceptions that leave it from its own `raise`; helpers make one."""
        names = set()
        caught = {
            id(node)
            for block in ast.walk(self.node)
            if isinstance(block, ast.Try) and block.handlers
            for statement in block.body
            for node in ast.walk(statement)
        }
        for node in ast.walk(self.node):
            if id(node) in caught:
                continue
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                names.add(ast.unparse(node.exc.func).rpartition(".")[2])
        return names

    def __str__(self) -> str:
        return f"{self.where}: {self.name}"


def documented() -> Iterator[Documented]:
    for path in sorted(CORE.rglob("*.py")):
        parts = path.relative_to(CORE).parts
        if parts[0] == "cli" or any(part.startswith("_") for part in parts):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            where = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if not node.name.startswith("_"):
                    yield Documented(where, node.name, node, "")
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                about = ast.get_docstring(node) or ""
                for member in node.body:
                    if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                        yield Documented(where, f"{node.name}.{member.name}", member, about)


EVERYTHING = list(documented())


def of_annotation(node: ast.expr | None) -> str:
    return "" if node is None else ast.unparse(node)


def complain(gaps: list[str]) -> None:
    assert not gaps, "\n".join([f"{len(gaps)} docstrings:", *gaps])


def test_there_is_something_to_check() -> None:
    assert len(EVERYTHING) > 500


def test_arrays_have_their_shapes() -> None:
    gaps = []
    for one in EVERYTHING:
        arrays = [p.arg for p in one.parameters if ARRAY.search(of_annotation(p.annotation))]
        if ARRAY.search(of_annotation(one.node.returns)):
            arrays.append("returned")
        if arrays and not SHAPE.search(one.text):
            gaps.append(f"{one}: shape of {', '.join(arrays)}")
    complain(gaps)


def test_numbers_have_their_units() -> None:
    """In the name of the parameter, or in words."""
    gaps = []
    for one in EVERYTHING:
        for parameter in one.parameters:
            number = of_annotation(parameter.annotation).replace(" ", "") in ("float", "float|None")
            stated = UNIT.search(parameter.arg) or re.search(rf"\b{parameter.arg}\b", one.text)
            if number and not stated:
                gaps.append(f"{one}: {parameter.arg}")
    complain(gaps)


def test_errors_are_named() -> None:
    gaps = []
    for one in EVERYTHING:
        helpers = {name for name in one.raised if not name[:1].isupper()}
        missing = {name for name in one.raised - helpers if name not in one.text}
        if helpers and "Error" not in one.text:
            missing |= helpers
        missing -= {"NotImplementedError", "StopIteration", "AssertionError"}
        if missing:
            gaps.append(f"{one}: {', '.join(sorted(missing))}")
    complain(gaps)


def test_lists_of_parameters_are_complete() -> None:
    """Who lists some parameters lists them all."""
    gaps = []
    for one in EVERYTHING:
        if "Parameters\n---" not in one.own:
            continue
        listed = one.own.split("Parameters\n---", 1)[1]
        missing = [
            p.arg for p in one.parameters if not re.search(rf"\b{re.escape(p.arg)}\b", listed)
        ]
        if missing:
            gaps.append(f"{one}: {', '.join(missing)}")
    complain(gaps)


def test_the_check_sees_what_is_missing() -> None:
    source = (
        "def blur(image: NDArray[np.float32], width: float) -> NDArray[np.float32]:\n"
        '    """Blur."""\n'
        "    raise InputError('no')\n"
    )
    one = Documented("here", "blur", ast.parse(source).body[0], "")
    assert not SHAPE.search(one.text)
    assert not UNIT.search(one.parameters[1].arg)
    assert one.raised == {"InputError"}
    assert SHAPE.search("image : ndarray of float32, shape (rows, columns)")
