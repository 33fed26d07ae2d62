"""What the module hands to its worker, and takes back: a CT, a spine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.spine.labels.pieces import LabelPiece
from spinemar.spine.model import SpineModel
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import LabelVolume
from SpineMARLib.jobrun import handOver


@dataclass(frozen=True)
class Ct:
    """A CT as it is handed to the worker: its voxels, which nobody changes meanwhile.

    Parameters
    ----------
    voxels : ndarray, shape (k, j, i)
        As stored in the scene.
    ijkToRas : ndarray, shape (4, 4)
    """

    voxels: np.ndarray
    ijkToRas: np.ndarray


def giveLabels(
    folder: Path, labels: LabelVolume | Sequence[LabelPiece], ct: Ct, name: str = "given"
) -> dict[str, Any]:
    """Hand labels over, whole or in pieces that the worker puts onto the CT's grid."""
    if isinstance(labels, LabelVolume):
        return handOver(folder, name, labels.labels, labels.ijk_to_ras)
    pieces = [
        handOver(folder, f"{name}-piece{n}", piece.voxels, piece.ijk_to_ras)
        | {"values": {str(value): number for value, number in piece.values.items()}}
        for n, piece in enumerate(labels)
    ]
    shape, matrix = list(ct.voxels.shape), np.asarray(ct.ijkToRas).tolist()
    return {"pieces": pieces, "shape": shape, "ijk_to_ras": matrix}


def givePelvis(folder: Path, pieces: Sequence[LabelPiece], ct: Ct) -> dict[str, Any]:
    """Hand hips and lower sacrum of a segmentation over; nothing where it has none."""
    if not pieces:
        return {}
    given = giveLabels(folder, pieces, ct, "pelvis-given")
    return {"pelvis": given, "pelvis_output": str(folder / "pelvis.npy")}


def takeSpine(folder: Path, facts: Mapping[str, Any]) -> SpineModel:
    """Read the spine that a job of the kind "segment-spine" left."""
    spine = readSpine(folder, "labels.npy", "frames.json", facts)
    if "pelvis_ijk_to_ras" not in facts:
        return spine
    parts = np.load(folder / "pelvis.npy", allow_pickle=False)
    place = np.asarray(facts["pelvis_ijk_to_ras"], float)
    return replace(spine, pelvis=LabelVolume(parts, place))


def readSpine(folder: Path, labels: str, frames: str, facts: Mapping[str, Any]) -> SpineModel:
    """Read a spine from the files that a job left."""
    array = np.load(folder / labels, allow_pickle=False)
    text = (folder / frames).read_text(encoding="utf-8")
    return spine_from_json(text, LabelVolume(array, np.asarray(facts["ijk_to_ras"], float)))


def giveSpine(folder: Path, spine: SpineModel) -> dict[str, Any]:
    """Hand a spine over, without hips."""
    (folder / "frames.json").write_text(spine_to_json(spine), encoding="utf-8")
    labels = handOver(folder, "labels", spine.labels.labels, spine.labels.ijk_to_ras)
    return {"labels": labels, "frames": str(folder / "frames.json")}


def giveSpineWithHips(folder: Path, spine: SpineModel) -> dict[str, Any]:
    """Hand a spine over, with the hips and the lower sacrum of its segmentation."""
    parts = spine.pelvis
    named = None if parts is None else handOver(folder, "pelvis", parts.labels, parts.ijk_to_ras)
    return {**giveSpine(folder, spine), "pelvis": named}
