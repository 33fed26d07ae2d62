"""Sample CT -> plan -> simulated scan -> every method at hand -> files and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import made_folder
from spinemar.demo.sample_data import SOURCE, sample_ct, sample_labels
from spinemar.errors import InputError
from spinemar.evaluation import Scores, TrueMetal, evaluate
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.io import read_labels, read_volume, write_labels, write_volume
from spinemar.io.study import Study
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.methods import shipped_model
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.mar.settings import Method
from spinemar.physics.scanner import SimulatedScan, simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, write_plan
from spinemar.planning.report.wording import letter_of
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.report import (
    REPORT_NAME,
    ReportContent,
    ReportedCorrection,
    check_report_tools,
    write_report,
)
from spinemar.report.sinogram import SinogramStudy
from spinemar.volume import CTVolume, LabelVolume

SEED = 20
_MARGIN_SLICES = 3
_METAL_FRACTION = 0.05
_PLAN = "sample_plan.json"
FILES = (
    REPORT_NAME,
    "plan.json",
    "scan.nii.gz",
    "truth.nii.gz",
    "metal_mask.nii.gz",
    "corrected_*.nii.gz",
)
"""What `run_demo` writes into its folder."""


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration found.

    Parameters
    ----------
    report : Path
    files : mapping of str to Path
        Scan, truth, metal mask, plan, and one volume for each method.
    scores : mapping of str to Scores
        "before" and each method, against the truth.
    """

    report: Path
    files: Mapping[str, Path]
    scores: Mapping[str, Scores]


def sample_plan() -> Plan:
    """Return what `planned` makes of L1 and L2, kept so that nobody has to wait for it."""
    return plan_from_json(files("spinemar.demo").joinpath(_PLAN).read_text(encoding="utf-8"))


