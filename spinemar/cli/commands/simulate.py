"""`spinemar simulate`: scan a patient with implants, and the same patient without."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from spinemar.base.atomic_files import check_folder, full_path
from spinemar.base.extras import require
from spinemar.cli.console import print_json, progress_bars, stdout
from spinemar.cli.options import CatalogueFiles, Json, Overwrite, SurfaceScale
from spinemar.cli.outputs import refuse_existing, refuse_existing_in
from spinemar.cli.plan_inputs import read_catalogue
from spinemar.errors import InputError
from spinemar.physics.scanner_settings import HuScale, ScanGeometry, ScanKernel, ScannerSettings

if TYPE_CHECKING:
    from spinemar.implants.catalogue import Catalogue
    from spinemar.physics.scanner import SimulatedScan
    from spinemar.tomography.raw_data.sinogram import Sinogram
    from spinemar.volume import CTVolume, GridGeometry

MANIFEST = "scan.json"
VOLUMES = ("scan.nrrd", "truth.nrrd", "noise_free.nrrd", "metal.nrrd")

_OFF: dict[str, dict[str, Any]] = {
    "beam-hardening": {"polychromatic": False},
    "water-correction": {"water_correction": False},
    "noise": {"quantum_noise": False, "electronic_noise": 0.0},
    "electronic-noise": {"electronic_noise": 0.0},
    "scatter": {"scatter": 0.0},
    "bowtie": {"bowtie": 0.0},
    "blur": {"focal_spot_mm": 0.0},
    "starvation-filter": {"starvation_filter": False},
    "saturation": {"saturation": None},
}

EffectChoice = Enum(  # type: ignore[misc]
    "EffectChoice", {e.upper().replace("-", "_"): e for e in _OFF}, type=str
)


def simulate(
    source: Annotated[Path, typer.Argument(metavar="CT", help="Patient without metal.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder (all volumes), or one file (the scan alone)."),
    ],
    implants: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLAN|FOLDER|MASK[=MATERIAL]",
            help="Plan (.json), a folder of `voxelize`, or a mask or shares of voxels and their "
            "material (Ti-6Al-4V unless stated). Repeatable.",
        ),
    ] = None,
    catalogue: CatalogueFiles = None,
    kvp: Annotated[int, typer.Option(help="Tube voltage: 80, 100, 120 or 140.")] = 120,
    photons: Annotated[float, typer.Option(help="Photons of an open ray.")] = 1e6,
    kernel: Annotated[ScanKernel, typer.Option(help="Reconstruction kernel.")] = "standard",
    geometry: Annotated[ScanGeometry, typer.Option(help="Where the rays run.")] = "parallel",
    hu_scale: Annotated[HuScale, typer.Option(help="Stored range of HU.")] = "12-bit",
    fov: Annotated[
        float | None, typer.Option(metavar="MM", help="Targeted reconstruction about the centre.")
    ] = None,
    matrix: Annotated[int | None, typer.Option(help="Pixels a side; as the CT by default.")] = None,
    slice_thickness: Annotated[
        float | None, typer.Option(metavar="MM", help="Width of the slice profile.")
    ] = None,
    detector_rows: Annotated[int, typer.Option(help="Rows of a helical detector.")] = 4,
    pitch: Annotated[float, typer.Option(help="Helical pitch.")] = 1.0,
    without: Annotated[
        list[EffectChoice] | None, typer.Option(help="Leave an effect out. Repeatable.")
    ] = None,
    slices: Annotated[
        str | None, typer.Option(metavar="FIRST:LAST", help="Only these slices, counted from 1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same noise.")] = 0,
    raw: Annotated[
        Path | None, typer.Option(help="Also write the raw data: .npz or .zarr.")
    ] = None,
    scale: SurfaceScale = 1.0,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Simulate the CT scan of a patient with implants.

    A folder gets scan.nrrd, truth.nrrd (without metal, noise shared ray by ray),
    noise_free.nrrd (truth without noise), metal.nrrd (labels) and scan.json.

    Examples:

      spinemar simulate ct.nii.gz --implants plan.json -o simulated

      spinemar voxelize plan.json ct.nrrd -o fractions

      spinemar simulate ct.nrrd --implants fractions -o simulated

      spinemar simulate ct.nrrd --implants screws.nrrd=316L --kvp 140 --photons 2e6 -o scan.nrrd

      spinemar simulate ct.nrrd --implants plan.json --geometry helical --raw raw.npz -o simulated
    """
    from spinemar.io import read_volume
    from spinemar.physics.raw_scan import simulate_raw
    from spinemar.physics.scanner import simulate_scan

    changes: dict[str, Any] = {}
    for effect in without or []:
        changes |= _OFF[effect.value]
    settings = ScannerSettings(
        kvp=kvp,
        photons_per_ray=photons,
        kernel=kernel,
        geometry=geometry,
        hu_scale=hu_scale,
        reconstruction_fov_mm=fov,
        matrix=matrix,
        slice_thickness_mm=slice_thickness,
        detector_rows=detector_rows,
        pitch=pitch,
        **changes,
    )
    if raw is not None and raw.suffix.lower() == ".zarr":
        require("Raw data in .zarr (a .npz does not)", "zarr")
    models = read_catalogue(catalogue)
    single = _check_output(source, output, raw, overwrite=overwrite)
    with progress_bars(quiet=json) as (progress, cancel):
        patient = read_volume(source)
        chosen = _chosen(slices, len(patient.hu))
        fractions = _fractions(implants or [], patient, models, scale)
        scan = simulate_scan(
            patient,
            fractions,
            settings,
            seed,
            slices=chosen,
            with_truth=not single,
            with_noise_free=not single,
            progress=progress,
            cancel=cancel,
        )
        measured = None
        if raw is not None:
            measured = simulate_raw(
                patient,
                fractions,
                settings,
                seed,
                slices=chosen,
                progress=progress,
                cancel=cancel,
            )
        cancel.raise_if_cancelled()
        files = _write(scan, measured, output, raw, single=single)
    facts = {
        "status": "done",
        "input": str(source),
        "files": files,
        "slices": len(scan.volume.hu),
        "materials": sorted(fractions),
        "metal_voxels": int((scan.metal_fraction > 0.5).sum()),
        "seed": seed,
        "settings": settings.to_json(),
    }
    if json:
        print_json(facts)
        return
    console = stdout()
    console.print(f"{len(scan.volume.hu)} slices scanned at {kvp} kVp, {settings.geometry}.")
    for path in files.values():
        console.print(str(path), highlight=False, soft_wrap=True)


