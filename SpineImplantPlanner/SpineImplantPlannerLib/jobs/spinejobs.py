"""The module's jobs about the spine: segmented, corrected, edited, renamed, its surfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from SpineImplantPlannerLib.jobs.handing import Ct, giveLabels, givePelvis, takeSpine
from spinemar.spine.editing import shift_levels
from spinemar.spine.labels.pieces import LabelPiece
from spinemar.spine.model import SpineModel
from spinemar.spine.serial import spine_to_json
from spinemar.volume import LabelVolume
from SpineMARLib.jobrun import JobRun, handOver


@dataclass(frozen=True)
class Edited:
    """What was edited in a spine, and the spine fitted to it; None where nothing was."""

    spine: SpineModel | None
    levels: tuple[str, ...]


Surfaces = Mapping[str, tuple[np.ndarray, np.ndarray]]


class SpineJobs:
    """Starts jobs about the spine; each returns a `JobRun` whose result is said at its method."""

    def __init__(self, temporaryFolder: str | Path, command: Sequence[str] | None) -> None:
        self._folder = temporaryFolder
        self._command = command

    def segment(
        self,
        ct: Ct,
        labels: LabelVolume | Sequence[LabelPiece] | None = None,
        naming: Mapping[int, str] | str = "auto",
        firstLevel: str | None = None,
        seeds: Mapping[str, Sequence[float]] | None = None,
        pelvis: Sequence[LabelPiece] = (),
    ) -> JobRun:
        """Segment the spine, or fit frames to labels; the result is a `SpineModel`.

        Labels in pieces are put onto the CT's grid by the worker; `pelvis` are the hips and the
        lower sacrum of the segmentation that they are of.
        """

        def make(folder: Path) -> dict[str, Any]:
            named = None if labels is None else giveLabels(folder, labels, ct)
            return {
                **givePelvis(folder, pelvis, ct),
                "kind": "segment-spine", "input": handOver(folder, "ct", ct.voxels, ct.ijkToRas),
                "labels": named, "first_level": firstLevel, "seeds": dict(seeds or {}),
                "naming": naming if isinstance(naming, str)
                else {str(number): name for number, name in naming.items()},
                "labels_output": str(folder / "labels.npy"),
                "frames_output": str(folder / "frames.json"),
            }  # fmt: skip

        return JobRun(make, takeSpine, self._folder, self._command)

    def correct(self, ct: Ct, spine: SpineModel, level: str, point: Sequence[float]) -> JobRun:
        """Segment one vertebra again from a point in its body; the result is a `SpineModel`.

        Its hips stay as they are.
        """

        def make(folder: Path) -> dict[str, Any]:
            (folder / "before.json").write_text(spine_to_json(spine), encoding="utf-8")
            return {
                "kind": "segment-spine", "input": handOver(folder, "ct", ct.voxels, ct.ijkToRas),
                "labels": giveLabels(folder, spine.labels, ct),
                "frames": str(folder / "before.json"), "correct": [level, list(point)],
                "labels_output": str(folder / "labels.npy"),
                "frames_output": str(folder / "frames.json"),
            }  # fmt: skip

        def take(folder: Path, facts: Mapping[str, Any]) -> SpineModel:
            return replace(takeSpine(folder, facts), pelvis=spine.pelvis)

        return JobRun(make, take, self._folder, self._command)

    def takeEdits(
        self,
        ct: Ct,
        spine: SpineModel,
        pieces: Sequence[LabelPiece],
        pelvis: Sequence[LabelPiece] = (),
    ) -> JobRun:
        """Fit anew what differs from a spine in edited labels; the result is `Edited`."""

        def make(folder: Path) -> dict[str, Any]:
            (folder / "before.json").write_text(spine_to_json(spine), encoding="utf-8")
            before = handOver(folder, "before", spine.labels.labels, spine.labels.ijk_to_ras)
            return {
                **givePelvis(folder, pelvis, ct),
                "kind": "segment-spine", "input": handOver(folder, "ct", ct.voxels, ct.ijkToRas),
                "labels": giveLabels(folder, pieces, ct), "before": before,
                "frames": str(folder / "before.json"), "correct": None,
                "labels_output": str(folder / "labels.npy"),
                "frames_output": str(folder / "frames.json"),
            }  # fmt: skip

        def take(folder: Path, facts: Mapping[str, Any]) -> Edited:
            levels = tuple(facts["edited"])
            return Edited(takeSpine(folder, facts) if levels else None, levels)

        return JobRun(make, take, self._folder, self._command)

    def restore(
        self,
        ct: Ct,
        frames: str,
        pieces: Sequence[LabelPiece],
        pelvis: Sequence[LabelPiece] = (),
    ) -> JobRun:
        """Read a spine of ours from its segmentation, and compare it with this CT."""

        def make(folder: Path) -> dict[str, Any]:
            (folder / "kept.json").write_text(frames, encoding="utf-8")
            return {
                **givePelvis(folder, pelvis, ct),
                "kind": "segment-spine", "input": handOver(folder, "ct", ct.voxels, ct.ijkToRas),
                "labels": giveLabels(folder, pieces, ct), "frames": str(folder / "kept.json"),
                "refit": [], "correct": None,
                "labels_output": str(folder / "labels.npy"),
                "frames_output": str(folder / "frames.json"),
            }  # fmt: skip

        return JobRun(make, takeSpine, self._folder, self._command)

    def shiftLevels(self, spine: SpineModel, steps: int) -> JobRun:
        """Rename all vertebrae, `steps` further towards the feet; the result is a `SpineModel`.

        No work for a process, but of a large CT too much for a click: new labels are 300 MB.
        """
        return JobRun(
            lambda _folder: None, lambda _folder, _facts: shift_levels(spine, steps), self._folder
        )

    def surfaces(self, spine: SpineModel) -> JobRun:
        """Compute closed surfaces of the vertebrae; the result is `Surfaces`, by level."""

        def make(folder: Path) -> dict[str, Any]:
            labels = handOver(folder, "labels", spine.labels.labels, spine.labels.ijk_to_ras)
            output = str(folder / "surfaces.npz")
            return {"kind": "spine-surfaces", "labels": labels, "output": output}

        def take(folder: Path, facts: Mapping[str, Any]) -> Surfaces:
            with np.load(folder / "surfaces.npz", allow_pickle=False) as found:
                return {
                    level: (found[f"{level}_points"], found[f"{level}_triangles"])
                    for level in facts["levels"]
                }

        return JobRun(make, take, self._folder, self._command)
