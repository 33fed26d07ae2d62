"""Contact sheets of what the eye is told: both panels, and both reports.

Panels at 100 %, at 150 % and with texts 40 % longer, everything unfolded; reports on paper, on a
phone and dark. They are looked at, and what is seen stands in
Docs/developer/what-the-eye-is-told.md. Reports need Chromium and pdftoppm.

    python scripts/contact_sheets.py              # all of them, into build/sheets
    python scripts/contact_sheets.py panels
    python scripts/contact_sheets.py reports
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
NARROW, WIDE = 440, 660
_GAP, _GREY = 8, (120, 120, 120)
_PHONE, _DARK = (500, 4200), (1200, 1700)
_PAGE_DPI = 50
# How a panel is looked at: its scale, and whether its texts are 40 % longer.
_STATES = ((1.0, False), (1.5, False), (1.0, True))


def main() -> None:
    """Make the sheets that are asked for."""
    parser = argparse.ArgumentParser(prog="contact_sheets.py", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("panels", "reports"))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "sheets")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.what != "reports":
        for name, opened in (("correction", correction_panel), ("planner", planner_panel)):
            states = [panel_picture(opened, *state) for state in _STATES]
            save(sheet(states, len(states)), options.out / f"{name}-panel.png")
    if options.what != "panels":
        with tempfile.TemporaryDirectory() as folder:
            for name, made in (("plan", plan_report), ("correction", correction_report)):
                page = made(Path(folder) / name)
                for how, picture in pages(page, Path(folder)).items():
                    save(picture, options.out / f"{name}-report-{how}.png")


def save(picture: Image.Image, path: Path) -> None:
    """Save a sheet and say so."""
    picture.save(path)
    print(f"{path}: {picture.width} x {picture.height}")


def sheet(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Return pictures side by side, in rows of so many."""
    wide = max(p.width for p in pictures) + _GAP
    tall = max(p.height for p in pictures) + _GAP
    rows = -(-len(pictures) // columns)
    made = Image.new("RGB", (wide * min(columns, len(pictures)), tall * rows), _GREY)
    for n, picture in enumerate(pictures):
        made.paste(picture, (n % columns * wide, n // columns * tall))
    return made


# Panels.


def panel_picture(opened: Callable[[Any], Any], scale: float, long: bool) -> Image.Image:
    """Return a panel with everything unfolded, in larger letters or with longer texts."""
    from PySide6.QtWidgets import QApplication

    from Testing.gui.longtexts import lengthen
    from Testing.host.ctkcontainers import ctkCollapsibleButton
    from Testing.host.host import Host

    with Host() as host:
        usual, font = QApplication.font(), QApplication.font()
        font.setPointSizeF(scale * usual.pointSizeF())
        QApplication.setFont(font)
        try:
            widget = opened(host)
            for box in widget.parent.findChildren(ctkCollapsibleButton):
                box.collapsed = False
            if long:
                lengthen(widget.parent)
            host.process(0.3)
            return _grabbed(host, widget, NARROW if scale == 1.0 else WIDE)
        finally:
            QApplication.setFont(usual)


def _grabbed(host: Any, widget: Any, width: int) -> Image.Image:
    """Take a panel out of the window's scroll area, as tall as it is."""
    from PySide6.QtGui import QImage
    from PySide6.QtWidgets import QScrollArea

    host.window.takePanel()
    top = widget.parent
    inner = [area.widget() for area in top.findChildren(QScrollArea) if area.widget()]
    top.resize(width, 400)
    top.show()
    host.process(0.2)
    tall = max((w.sizeHint().height() + 160 for w in inner), default=top.sizeHint().height())
    top.resize(width, tall)
    host.process(0.3)
    image = top.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
    pixels = flat[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    return Image.fromarray(pixels.copy())


def correction_panel(host: Any) -> Any:
    """Open the correction panel with a result."""
    host.showWindow()
    host.loadModule(ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py")
    import slicer
    from MetalArtifactReductionLib.choices.settings import Method
    from MetalArtifactReductionLib.panel import selftest

    name = "CT of the thoracic and lumbar spine, thin slices, B70 kernel, 2024-05-17"
    node = selftest.drawnVolume(host.scene, name)
    host.window.moduleSelector().selectModule("MetalArtifactReduction")
    widget = slicer.modules.MetalArtifactReductionWidget
    widget._parameterNode.inputVolume = node
    widget._parameterNode.method = Method.linear
    widget._parameterNode.showCompare = False
    widget.ui.correctButton.click()
    host.waitUntil(lambda: widget.run is None, 120)
    return widget


def planner_panel(host: Any) -> Any:
    """Open the planner with a construct, of which a selected screw lies in the canal."""
    from Testing.gui.plannerpanel import openPanel, select

    widget = openPanel(host, "T11-L2")
    widget.planner.do(_inwards(widget.planner.plan))
    select(host, widget, "L1-right")
    widget.ui.checkButton.click()
    return widget


def _inwards(plan: Any) -> Any:
    """Return the command that moves a screw of a plan into the canal."""
    from spinemar.planning.plans.commands import MoveScrew

    screw = plan.screw("L1-right")
    ends = [(p[0] - 7.0, *p[1:]) for p in (screw.entry, screw.tip)]
    return MoveScrew(screw.id, *ends)


# Reports.


def pages(page: Path, folder: Path) -> dict[str, Image.Image]:
    """Return a report on paper (all its sheets), on a phone, and dark."""
    from Testing.core.report.browser import Browser

    browser = Browser(folder)
    browser.printed_pages(page)
    prefix = folder / "sheet"
    subprocess.run(
        ["pdftoppm", "-r", str(_PAGE_DPI), "-png", str(folder / "page.pdf"), str(prefix)],
        check=True,
    )
    paper = []
    for path in sorted(folder.glob("sheet-*.png")):
        paper.append(Image.open(path).convert("RGB"))
        path.unlink()
    return {
        "paper": sheet(paper, 4),
        "phone": Image.fromarray(browser.picture(page, *_PHONE)),
        "dark": Image.fromarray(browser.picture(page, *_DARK, dark=True)),
    }


def plan_report(folder: Path) -> Path:
    """Write the report of the demonstration's plan, one screw of which was moved into the canal."""
    from spinemar.demo import run as demo
    from spinemar.demo.sample_data import sample_ct, sample_labels
    from spinemar.implants.catalogue import load_catalogue
    from spinemar.io import read_labels, read_volume
    from spinemar.io.study import Study
    from spinemar.planning.grades.findings import with_findings
    from spinemar.planning.grades.gertzbein_robbins import grade_plan
    from spinemar.planning.plans.plan_json import read_plan
    from spinemar.planning.report.page import plan_identity, write_plan_report
    from spinemar.spine.anatomy.frames import frames_from_labels

    volume, catalogue = read_volume(sample_ct()), load_catalogue()
    spine = frames_from_labels(read_labels(sample_labels()), volume)
    plan = read_plan(Path(demo.__file__).with_name("sample_plan.json"))
    plan = grade_plan(_inwards(plan).apply(plan), spine)
    plan = replace(with_findings(plan, spine, catalogue), notes="Look at L1 again.")
    identity = plan_identity(plan, Study("Spine 1.0 B70s", "2024-05-17"))
    return write_plan_report(folder, plan, spine, volume, catalogue, identity=identity)


def correction_report(folder: Path) -> Path:
    """Correct the sample scan by linear interpolation, against its truth, and report it."""
    from spinemar.demo.sample_data import cache_folder

    sample = cache_folder() / "spine_ct_with_implants"
    if not (sample / "scan.nrrd").is_file():
        raise SystemExit("Take the pictures of the correction panel first: they make the scan.")
    folder.mkdir(parents=True)
    subprocess.run(
        [Path(sys.executable).with_name("spinemar"), "correct", str(sample / "scan.nrrd"),
         "-o", str(folder / "corrected.nrrd"), "--method", "li",
         "--report", str(folder / "report")],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return next((folder / "report").glob("*.html"))


if __name__ == "__main__":
    main()
