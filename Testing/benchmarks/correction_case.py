"""One correction in a process of its own, timed by stage, with its peak memory.

Run: python correction_case.py '{"method": "nmar", "slices": 100, ...}'; prints one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.methods import make_inpainter
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.volume import CTVolume

FOV_MM = 409.6
EVERYTHING = GateParameters.open()
"""Every slice is corrected and written, whatever the gate would say of this phantom."""


@dataclass(frozen=True)
class Case:
    """What to measure.

    Parameters
    ----------
    method : {"nmar", "generator"}
    slices, matrix : int
    threads : int
        Zero: all that this process may use.
    peer : str or None
        Whose transforms; see `peer_transforms.PEERS`.
    files : bool
        Read the volume from a compressed NRRD, write the result, and read DICOM too.
    device : str
    """

    method: str = "nmar"
    slices: int = 100
    matrix: int = 512
    threads: int = 0
    peer: str | None = None
    files: bool = False
    device: str = "cpu"


def patient(slices: int, matrix: int = 512) -> CTVolume:
    """Return an abdomen with two screws and two rods, and bands between them, in every slice."""
    pixel = FOV_MM / matrix
    step = pixel / 0.8  # the drawing's unit is a pixel of 0.8 mm
    y, x = (np.mgrid[:matrix, :matrix].astype(np.float32) - (matrix - 1) / 2) * np.float32(step)
    one = np.full((matrix, matrix), -1000.0, np.float32)
    one[(x / 215) ** 2 + (y / 150) ** 2 < 1] = -100.0
    one[(x / 195) ** 2 + (y / 130) ** 2 < 1] = 45.0
    one[(x / 28) ** 2 + ((y - 60) / 22) ** 2 < 1] = 300.0
    band = 250.0 * np.exp(-(((y - 70) / 12) ** 2)) * (np.abs(x) < 150) * (one > -500)
    one -= band.astype(np.float32)
    for side in (-1, 1):
        screw = (np.abs(x - side * (18 + 0.3 * (y - 60))) < 4) & (np.abs(y - 70) < 28)
        one[screw | ((x - side * 35) ** 2 + (y - 105) ** 2 < 16)] = 3071.0
    rng = np.random.default_rng(0)
    hu = np.empty((slices, matrix, matrix), np.float32)
    for k in range(slices):
        noise = rng.standard_normal((matrix, matrix), np.float32)
        hu[k] = np.rint(one + noise * np.float32(12.0) * (one < 3000))
    return CTVolume(hu, np.diag([pixel, pixel, 1.0, 1.0]))


def run(case: Case) -> dict[str, Any]:
    """Measure a case in a fresh process."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, json.dumps(asdict(case))]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


def measure(case: Case) -> dict[str, Any]:
    """Measure a case here, after one small correction to load libraries and make plans."""
    import psutil
    from peer_transforms import transforms_of

    volume = patient(case.slices, case.matrix)
    with tempfile.TemporaryDirectory() as folder:
        stored = _store(volume, Path(folder)) if case.files else None
        with transforms_of(case.peer):
            if case.peer is None:
                _correct(patient(2, case.matrix), case, _worker(case))
            before = psutil.Process().memory_info().rss
            started = time.perf_counter(), time.process_time()
            seconds: dict[str, float] = {}
            if stored is not None:
                volume, seconds["read"] = _timed_read(stored[0])
            worker = _worker(case)
            result = _correct(volume, case, worker)
            if stored is not None:
                seconds["write"] = _timed_write(result.volume, Path(folder) / "out.nrrd")
            wall, cpu = (
                time.perf_counter() - started[0],
                time.process_time() - started[1],
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if stored is not None:
            _, seconds["read DICOM"] = _timed_read(stored[1])
    assert len(result.corrected) == case.slices
    arrays = result.volume.hu.nbytes + result.metal_mask.nbytes
    arrays += volume.hu.nbytes if case.files else 0
    return {
        **asdict(case),
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "stages_s": {**seconds, **dict(result.seconds)},
        "peak_mib_above_arrays": round((peak - before - arrays) / 2**20, 1),
        "provider": result.provenance.provider,
        "fallback": result.provenance.fallback,
        "transforms": result.provenance.geometry["transforms"],
        "load": round(os.getloadavg()[0], 2),
    }


def _worker(case: Case) -> Inpainter:
    return make_inpainter(case.method, None, case.device)  # type: ignore[arg-type]


def _correct(volume: CTVolume, case: Case, worker: Inpainter) -> Any:
    return correct_volume(
        volume,
        inpainter=worker,
        gate=EVERYTHING,
        threads=case.threads or None,
        device=case.device,  # type: ignore[arg-type]
    )


def _store(volume: CTVolume, folder: Path) -> tuple[Path, Path]:
    """Write the volume as compressed NRRD and as a DICOM series."""
    import SimpleITK as sitk

    from spinemar.io import write_volume

    nrrd, series = folder / "in.nrrd", folder / "dicom"
    write_volume(nrrd, volume)
    series.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    pixel = volume.spacing_mm[0]
    for k, hu in enumerate(volume.hu):
        image = sitk.GetImageFromArray(hu.astype(np.int16)[None])
        image.SetSpacing((pixel, pixel, 1.0))
        tags = {
            "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"2.25.1.{k + 1}",
            "0008|0060": "CT",
            "0020|000d": "2.25.2",
            "0020|000e": "2.25.3",
            "0020|0013": str(k + 1),
            "0020|0032": f"0\\0\\{k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0028|1052": "0",
            "0028|1053": "1",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(series / f"{k:04d}.dcm"))
        writer.Execute(image)
    return nrrd, series


def _timed_read(path: Path) -> tuple[CTVolume, float]:
    from spinemar.io import read_volume

    start = time.perf_counter()
    volume = read_volume(path)
    return volume, round(time.perf_counter() - start, 3)


def _timed_write(volume: CTVolume, path: Path) -> float:
    from spinemar.io import write_volume

    start = time.perf_counter()
    write_volume(path, volume)
    return round(time.perf_counter() - start, 3)


if __name__ == "__main__":
    print(json.dumps(measure(Case(**json.loads(sys.argv[1])))))
