"""The module's jobs for the worker: segment, plan, scan, report, pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from SpineImplantPlannerLib.jobs.handing import Ct, giveSpine, giveSpineWithHips
from SpineImplantPlannerLib.jobs.spinejobs import SpineJobs
from spinemar.implants.catalogue import Catalogue, catalogue_to_json
from spinemar.implants.placement import PELVIS
from spinemar.jobs.engine.standby import StandbyWorker
from spinemar.jobs.requests.plan import read_field
from spinemar.planning.constructs.automatic import PlanSettings
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_to_json, read_plan
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import SpineModel
from spinemar.volume import GridGeometry
from SpineMARLib.jobrun import JobRun, MakeJob, TakeBack, factsAlone, handOver

# Slices on either side whose tissue and implants a scanned slice can see.
_NEIGHBOURS = 4


@dataclass(frozen=True)
class Planned:
    """An automatic plan, with the bone fields that grading goes on with."""

    plan: Plan
    fields: Mapping[str, BoneField]


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


class PlannerJobs(SpineJobs):
    """Starts jobs; each returns a `JobRun` whose result is said at its method."""

    def __init__(
        self,
        temporaryFolder: str | Path,
        catalogue: Catalogue,
        command: Sequence[str] | None = None,
    ) -> None:
        super().__init__(temporaryFolder, command)
        self._catalogue = catalogue_to_json(catalogue)
        self._standby = StandbyWorker("scan", command)

    def expectScan(self) -> None:
        """Have a worker wait, so that the next scan begins at once."""
        self._standby.prepare()

    def close(self) -> None:
        """End the waiting worker."""
        self._standby.close()

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
