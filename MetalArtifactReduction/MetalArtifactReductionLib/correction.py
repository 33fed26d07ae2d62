"""One correction in a worker process, from a volume's array to the corrected one.

Plain Python: no Slicer, no Qt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.boxes import bounding_box
from spinemar.jobs.engine.arrays import stored_like
from spinemar.mar.settings import CorrectionSettings
from SpineMARLib.jobrun import JobRun, handOver


@dataclass(frozen=True)
class Source:
    """What is corrected: an array that nobody changes meanwhile, and where it lies.

    Parameters
    ----------
    name : str
        For messages.
    voxels : ndarray, shape (k, j, i)
    ijkToRas : ndarray, shape (4, 4)
    metal : ndarray of bool, optional
        Metal known from elsewhere, on the same grid.
    earlier : Source, optional
        The same patient's CT from before the metal.
    plan : str
        JSON text of the plan of the implants that are the metal; "" where they are not.
    """

    name: str
    voxels: np.ndarray
    ijkToRas: np.ndarray
    metal: np.ndarray | None = None
    earlier: Source | None = None
    plan: str = ""


@dataclass(frozen=True)
class Corrected:
    """What came back.

    Parameters
    ----------
    voxels : ndarray
        Same type and shape as the source's.
    difference : ndarray
        Corrected less original, in HU.
    metal : ndarray of uint8
        Cropped to where there is metal.
    metalOrigin : tuple of int
        (k, j, i) of the crop's first voxel.
    facts : mapping
        Provenance, slices, seconds, message.
    agreement, registered : ndarray or None
        Percent to which the earlier CT was believed, and that CT in HU, on the source's grid.
    uncertainty : ndarray of int16
        HU within which 95 of 100 errors lie, cropped to where something was changed.
    uncertaintyOrigin : tuple of int
        (k, j, i) of the crop's first voxel.
    """

    voxels: np.ndarray
    difference: np.ndarray
    metal: np.ndarray
    metalOrigin: tuple[int, int, int]
    facts: Mapping[str, Any]
    agreement: np.ndarray | None = None
    registered: np.ndarray | None = None
    uncertainty: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), np.int16))
    uncertaintyOrigin: tuple[int, int, int] = (0, 0, 0)


def startCorrection(
    source: Source,
    settings: CorrectionSettings,
    temporaryFolder: str | Path,
    command: Sequence[str] | None = None,
) -> JobRun:
    """Start a correction; the result is `Corrected`."""

    def make(folder: Path) -> dict[str, Any]:
        metal, earlier = source.metal, source.earlier
        return {
            "kind": "correct",
            "input": handOver(folder, "input", source.voxels, source.ijkToRas, source.name),
            "metal_mask": None if metal is None
            else handOver(folder, "mask", metal.astype(np.uint8), source.ijkToRas),
            "metal_plan": source.plan or None,
            "earlier": None if earlier is None
            else {"ct": handOver(
                folder, "earlier", earlier.voxels, earlier.ijkToRas, earlier.name
            )},
            "output": str(folder / "output.npy"),
            "agreement_output": str(folder / "agreement.npy"),
            "registered_output": str(folder / "registered.npy"),
            "uncertainty_output": str(folder / "uncertainty.npy"),
            "metal_output": str(folder / "metal.npy"),
            "stored_as": source.voxels.dtype.name,
            "settings": settings.to_json(),
        }  # fmt: skip

    def take(folder: Path, facts: Mapping[str, Any]) -> Corrected:
        after = np.load(folder / "output.npy", allow_pickle=False)
        metal = np.load(folder / "metal.npy", allow_pickle=False)
        change = after.astype(np.float32) - source.voxels.astype(np.float32)
        kind = source.voxels.dtype.name if source.voxels.dtype.kind == "i" else "int16"
        crop, origin = _cropped(metal)
        unsure = _cropped(np.load(folder / "uncertainty.npy", allow_pickle=False))
        return Corrected(
            after,
            stored_like(change, kind),
            crop,
            origin,
            facts,
            _loaded(folder / "agreement.npy"),
            _loaded(folder / "registered.npy"),
            *unsure,
        )

    return JobRun(make, take, temporaryFolder, command)


@dataclass(frozen=True)
class FoundMetal:
    """What the automatic selection takes, and what a threshold would take away from it.

    Parameters
    ----------
    metal : ndarray of uint8
        Cropped to where there is metal.
    origin : tuple of int
        (k, j, i) of the crop's first voxel.
    facts : mapping
        "metal_mm3", and "elsewhere_mm3" at or above each of "levels_hu".
    """

    metal: np.ndarray
    origin: tuple[int, int, int]
    facts: Mapping[str, Any]

    def elsewhereMm3(self, thresholdHu: float) -> float:
        """Return what a threshold takes more than 5 mm from the metal, most likely bone."""
        levels = np.asarray(self.facts["levels_hu"])
        return float(np.interp(thresholdHu, levels, self.facts["elsewhere_mm3"]))

    def cleanFromHu(self, limitMm3: float) -> float | None:
        """Return the lowest level that takes no more than so much away from the metal."""
        clean = np.asarray(self.facts["elsewhere_mm3"]) <= limitMm3
        return float(self.facts["levels_hu"][int(np.argmax(clean))]) if clean.any() else None


def startFinding(
    source: Source, temporaryFolder: str | Path, command: Sequence[str] | None = None
) -> JobRun:
    """Start looking for metal; the result is `FoundMetal`."""

    def make(folder: Path) -> dict[str, Any]:
        return {
            "kind": "find-metal",
            "input": handOver(folder, "input", source.voxels, source.ijkToRas, source.name),
            "metal_output": str(folder / "metal.npy"),
        }

    def take(folder: Path, facts: Mapping[str, Any]) -> FoundMetal:
        return FoundMetal(*_cropped(np.load(folder / "metal.npy", allow_pickle=False)), facts)

    return JobRun(make, take, temporaryFolder, command)


def _loaded(path: Path) -> np.ndarray | None:
    return np.load(path, allow_pickle=False) if path.is_file() else None


def _cropped(values: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Cut an array down to where it holds something; return it with its first voxel (k, j, i)."""
    box = bounding_box(values > 0)
    if box is None:
        return np.zeros((0, 0, 0), values.dtype), (0, 0, 0)
    k, j, i = (side.start for side in box)
    return np.ascontiguousarray(values[box]), (k, j, i)
