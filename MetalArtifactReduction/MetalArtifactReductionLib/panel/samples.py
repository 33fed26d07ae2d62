"""The sample data: a real spine CT with simulated implants, and the truth without them."""

import slicer
from slicer.i18n import tr as _

from spinemar.demo.sample_data import cache_folder
from SpineMARLib.panel import samples

NAME = "SpineCTWithImplants"
SCAN_NAME = "Spine CT with implants"
TRUTH_NAME = "Spine CT without implants (truth)"


def register(thumbnail, prepare):
    """Tell Slicer's Sample Data module.

    Parameters
    ----------
    thumbnail : str
    prepare : callable
        Makes the packages of the simulation available and returns the worker's command line.
    """
    description = _("Spine CT with implants")
    samples.register(NAME, description, SCAN_NAME, thumbnail, lambda: load(prepare))


def load(prepare):
    """Make the sample the first time, load it, and return its two volumes: scan, truth."""
    paths = sampleFiles(prepare)
    scan, truth = (
        samples.loadVolume(path, name)
        for path, name in zip(paths, (SCAN_NAME, TRUTH_NAME), strict=True)
    )
    slicer.util.setSliceViewerLayers(background=scan, fit=True)
    return [scan, truth]


def sampleFiles(prepare):
    """Return the paths of scan and truth, simulating them in a worker the first time."""
    folder = cache_folder() / "spine_ct_with_implants"
    paths = [folder / "scan.nrrd", folder / "truth.nrrd"]
    if not all(path.is_file() for path in paths):
        text = _("Getting the sample CT and scanning it with implants...")
        samples.made({"kind": "sample-scan", "folder": str(folder)}, prepare(), text)
    return paths
