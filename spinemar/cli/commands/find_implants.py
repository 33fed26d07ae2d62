"""`spinemar find-implants`: the screws and rods of a postoperative CT, fitted and graded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinemar.cli.commands.correct import (
    AllowOtherPatient,
    AllowReformatted,
    DeviceOption,
    MethodOption,
)
from spinemar.cli.console import print_json, progress_bars, stdout
from spinemar.cli.options import (
    CatalogueFiles,
    EarlierLabels,
    EarlierSeries,
    Json,
    Naming,
    Overwrite,
    Series,
)
from spinemar.cli.outputs import refuse_existing, refuse_existing_in
from spinemar.cli.plan_inputs import read_catalogue
from spinemar.errors import InputError
from spinemar.implants.checks import MATERIALS
from spinemar.mar.settings import DEVICES, METHODS, CorrectionSettings

if TYPE_CHECKING:
    from spinemar.implants.catalogue import Catalogue
    from spinemar.mar.earlier.given import EarlierCt
    from spinemar.postop.study import PostopStudy
    from spinemar.postop.table import Deviations
    from spinemar.progress import CancelToken, ProgressCallback
    from spinemar.volume import CTVolume

TABLE = "implants.csv"

ScrewModelOption = Annotated[
    str, typer.Option(help="Screw of the catalogue that they are written down as.")
]
Material = Annotated[str, typer.Option(help="What they are made of; a CT does not tell.")]


def find_implants(
    source: Annotated[
        Path, typer.Argument(metavar="CT", help="After the operation, as it was scanned.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="What was found, as a plan (.json).")
    ],
    series: Series = None,
    corrected: Annotated[
        Path | None,
        typer.Option(help="Result of `spinemar correct` on this CT; corrected here without it."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Vertebrae of this CT; without them and without an earlier CT the "
            "corrected CT is segmented."
        ),
    ] = None,
    naming: Naming = "auto",
    earlier_ct: Annotated[
        Path | None,
        typer.Option(help="The patient's CT from before; screws are graded in its bone."),
    ] = None,
    earlier_series: EarlierSeries = None,
    earlier_labels: EarlierLabels = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="The operation's plan, made on the earlier CT: deviations from it."),
    ] = None,
    first_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="Uppermost vertebra, where this CT is segmented."),
    ] = None,
    top_screw_level: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            help="Vertebra of the uppermost screw, from which the others are counted: asked for "
            "where nothing in the CT tells.",
        ),
    ] = None,
    screw_model: ScrewModelOption = "generic-polyaxial",
    material: Material = MATERIALS[0],
    catalogue: CatalogueFiles = None,
    method: MethodOption = METHODS[0],
    device: DeviceOption = DEVICES[0],
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for plan.html with pictures, and implants.csv."),
    ] = None,
    segmentation: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The implants as a DICOM Segmentation (.dcm) too, in the study of a DICOM CT.",
        ),
    ] = None,
    json: Json = False,
    overwrite: Overwrite = False,
    allow_reformatted: AllowReformatted = False,
    allow_other_patient: AllowOtherPatient = False,
) -> None:
    """Find the screws and rods of a postoperative CT, fit them, and grade the screws.

    OUTPUT is a plan: the planner, `grade` and `voxelize` read it. A grade has an interval; a screw
    that cannot be graded has none.

    Examples:

      spinemar find-implants after.nii.gz -o implants.json --report report

      spinemar find-implants after.nii.gz --earlier-ct before.nii.gz -o implants.json

      spinemar find-implants after.nrrd --corrected corrected.nrrd -o implants.json --json

      spinemar find-implants dicom-folder -o implants.json --segmentation implants.dcm
    """
    from spinemar.implants.marked import write_implants_segmentation
    from spinemar.io import read_volume
    from spinemar.jobs.fed_back import read_scan
    from spinemar.planning.plans.plan_json import read_plan, write_plan
    from spinemar.planning.report.page import REPORT_FILES, check_report_tools
    from spinemar.postop.study import StudySettings, check_levels_known, study_after_operation
    from spinemar.postop.table import deviations_of, grade_lines, implants_facts

    refuse_existing([output, segmentation], overwrite=overwrite)
    refuse_existing_in(report, [*REPORT_FILES, TABLE], overwrite=overwrite)
    _check_inputs(earlier_ct, earlier_series, earlier_labels, plan)
    if report is not None:
        check_report_tools()
    models = read_catalogue(catalogue)
    settings = StudySettings(
        CorrectionSettings(
            method,
            device=device,
            allow_reformatted=allow_reformatted,
            allow_other_patient=allow_other_patient,
        ),
        screw_model,
        material,
        first_level,
        top_screw_level,
    )
    planned = None if plan is None else read_plan(plan)
    with progress_bars(quiet=json) as (progress, cancel):
        scan = read_scan(source, series, settings.correction)
        images = () if segmentation is None else _images_of(source, series, scan)
        earlier = _read_earlier(
            (earlier_ct, earlier_series, earlier_labels), source, series, scan, settings.correction
        )
        spine = None
        if labels is not None:
            from spinemar.io import read_labels
            from spinemar.spine.anatomy.frames import frames_from_labels

            # Compared with the CT later, when its artifacts are gone.
            spine = frames_from_labels(
                read_labels(labels), naming=naming, progress=progress, cancel=cancel
            )
        made = study_after_operation(
            scan,
            models,
            settings,
            corrected=None if corrected is None else read_volume(corrected),
            spine=spine,
            earlier=earlier,
            progress=progress,
            cancel=cancel,
        )
        check_levels_known(made)
        deviations = None if planned is None else deviations_of(planned, made.found, made.bone)
        result = replace(made.found.plan, notes=grade_lines(made.found))
        files = {"plan": output}
        if report is not None:
            files |= _write_report(
                report,
                replace(made, found=replace(made.found, plan=result)),
                scan,
                models,
                deviations,
                progress,
                cancel,
            )
        cancel.raise_if_cancelled()
        if segmentation is not None:
            write_implants_segmentation(
                segmentation, result, scan.geometry, models, images, description="Implants found"
            )
            files["segmentation"] = segmentation
        write_plan(output, result)
    facts = implants_facts(made.found, deviations)
    if json:
        print_json({"status": "done", "input": source, "files": files, **facts})
        return
    console = stdout()
    _tell(console, made, deviations)
    for path in files.values():
        console.print(str(path), highlight=False, soft_wrap=True)


def _images_of(source: Path, series: str | None, scan: CTVolume) -> tuple[Path, ...]:
    """Return the CT's DICOM files; refused before the long work where none can be named in them."""
    from spinemar.io.dicom.derived import source_slices
    from spinemar.io.dicom.folder import files_of_series

    files = files_of_series(source, series)
    if files:
        source_slices(scan.geometry, files)
    return files


