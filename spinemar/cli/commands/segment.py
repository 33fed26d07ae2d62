"""`spinemar segment`: label the vertebrae of a CT and find their pedicles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinemar.base.extras import require
from spinemar.cli.console import print_json, progress_bars, stdout
from spinemar.cli.options import Json, Naming, Overwrite
from spinemar.cli.outputs import refuse_existing, refuse_existing_in
from spinemar.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spinemar.progress import CancelToken, ProgressCallback
    from spinemar.spine.model import SpineModel
    from spinemar.volume import CTVolume, LabelVolume


def segment(
    ct: Annotated[
        Path,
        typer.Argument(
            metavar="CT", help="CT: DICOM folder, or a file of a series, NRRD, NIfTI, MetaImage."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Labels (VerSe numbers): .nii.gz, .nrrd, .mha."),
    ],
    first_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="Name of the uppermost vertebra in the result."),
    ] = None,
    seed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEVEL=R,A,S", help="A point in a vertebral body, RAS mm. May be repeated."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Use this segmentation instead of an own one.")
    ] = None,
    naming: Naming = "auto",
    frames: Annotated[
        Path | None, typer.Option(help="Write axes, endplates and pedicles to this .json file.")
    ] = None,
    surfaces: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a closed surface of each vertebra.")
    ] = None,
    surface_format: Annotated[str, typer.Option(metavar="stl|vtk")] = "stl",
    sheet: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Write an overlay sheet to look at.")
    ] = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Label the vertebrae of a CT and find their axes and pedicles.

    Levels are guessed from ribs, sacrum and lengths unless --first-level or a --seed names one.

    Examples:

      spinemar segment ct.nii.gz -o spine.nii.gz --frames spine.json

      spinemar segment ct.nii.gz -o spine.nii.gz --first-level T10

      spinemar segment ct.nii.gz -o spine.nii.gz --seed L1=-23,-39,-281 --sheet spine.png
    """
    from spinemar.io import read_volume, write_labels

    targets = [path for path in (output, frames, sheet) if path is not None]
    _check_targets(targets, surfaces, surface_format, overwrite)
    if sheet is not None:
        require("An overlay sheet", "matplotlib")
    seeds = _seeds(seed or ())
    volume = read_volume(ct)
    with progress_bars(quiet=json) as (progress, cancel):
        given = _given(labels)
        model = _model(volume, given, naming, first_level, seeds, progress=progress, cancel=cancel)
    write_labels(output, model.labels)
    if frames is not None:
        from spinemar.spine.serial import spine_to_json

        _write_text(frames, spine_to_json(model))
    if surfaces is not None:
        _write_surfaces(model, surfaces, surface_format)
    if sheet is not None:
        from spinemar.spine.drawing.sheets import write_overlay_sheet

        write_overlay_sheet(sheet, volume, model, title=ct.name)
    if json:
        facts = {"status": "done", "labels": output, "vertebrae": _facts(model)}
        print_json({**facts, "levels_by": _levels_by(given, naming)})
        return
    stdout().print(_table(model))
    if given is not None:
        stdout().print(f"Levels by {_levels_by(given, naming)}.")


def _given(labels: Path | None) -> LabelVolume | None:
    from spinemar.io import read_labels

    return None if labels is None else read_labels(labels)


def _levels_by(given: LabelVolume | None, naming: str) -> str:
    """Say who tells the levels: the file, the user, or a recognised numbering."""
    from spinemar.spine.labels.conventions import find_naming

    found = None if given is None else find_naming(given, naming)
    if found is None:
        return "ribs, sacrum and lengths"
    if found.confidence < 1.0:
        return f"the numbers of {found.source}, recognised by where they lie"
    return "the names in the file" if naming == "auto" else f"--naming {naming}"


def _model(
    volume: CTVolume,
    labels: LabelVolume | None,
    naming: str,
    first_level: str | None,
    seeds: Mapping[str, tuple[float, float, float]],
    *,
    progress: ProgressCallback,
    cancel: CancelToken,
) -> SpineModel:
    if labels is not None:
        from spinemar.spine.providers import spine_from_segmentation

        return spine_from_segmentation(
            labels,
            volume,
            naming=naming,
            first_level=first_level,
            seeds=seeds,
            progress=progress,
            cancel=cancel,
        )
    from spinemar.spine.segmentation.segment import segment_spine

    return segment_spine(
        volume, first_level=first_level, seeds=seeds, progress=progress, cancel=cancel
    )


def _seeds(texts: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Read LEVEL=R,A,S."""
    seeds: dict[str, tuple[float, float, float]] = {}
    for text in texts:
        level, _, point = text.partition("=")
        try:
            right, anterior, superior = (float(part) for part in point.split(","))
        except ValueError as error:
            raise InputError(
                f"'{text}' is no seed.", "Write it as LEVEL=R,A,S, for example L1=-23,-39,-281."
            ) from error
        seeds[level] = (right, anterior, superior)
    return seeds


def _check_targets(
    targets: Sequence[Path], surfaces: Path | None, surface_format: str, overwrite: bool
) -> None:
    """Refuse before the work starts what could not be written after it."""
    if surface_format not in {"stl", "vtk"}:
        raise InputError(f"'{surface_format}' is no format of surfaces.", "Use stl or vtk.")
    refuse_existing(targets, overwrite=overwrite)
    refuse_existing_in(surfaces, [f"*.{surface_format}"], overwrite=overwrite)


def _write_text(path: Path, text: str) -> None:
    from spinemar.base.atomic_files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _write_surfaces(model: SpineModel, folder: Path, kind: str) -> None:
    from spinemar.spine.drawing.surfaces import vertebra_surface, write_surface
    from spinemar.spine.labels.levels import VERSE_IDS

    folder.mkdir(parents=True, exist_ok=True)
    for level in model.levels:
        surface = vertebra_surface(model.labels, VERSE_IDS[level])
        write_surface(folder / f"{level}.{kind}", surface, level)


def _facts(model: SpineModel) -> list[dict[str, Any]]:
    from spinemar.spine.serial import agreement_facts

    return [
        {
            "level": frame.level,
            "confidence": round(frame.confidence, 3),
            "pedicles": {
                side: {
                    "width_mm": round(pedicle.width_mm, 2),
                    "height_mm": round(pedicle.height_mm, 2),
                    "confidence": round(pedicle.confidence, 3),
                }
                for side, pedicle in frame.pedicles.items()
            },
            "cut_off": frame.cut_off,
            "agreement": agreement_facts(frame.agreement),
            "level_doubt": frame.level_doubt,
            "warnings": frame.warnings,
        }
        for frame in model.vertebrae
    ]


def _table(model: SpineModel) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("Level", "Left width", "Right width", "Confidence", "Notes"):
        table.add_column(name, justify="left" if name in {"Level", "Notes"} else "right")
    for frame in model.vertebrae:
        widths = [
            f"{frame.pedicles[side].width_mm:.1f} mm" if side in frame.pedicles else "-"
            for side in ("left", "right")
        ]
        table.add_row(frame.level, *widths, f"{frame.confidence:.2f}", " ".join(frame.warnings))
    return table
