"""Which faults can be put in, and a fair sample of them."""

from __future__ import annotations

import ast
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ARITHMETIC = re.compile(r"ReplaceBinaryOperator_(Add|Sub|Mul|Div|FloorDiv|Mod|Pow)_(\w+)")
_SEEN_AT_ONCE = {"RShift", "LShift", "BitOr", "BitAnd", "BitXor"}
"""Floating-point numbers have none of these: such mutants die without a test."""


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Parameters
    ----------
    path : str
        Of the file, from the tree's root.
    line : int
    operator : str
        cosmic-ray's name.
    occurrence : int
        Which of the operator's places in the file.
    arguments : tuple of (str, object)
        Of the operator.
    """

    path: str
    line: int
    operator: str
    occurrence: int
    arguments: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """The same in every run on the same sources."""
        extra = "".join(f" {value}" for _, value in self.arguments)
        return f"{self.path}:{self.line} {self.operator.partition('/')[2]} {self.occurrence}{extra}"

    def change(self) -> Any:
        """Return cosmic-ray's operator with its arguments."""
        import cosmic_ray.plugins

        return cosmic_ray.plugins.get_operator(self.operator)(**dict(self.arguments))


def all_mutants(tree: Path, files: Iterable[str]) -> list[Mutant]:
    """Return every fault that is worth a try in these files of a tree."""
    from cosmic_ray.commands import init
    from cosmic_ray.work_db import WorkDB, use_db

    paths = [tree / one for one in files]
    with use_db(":memory:", WorkDB.Mode.create) as database:
        init(paths, database, {})
        specs = [item.mutations[0] for item in database.work_items]
    notes = {path: _unheard(path.read_text(encoding="utf-8")) for path in paths}
    found = []
    for spec in specs:
        path = Path(spec.module_path)
        arithmetic = _ARITHMETIC.search(spec.operator_name)
        if arithmetic and arithmetic[2] in _SEEN_AT_ONCE:
            continue
        if any(first <= spec.start_pos < last for first, last in notes[path]):
            continue
        found.append(
            Mutant(
                path.relative_to(tree).as_posix(), spec.start_pos[0], spec.operator_name,
                spec.occurrence, tuple(sorted(spec.operator_args.items())),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: one.name)


def changed_line(tree: Path, mutant: Mutant) -> tuple[str, str]:
    """Return the lines that a fault changes, before and after, in one line each."""
    import difflib

    from cosmic_ray.mutating import mutate_code

    code = (tree / mutant.path).read_text(encoding="utf-8")
    other = mutate_code(code, mutant.change(), mutant.occurrence) or code
    lines = difflib.ndiff(code.splitlines(), other.splitlines())
    sides: dict[str, list[str]] = {"-": [], "+": []}
    for line in lines:
        if line[:1] in sides:
            sides[line[:1]].append(" ".join(line[1:].split()))
    return " ".join(sides["-"]), " ".join(sides["+"])


def _unheard(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where a change is no fault: (line, column) from and to.

    Types, which nobody runs; `strict` of a `zip`, a check of lengths that are equal; the size that
    `reshape` finds out by itself, for which NumPy takes any negative number.
    """
    spans = []
    for node in ast.walk(ast.parse(source)):
        found = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.keyword) and node.arg == "strict":
            found.append(node.value)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "reshape":
            found += [one for one in node.args if isinstance(one, ast.UnaryOp)]
        for one in found:
            if isinstance(one, ast.expr):
                end = (one.end_lineno or one.lineno, one.end_col_offset or one.col_offset)
                spans.append(((one.lineno, one.col_offset), end))
    return spans


def sample(mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """Draw places first and then one fault at each, so that no long sum outweighs a condition."""
    places: dict[tuple[str, int, str], list[Mutant]] = defaultdict(list)
    for one in mutants:
        kind = one.operator.partition("_")[0]
        places[one.path, one.line, kind].append(one)
    dice = random.Random(seed)
    chosen = dice.sample(sorted(places), min(count, len(places)))
    return [dice.choice(places[place]) for place in chosen]
