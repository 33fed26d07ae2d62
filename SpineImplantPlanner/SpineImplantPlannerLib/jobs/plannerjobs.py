"""The module's jobs for the worker: segment, plan, scan, report, pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from SpineImplantPlannerLib.jobs.handing import (
    Ct,
    giveLabels,
    givePelvis,
    giveSpine,
    giveSpineWithHips,
    takeSpine,
)
from spinemar.implants.catalogue import Catalogue, catalogue_to_json
from spinemar.implants.placement import PELVIS
from spinemar.jobs.engine.standby import StandbyWorker
from spinemar.jobs.requests.plan import read_field
from spinemar.planning.constructs.automatic import PlanSettings
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_to_json, read_plan
from spinemar.spine.editing import shift_levels
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.labels.pieces import LabelPiece
from spinemar.spine.model import SpineModel
from spinemar.spine.serial import spine_to_json
from spinemar.volume import GridGeometry, LabelVolume
from SpineMARLib.jobrun import JobRun, MakeJob, TakeBack, factsAlone, handOver

# Slices on either side whose tissue and implants a scanned slice can see.
_NEIGHBOURS = 4


@dataclass(frozen=True)
class Planned:
    """An automatic plan, with the bone fields that grading goes on with."""

    plan: Plan
    fields: Mapping[str, BoneField]


@dataclass(frozen=True)
class Edited:
    """What was edited in a spine, and the spine fitted to it; None where nothing was."""

    spine: SpineModel | None
    levels: tuple[str, ...]


Surfaces = Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Fraction:
    """Volume fractions of a material, cropped, and the grid's voxel (k, j, i) they start at."""

    values: np.ndarray
    first: tuple[int, ...]


@dataclass(frozen=True)
class Scanned:
    """A simulated scan: voxels, the truth without metal, and where metal is."""

    voxels: np.ndarray
    truth: np.ndarray | None
    metal: np.ndarray
    ijkToRas: np.ndarray
    facts: Mapping[str, Any]


