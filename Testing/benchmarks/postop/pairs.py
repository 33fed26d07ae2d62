"""The pairs of the benchmark of the earlier CT, as postoperative scans with their truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spinemar.planning.plans.plan_json import read_plan
from spinemar.postop.metal_share import metal_share_of
from spinemar.volume import CTVolume, LabelVolume
from Testing.benchmarks.earlier_ct.making.pair import read_pair
from Testing.benchmarks.postop.scans import KnownScan


def read_operated_pair(folder: Path) -> KnownScan:
    """Read a pair, and what its own benchmark corrected where that was kept."""
    pair = read_pair(folder)
    kept = folder.parent.parent / "rows" / f"{folder.name}-without.npz"
    corrected = None
    if kept.is_file():
        with np.load(kept) as arrays:
            corrected = CTVolume(arrays["hu"].astype(np.float32), pair.scan.ijk_to_ras)
    percent = np.rint(100.0 * metal_share_of(pair.scan).share).astype(np.int16)
    return KnownScan(
        pair.name,
        pair.scan,
        corrected,
        LabelVolume(percent, pair.scan.ijk_to_ras),
        LabelVolume(pair.labels, pair.scan.ijk_to_ras),
        pair.earlier,
        read_plan(folder / "plan.json"),
    )