def _check_output(source: Path, output: Path, raw: Path | None, *, overwrite: bool) -> bool:
    """Refuse early what would be refused in the end; return whether OUTPUT is one file."""
    from spinemar.tomography.raw_data.sinogram_files import is_sinogram_path

    single = output.suffix != "" and not output.is_dir()
    if source.exists() and output.exists() and output.samefile(source):
        raise InputError("OUTPUT is the input itself.", "Choose another name for the scan.")
    refuse_existing([output if single else None, raw], overwrite=overwrite)
    if not single:
        check_folder(output)
        refuse_existing_in(output, [*VOLUMES, MANIFEST], overwrite=overwrite)
    if raw is not None and (raw.suffix.lower() == ".npy" or not is_sinogram_path(raw)):
        raise InputError(f"Raw data cannot be written as '{raw.suffix}'.", "Use .npz or .zarr.")
    return single


def _chosen(text: str | None, count: int) -> slice | None:
    if text is None:
        return None
    first, _, last = text.partition(":")
    try:
        start, stop = int(first), int(last or first)
    except ValueError:
        start, stop = 0, 0
    if not 1 <= start <= stop <= count:
        raise InputError(
            f"'{text}' names no slices of this CT.", f"Give FIRST:LAST within 1:{count}."
        )
    return slice(start - 1, stop)


def _fractions(
    implants: list[str], patient: CTVolume, catalogue: Catalogue, scale: float
) -> dict[str, NDArray[np.float32]]:
    """Volume fractions of all implants by material; where they overlap the first stays."""
    total: dict[str, NDArray[np.float32]] = {}
    for text in implants:
        for material, fraction in _one_source(text, patient.geometry, catalogue, scale).items():
            room = np.clip(1.0 - sum(total.values()), 0.0, 1.0)
            added = np.minimum(fraction, room).astype(np.float32)
            total[material] = total[material] + added if material in total else added
    return total