class PlannerJobs:
    """Starts jobs; each returns a `JobRun` whose result is said at its method."""

    def __init__(
        self,
        temporaryFolder: str | Path,
        catalogue: Catalogue,
        command: Sequence[str] | None = None,
    ) -> None:
        self._folder = temporaryFolder
        self._catalogue = catalogue_to_json(catalogue)
        self._command = command
        self._standby = StandbyWorker("scan", command)

    def expectScan(self) -> None:
        """Have a worker wait, so that the next scan begins at once."""
        self._standby.prepare()

    def close(self) -> None:
        """End the waiting worker."""
        self._standby.close()

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

    def plan(
        self,
        ct: Ct | None,
        spine: SpineModel,
        levels: Sequence[str],
        settings: PlanSettings,
        locked: Plan | None = None,
    ) -> JobRun:
        """Plan a construct; the result is `Planned`."""

        def make(folder: Path) -> dict[str, Any]:
            (folder / "fields").mkdir()
            return {
                "kind": "plan", **giveSpineWithHips(folder, spine), "levels": list(levels),
                "input": None if ct is None else handOver(folder, "ct", ct.voxels, ct.ijkToRas),
                "settings": _settings(settings), "catalogue": self._catalogue,
                "locked": None if locked is None else plan_to_json(locked),
                "plan_output": str(folder / "plan.json"),
                "fields_folder": str(folder / "fields"),
            }  # fmt: skip

        def take(folder: Path, facts: Mapping[str, Any]) -> Planned:
            fields = {
                site: read_field(named, spine.vertebra(SACRUM if site == PELVIS else site))
                for site, named in facts["fields"].items()
            }
            return Planned(read_plan(folder / "plan.json"), fields)

        return JobRun(make, take, self._folder, self._command)

    def pelvis(self, ct: Ct, spine: SpineModel) -> JobRun:
        """Outline sacrum and hips; the result is the bone field of the pelvis."""

        def make(folder: Path) -> dict[str, Any]:
            (folder / "fields").mkdir()
            return {
                "kind": "outline-pelvis", **giveSpineWithHips(folder, spine),
                "input": handOver(folder, "ct", ct.voxels, ct.ijkToRas),
                "fields_folder": str(folder / "fields"),
            }  # fmt: skip

        def take(_folder: Path, facts: Mapping[str, Any]) -> BoneField:
            return read_field(facts["field"], spine.vertebra(SACRUM))

        return JobRun(make, take, self._folder, self._command)

    def scan(
        self,
        ct: Ct,
        plan: Plan,
        settings: Mapping[str, Any] | None = None,
        slices: tuple[int, int] | None = None,
        seed: int = 0,
    ) -> JobRun:
        """Put the implants into the CT and scan it, or some slices; the result is `Scanned`.

        For some slices only their neighbourhood is handed over, so that a preview is quick; its
        noise is another than the whole scan's.
        """
        first, after = (0, len(ct.voxels)) if slices is None else slices
        low = max(first - _NEIGHBOURS, 0)
        slab = ct.voxels[low : after + _NEIGHBOURS]
        matrix = np.array(ct.ijkToRas, float)
        matrix[:3, 3] += low * matrix[:3, 2]
        kind = ct.voxels.dtype.name if ct.voxels.dtype.kind == "i" else "int16"

        def make(folder: Path) -> dict[str, Any]:
            whole = slices is None
            return {
                "kind": "scan", "input": handOver(folder, "ct", slab, matrix),
                "plan": plan_to_json(plan), "catalogue": self._catalogue,
                "settings": dict(settings or {}), "seed": seed,
                "slices": None if whole else [first - low, after - low],
                "output": str(folder / "scan.npy"), "metal_output": str(folder / "metal.npy"),
                "truth_output": str(folder / "truth.npy") if whole else None, "stored_as": kind,
            }  # fmt: skip

        def take(folder: Path, facts: Mapping[str, Any]) -> Scanned:
            load = {name: folder / f"{name}.npy" for name in ("scan", "truth", "metal")}
            arrays = {n: np.load(p, allow_pickle=False) for n, p in load.items() if p.exists()}
            place = np.asarray(facts["ijk_to_ras"], float)
            return Scanned(arrays["scan"], arrays.get("truth"), arrays["metal"], place, facts)

        return JobRun(make, take, self._folder, self._command, self._standby)

    def voxelize(self, geometry: GridGeometry, plan: Plan) -> JobRun:
        """Put the implants on a grid; the result maps materials to `Fraction`."""

        def make(folder: Path) -> dict[str, Any]:
            return {
                "kind": "voxelize", "plan": plan_to_json(plan), "shape": list(geometry.shape),
                "ijk_to_ras": geometry.ijk_to_ras.tolist(), "folder": str(folder),
                "catalogue": self._catalogue,
            }  # fmt: skip

        def take(_folder: Path, facts: Mapping[str, Any]) -> dict[str, Fraction]:
            return {
                name: Fraction(np.load(one["npy"], allow_pickle=False), tuple(one["first"]))
                for name, one in facts["materials"].items()
            }

        return JobRun(make, take, self._folder, self._command)

    def report(
        self,
        ct: Ct,
        spine: SpineModel,
        plan: Plan,
        folder: Path,
        dicom: str | None = None,
        *,
        withPatient: bool = False,
    ) -> JobRun:
        """Write the HTML report; the result is the path of its page.

        Parameters
        ----------
        dicom : str, optional
            A file of the CT's series, which tells the pages' heads whose plan it is.
        withPatient : bool
            Print the patient's data too.
        """

        def make(temporary: Path) -> dict[str, Any]:
            return {
                "kind": "plan-report", **giveSpine(temporary, spine), "plan": plan_to_json(plan),
                "catalogue": self._catalogue,
                "input": handOver(temporary, "ct", ct.voxels, ct.ijkToRas), "folder": str(folder),
                "dicom": dicom, "with_patient": withPatient,
            }  # fmt: skip

        def take(_temporary: Path, facts: Mapping[str, Any]) -> Path:
            return Path(facts["page"])

        return JobRun(make, take, self._folder, self._command)

    @property
    def catalogue(self) -> str:
        """What can be placed, as jobs name it."""
        return self._catalogue

    def run(self, make: MakeJob, take: TakeBack = factsAlone) -> JobRun:
        """Run any job; by default the result is what the worker returned."""
        return JobRun(make, take, self._folder, self._command)


def _settings(settings: PlanSettings) -> dict[str, Any]:
    values = asdict(settings)
    values.pop("weights")
    return values
