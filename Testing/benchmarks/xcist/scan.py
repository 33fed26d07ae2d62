"""One slice scanned by XCIST without and with metal, in a process of its own.

``python -m Testing.benchmarks.xcist.scan FOLDER``: reads `scan.json` and the material maps of the
folder (see `phantom`), writes `hu.npz` there: `truth` and `scan`, HU, (rows, columns), not yet
rounded nor clipped. `gecatsim` must be on the path.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from Testing.benchmarks.xcist.physics import (
    SharedNoise,
    TissueOnce,
    WaterCorrection,
    add_scatter,
    register,
    remove_scatter,
    scatter_kernel,
    write_materials,
)
from Testing.benchmarks.xcist.reconstruct import reconstruct

# Water at 120 kVp behind a body, 1/cm: only the scale of the corrected paths, as HU are relative.
_WATER_PER_CM = 0.2


def main(folder: Path) -> None:
    """Scan and reconstruct."""
    from gecatsim.pyfiles.CommonTools import my_path

    os.chdir(folder)
    write_materials(folder / "material")
    my_path.add_search_path(str(folder / "material"))
    task = json.loads((folder / "scan.json").read_text(encoding="utf-8"))
    projector, noise = TissueOnce(), SharedNoise(task["seed"])
    register("tissue_once", projector)
    register("shared_noise", noise)
    register("water_correction", WaterCorrection(Path(task["water"])))
    register("add_scatter", add_scatter)
    register("remove_scatter", remove_scatter)
    truth = scan_once(task, "tissue.json")
    projector.with_metal = True
    scan = scan_once(task, "metal.json")
    np.savez(folder / "hu.npz", truth=truth, scan=scan)


def scan_once(task: dict[str, Any], phantom: str) -> NDArray[np.float32]:
    """Air scan, phantom scan, corrections and reconstruction of one phantom; HU."""
    import gecatsim

    scanner = gecatsim.CatSim()
    _set_up(scanner, task, phantom)
    scanner.run_all()
    cfg = scanner.get_current_cfg()
    shape = (cfg.protocol.viewCount, cfg.scanner.detectorColCount)
    paths = np.fromfile("scan.prep", np.float32).reshape(shape)
    image = reconstruct(cfg, paths)
    return np.asarray(1000.0 * (image / (_WATER_PER_CM / 10.0) - 1.0), np.float32)


def _set_up(ct: Any, task: dict[str, Any], phantom: str) -> None:
    """Set XCIST's defaults to the protocol of a case."""
    views = task["views"]
    ct.resultsName, ct.phantom.filename = "scan", phantom
    ct.phantom.projectorNumThreads, ct.phantom.projectorCallback = 1, "tissue_once"
    protocol = ct.protocol
    protocol.viewsPerRotation = protocol.viewCount = views
    protocol.stopViewId = views - 1
    protocol.mA, protocol.bowtie = task["ma"], task["bowtie"]
    protocol.spectrumFilename = f"tungsten_tar7.0_{task['kvp']}_filt.dat"
    scanner = ct.scanner
    scanner.detectorRowsPerMod = scanner.detectorRowCount = 1
    scanner.detectorRowSize = task["slice_mm"] * scanner.sdd / scanner.sid
    scanner.detectionCallback = "shared_noise"
    physics = ct.physics
    physics.rowSampleCount = physics.srcYSampleCount = physics.viewSampleCount = 1
    physics.colSampleCount = physics.srcXSampleCount = task.get("samples", 2)
    physics.row_crosstalk, physics.col_crosstalk = 0.0, task.get("crosstalk", 0.02)
    physics.scatterCallback, physics.scatterScaleFactor = "add_scatter", task["scatter"]
    physics.callback_pre_log = "remove_scatter"
    physics.scatterCorrectionScaleFactor = task["scatter"] * task["scatter_correction"]
    ct.cfg.scatter_kernel = scatter_kernel()
    physics.callback_post_log = "water_correction"
    physics.EffectiveMu, physics.BHC_poly_order = _WATER_PER_CM, 5
    physics.BHC_max_length_mm, physics.BHC_length_step_mm = 400.0, 20.0
    recon = ct.recon
    recon.fov, recon.imageSize, recon.kernelType = task["fov_mm"], task["matrix"], task["kernel"]
    recon.sliceCount, recon.sliceThickness = 1, task["slice_mm"]


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
