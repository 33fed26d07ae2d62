"""The modules' self tests inside a released Slicer, with a picture of each panel.

    Slicer --testing --no-splash --additional-module-paths MetalArtifactReduction \
        SpineImplantPlanner MetalArtifactReductionCLI \
        --python-script scripts/slicer_self_tests.py FOLDER

Slicer ends with 0 where all tests passed. FOLDER gets the pictures, and results.txt, since the
application has no console to print to on Windows.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import slicer

MODULES = ("MetalArtifactReduction", "SpineImplantPlanner")


def test(name: str, folder: Path) -> str:
    """Open a module, take its picture, run its self test; return what went wrong, or ""."""
    try:
        slicer.util.selectModule(name)
        slicer.app.processEvents()
        slicer.util.mainWindow().grab().save(str(folder / f"{name}.png"))
        slicer.selfTests[name]()
        slicer.util.mainWindow().grab().save(str(folder / f"{name}-tested.png"))
    except Exception:
        return traceback.format_exc()
    return ""


def run(folder: Path) -> int:
    """Test all modules; return the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    version = f"{slicer.app.majorVersion}.{slicer.app.minorVersion}"
    lines, failed = [f"Slicer {version}, Python {sys.version}"], 0
    for name in MODULES:
        fault = test(name, folder)
        failed += bool(fault)
        lines.append(f"{name}: {fault or 'passed'}")
    text = "\n".join(lines)
    (folder / "results.txt").write_text(text + "\n", encoding="utf-8")
    print(text)
    return int(failed > 0)


if __name__ == "__main__":
    slicer.util.exit(run(Path(sys.argv[1]).resolve()))
