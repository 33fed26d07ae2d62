"""What one DICOM file says about its slice."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.io.dicom.kind import DicomFile, Kind
from spinemar.io.itk import quiet_itk, unreadable

_FACTS = {
    "0008|0070": "manufacturer",
    "0018|0060": "kvp",
    "0018|1210": "kernel",
    "0018|0050": "slice_thickness_mm",
    "0028|0120": "pixel_padding_value",
}


@dataclass(frozen=True)
class DicomSlice:
    """One slice: where its file is, where it lies (LPS mm), and what it is."""

    file: DicomFile
    rescaled: bool
    rescale_type: str
    intercept_hu: float
    frames: int
    rows: int
    columns: int
    row_spacing_mm: float
    column_spacing_mm: float
    thickness_mm: float | None
    position: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.file.path

    @property
    def enhanced(self) -> bool:
        """Whether it is an enhanced (multi-frame) image."""
        return self.file.kind is Kind.ENHANCED_CT

    @property
    def row_direction(self) -> NDArray[np.float64]:
        """Unit vector along a row (towards rising column index), shape (3,), LPS."""
        assert self.orientation is not None
        return self.orientation[:3]

    @property
    def column_direction(self) -> NDArray[np.float64]:
        """Unit vector along a column (towards rising row index), shape (3,), LPS."""
        assert self.orientation is not None
        return self.orientation[3:]


def read_slice_header(file: DicomFile) -> DicomSlice:
    """Read the header of one CT image.

    Raises
    ------
    InputError
        If the file is damaged, packed in an unknown way, or a colour picture.
    """
    path = file.path
    if file.problem is not None:
        raise file.problem
    if file.colour:
        raise _colour_picture(path)
    with quiet_itk() as sitk:
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise unreadable(path, "its pixels are incomplete") from error
        tags = {key: reader.GetMetaData(key).strip("\0 ") for key in reader.GetMetaDataKeys()}
        size, components = reader.GetSize(), reader.GetNumberOfComponents()
    if components != 1:
        raise _colour_picture(path)
    spacing = _numbers(tags, "0028|0030", 2, path)
    return DicomSlice(
        file=file,
        rescaled=_is_rescaled(tags, path),
        intercept_hu=_intercept_hu(tags, path),
        rescale_type=tags.get("0028|1054", "").upper(),
        frames=int(size[2]) if len(size) > 2 else 1,
        rows=int(size[1]),
        columns=int(size[0]),
        row_spacing_mm=float(spacing[0]) if spacing is not None else 0.0,
        column_spacing_mm=float(spacing[1]) if spacing is not None else 0.0,
        thickness_mm=_thickness(tags, path),
        position=_numbers(tags, "0020|0032", 3, path),
        orientation=_numbers(tags, "0020|0037", 6, path),
        facts={name: tags[key] for key, name in _FACTS.items() if tags.get(key)} | _own(tags),
    )


def _own(tags: dict[str, Any]) -> dict[str, str]:
    """Say with what method we corrected an image ourselves; other people's words stay there."""
    text = str(tags.get("0008|2111", ""))
    method = re.search(r"\bmethod (li|nmar|generator)\b", text)
    return {"corrected_with": method[1]} if method and "SpineMAR" in text else {}


def _colour_picture(path: Path) -> InputError:
    return InputError(
        f"{path.name} is a colour picture, not a CT in Hounsfield units.",
        "Load the original CT series, not a derived one.",
    )


def _is_rescaled(tags: dict[str, Any], path: Path) -> bool:
    """Whether slope and intercept are there, are numbers, and make different values differ."""
    slope = _numbers(tags, "0028|1053", 1, path)
    return slope is not None and slope[0] != 0 and _numbers(tags, "0028|1052", 1, path) is not None


def _intercept_hu(tags: dict[str, Any], path: Path) -> float:
    values = _numbers(tags, "0028|1052", 1, path)
    return 0.0 if values is None else float(values[0])


def _numbers(tags: dict[str, Any], key: str, count: int, path: Path) -> NDArray[np.float64] | None:
    text = tags.get(key, "")
    if not text:
        return None
    try:
        values = np.array([float(part) for part in text.split("\\")], dtype=np.float64)
    except ValueError:
        values = np.array([np.nan])
    if values.size != count or not np.isfinite(values).all():
        raise InputError(
            f"{path.name} has a damaged header (tag {key.replace('|', ',')} is '{text[:40]}').",
            "Export the series again from the scanner or the PACS.",
        )
    return values


def _thickness(tags: dict[str, Any], path: Path) -> float | None:
    """Read the slice thickness; None where it is damaged, which matters to single slices alone."""
    for key in ("0018|0088", "0018|0050"):
        try:
            values = _numbers(tags, key, 1, path)
        except InputError:
            return None
        if values is not None and abs(float(values[0])) > 0:
            return abs(float(values[0]))
    return 1.0
