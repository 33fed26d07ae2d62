"""`spinemar evaluate`: a result against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinemar.cli.console import print_json, progress_bars, score_lines, stdout


def evaluate(
    truth: Annotated[Path, typer.Argument(help="The scan without artifacts.")],
    result: Annotated[Path, typer.Argument(help="What shall be scored, on the same grid.")],
    metal_mask: Annotated[
        Path | None,
        typer.Option(help="Metal, left out of all scores. Without it, it is found in RESULT."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a corrected CT against the truth: error, similarity, streaks, bone, sharpness, bias.

    Only slices with metal count; the metal and 2 px around it are left out.

    Examples:

      spinemar evaluate truth.nii.gz corrected.nii.gz

      spinemar evaluate truth.nii.gz corrected.nii.gz --metal-mask metal_mask.nii.gz --json
    """
    from spinemar.evaluation import evaluate as score
    from spinemar.io import read_mask, read_volume
    from spinemar.mar.segmentation.metal import segment_metal

    with progress_bars(quiet=json) as (progress, cancel):
        wanted, found = read_volume(truth), read_volume(result)
        if metal_mask is None:
            metal = segment_metal(found, None, cancel=cancel).mask
        else:
            metal = read_mask(metal_mask, wanted.geometry)
        scores = score(wanted, found, metal, progress=progress, cancel=cancel)
    if json:
        print_json({"status": "done", "truth": truth, "result": result, **scores.to_json()})
        return
    console = stdout()
    console.print(score_lines({result.name: scores}))
    if not metal.any():
        console.print("No metal was found: every slice was scored as a whole.")
