"""`spinemar evaluate`: a result against the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spinemar.cli.console import card_lines, print_json, progress_bars, score_lines, stdout
from spinemar.cli.options import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spinemar.evaluation import TrueMetal
    from spinemar.volume import CTVolume


def evaluate(
    truth: Annotated[Path, typer.Argument(help="The scan without artifacts.")],
    result: Annotated[Path, typer.Argument(help="What shall be scored, on the same grid.")],
    metal_mask: Annotated[
        Path | None,
        typer.Option(help="Metal, left out of all scores. Without it, it is found in RESULT."),
    ] = None,
    metal_fraction: Annotated[
        Path | None,
        typer.Option(help="True share of each voxel that metal fills: scores what a reader sees."),
    ] = None,
    put_back: Annotated[
        Path | None, typer.Option(help="Mask of the metal in RESULT, for its overlap.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Plan of the implants, for the widths of screws and rods.")
    ] = None,
    card: Annotated[
        Literal["aapm"] | None,
        typer.Option(help="Eight scores of the AAPM CT-MAR benchmark beside ours."),
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            "--before",
            "--scan",
            help="The uncorrected scan: scored beside RESULT. The card needs it.",
        ),
    ] = None,
    nmar: Annotated[
        Path | None, typer.Option(help="NMAR's result: the middle mark of the card.")
    ] = None,
    json: Json = False,
) -> None:
    """Score a corrected CT against the truth: error, similarity, streaks, bone, sharpness, bias.

    Only the body in slices with metal counts; the metal and 2 px around it are left out. With the
    true metal of a simulated scan also what a reader sees, the put-back metal and its widths.

    Examples:

      spinemar evaluate truth.nii.gz corrected.nii.gz --before scan.nii.gz

      spinemar evaluate truth.nii.gz corrected.nii.gz --metal-fraction fraction.nii.gz

      spinemar evaluate truth.nii.gz corrected.nii.gz --card aapm --before scan.nii.gz --json
    """
    from spinemar.base.files.sets import refuse_mixed
    from spinemar.cli.commands.simulate import MANIFEST
    from spinemar.evaluation import evaluate as score
    from spinemar.evaluation.aapm import aapm_card
    from spinemar.io import read_volume

    _check_options(metal_fraction, put_back, plan, card, before)
    for path in (truth, before, metal_mask):
        if path is not None:  # scan and truth of two runs would be scored without a word
            refuse_mixed(path, path.with_name(MANIFEST))
    with progress_bars(quiet=json) as (progress, cancel):
        wanted, found = read_volume(truth), read_volume(result)
        known = _true_metal(wanted, metal_fraction, metal_mask, put_back, plan)
        metal = _metal(wanted, found, metal_mask, known)
        scores = score(wanted, found, metal, true_metal=known, progress=progress, cancel=cancel)
        scan = None if before is None else read_volume(before)
        first = None
        if scan is not None:
            # What was put back belongs to the result alone.
            true = None if known is None else replace(known, put_back=None)
            first = score(wanted, scan, metal, true_metal=true, progress=progress, cancel=cancel)
        eight = None
        if card is not None and scan is not None:
            true_mask = metal if known is None else known.fraction >= 0.5
            middle = None if nmar is None else read_volume(nmar)
            eight = aapm_card(wanted, found, true_mask, scan, nmar=middle)
    if json:
        facts: dict[str, Any] = {"status": "done", "truth": truth, "result": result}
        facts |= scores.to_json()
        if first is not None:
            facts |= {"before": {"scan": before, **first.to_json()}}
        print_json(facts if eight is None else {**facts, "aapm": eight.to_json()})
        return
    console = stdout()
    both = {} if first is None or before is None else {f"before: {before.name}": first}
    console.print(score_lines({**both, result.name: scores}))
    if eight is not None:
        console.print(card_lines(eight))
    if not metal.any():
        console.print("No metal was found: the whole body was scored in every slice.")


def _check_options(
    fraction: Path | None,
    put_back: Path | None,
    plan: Path | None,
    card: str | None,
    before: Path | None,
) -> None:
    from spinemar.errors import InputError

    if fraction is None and (put_back or plan):
        raise InputError(
            "Overlap and widths of the metal need the true metal.", "Give --metal-fraction as well."
        )
    if card is not None and before is None:
        raise InputError(
            "The card compares with the uncorrected scan.", "Give it with --before as well."
        )


def _true_metal(
    wanted: CTVolume,
    fraction: Path | None,
    mask: Path | None,
    put_back: Path | None,
    plan: Path | None,
) -> TrueMetal | None:
    from spinemar.evaluation import TrueMetal
    from spinemar.io import read_fraction, read_mask
    from spinemar.planning.plans.plan_json import read_plan

    if fraction is None:
        return None
    return TrueMetal(
        read_fraction(fraction, wanted.geometry),
        None if mask is None else read_mask(mask, wanted.geometry),
        None if put_back is None else read_mask(put_back, wanted.geometry),
        None if plan is None else read_plan(plan),
    )


def _metal(
    wanted: CTVolume, found: CTVolume, mask: Path | None, known: TrueMetal | None
) -> NDArray[np.bool_]:
    """Return what the usual scores leave out: the mask, the true metal (faint too), or a guess."""
    from spinemar.evaluation.seen import METAL_SHARES
    from spinemar.io import read_mask
    from spinemar.mar.segmentation.metal import segment_metal

    if mask is not None:
        return read_mask(mask, wanted.geometry)
    if known is not None:
        return known.fraction >= METAL_SHARES[-1]
    return segment_metal(found, None).mask
