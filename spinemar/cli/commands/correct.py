"""`spinemar correct`: remove the metal artifacts of one CT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinemar.cli.console import print_json, progress_bars, stderr, stdout
from spinemar.cli.correction_job import CorrectionJob
from spinemar.cli.options import EarlierLabels, EarlierSeries, Json, Overwrite, Series
from spinemar.cli.outputs import refuse_existing, refuse_existing_in
from spinemar.errors import InputError
from spinemar.mar.settings import (
    DEVICES,
    METHODS,
    THRESHOLD_RANGE_HU,
    CorrectionSettings,
    Device,
    Method,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from spinemar.io.study import Study
    from spinemar.jobs.earlier_ct import EarlierFiles
    from spinemar.mar.result import CorrectionResult
    from spinemar.report import ReportContent
    from spinemar.volume import CTVolume

MethodOption = Annotated[
    Method, typer.Option(help="auto: the shipped model if there is one, else NMAR.")
]
Model = Annotated[
    Path | None,
    typer.Option(help="Another model: a shipped one's name, a manifest, or its folder."),
]
DeviceOption = Annotated[Device, typer.Option(help="Where the model runs.")]

AllowReformatted = Annotated[
    bool,
    typer.Option(
        "--allow-reformatted",
        help="Correct DICOM series that are no acquired axial slices, too; expect little.",
    ),
]

AllowCorrected = Annotated[
    bool,
    typer.Option("--allow-corrected", help="Correct what SpineMAR has corrected before, too."),
]

AllowOtherPatient = Annotated[
    bool,
    typer.Option(
        "--allow-other-patient",
        help="Use an earlier CT although its patient ID or date contradicts.",
    ),
]


def correct(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="CT: DICOM folder, or a file of a series, NRRD, NIfTI, MetaImage. Or raw data.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Result: .nrrd, .nii, .nii.gz or .mha.")
    ],
    series: Series = None,
    method: MethodOption = METHODS[0],
    metal_threshold: Annotated[
        str, typer.Option(metavar="auto|HU", help="What counts as metal.")
    ] = "auto",
    metal_mask: Annotated[
        Path | None, typer.Option(help="Metal known from elsewhere; any grid.")
    ] = None,
    metal_mask_out: Annotated[
        Path | None,
        typer.Option(help="Write the metal's outline, as it was put back, into this label map."),
    ] = None,
    earlier_ct: Annotated[
        Path | None,
        typer.Option(help="The patient's CT from before the metal; lends the model detail."),
    ] = None,
    earlier_series: EarlierSeries = None,
    earlier_labels: EarlierLabels = None,
    earlier_transforms: Annotated[
        Path | None,
        typer.Option(help="How it lies in the scan: the .json of a result, or its registration."),
    ] = None,
    agreement_out: Annotated[
        Path | None,
        typer.Option(help="Write how far the earlier CT was believed, in percent, as label map."),
    ] = None,
    uncertainty_out: Annotated[
        Path | None,
        typer.Option(
            help="Write how far each value may be off, as label map: HU that hold 95 of 100 errors."
        ),
    ] = None,
    model: Model = None,
    device: DeviceOption = DEVICES[0],
    sinogram: Annotated[
        bool, typer.Option("--sinogram", help="INPUT is raw data: .npz, .npy with .json, .zarr.")
    ] = False,
    fov: Annotated[
        float | None, typer.Option(metavar="MM", help="Side of the image made of raw data.")
    ] = None,
    matrix: Annotated[int, typer.Option(help="Pixels a side of the image made of raw data.")] = 512,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write report.html into this folder.")
    ] = None,
    patient_data: Annotated[
        bool,
        typer.Option(
            "--patient-data", help="Name the patient on the report's pages, as the DICOM files do."
        ),
    ] = False,
    json: Json = False,
    overwrite: Overwrite = False,
    allow_reformatted: AllowReformatted = False,
    allow_corrected: AllowCorrected = False,
    allow_other_patient: AllowOtherPatient = False,
) -> None:
    """Remove the metal artifacts of a CT; slices without metal are not touched.

    Beside OUTPUT a .json file says how it was made.

    Examples:

      spinemar correct scan.nii.gz -o corrected.nii.gz

      spinemar correct DICOM/series7 -o corrected.nrrd --report report

      spinemar correct DICOM --series 7 -o corrected.nrrd

      spinemar correct scan.nrrd -o corrected.nrrd --method nmar --metal-threshold 2800 --json

      spinemar correct scan.nrrd -o corrected.nrrd --earlier-ct before.nrrd --report report

      spinemar correct --sinogram raw.npz -o corrected.nrrd --fov 250
    """
    from spinemar.base.file_locks import output_lock
    from spinemar.jobs.batches.sidecar import sidecar_facts, write_with_sidecar

    threshold = _threshold(metal_threshold)
    with output_lock(output), progress_bars(quiet=json) as (progress, cancel):
        _check_paths(source, output, report, overwrite=overwrite)
        taken = [source, output]
        for extra in (metal_mask_out, agreement_out, uncertainty_out):
            if extra is not None:
                _check_map_out(extra, taken, overwrite=overwrite)
                taken.append(extra)
        job = CorrectionJob(
            source,
            output,
            CorrectionSettings(
                method,
                threshold,
                model,
                device,
                allow_reformatted=allow_reformatted,
                allow_corrected=allow_corrected,
                allow_other_patient=allow_other_patient,
            ),
            metal_mask,
            series,
            _earlier_files(
                earlier_ct, earlier_series, earlier_labels, earlier_transforms, agreement_out
            ),
            uncertainty=report is not None or uncertainty_out is not None,
        )
        measured = None
        if sinogram or job.is_raw:
            if job.earlier is not None:
                raise InputError(
                    "An earlier CT cannot be used with raw data yet.",
                    "Correct the reconstructed images, or leave the earlier CT out.",
                )
            raw = job.correct_raw(matrix, fov, progress, cancel)
            volume, result, measured = raw.before, raw.result, raw.measured
        else:
            volume, result = job.correct_images(progress, cancel)
        cancel.raise_if_cancelled()
        facts = sidecar_facts(source, output, result)
        if report is not None:
            from spinemar.io.study import Study, read_study
            from spinemar.report import write_report

            study = Study(source.name)
            if not (sinogram or job.is_raw):
                study = read_study(source, series, with_patient=patient_data)
            content = _report_content(source, volume, result, job.settings, measured, study)
            facts["report"] = str(write_report(report, content))
        cancel.raise_if_cancelled()
        # All or none, and last of all, when nothing else can fail.
        facts = write_with_sidecar(
            output,
            result,
            facts,
            outline=metal_mask_out,
            agreement=agreement_out,
            uncertainty=uncertainty_out,
        )
    if json:
        print_json(facts)
    else:
        _tell(output, result, facts)


def _threshold(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    low, high = THRESHOLD_RANGE_HU
    if not low <= value <= high:
        raise InputError(
            f"'{text}' is no metal threshold.", f"Give auto or {low:.0f} to {high:.0f} HU."
        )
    return value


def _check_paths(source: Path, output: Path, report: Path | None, *, overwrite: bool) -> None:
    from spinemar.io.formats import check_exists, check_writable_format
    from spinemar.jobs.batches.sidecar import check_sidecar, sidecar_path

    check_exists(source)
    check_writable_format(output)
    check_sidecar(output)
    if output.exists() and output.samefile(source):
        raise InputError("OUTPUT is the input itself.", "Choose another name for the result.")
    refuse_existing([output, sidecar_path(output)], overwrite=overwrite)
    if report is not None:
        from spinemar.report import REPORT_NAME, check_report_tools

        check_report_tools()
        refuse_existing_in(report, [REPORT_NAME], overwrite=overwrite)


def _check_map_out(path: Path, others: Sequence[Path], *, overwrite: bool) -> None:
    from spinemar.io.formats import check_writable_format

    check_writable_format(path)
    if any(
        path == one or (path.exists() and one.exists() and path.samefile(one)) for one in others
    ):
        raise InputError(
            f"{path} is the CT, the result or another map.", "Choose another name for each."
        )
    refuse_existing([path], overwrite=overwrite)


def _earlier_files(
    ct: Path | None,
    series: str | None,
    labels: Path | None,
    transforms: Path | None,
    agreement_out: Path | None,
) -> EarlierFiles | None:
    """Put the options about an earlier CT together; none of them means anything without it."""
    from spinemar.jobs.earlier_ct import existing_files

    if ct is None and any(one is not None for one in (series, labels, transforms, agreement_out)):
        raise InputError(
            "There are options about an earlier CT, but no earlier CT.",
            "Give it with --earlier-ct.",
        )
    return existing_files(ct, series, labels, transforms)


def _report_content(
    source: Path,
    volume: CTVolume,
    result: CorrectionResult,
    settings: CorrectionSettings,
    measured: NDArray[np.float32] | None,
    study: Study,
) -> ReportContent:
    from spinemar.report import ReportContent, ReportedCorrection
    from spinemar.report.sinogram import SinogramStudy

    sinogram, filled = None, None
    if result.slices:
        rays = SinogramStudy(volume, result.metal_mask, measured)
        sinogram = rays.before()
        method = next(m for m in METHODS if m == result.provenance.method)
        if result.earlier is None:  # else other rays were filled in than the model's own
            filled = rays.filled(method, settings.model, settings.device)
    return ReportContent(
        title=f"Metal artifact reduction: {source.name}",
        before=volume,
        corrected=(ReportedCorrection(result, filled=filled),),
        metal=result.metal_mask,
        sinogram=sinogram,
        facts={"Input": source.name},
        study=study,
    )


def _tell(output: Path, result: CorrectionResult, facts: dict[str, Any]) -> None:
    made = result.provenance
    console = stdout()
    console.print(result.message)
    if made.method != "none":
        model = f", {facts['model']} on {made.provider}" if facts["model"] else ""
        console.print(f"Method {made.method}{model}; {result.seconds['total']:.1f} s.")
    if made.fallback:
        stderr().print(made.fallback)
    for warning in (facts["earlier_ct"] or {}).get("registration", {}).get("warnings", ()):
        console.print(f"Earlier CT: {warning}", soft_wrap=True)
    for one in facts["left_alone"][:10]:
        console.print(f"Left alone: slice {one['slice'] + 1}: {one['reason']}", soft_wrap=True)
    console.print(f"Written: {output}", highlight=False, soft_wrap=True)
    if "report" in facts:
        console.print(f"Report: {facts['report']}", highlight=False, soft_wrap=True)
