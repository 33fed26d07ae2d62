"""A data set from the present CT: what the worker is told, and the CT's files beside the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from SpineImplantPlannerLib.jobs.handing import Ct
from SpineImplantPlannerLib.jobs.plannerjobs import PlannerJobs
from spinemar.dataset.pair_settings import PairSettings
from spinemar.errors import InputError
from spinemar.tomography.geometry import STANDARD_BINS, STANDARD_VIEWS
from spinemar.volume import CTVolume, LabelVolume
from SpineMARLib.jobrun import JobRun


@dataclass(frozen=True)
class PairsWanted:
    """The settings of a data set that the panel offers; all others keep their defaults."""

    store: Path
    pairs: int
    seed: int = 0
    realisticShare: float = 0.7
    warpMm: float = 4.0
    photons: tuple[float, float] = (1e5, 2e6)
    thicknessMm: tuple[float, float] = (0.75, 5.0)
    boneDensity: tuple[float, float] = (0.65, 1.45)
    matrix: int = 512
    workers: int = 1
    scheduler: str = ""
    blockPairs: int = 8

    def settings(self) -> dict[str, Any]:
        """Return them under the names of `PairSettings`.

        Raises
        ------
        InputError
            If a range runs backwards.
        """
        for name, (low, high) in (
            ("photons per ray", self.photons),
            ("slice thickness", self.thicknessMm),
            ("bone density", self.boneDensity),
        ):
            if not low <= high:
                raise InputError(f"The range of {name} runs backwards.", "Swap its two numbers.")
        low, high = self.thicknessMm
        usual = PairSettings().slice_mm
        slices = [mm for mm in usual if low <= mm <= high] or sorted({low, high})
        scale = self.matrix / 512
        return {
            "realistic_share": self.realisticShare,
            "warp_mm": self.warpMm,
            "photons": list(self.photons),
            "slice_mm": slices,
            "bone_density": list(self.boneDensity),
            "matrix": self.matrix,
            "n_bins": round(STANDARD_BINS * scale / 16) * 16,
            "n_views": max(round(STANDARD_VIEWS * scale), 180),
        }


def inputsFolder(store: Path) -> Path:
    """Return where the CT of a store is kept: beside it."""
    return store.with_name(store.name + "_ct")


def isBegun(store: Path) -> bool:
    """Whether a folder holds a data set already."""
    from spinemar.dataset.storage.layout import SPEC

    return (store / SPEC).is_file()


def start(
    plannerJobs: PlannerJobs, wanted: PairsWanted, ct: Ct, labels: LabelVolume | None
) -> JobRun:
    """Start making a data set; a run that was stopped is gone on with.

    The CT is written beside the store the first time, under a name that says nothing about the
    patient, and used from there ever after.
    """
    folder = inputsFolder(wanted.store)

    def make(_folder: Path) -> dict[str, Any]:
        from spinemar.io import write_labels, write_volume

        folder.mkdir(parents=True, exist_ok=True)
        files = {"ct": folder / "ct.nrrd", "labels": folder / "labels.nrrd"}
        if not files["ct"].exists():
            write_volume(files["ct"], CTVolume(ct.voxels.astype(np.float32), ct.ijkToRas))
            if labels is not None:
                write_labels(files["labels"], labels)
        hasLabels = files["labels"].exists()
        return {
            "kind": "pairs",
            "store": str(wanted.store),
            "pairs": wanted.pairs,
            "seed": wanted.seed,
            "inputs": [
                {
                    "ct": str(files["ct"]),
                    "patient": "patient",
                    "labels": str(files["labels"]) if hasLabels else None,
                }
            ],
            "settings": wanted.settings(),
            "workers": wanted.workers,
            "scheduler": wanted.scheduler or None,
            "block_pairs": wanted.blockPairs,
            "sheets": str(folder / "sheets"),
        }

    return plannerJobs.run(make)
