"""Take the user guide's pictures of the correction's panel (a part of ``make pictures``).

The sample CT is scanned with implants the first time (about half a minute, then cached).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PICTURES = ROOT / "Docs" / "images" / "mar"
MODULE = ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py"


def main() -> None:
    """Walk through the module as the user guide does, one picture a step."""
    from Testing.host.host import Host

    with Host(size=(1440, 900)) as host:
        host.showWindow()
        module = host.loadModule(MODULE)
        host.finishStartup()
        import slicer

        host.clickSample("SpineCTWithImplants")
        scan = slicer.util.getNode("Spine CT with implants")
        host.window.moduleSelector().selectModule(module.name)
        panel = module.widgetRepresentation().self()
        panel._parameterNode.inputVolume = scan
        _focus(host, scan, (-19.5, -75.0, -287.5))
        host.screenshot(PICTURES / "1-loaded.png")
        panel.ui.previewCheckBox.click()
        host.waitUntil(lambda: "count as metal" in panel.ui.previewLabel.text, 300)
        host.process(0.1)
        host.screenshot(PICTURES / "2-preview.png")
        panel.ui.previewCheckBox.click()
        panel.ui.correctButton.click()
        run = panel.run
        host.waitUntil(lambda: run.progress.stage == "Correcting" and run.progress.done > 0, 120)
        host.process(0.1)
        host.screenshot(PICTURES / "3-running.png")
        host.waitUntil(lambda: panel.run is None, 600)
        host.process(0.3)
        host.screenshot(PICTURES / "4-compare.png")
        panel.ui.softWindowButton.click()
        host.process(0.1)
        host.screenshot(PICTURES / "5-soft-tissue.png")
        panel.ui.uncertaintyCheckBox.click()
        host.process(0.1)
        host.screenshot(PICTURES / "not-to-read.png")
        panel.ui.uncertaintyCheckBox.click()
        _quality(host, panel)
        _guard(host, panel, slicer)
        panel._parameterNode.inputVolume = scan
        _batch(host, panel)
        for picture in PICTURES.glob("*.png"):
            _shrink(picture)
        print(f"{len(list(PICTURES.glob('*.png')))} pictures in {PICTURES.relative_to(ROOT)}")


def _shrink(path: Path) -> None:
    """Keep 256 colours: enough for grey pictures in a coloured frame, a third of the size."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _focus(host, volume, ras) -> None:
    """Show the implants: every slice view centred on a point, close enough."""
    import slicer

    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    host.process(0.1)
    for name in host.layoutManager.sliceViewNames():
        node = host.layoutManager.sliceWidget(name).mrmlSliceNode()
        width, height, _ = node.GetDimensions()
        node.SetFieldOfView(260.0, 260.0 * height / width, node.GetFieldOfView()[2])
        node.JumpSliceByCentering(*ras)
    host.process(0.1)


def _quality(host, panel) -> None:
    """Draw two regions beside the screws and show what they say."""
    from MetalArtifactReductionLib.nodes import quality
    from MetalArtifactReductionLib.nodes.places import focusOf

    centre = focusOf(panel.resultPanel.node)
    for name, offset in (("Vertebra", (3, 17, 0)), ("Muscle", (34, -22, 0))):
        region = quality.addRegion(host.scene)
        region.SetName(name)
        region.SetCenter(*(c + o for c, o in zip(centre, offset, strict=True)))
        region.SetSize(16, 16, 5)
    for name in ("inputs", "result"):
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = True
    panel.ui.qualityCollapsibleButton.collapsed = False
    panel.qualityPanel.refresh()
    host.process(0.2)
    host.screenshot(PICTURES / "6-quality.png")
    panel.ui.qualityCollapsibleButton.collapsed = True
    panel.ui.inputsCollapsibleButton.collapsed = False


def _guard(host, panel, slicer) -> None:
    """Show the message of a guard: a volume that was corrected already."""
    import qt

    def answer(message):
        message.box.show()
        host.process(0.05)
        host.screenshot(PICTURES / "7-guard.png", message.box)
        message.box.hide()
        return qt.QMessageBox.No

    host.answer = answer
    panel._parameterNode.inputVolume = panel._parameterNode.outputVolume
    panel.ui.correctButton.click()
    host.process(0.1)


def _batch(host, panel) -> None:
    """Show the batch section after a small batch."""
    import slicer
    from MetalArtifactReductionLib.panel import selftest

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "study", Path(folder) / "corrected"
        source.mkdir()
        for name in ("patient-1", "patient-2"):
            node = selftest.drawnVolume(host.scene, name)
            slicer.util.saveNode(node, str(source / f"{name}.nrrd"))
            host.scene.RemoveNode(node)
        panel.ui.batchSource.currentPath = str(source)
        panel.ui.batchTarget.currentPath = str(target)
        panel.ui.batchCollapsibleButton.collapsed = False
        panel.ui.settingsCollapsibleButton.collapsed = False
        panel.ui.batchButton.click()
        host.waitUntil(lambda: "Summary" in panel.ui.batchLabel.text, 120)
        panel.ui.batchLabel.text = panel.ui.batchLabel.text.replace(folder, "~")
        panel.ui.batchSource.currentPath = "~/study"
        panel.ui.batchTarget.currentPath = "~/corrected"
        panel.ui.resultCollapsibleButton.collapsed = True
        host.process(0.1)
        host.screenshot(PICTURES / "8-batch-and-models.png")


if __name__ == "__main__":
    main()
