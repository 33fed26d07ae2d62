"""Draw the modules' 128 px icons from their SVG: ``python scripts/make_icons.py``."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIZE = 128


def main() -> None:
    """Write a PNG beside every module's SVG icon."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    application = QGuiApplication([])
    for source in sorted(ROOT.glob("*/Resources/Icons/*.svg")):
        image = QImage(SIZE, SIZE, QImage.Format.Format_ARGB32)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        QSvgRenderer(str(source)).render(painter)
        painter.end()
        image.save(str(source.with_suffix(".png")))
        print(source.with_suffix(".png").relative_to(ROOT))
    application.quit()


if __name__ == "__main__":
    main()
