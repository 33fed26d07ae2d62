"""The sample data: a real spine CT with simulated implants, and the truth without them."""

import time
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from spinemar.demo.sample_data import cache_folder
from spinemar.errors import CancelledError, SpinemarError
from spinemar.jobs.engine import protocol
from spinemar.jobs.engine.process import JobProcess

CATEGORY = "SpineMAR"
NAME = "SpineCTWithImplants"
SCAN_NAME = "Spine CT with implants"
TRUTH_NAME = "Spine CT without implants (truth)"


def register(thumbnail, command):
    """Tell Slicer's Sample Data module; `command` gives the worker's command line."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=NAME,
        sampleDescription=_("Spine CT with implants"),
        uris="",
        fileNames="",
        nodeNames=SCAN_NAME,
        thumbnailFileName=thumbnail,
        customDownloader=lambda source: load(command()),
    )


def load(command=None):
    """Make the sample the first time, load it, and return its two volumes: scan, truth."""
    paths = sampleFiles(command)
    scan, truth = (
        slicer.util.loadVolume(str(path), {"name": name, "show": False})
        for path, name in zip(paths, (SCAN_NAME, TRUTH_NAME), strict=True)
    )
    for node in (scan, truth):
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(1500, 300)
    slicer.util.setSliceViewerLayers(background=scan, fit=True)
    return [scan, truth]


def sampleFiles(command=None):
    """Return the paths of scan and truth, simulating them in a worker the first time."""
    folder = cache_folder() / "spine_ct_with_implants"
    paths = [folder / "scan.nrrd", folder / "truth.nrrd"]
    if not all(path.is_file() for path in paths):
        _simulate(folder, command)
    return [Path(path) for path in paths]


def _simulate(folder, command):
    dialog = slicer.util.createProgressDialog(
        labelText=_("Getting the sample CT and scanning it with implants..."), maximum=100
    )
    process = JobProcess({"kind": "sample-scan", "folder": str(folder)}, command)
    try:
        while process.running:
            for event in process.poll():
                if event["event"] == "progress":
                    progress = protocol.progress_of(event)
                    dialog.labelText = progress.stage
                    dialog.value = int(100 * progress.fraction)
                elif event["event"] in protocol.ENDINGS and event["event"] != "done":
                    raise protocol.error_of(event)
            if dialog.wasCanceled:
                process.cancel()
            slicer.app.processEvents()
            time.sleep(0.02)
    except CancelledError:
        raise
    except SpinemarError as error:
        raise RuntimeError(str(error)) from error
    finally:
        process.close()
        dialog.close()