def planned(
    patient: CTVolume,
    levels: str,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Plan:
    """Plan screws and rods on the sample CT from its labels."""
    from spinemar.planning.constructs.automatic import plan_construct
    from spinemar.spine.anatomy.frames import frames_from_labels
    from spinemar.spine.labels.levels import level_range

    labels = _around(read_labels(sample_labels()), level_range(levels))
    spine = frames_from_labels(labels, patient, naming="verse", progress=progress, cancel=cancel)
    return plan_construct(
        spine, patient, levels, load_catalogue(), progress=progress, cancel=cancel
    )


def _around(labels: LabelVolume, levels: Sequence[str]) -> LabelVolume:
    """Keep the vertebrae of some levels and their neighbours: the others take time only."""
    from spinemar.spine.labels.conventions import to_verse
    from spinemar.spine.labels.levels import VERSE_IDS, level_position

    verse = to_verse(labels)
    places = [level_position(level) for level in levels]
    kept = [
        number
        for level, number in VERSE_IDS.items()
        if min(places) - 1 <= level_position(level) <= max(places) + 1
    ]
    near = np.where(np.isin(verse.labels, kept), verse.labels, 0)
    return LabelVolume(near.astype(np.int16), verse.ijk_to_ras)


def methods_at_hand() -> tuple[Method, ...]:
    """List the methods that can run here, the recommended one last."""
    return ("li", "nmar", "generator") if shipped_model() else ("li", "nmar")


def run_demo(
    output: str | Path,
    *,
    patient: CTVolume | None = None,
    plan: Plan | None = None,
    levels: str = "L1-L2",
    settings: ScannerSettings | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> DemoResult:
    """Run the demonstration.

    Parameters
    ----------
    output : path
        Folder for everything that is written; made if needed.
    patient : CTVolume, optional
        The sample CT by default.
    plan : Plan, optional
        Without it `levels` of the sample CT are planned automatically.
    levels : str
        Such as "T11-L1".
    settings : ScannerSettings, optional
    progress, cancel
        See `spinemar.progress`.

    Raises
    ------
    InputError
        If the sample CT cannot be had, or the plan meets no slice of the patient.
    """
    check_report_tools()
    progress(Progress("Sample CT", 0, 1))
    patient = patient or read_volume(sample_ct())
    folder = made_folder(output)
    plan = plan or planned(patient, levels, progress, cancel)
    settings = settings or ScannerSettings()
    progress(Progress("Sample CT", 1, 1))
    scan = scan_patient(patient, plan, settings, progress, cancel)
    assert scan.truth is not None
    metal = scan.metal_fraction >= _METAL_FRACTION
    paths = _write_scan(folder, scan, plan, metal)
    mask = segment_metal(scan.volume, None, cancel=cancel).mask
    known = TrueMetal(scan.metal_fraction, mask, mask, plan)
    before = evaluate(scan.truth, scan.volume, metal, true_metal=known, cancel=cancel)
    corrected = []
    scores = {"before": before}
    study = SinogramStudy(scan.volume, mask)
    for method in methods_at_hand():

        def show(step: Progress, method: str = method) -> None:
            progress(Progress(f"{step.stage} ({method})", step.done, step.total))

        result = correct_volume(scan.volume, method=method, progress=show, cancel=cancel)
        known = TrueMetal(scan.metal_fraction, result.metal_mask, result.metal_outline, plan)
        scores[method] = evaluate(scan.truth, result.volume, metal, true_metal=known, cancel=cancel)
        corrected.append(ReportedCorrection(result, scores[method], study.filled(method)))
        paths[method] = folder / f"corrected_{method}.nii.gz"
        write_volume(paths[method], result.volume)
    content = ReportContent(
        title="Metal artifacts in the sample CT, and their reduction",
        introduction=_introduction(plan, settings),
        before=scan.volume,
        corrected=tuple(corrected),
        metal=metal,
        truth=scan.truth,
        scores_before=before,
        sinogram=study.before(),
        facts={"Patient": SOURCE, "Screws": _screw_facts(plan), "Scan": _scan_facts(settings)},
        study=Study("Sample CT, scanned with implants by a simulator"),
    )
    return DemoResult(write_report(folder, content), paths, scores)


def scan_patient(
    patient: CTVolume,
    plan: Plan,
    settings: ScannerSettings,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> SimulatedScan:
    """Scan the slices with metal and a few on either side.

    Raises
    ------
    InputError
        If the plan meets no slice of the patient.
    """
    progress(Progress("Implants", 0, 1))
    implants = voxelize_plan(plan, patient.geometry, load_catalogue())
    progress(Progress("Implants", 1, 1))
    touched = np.flatnonzero(np.sum([f.any(axis=(1, 2)) for f in implants.values()], axis=0))
    if touched.size == 0:
        raise InputError("The implants lie outside the CT.", "Use a plan made on this CT.")
    first = max(0, int(touched[0]) - _MARGIN_SLICES)
    last = min(patient.hu.shape[0], int(touched[-1]) + 1 + _MARGIN_SLICES)
    return simulate_scan(
        patient,
        implants,
        settings,
        SEED,
        slices=slice(first, last),
        progress=progress,
        cancel=cancel,
    )


def _write_scan(
    folder: Path, scan: SimulatedScan, plan: Plan, metal: NDArray[np.bool_]
) -> dict[str, Path]:
    assert scan.truth is not None
    paths = {name: folder / f"{name}.nii.gz" for name in ("scan", "truth", "metal_mask")} | {
        "plan": folder / "plan.json"
    }
    write_volume(paths["scan"], scan.volume)
    write_volume(paths["truth"], scan.truth)
    labels = LabelVolume(metal.astype(np.int16), scan.volume.ijk_to_ras)
    write_labels(paths["metal_mask"], labels)
    write_plan(paths["plan"], plan)
    return paths


def _introduction(plan: Plan, settings: ScannerSettings) -> str:
    screws = sorted({s.material for s in plan.screws})
    rods = sorted({r.material for r in plan.rods})
    return (
        f"A real CT of a spine without metal got {len(plan.screws)} pedicle screws "
        f"({', '.join(screws)}) in {' and '.join(plan.levels)} and {len(plan.rods)} rods "
        f"({', '.join(rods)}). A simulated scanner ({settings.kvp} kVp, all energies of the "
        "tube, noise, starvation, 12-bit storage) scanned it with and without the metal; the scan "
        "without is the truth."
    )


def _screw_facts(plan: Plan) -> str:
    return ", ".join(
        f"{s.id} {s.diameter_mm:.1f} x {s.length_mm:.0f} mm "
        f"({f'grade {letter_of(s)}' if s.grade else letter_of(s)})"
        for s in plan.screws
    )


def _scan_facts(settings: ScannerSettings) -> str:
    return (
        f"simulated: {settings.kvp} kVp, {settings.photons_per_ray:.0e} photons a ray, "
        f"{settings.geometry} rays, {settings.kernel} kernel, seed {SEED}"
    )
