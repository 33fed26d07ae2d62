"""`spinemar voxelize`: the implants of a plan as voxels of a CT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from spinemar.base.atomic_files import check_folder
from spinemar.cli.console import print_json, progress_bars, stdout
from spinemar.cli.options import CatalogueFiles, Json, Overwrite, SurfaceScale
from spinemar.cli.outputs import refuse_existing, refuse_existing_in
from spinemar.cli.plan_inputs import read_catalogue
from spinemar.errors import InputError


def voxelize(
    source: Annotated[Path, typer.Argument(metavar="PLAN", help="Plan (.json).")],
    volume: Annotated[Path, typer.Argument(metavar="CT", help="Whose grid is filled.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder (shares of voxels), or one file (a mask)."),
    ],
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
    in alphabetical order.

    Examples:

      spinemar voxelize plan.json ct.nii.gz -o fractions

      spinemar voxelize plan.json ct.nii.gz -o metal.nrrd
    """
    from spinemar.base.files.sets import file_set
    from spinemar.implants.surfaces.imported import scaled_meshes
    from spinemar.implants.voxelize import refuse_all_outside, voxelize_plan
    from spinemar.io import read_volume, write_labels, write_volume
    from spinemar.planning.plans.plan_json import read_plan
    from spinemar.volume import CTVolume, LabelVolume

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
        ct = read_volume(volume)
        fractions = voxelize_plan(plan, ct.geometry, models)
        refuse_all_outside(fractions)
        names = sorted(fractions)
        if single:
            mask = np.zeros(ct.hu.shape, dtype=np.int16)
            for number, name in enumerate(names, 1):
                mask[fractions[name] >= threshold] = number
            write_labels(output, LabelVolume(mask, ct.ijk_to_ras))
            files = {"mask": output}
        else:
            files = {name: output / f"{name}.nrrd" for name in names}
            refuse_existing_in(output, [path.name for path in files.values()], overwrite=overwrite)
            output.mkdir(exist_ok=True)
            with file_set(files[names[-1]]) as together:
                for name in names:
                    part = CTVolume(fractions[name], ct.ijk_to_ras)
                    write_volume(files[name], part, place=together.place)
    voxel = float(np.abs(np.linalg.det(ct.ijk_to_ras[:3, :3])))
    volumes = {name: float(fractions[name].sum(dtype=np.float64)) * voxel for name in names}
    if json:
        print_json({"status": "done", "input": source, "files": files, "volume_mm3": volumes})
        return
    console = stdout()
    for name in names:
        console.print(f"{name}: {volumes[name]:.0f} mm3")
    for path in files.values():
        console.print(str(path), highlight=False, soft_wrap=True)
