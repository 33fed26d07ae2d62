"""Open a module in the host: ``python -m Testing.host MODULE [--screenshot FILE] [--script FILE]``.

MODULE is the name of a module of this repository or the path of its file. Without a screenshot or
script the window stays open (this needs a display).
"""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def modulePath(name: str) -> Path:
    """Find a module's file by its path or by its name in the repository."""
    for path in (Path(name), ROOT / name / f"{name}.py"):
        if path.is_file():
            return path
    raise SystemExit(f"There is no module {name}: give the path of its .py file.")


def loadSample() -> Any:
    """Load a volume to work on: the sample CT where it is at hand, else a drawn phantom."""
    import slicer

    from Testing.host.phantom import spinePhantom

    hu, ijkToRas = spinePhantom()
    node = slicer.util.addVolumeFromArray(hu, ijkToRas, "Spine phantom")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(1500, 300)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m Testing.host", description=__doc__)
    parser.add_argument("module", help="name of a module of this repository, or its .py file")
    parser.add_argument("--screenshot", type=Path, help="save a picture of the window and leave")
    parser.add_argument("--script", type=Path, help="run this file with `host` and `widget` set")
    parser.add_argument("--volume", type=Path, help="load this file instead of the phantom")
    parser.add_argument("--size", default="1400x900", help="size of the window, WIDTHxHEIGHT")
    options = parser.parse_args(arguments)
    path = modulePath(options.module)

    from Testing.host.host import Host

    width, height = (int(part) for part in options.size.split("x"))
    stays = options.screenshot is None and options.script is None
    with Host(size=(width, height), answerBoxes=not stays) as host:
        import slicer

        host.showWindow()
        if options.volume is not None:
            slicer.util.loadVolume(options.volume)
        else:
            loadSample()
        widget = host.openModule(path)
        host.finishStartup()
        host.process(0.1)
        if options.script is not None:
            runpy.run_path(str(options.script), {"host": host, "widget": widget, "slicer": slicer})
        if options.screenshot is not None:
            host.screenshot(options.screenshot)
        if stays:
            host.app.exec()
    return 0


if __name__ == "__main__":
    sys.exit(main())
