"""The benchmark's folders: raw slices by number, and their fields of view.

References
----------
github.com/xcist/example, AAPM_datachallenge/readme.md and scoring/readme.md: images are 512 x 512
float32 HU without a header, a submission is `01.raw` to `29.raw`, and the field of view of each
case stands in the README.txt that comes with the scans (400 mm for bodies and 220.16 mm for heads
in the training data).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.base.json_text import read_text
from spinemar.errors import InputError
from spinemar.io import read_fraction, read_volume
from spinemar.io.formats import is_image_file
from spinemar.volume import CTVolume

SIDE = 512
CASES = 29
_RAW_BYTES = SIDE * SIDE * 4
_NO_SCAN = re.compile(r"nometal|metalonly|mask|sino|prep", re.IGNORECASE)
_NUMBER = re.compile(r"(?:img|case|^)_?0*(\d+)", re.IGNORECASE)
_FOV_LINE = re.compile(
    r"^\W*(?:\S*?(?:img|case)[ _]*|#)?0*(\d{1,5})(?!\d)(?:_512x512x1)?(?:\.raw)?[^\d\n]*"
    r"(\d{2,3}(?:\.\d+)?)\s*(mm)?\W*$",
    re.IGNORECASE,
)
_FOV_RANGE_MM = (100.0, 700.0)


def raw_scans(folder: Path) -> dict[int, Path]:
    """Find the uncorrected slices of a folder, also in folders within, by their numbers.

    Masks, sinograms and slices without metal are passed over by their names and sizes.

    Raises
    ------
    InputError
        If there is none, or a number occurs twice.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder.", "Give the folder of the benchmark's scans.")
    found: dict[int, Path] = {}
    for path in sorted(folder.rglob("*.raw")):
        named = _NUMBER.search(path.stem)
        if _NO_SCAN.search(path.stem) or path.stat().st_size != _RAW_BYTES or named is None:
            continue
        number = int(named[1])
        if number in found:
            raise InputError(
                f"Case {number} is there twice: {found[number].name} and {path.name}.",
                "Give a folder with one scan of each case.",
            )
        found[number] = path
    if not found:
        raise InputError(
            f"{folder} holds no raw slice of {SIDE} x {SIDE} float32 with a number in its name.",
            "Give the folder that holds the benchmark's scans, such as 01.raw.",
        )
    return dict(sorted(found.items()))


def read_fields(path: Path) -> dict[int, float]:
    """Read fields of view, mm, by case: a CSV (case, fov_mm), or lines of a README.

    In a README a line counts that names one case and one length, such as "case 7: 400 mm".

    Raises
    ------
    InputError
        If a case has two fields of view, or one cannot be.
    """
    lines = read_text(path, f"file {path.name}").splitlines()
    found: dict[int, float] = {}
    for number, length in _pairs_of(lines, path.suffix.lower() == ".csv"):
        low, high = _FOV_RANGE_MM
        if not low <= length <= high or found.setdefault(number, length) != length:
            raise InputError(
                f"{path.name} does not say one field of view of case {number} ({length:g} mm).",
                "Write a CSV with the columns case,fov_mm and give it with --fields.",
            )
    return found


def _pairs_of(lines: Iterable[str], table: bool) -> Iterable[tuple[int, float]]:
    for line in lines:
        if table:
            cells = [cell.strip(' "') for cell in line.split(",")]
            try:
                yield int(cells[0]), float(cells[1])
            except (ValueError, IndexError):
                continue  # a heading, an empty line
        elif found := _FOV_LINE.match(line):
            yield int(found[1]), float(found[2])


def fields_of(
    folder: Path, cases: Iterable[int], given_mm: float | None, table: Path | None
) -> dict[int, float]:
    """Return the field of view of every case, mm.

    Parameters
    ----------
    folder : Path
        Whose README*.txt is read where nothing else is given.
    cases : iterable of int
    given_mm : float or None
        One for all of them.
    table : Path or None
        See `read_fields`.

    Raises
    ------
    InputError
        If one is not known.
    """
    wanted = list(cases)
    if given_mm is not None:
        return dict.fromkeys(wanted, given_mm)
    known: Mapping[int, float] = {}
    for path in [table] if table is not None else sorted(folder.rglob("README*.txt")):
        known = {**known, **read_fields(path)}
    missing = [number for number in wanted if number not in known]
    if missing:
        raise InputError(
            f"The field of view of case {missing[0]} is not known.",
            "Give --fields with a CSV of case,fov_mm, or --fov-mm for all of them.",
        )
    return {number: known[number] for number in wanted}


def read_raw_slice(path: Path, fov_mm: float) -> CTVolume:
    """Read one raw slice as a volume of one slice.

    Raises
    ------
    InputError
        If it is no such slice.
    """
    if path.stat().st_size != _RAW_BYTES:
        raise InputError(f"{path.name} is no raw slice of {SIDE} x {SIDE} float32.")
    hu = np.fromfile(path, dtype="<f4").reshape(1, SIDE, SIDE).astype(np.float32)
    if not np.isfinite(hu).all():
        raise InputError(f"{path.name} holds values that are no numbers.", "Check the file.")
    pixel_mm = fov_mm / SIDE
    return CTVolume(hu, np.diag([-pixel_mm, -pixel_mm, 1.0, 1.0]))


def write_raw_slice(path: Path, volume: CTVolume) -> None:
    """Write a volume of one slice as the benchmark reads it."""
    with atomic_path(path) as temporary:
        volume.hu.astype("<f4").tofile(temporary)


def read_metals(
    folder: Path, grids: Mapping[str, CTVolume], fov_mm: float | None
) -> dict[str, CTVolume]:
    """Read the true metal of pictures: raw slices or volumes of shares, or of 0 and 1.

    Parameters
    ----------
    folder : Path
    grids : mapping of str to CTVolume
        Pictures by name, on whose grids the metal lies.
    fov_mm : float or None
        Of raw slices, which need it.

    Raises
    ------
    InputError, GeometryError
        If there is none, or it is no metal of these pictures.
    """
    found: dict[str, CTVolume] = {}
    for name, path in _named(folder):
        if path.suffix == ".raw":
            found[name] = read_raw_slice(path, _known(fov_mm))
        elif name in grids:
            grid = grids[name]
            found[name] = CTVolume(read_fraction(path, grid.geometry), grid.ijk_to_ras)
    return found


def read_pictures(folder: Path, fov_mm: float | None) -> dict[str, CTVolume]:
    """Read every picture of a folder by its name without endings.

    Parameters
    ----------
    folder : Path
        Raw slices of the benchmark, or volumes in any format that `read_volume` reads.
    fov_mm : float or None
        Of raw slices, which need it.

    Raises
    ------
    InputError
        If there is none, or the size of raw slices is not known.
    """
    return {
        name: read_raw_slice(path, _known(fov_mm)) if path.suffix == ".raw" else read_volume(path)
        for name, path in _named(folder)
    }


def _named(folder: Path) -> list[tuple[str, Path]]:
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [
        (path.name.split(".")[0], path)
        for path in inside
        if path.is_file() and (path.suffix == ".raw" or is_image_file(path))
    ]
    if not found:
        raise InputError(f"{folder} holds no picture.", "Give a folder of slices or volumes.")
    return found


def _known(fov_mm: float | None) -> float:
    if fov_mm is None:
        raise InputError("Raw slices do not say how large they are.", "Give --fov-mm as well.")
    return fov_mm
