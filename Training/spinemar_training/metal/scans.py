"""Metal cases of the core's own scanner: whole constructs, scanned slice by slice.

The cases of `CaseMaker` are three flat slices each, of a scanner drawn far more widely than any
there is. These are of reshaped patients and of the catalogue's implants, threads and all, as
training pairs are drawn, under the scanner that simulates those: a scan gives a case for every
slice that metal lies in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from spinemar.dataset.manifest import CtEntry
from spinemar_training.metal.cases import MetalCase, cropped, save_case
from spinemar_training.simulate.constructs import (
    LEAST_MM2,
    ConstructScan,
    ScanKind,
    patients_of,
    scan_construct,
)

_KIND = ScanKind(most_slices=24, views=480, scale="unlimited")


def make_scan_cases(inputs: Sequence[CtEntry], output: Path, scans: int, seed: int = 0) -> None:
    """Make the cases of scans 0 to `scans` in a folder; scans that are there are kept.

    Parameters
    ----------
    inputs : sequence of CtEntry
        CTs of one split: what is scanned of the others' only judges.
    output : Path
    scans : int
    seed : int

    Raises
    ------
    InputError
        If the CTs are of several splits, or one cannot be used.
    """
    patients = patients_of(inputs, output / "patients")
    for number in range(scans):
        # A scan's first case is written last: with it the scan is whole.
        if (output / f"scan{number:05d}-00.npz").exists():
            continue
        cases = list(enumerate(_of_slices(scan_construct(patients, _KIND, seed, number))))
        for n, case in reversed(cases):
            save_case(output / f"scan{number:05d}-{n:02d}.npz", case)


def _of_slices(scan: ConstructScan) -> Iterator[MetalCase]:
    """Yield a case for each slice that metal lies in, between two others."""
    volume, area_mm2 = scan.made.volume, scan.area_mm2()
    for k in np.flatnonzero(area_mm2 >= LEAST_MM2):
        if 0 < k < len(area_mm2) - 1:
            part = slice(int(k) - 1, int(k) + 2)
            names = [name for name, share in scan.metals.items() if share[part].any()]
            yield cropped(
                volume.hu[part], scan.fraction[part], volume.spacing_mm[0], "+".join(sorted(names))
            )
