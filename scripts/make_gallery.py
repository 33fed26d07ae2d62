"""Draw the figures of Docs/gallery.md (part of make pictures), or some: make_gallery.py effects."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

FIGURES = ("radon", "materials", "effects", "geometries", "inpainting", "placement", "results")
FOLDER = Path(__file__).resolve().parents[1] / "Docs" / "pictures" / "gallery"


def main() -> None:
    """Draw all figures, or those named on the command line."""
    chosen = sys.argv[1:] or FIGURES
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        import_module(f"gallery.{name}").draw(FOLDER)


if __name__ == "__main__":
    main()
