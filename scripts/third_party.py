"""Write Docs/third-party.md: what SpineMAR stands on, with the licences that the packages state."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "Docs" / "third-party.md"
HEAD = """# Third-party software

Direct dependencies, by what needs them, with the licence that each package states. Written by
`python scripts/third_party.py`. `make sbom` lists everything that is installed, with versions.

| package | for | licence |
| --- | --- | --- |
"""
_LONG = {"BSD License": "BSD", "Apache Software License": "Apache-2.0", "MIT License": "MIT"}
# Packages that state a text instead of a name, and what it is.
_STATED = {
    "simpleitk": "Apache-2.0",
    "vtk": "BSD-3-Clause",
    "pyside6-essentials": "LGPL-3.0-only OR GPL-2.0-only OR GPL-3.0-only",
    "spekpy": "MIT",
}


def dependencies() -> dict[str, list[str]]:
    """Return every direct dependency and the extras that ask for it; "run" without one."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    core = text[text.index("\ndependencies = [") : text.index("[project.optional-dependencies]")]
    extras = text[text.index("[project.optional-dependencies]") : text.index("[project.scripts]")]
    found: dict[str, list[str]] = {}
    for requirement in re.findall(r'^\s+"([A-Za-z0-9_-]+)', core, re.M):
        found.setdefault(requirement, []).append("run")
    extra = ""
    for line in extras.splitlines():
        named = re.match(r"([a-z-]+) = \[", line)
        extra = named[1] if named else extra
        for requirement in re.findall(r'"([A-Za-z0-9_-]+)', line.split("= [")[-1]):
            found.setdefault(requirement, []).append(extra)
    return found


def licence(package: str) -> str:
    """Return the licence that an installed package states."""
    try:
        facts = metadata(package)
    except PackageNotFoundError:
        return "not installed here"
    stated = facts.get("License-Expression") or ""
    classes = [c.split(" :: ")[-1] for c in facts.get_all("Classifier") or () if "License ::" in c]
    text = (facts.get("License") or "").strip()
    short = text if 0 < len(text) < 40 else ""
    named = ", ".join(_LONG.get(c, c) for c in classes if c != "OSI Approved")
    return stated or _STATED.get(package.lower()) or short or named or "see the package"


def main() -> None:
    """Write the page."""
    lines = [
        f"| {name} | {', '.join(uses)} | {licence(name)} |"
        for name, uses in sorted(dependencies().items(), key=lambda item: item[0].lower())
    ]
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
