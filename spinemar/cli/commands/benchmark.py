"""`spinemar benchmark`: public benchmarks of metal artifact reduction, and their scores."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer

from spinemar.cli.commands.correct import (
    DeviceOption,
    MethodOption,
    Model,
)
from spinemar.cli.console import print_json, progress_bars, score_table, stdout
from spinemar.cli.options import Json, Overwrite
from spinemar.cli.outputs import refuse_existing
from spinemar.errors import InputError
from spinemar.mar.settings import DEVICES, METHODS, CorrectionSettings

app = typer.Typer(no_args_is_help=True, help="Public benchmarks and their scores.")

FovMm = Annotated[
    float | None,
    typer.Option(metavar="MM", min=100.0, max=700.0, help="Field of view of all raw slices."),
]


@app.command()
def aapm(
    folder: Annotated[
        Path, typer.Argument(help="The benchmark's scans: 512 x 512 float32 raw files, README.txt.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the submission.")],
    fov_mm: FovMm = None,
    fields: Annotated[
        Path | None, typer.Option(help="CSV of case,fov_mm, in place of the README.")
    ] = None,
    method: MethodOption = METHODS[0],
    model: Model = None,
    device: DeviceOption = DEVICES[0],
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Correct the AAPM CT-MAR benchmark's slices and write 01.raw to 29.raw for its scoring.

    Fields of view come from the README.txt beside the scans. The images are corrected, not the
    sinograms.

    Examples:

      spinemar benchmark aapm scoring_data -o submission

      spinemar benchmark aapm scoring_data -o submission --fields fields.csv --method nmar
    """
    from spinemar.evaluation.aapm.folders import CASES, fields_of, raw_scans
    from spinemar.evaluation.aapm.submission import write_submission

    refuse_existing([output], overwrite=overwrite)
    if fov_mm is not None and fields is not None:
        raise InputError("The fields of view are given twice.", "Use --fov-mm or --fields.")
    scans = raw_scans(folder)
    known = fields_of(folder, scans, fov_mm, fields)
    settings = CorrectionSettings(method=method, model=model, device=device)
    with progress_bars(quiet=json) as (progress, cancel):
        done = write_submission(scans, known, output, settings, progress=progress, cancel=cancel)
    complete = sorted(scans) == list(range(1, CASES + 1))
    if json:
        facts: dict[str, Any] = {"status": "done", "output": str(output), "complete": complete}
        print_json({**facts, "cases": [vars(one) for one in done]})
        return
    console = stdout()
    for one in done:
        what = f"{one.metal_pixels} pixels of metal, strength {one.strength:.2f}"
        console.print(
            f"{one.case:02d}.raw: {one.file}, {one.fov_mm:g} mm, {what}"
            f"{'. ' + one.message if one.message else ''}",
            highlight=False,
        )
    if not complete:
        console.print(f"The benchmark scores cases 1 to {CASES} together; these are {len(done)}.")


@app.command()
def card(
    truths: Annotated[Path, typer.Argument(help="Folder of pictures without metal.")],
    results: Annotated[Path, typer.Argument(help="Folder of results, named alike.")],
    scans: Annotated[Path, typer.Option(help="Folder of the uncorrected scans.")],
    metals: Annotated[Path, typer.Option(help="Folder of the true metal, shares or masks.")],
    nmars: Annotated[
        Path | None, typer.Option(help="Folder of NMAR's results: the middle mark.")
    ] = None,
    fov_mm: FovMm = None,
    json: Json = False,
) -> None:
    """Score folders of any scans by the eight scores of the AAPM CT-MAR benchmark.

    Files are raw slices of 512 x 512 float32 (with --fov-mm), NRRD, NIfTI or MetaImage.

    Examples:

      spinemar benchmark card truths results --scans scans --metals metals
    """
    from spinemar.evaluation.aapm.folder_cards import cards_of, mean_scores
    from spinemar.evaluation.aapm.folders import read_metals, read_pictures

    with progress_bars(quiet=json) as (progress, cancel):
        wanted, found, before = (read_pictures(one, fov_mm) for one in (truths, results, scans))
        metal = read_metals(metals, wanted, fov_mm)
        middle = None if nmars is None else read_pictures(nmars, fov_mm)
        cards = cards_of(wanted, found, before, metal, middle, progress=progress, cancel=cancel)
    means = mean_scores(list(cards.values()))
    if json:
        print_json(
            {
                "status": "done",
                "mean": {k: v if isfinite(v) else None for k, v in means.items()},
                "cases": {name: one.to_json() for name, one in cards.items()},
            }
        )
        return
    rows = {name: {**vars(one.scores), "total": one.scores.total} for name, one in cards.items()}
    stdout().print(score_table({**rows, "mean": means}))
