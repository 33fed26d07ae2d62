"""Write the translation template of the extension: every text of the modules' panels.

    python scripts/update_translations.py

Slicer's convention: one file ``<Extension>_en-US.ts`` (Qt Linguist), which goes to the repository
of Slicer's translations; a text's context is its file, ``<package>.<file>`` in a package, and the
form's class for a .ui file. Texts are read from the syntax tree: Qt's lupdate is not needed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("MetalArtifactReduction", "SpineImplantPlanner", "SpineMARLib")
TEMPLATE = ROOT / "Resources" / "Translations" / "SpineMAR_en-US.ts"

Text = tuple[str, str]  # context, text


def texts() -> list[Text]:
    """Return all texts, sorted by context, each once, in the order in which they stand."""
    found: dict[Text, None] = {}
    for module in MODULES:
        for path in sorted((ROOT / module).rglob("*")):
            if "Testing" in path.parts[len(ROOT.parts) :]:
                continue
            reader = {".py": python_texts, ".ui": form_texts}.get(path.suffix)
            if reader is not None:
                found |= dict.fromkeys(reader(path))
    return sorted(found, key=lambda text: text[0])


def python_texts(path: Path) -> Iterator[Text]:
    """Yield what a file passes to ``_()`` and ``translate()``.

    Raises
    ------
    ValueError
        If it passes anything but a text as it stands, which no translator could look up.
    """
    inside = (path.parent / "__init__.py").is_file()
    own = f"{path.parent.name}.{path.stem}" if inside else path.stem
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id not in ("_", "translate"):
            continue
        literals = [_literal(argument) for argument in node.args]
        if None in literals or len(literals) != (1 if node.func.id == "_" else 2):
            raise ValueError(f"{path}:{node.lineno}: this text cannot be looked up")
        yield (
            (own, str(literals[0])) if len(literals) == 1 else (str(literals[0]), str(literals[1]))
        )


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def form_texts(path: Path) -> Iterator[Text]:
    """Yield the texts of a form that are not marked as untranslatable."""
    form = ElementTree.parse(path).getroot()
    context = form.findtext("class") or path.stem
    for string in form.iter("string"):
        if string.get("notr") != "true" and (string.text or "").strip():
            yield context, str(string.text)


def document(found: list[Text]) -> str:
    """Return the template as Qt Linguist reads it."""
    root = ElementTree.Element("TS", version="2.1", language="en_US", sourcelanguage="en_US")
    contexts: dict[str, ElementTree.Element] = {}
    for context, text in found:
        if context not in contexts:
            contexts[context] = ElementTree.SubElement(root, "context")
            ElementTree.SubElement(contexts[context], "name").text = context
        message = ElementTree.SubElement(contexts[context], "message")
        ElementTree.SubElement(message, "source").text = text
        ElementTree.SubElement(message, "translation", type="unfinished")
    ElementTree.indent(root, " " * 4)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{body}\n'


def main() -> int:
    """Write the template."""
    found = texts()
    TEMPLATE.parent.mkdir(parents=True, exist_ok=True)
    TEMPLATE.write_text(document(found), encoding="utf-8")
    print(f"{len(found)} texts in {TEMPLATE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
