"""Read and write raw data: NumPy (.npz, .npy with a .json beside it) and Zarr.

A file holds the projections and one JSON object:

    {"format": "spinemar-sinogram", "version": 1,
     "geometry": {"kind": "parallel", "n_views": 720, "n_bins": 736, "bin_mm": 0.8},
     "slices_mm": [0.0, 2.5, 5.0],
     "scanner_to_ras": [[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}

A fan has `source_mm`, `n_views`, `views_per_turn`, `n_bins`, `bin_mm` and `detector`; a helix
has `fan` (such an object), `n_views`, `feed_mm`, `n_rows`, `row_mm` and `start_mm`.
`scanner_to_ras` and `thickness_mm` (the spacing where there is one slice only) may be left out.
In .npz the arrays are "projections" and "header" (the JSON text), in Zarr the JSON object is
the array's attributes.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.array_files import load_npy, load_npz
from spinemar.base.atomic_files import Place, atomic_path
from spinemar.base.extras import optional
from spinemar.base.files.zarr_arrays import check_fits_memory, check_zarr_array, check_zarr_files
from spinemar.base.json_text import parse_json, read_json
from spinemar.errors import InputError, SpinemarError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.raw_data.fan import FanGeometry
from spinemar.tomography.raw_data.helical import HelicalGeometry
from spinemar.tomography.raw_data.sinogram import RawGeometry, Sinogram

FORMAT, VERSION = "spinemar-sinogram", 1
SUFFIXES = (".npz", ".npy", ".zarr")
_KINDS = {"parallel": SinogramGeometry, "fan": FanGeometry}


def is_sinogram_path(path: Path) -> bool:
    """Whether a path's name says that it holds raw data."""
    return path.suffix.lower() in SUFFIXES


def write_sinogram(path: Path, sinogram: Sinogram, *, place: Place = atomic_path) -> None:
    """Write raw data as .npz or .zarr; an existing file is replaced whole or not at all.

    Parameters
    ----------
    path : Path
    sinogram : Sinogram
    place : callable
        Where it is written until it is complete: `FileSet.place` for a file of a set.

    Raises
    ------
    InputError
        If the ending names no format, or Zarr is not installed.
    """
    suffix = path.suffix.lower()
    text = json.dumps(_header(sinogram))
    if suffix == ".npz":
        with place(path) as temporary:
            np.savez(temporary, projections=sinogram.projections, header=np.array(text))
    elif suffix == ".zarr":
        _write_zarr(path, sinogram, json.loads(text), place)
    else:
        raise InputError(f"Raw data cannot be written as '{suffix}'.", "Use .npz or .zarr.")


def read_sinogram(path: Path) -> Sinogram:
    """Read raw data.

    Parameters
    ----------
    path : Path
        A .npz file, a .npy file with a .json of the same name beside it, or a .zarr array.

    Raises
    ------
    InputError
        If the file is missing, unreadable, of another format, or its geometry is absurd.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise InputError(f"The file {path} does not exist.", "Check the path.")
    if suffix not in SUFFIXES:
        raise InputError(f"{path.name} holds no raw data.", f"Use {', '.join(SUFFIXES)}.")
    try:
        reader = {".npz": _read_npz, ".npy": _read_npy, ".zarr": _read_zarr}[suffix]
        projections, header = reader(path)
    except SpinemarError:
        raise
    except (OSError, KeyError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path.name} cannot be read as raw data ({error}).",
            "Write it as the documentation's chapter on raw data says.",
        ) from error
    return _from_header(projections, header, path.name)


def _header(sinogram: Sinogram) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "geometry": {"kind": sinogram.kind, **asdict(sinogram.geometry)},
        "slices_mm": sinogram.slices_mm.tolist(),
        "scanner_to_ras": sinogram.scanner_to_ras.tolist(),
        "thickness_mm": sinogram.thickness_mm,
    }


def _from_header(projections: NDArray[Any], header: Any, name: str) -> Sinogram:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InputError(
            f"{name} does not say that it is raw data of SpineMAR.",
            f'Its header needs "format": "{FORMAT}".',
        )
    if header.get("version") != VERSION:
        raise InputError(
            f"{name} is raw data of version {header.get('version')}.",
            f"This software reads version {VERSION}.",
        )
    if not np.issubdtype(projections.dtype, np.number) or np.iscomplexobj(projections):
        raise InputError(f"The projections in {name} are no numbers.", "Store them as float32.")
    try:
        geometry = _geometry(dict(header["geometry"]))
        optional: dict[str, Any] = {}
        if "scanner_to_ras" in header:
            optional["scanner_to_ras"] = np.asarray(header["scanner_to_ras"], dtype=np.float64)
        if "thickness_mm" in header:
            optional["thickness_mm"] = float(header["thickness_mm"])
        slices = np.asarray(header["slices_mm"], dtype=np.float64)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"The geometry in {name} is not complete ({error}).",
            "Compare it with the documentation's chapter on raw data.",
        ) from error
    return Sinogram(projections.astype(np.float32), geometry, slices, **optional)


def _geometry(facts: dict[str, Any]) -> RawGeometry:
    kind = facts.pop("kind")
    if kind == "helical":
        fan = FanGeometry(**facts.pop("fan"))
        return HelicalGeometry(fan=fan, **facts)
    if kind not in _KINDS:
        raise ValueError(f"kind {kind!r} is none of parallel, fan, helical")
    geometry: RawGeometry = _KINDS[kind](**facts)
    return geometry


def _read_npz(path: Path) -> tuple[NDArray[Any], Any]:
    projections, header = load_npz(path, ("projections", "header"))
    return projections, parse_json(str(header), "header")


def _read_npy(path: Path) -> tuple[NDArray[Any], Any]:
    beside = path.with_suffix(".json")
    if not beside.exists():
        raise InputError(
            f"{path.name} does not say how it was measured.",
            f"Put its geometry into {beside.name} beside it.",
        )
    return load_npy(path), read_json(beside, f"header {beside.name}")


def _read_zarr(path: Path) -> tuple[NDArray[Any], Any]:
    zarr = _zarr()
    if not path.is_dir():
        raise InputError(f"{path.name} is no folder of Zarr.", "Check the path.")
    facts = check_zarr_array(path)
    check_fits_memory(path, facts)
    check_zarr_files(path)
    try:
        array = zarr.open_array(str(path), mode="r", zarr_format=facts.version)
        return np.asarray(array[...]), dict(array.attrs)
    except Exception as error:  # stores and codecs have many errors of their own
        raise ValueError(str(error)[:200]) from error


def _write_zarr(path: Path, sinogram: Sinogram, header: dict[str, Any], place: Place) -> None:
    with place(path) as temporary:
        array = _zarr().create_array(
            store=str(temporary),
            shape=sinogram.projections.shape,
            chunks=(1, *sinogram.projections.shape[1:]),
            dtype="float32",
        )
        array[...] = sinogram.projections
        array.attrs.update(header)


def _zarr() -> Any:
    with optional("Raw data in .zarr (a .npz does not)"):
        import zarr
    return zarr
