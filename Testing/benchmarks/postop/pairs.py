"""The pairs of the benchmark of the earlier CT, as postoperative scans with their truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spinemar.io import read_volume, write_volume
from spinemar.mar.correct import correct_volume
from spinemar.planning.plans.plan_json import read_plan
from spinemar.postop.metal_share import metal_share_of
from spinemar.volume import CTVolume, LabelVolume
from Testing.benchmarks.earlier_ct.making.pair import read_pair
from Testing.benchmarks.postop.before import vertebrae_before
from Testing.benchmarks.postop.scans import KnownScan


def read_operated_pair(folder: Path, corrected: bool, home: Path) -> KnownScan:
    """Read a pair; its correction is that of its own benchmark, or one made once for `home`."""
    pair = read_pair(folder)
    labels = LabelVolume(pair.labels, pair.scan.ijk_to_ras)
    percent = np.rint(100.0 * metal_share_of(pair.scan).share).astype(np.int16)
    return KnownScan(
        pair.name,
        pair.scan,
        _corrected(folder, pair.scan, home) if corrected else None,
        LabelVolume(percent, pair.scan.ijk_to_ras),
        labels,
        pair.earlier,
        read_plan(folder / "plan.json"),
        vertebrae_before(labels, pair.posture, pair.earlier.geometry),
    )


def _corrected(folder: Path, scan: CTVolume, home: Path) -> CTVolume:
    kept = folder.parent.parent / "rows" / f"{folder.name}-without.npz"
    if kept.is_file():
        with np.load(kept) as arrays:
            return CTVolume(arrays["hu"].astype(np.float32), scan.ijk_to_ras)
    made = home / "corrected" / f"{folder.name}.nii.gz"
    if not made.is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        hu = correct_volume(scan).volume.hu
        write_volume(made, CTVolume(hu, scan.ijk_to_ras))
    return read_volume(made)
