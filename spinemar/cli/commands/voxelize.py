"""`spinemar voxelize`: the implants of a plan as voxels of a CT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from spinemar.base.atomic_files import check_folder
from spinemar.cli.console import print_json, progress_bars, stdout
from spinemar.cli.options import CatalogueFiles, Json, Overwrite, Series, SurfaceScale
from spinemar.cli.outputs import refuse_existing, refuse_existing_in
from spinemar.cli.plan_inputs import read_catalogue
from spinemar.errors import InputError

if TYPE_CHECKING:
    from spinemar.implants.catalogue import Catalogue
    from spinemar.planning.plans.plan import Plan
    from spinemar.volume import CTVolume


def voxelize(
    source: Annotated[Path, typer.Argument(metavar="PLAN", help="Plan (.json).")],
    volume: Annotated[Path, typer.Argument(metavar="CT", help="Whose grid is filled.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Folder (shares of voxels), or one file (a mask; .dcm: segments).",
        ),
    ],
    series: Series = None,
    threshold: Annotated[
        float, typer.Option(help="Least share of a voxel that counts for the mask.")
    ] = 0.5,
    catalogue: CatalogueFiles = None,
    scale: SurfaceScale = 1.0,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Put the implants of a plan into the grid of a CT.

    A folder gets one volume per material with the share of every voxel that it fills. One
    file (.nrrd, .nii.gz, .mha) gets a mask: 0 for tissue, 1, 2 and so on for the materials
    in alphabetical order. A DICOM Segmentation (.dcm) gets a segment for every implant, named as
    it is ("screw L3 left"), and belongs to the study of a CT from DICOM.

    Examples:

      spinemar voxelize plan.json ct.nii.gz -o fractions

      spinemar voxelize plan.json ct.nii.gz -o metal.nrrd

      spinemar voxelize plan.json dicom-folder -o implants.dcm
    """
    from spinemar.implants.surfaces.imported import scaled_meshes
    from spinemar.io import read_volume
    from spinemar.planning.plans.plan_json import read_plan

    if not 0.0 < threshold <= 1.0:
        raise InputError(f"A share of {threshold:g} is not possible.", "Give one above 0, up to 1.")
    single = output.suffix != "" and not output.is_dir()
    if single:
        refuse_existing([output], overwrite=overwrite)
    else:
        check_folder(output)
    models = read_catalogue(catalogue)
    plan = read_plan(source)
    plan = replace(plan, meshes=scaled_meshes(plan.meshes, scale))
    with progress_bars(quiet=json):
        ct = read_volume(volume, series=series)
        if single and output.suffix == ".dcm":
            filled = _write_segments(output, plan, ct, models, threshold, volume, series)
            files = {"segmentation": output}
        else:
            shares = _shares(plan, ct, models)
            filled = {name: float(one.sum(dtype=np.float64)) for name, one in shares.items()}
            if single:
                _write_mask(output, shares, ct, threshold)
                files = {"mask": output}
            else:
                files = _write_shares(output, shares, ct, overwrite=overwrite)
    voxel = float(np.abs(np.linalg.det(ct.ijk_to_ras[:3, :3])))
    volumes = {name: voxels * voxel for name, voxels in filled.items()}
    if json:
        print_json({"status": "done", "input": source, "files": files, "volume_mm3": volumes})
        return
    console = stdout()
    for name, mm3 in volumes.items():
        console.print(f"{name}: {mm3:.0f} mm3")
    for path in files.values():
        console.print(str(path), highlight=False, soft_wrap=True)


def _write_segments(
    output: Path,
    plan: Plan,
    ct: CTVolume,
    models: Catalogue,
    threshold: float,
    source: Path,
    series: str | None,
) -> dict[str, float]:
    """Write a segment for each implant; returns how many voxels each has."""
    from spinemar.implants.marked import write_implants_segmentation
    from spinemar.io.dicom.folder import files_of_series

    marked = write_implants_segmentation(
        output,
        plan,
        ct.geometry,
        models,
        files_of_series(source, series),
        description="Implants of a plan",
        least_share=threshold,
    )
    return {one.label: float(one.inside.sum()) for one in marked}


def _shares(plan: Plan, ct: CTVolume, models: Catalogue) -> dict[str, NDArray[np.float32]]:
    from spinemar.implants.voxelize import refuse_all_outside, voxelize_plan

    fractions = voxelize_plan(plan, ct.geometry, models)
    refuse_all_outside(fractions)
    return dict(sorted(fractions.items()))


def _write_mask(
    output: Path, shares: Mapping[str, NDArray[np.float32]], ct: CTVolume, threshold: float
) -> None:
    from spinemar.io import write_labels
    from spinemar.volume import LabelVolume

    mask = np.zeros(ct.hu.shape, dtype=np.int16)
    for number, share in enumerate(shares.values(), 1):
        mask[share >= threshold] = number
    write_labels(output, LabelVolume(mask, ct.ijk_to_ras))


def _write_shares(
    output: Path, shares: Mapping[str, NDArray[np.float32]], ct: CTVolume, *, overwrite: bool
) -> dict[str, Path]:
    from spinemar.base.files.sets import file_set
    from spinemar.io import write_volume
    from spinemar.volume import CTVolume

    files = {name: output / f"{name}.nrrd" for name in shares}
    refuse_existing_in(output, [path.name for path in files.values()], overwrite=overwrite)
    output.mkdir(exist_ok=True)
    with file_set(list(files.values())[-1]) as together:
        for name, share in shares.items():
            write_volume(files[name], CTVolume(share, ct.ijk_to_ras), place=together.place)
    return files