def _check_inputs(
    earlier_ct: Path | None, series: str | None, labels: Path | None, plan: Path | None
) -> None:
    """Refuse options that mean nothing without an earlier CT."""
    if earlier_ct is None and any(one is not None for one in (series, labels, plan)):
        raise InputError(
            "A plan, and options about an earlier CT, need the earlier CT.",
            "Give it with --earlier-ct.",
        )


def _read_earlier(
    named: tuple[Path | None, str | None, Path | None],
    source: Path,
    series: str | None,
    scan: CTVolume,
    settings: CorrectionSettings,
) -> EarlierCt | None:
    from spinemar.jobs.earlier_ct import existing_files, read_earlier

    files = existing_files(*named)
    return None if files is None else read_earlier(files, source, series, scan, settings)


def _write_report(
    folder: Path,
    made: PostopStudy,
    scan: CTVolume,
    models: Catalogue,
    deviations: Deviations | None,
    progress: ProgressCallback,
    cancel: CancelToken,
) -> dict[str, Path]:
    from spinemar.base.atomic_files import atomic_path
    from spinemar.planning.report.page import write_plan_report
    from spinemar.postop.table import implants_csv

    page = write_plan_report(
        folder,
        made.found.plan,
        made.bone.spine,
        made.corrected,
        models,
        fields=made.bone.fields,
        uncorrected=scan,
        progress=progress,
        cancel=cancel,
    )
    with atomic_path(folder / TABLE) as temporary:
        temporary.write_text(implants_csv(made.found, deviations), encoding="utf-8")
    return {"report": page, "table": folder / TABLE}


def _tell(console: Any, made: PostopStudy, deviations: Deviations | None) -> None:
    from rich.table import Table

    from spinemar.implants.kinds import counts_of
    from spinemar.postop.table import said

    table = Table(box=None, pad_edge=False)
    for heading in ("Screw", "Diameter, mm", "Length, mm", "Grade"):
        table.add_column(heading, justify="left" if heading in ("Screw", "Grade") else "right")
    for one in made.found.screws:
        size = (f"{one.screw.diameter_mm:.1f}", f"{one.screw.length_mm:.0f}")
        table.add_row(one.screw.id, *size, said(one))
    console.print(table)
    counts = [f"{number} {kind}" for kind, number in counts_of(made.found.plan).items() if number]
    console.print(f"{', '.join(counts) or 'No screws'}.")
    if deviations is not None:
        for words, ids in (
            ("Planned, not found", deviations.not_found),
            ("Found, not planned", deviations.not_planned),
        ):
            if ids:
                console.print(f"{words}: {', '.join(ids)}.", soft_wrap=True)
    for warning in made.found.plan.warnings:
        console.print(warning, soft_wrap=True)
