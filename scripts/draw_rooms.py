"""Draw the rooms of the core, as the contracts in pyproject.toml stack them.

    python scripts/draw_rooms.py    -> Docs/images/developer/rooms.svg

Names and heights are those that import-linter holds the code to; the captions are the rooms' own
docstrings. So the picture cannot show a house that does not stand.
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "Docs" / "images" / "developer" / "rooms.svg"
WIDTH, ROW, GAP, LINE = 1060, 64, 14, 60
SIDES = (
    ("SpineImplantPlanner, MetalArtifactReduction: panels (Qt)", "#f3e3d3"),
    ("their libraries: logic on a MRML scene that is handed in", "#f3e3d3"),
)
STYLE = "text{font:15px sans-serif;fill:#222}.s{font-size:11px;fill:#555}rect{stroke:#888}"


def layers() -> list[list[str]]:
    """Return the rooms of the core from the roof down, those of one height together."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    core = next(one for one in contracts if one.get("containers") == ["spinemar"])
    return [[name.strip() for name in layer.split(":")] for layer in core["layers"]]


def caption(room: str) -> str:
    """Return what a room says that it holds: the first sentence of its docstring."""
    folder = ROOT / "spinemar" / room
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0].rstrip(".")


def box(x: float, y: float, width: float, title: str, said: str, colour: str) -> str:
    """Draw one room; a caption too long for it is broken into two lines."""
    room = int(width / 6)
    words, lines = said.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > room:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    if len(lines) > 2:
        lines = [lines[0], lines[1] + " ..."]
    text = "".join(
        f'<text class="s" x="{x + 10:.0f}" y="{y + 38 + 14 * n:.0f}">{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{ROW}" rx="5" fill="{colour}"/>'
        f'<text x="{x + 10:.0f}" y="{y + 21:.0f}">{escape(title)}</text>{text}'
    )


def picture() -> str:
    """Return the picture as SVG."""
    drawn, y = [], 10.0
    for title, colour in SIDES:
        drawn.append(box(LINE, y, (WIDTH - LINE) * 0.62, title, "", colour))
        y += ROW + GAP
    training = (WIDTH - LINE) * 0.62 + LINE + GAP
    drawn.append(
        box(
            training,
            10,
            WIDTH - training - 10,
            "spinemar_study",
            "Studies of safety and benefit",
            "#dfe8d8",
        )
    )
    drawn.append(
        box(
            training,
            10 + ROW + GAP,
            WIDTH - training - 10,
            "spinemar_training",
            "Training; the only one with PyTorch",
            "#dfe8d8",
        )
    )
    for names in layers():
        width = (WIDTH - LINE - 10 - GAP * (len(names) - 1)) / len(names)
        for n, name in enumerate(names):
            x = LINE + n * (width + GAP)
            drawn.append(box(x, y, width, name, caption(name), "#dbe6f2"))
        y += ROW + GAP
    arrow = (
        f'<path d="M30 20V{y - 30:.0f}" stroke="#555" stroke-width="2"/>'
        f'<path d="M24 {y - 32:.0f}h12l-6 12z" fill="#555"/>'
        f'<text class="s" transform="translate(20 {y / 2 + 60:.0f}) rotate(-90)">'
        "imports point down, never up</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" role="img">'
        f"<title>The rooms of the core</title><style>{STYLE}</style>{arrow}{''.join(drawn)}</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
