"""What one DICOM file says about its slice."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.io.dicom_scan import refuse_hostile_dicom
from spinemar.io.itk import quiet_itk, unreadable

_CT_CLASS = b"1.2.840.10008.5.1.4.1.1.2"
# Enhanced CT, and classic series converted to it.
_ENHANCED_CLASSES = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")

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

    path: Path
    series: str
    modality: str
    localizer: bool
    enhanced: bool
    rescaled: bool
    rescale_type: str
    frames: int
    rows: int
    columns: int
    row_spacing_mm: float
    column_spacing_mm: float
    thickness_mm: float
    position: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    facts: dict[str, str] = field(default_factory=dict)

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


def read_slice_header(path: Path) -> DicomSlice | None:
    """Read one file's header; None for what is no DICOM image (reports, directories).

    Raises
    ------
    InputError
        If the file claims to be a CT image and is damaged, or packed in an unknown way.
    """
    try:
        refuse_hostile_dicom(path)
    except InputError:
        if _claims_ct(path):
            raise
        return None
    with quiet_itk() as sitk:
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            if _claims_ct(path):
                raise unreadable(path, "its pixels are incomplete") from error
            return None
        tags = {key: reader.GetMetaData(key).strip("\0 ") for key in reader.GetMetaDataKeys()}
        size = reader.GetSize()
    spacing = _numbers(tags, "0028|0030", 2, path)
    return DicomSlice(
        path=path,
        series=tags.get("0020|000e", ""),
        modality=tags.get("0008|0060", "") or "no modality",
        enhanced=tags.get("0008|0016", "").startswith(_ENHANCED_CLASSES),
        localizer="LOCALIZER" in tags.get("0008|0008", "").upper(),
        rescaled="0028|1052" in tags and "0028|1053" in tags,
        rescale_type=tags.get("0028|1054", ""),
        frames=int(size[2]) if len(size) > 2 else 1,
        rows=int(size[1]),
        columns=int(size[0]),
        row_spacing_mm=float(spacing[0]) if spacing is not None else 0.0,
        column_spacing_mm=float(spacing[1]) if spacing is not None else 0.0,
        thickness_mm=_thickness(tags, path),
        position=_numbers(tags, "0020|0032", 3, path),
        orientation=_numbers(tags, "0020|0037", 6, path),
        facts={name: tags[key] for key, name in _FACTS.items() if tags.get(key)},
    )


def _claims_ct(path: Path) -> bool:
    """Whether the file's preamble says CT image: then failing to read it means damage."""
    with path.open("rb") as stream:
        head = stream.read(1024)
    start = head.find(_CT_CLASS)
    after = head[start + len(_CT_CLASS) :][:1]
    return start >= 0 and not after.isdigit()  # one more digit would name another class


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


def _thickness(tags: dict[str, Any], path: Path) -> float:
    for key in ("0018|0088", "0018|0050"):
        values = _numbers(tags, key, 1, path)
        if values is not None and abs(float(values[0])) > 0:
            return abs(float(values[0]))
    return 1.0
