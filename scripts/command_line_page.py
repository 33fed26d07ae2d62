"""Write the reference of Docs/command-line.md from the program: every command, every option."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "Docs" / "command-line.md"
FIRST, LAST = "<!-- reference: begin -->", "<!-- reference: end -->"
_WORDS = {Path: "PATH", str: "TEXT", int: "NUMBER", float: "NUMBER", bool: ""}


def reference() -> str:
    """Return the reference as Markdown, in the order of `spinemar --help`."""
    return "\n\n".join(_section(name, function) for name, function in commands())


def commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every command's whole name and its function."""
    from spinemar.cli.main import COMMANDS

    for name, place in COMMANDS:
        module, attribute = place.split(":")
        found = getattr(import_module(module), attribute)
        if not hasattr(found, "registered_commands"):
            yield f"spinemar {name}", found
            continue
        for one in found.registered_commands:
            word = one.name or one.callback.__name__.replace("_", "-")
            yield f"spinemar {name} {word}", one.callback


def _section(name: str, function: Callable[..., Any]) -> str:
    words, _, shown = inspect.cleandoc(function.__doc__ or "").partition("Examples:")
    said = [" ".join(part.split()) for part in words.strip().split("\n\n")]
    examples = [line.strip() for line in shown.splitlines() if line.strip()]
    lines = [f"### {name}", "", "\n\n".join(said), "", "```sh", *examples, "```", ""]
    lines += ["| | default | |", "|---|---|---|"]
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        kind, info = get_args(hints[parameter.name])[:2]
        cells = (_name(parameter.name, kind, info), _default(parameter.default), info.help or "")
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _name(name: str, kind: Any, info: Any) -> str:
    if type(info).__name__ == "ArgumentInfo":
        return f"`{info.metavar or name.upper()}`"
    # In Annotated typer takes the first spelling for a default until a command is built.
    given = [one for one in (info.default, *(info.param_decls or ())) if one is not ...]
    names = ", ".join(given or [f"--{name.replace('_', '-')}"])
    what = info.metavar or _kind(kind)
    return f"`{names} {what}`" if what else f"`{names}`"


def _kind(kind: Any) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is list:
        (kind,) = get_args(kind)
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(one.value for one in kind)
    return _WORDS[kind]


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "needed"
    value = getattr(value, "value", value)
    if value is None or value is False:
        return ""
    return "yes" if value is True else f"`{value}`"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", r"\|")


def page() -> str:
    """Return the page with its reference as the program is now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(FIRST)
    _, _, after = rest.partition(LAST)
    return f"{before}{FIRST}\n\n{reference()}\n\n{LAST}{after}"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
