"""The drawn patient as files: scan with metal, its correction, vertebrae."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spinemar.io import write_labels, write_volume
from spinemar.volume import CTVolume
from Testing.core.postop import patient

SPACING_MM = (0.8, 0.8, 2.5)


def write_operated(folder: Path) -> None:
    """Write scan.nrrd, corrected.nrrd and labels.nrrd into a folder."""
    geometry = patient.grid(SPACING_MM)
    labels = patient.labels_on(geometry)
    points = patient.places(geometry)
    inside = (points[..., 0] / 47) ** 2 + ((points[..., 1] + 15) / 57) ** 2 < 1
    noise = np.random.default_rng(0).normal(0, 20, geometry.shape)
    clean = np.where(inside, np.where(labels.labels > 0, 300.0, 40.0) + noise, -1000.0)
    share = patient.metal_of(patient.operated(), geometry).share
    scan = np.clip(clean + share * 9000.0, -1024, 3071)
    for name, hu in (("scan", scan), ("corrected", np.where(share > 0.5, 3071.0, clean))):
        whole = np.rint(hu).astype(np.float32)
        write_volume(folder / f"{name}.nrrd", CTVolume(whole, geometry.ijk_to_ras))
    write_labels(folder / "labels.nrrd", labels)