def _one_source(
    text: str, geometry: GridGeometry, catalogue: Catalogue, scale: float
) -> dict[str, NDArray[np.float32]]:
    name, _, material = text.rpartition("=") if "=" in text else (text, "", "")
    path = full_path(name)
    if not path.exists():
        raise InputError(f"The file {path} does not exist.", "Check the path of the implants.")
    if path.suffix.lower() == ".json":
        from spinemar.implants.surfaces.imported import scaled_meshes
        from spinemar.implants.voxelize import refuse_all_outside, voxelize_plan
        from spinemar.planning.plans.plan_json import read_plan

        plan = read_plan(path)
        plan = replace(plan, meshes=scaled_meshes(plan.meshes, scale))
        fractions = voxelize_plan(plan, geometry, catalogue)
        refuse_all_outside(fractions)
        return fractions
    if not material and (voxelized := _voxelized(path)):
        return _read_voxelized(voxelized, geometry)
    if path.suffix.lower() in (".stl", ".obj", ".vtk", ".vtp"):
        raise InputError(
            f"{path.name} is a surface, whose place in the CT is not known.",
            'Name it in a plan (.json) under "meshes", with the matrix that places it.',
        )
    from spinemar.io import read_shares
    from spinemar.physics.materials import density_g_cm3

    material = material or "Ti-6Al-4V"
    density_g_cm3(material)  # refuses unknown materials
    return {material: read_shares(path, geometry)}


def _voxelized(path: Path) -> dict[str, Path]:
    """Find what `spinemar voxelize` wrote: a volume of shares for each material, by its name."""
    from spinemar.physics.materials import material_names

    if path.is_dir():
        files = {name: path / f"{name}.nrrd" for name in material_names()}
        return {name: file for name, file in files.items() if file.is_file()}
    return {path.stem: path} if path.stem in material_names() else {}


def _read_voxelized(
    files: dict[str, Path], geometry: GridGeometry
) -> dict[str, NDArray[np.float32]]:
    """Read the shares of each material; one of which nothing lies in the CT has a file of zeros."""
    from spinemar.io import read_shares
    from spinemar.io.itk import read_image

    several = len(files) > 1
    return {
        name: read_shares(file, geometry)
        for name, file in files.items()
        if not several or read_image(file, "float32")[0].any()
    }


def _write(
    scan: SimulatedScan, raw: Sinogram | None, output: Path, raw_path: Path | None, *, single: bool
) -> dict[str, Path]:
    """Write all that was asked for, to appear together; scan.json names the hash of each file."""
    import json as text

    from spinemar.base.files.sets import file_set
    from spinemar.io import write_labels, write_volume
    from spinemar.tomography.raw_data.sinogram_files import write_sinogram
    from spinemar.volume import LabelVolume

    if not single:
        output.mkdir(exist_ok=True)
    volumes = {"scan": scan.volume, "truth": scan.truth, "noise_free": scan.noise_free}
    files = {} if single else {name: output / f"{name}.nrrd" for name in (*volumes, "metal")}
    last = output if single else output / MANIFEST
    with file_set(last) as together:
        if raw is not None and raw_path is not None:
            write_sinogram(raw_path, raw, place=together.place)
        if single:
            write_volume(output, scan.volume, place=together.place)
        else:
            for name, volume in volumes.items():
                assert volume is not None  # a folder gets all of them
                write_volume(files[name], volume, place=together.place)
            metal = (scan.metal_fraction > 0.5).astype(np.int16)
            labels = LabelVolume(metal, scan.volume.ijk_to_ras)
            write_labels(files["metal"], labels, place=together.place)
            facts = {"seed": scan.seed, "settings": scan.settings.to_json()}
            with together.place(last) as temporary:
                said = text.dumps({**facts, "sha256": together.sha256()}, indent=2)
                temporary.write_text(said + "\n", encoding="utf-8")
    named = {"scan": output} if single else {**files, "settings": last}
    return named if raw_path is None else {**named, "raw": raw_path}
