"""What every DICOM object that is made of a CT series shares: its slices, new UIDs, references."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinemar.errors import GeometryError, InputError
from spinemar.io.affine import LPS_RAS
from spinemar.io.dicom.folder import series_of_files
from spinemar.io.dicom.plain import text_of
from spinemar.io.dicom.pydicom_versions import write_file
from spinemar.io.dicom.series import SliceStack, stack_of
from spinemar.io.dicom.slice import DicomSlice
from spinemar.volume import GridGeometry

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MAX_LONG_STRING = 64
MAX_SHORT_TEXT = 1024
# Positions are rounded by scanners, and other software makes its own step of them.
_PLACE_TOLERANCE_MM = 0.12
_STEP_TOLERANCE = 0.1
_SERIES_OFFSET = 1000
_MAX_SERIES_NUMBER = 2**31


def source_slices(geometry: GridGeometry, sources: Sequence[str | Path]) -> list[DicomSlice]:
    """Return the source image of every slice of a grid.

    Parameters
    ----------
    geometry : GridGeometry
    sources : sequence of path
        The files of a CT series, one a slice, in any order.

    Raises
    ------
    InputError
        If the sources are no single-frame CT series.
    GeometryError
        If the grid is not theirs.
    """
    return _slices_of(geometry, _stack(sources))


def _stack(sources: Sequence[str | Path]) -> SliceStack:
    paths = [Path(path) for path in sources]
    for path in paths:
        if not path.is_file():
            raise InputError(
                f"{path.name} of the source series cannot be read.", "Load the series again."
            )
    return stack_of(series_of_files(paths), "The source series")


def _slices_of(geometry: GridGeometry, stack: SliceStack) -> list[DicomSlice]:
    """Find for every slice of the grid its source: counted from the end where it begins."""
    slices, rows, columns = geometry.shape
    if len(stack.slices) != slices:
        raise GeometryError(
            f"The volume has {slices} slices, its source series {len(stack.slices)} files.",
            "Correct the whole series as it was loaded.",
        )
    lps, source = LPS_RAS @ geometry.ijk_to_ras, LPS_RAS @ stack.ijk_to_ras
    first = stack.slices[0]
    if (first.rows, first.columns) != (rows, columns) or not np.allclose(
        lps[:3, :2], source[:3, :2], atol=1e-4
    ):
        raise GeometryError(
            "The volume's slices are not those of its source series.",
            "Correct the series as it was loaded, without resampling or flipping it.",
        )
    forward = bool(lps[:3, 2] @ source[:3, 2] >= 0)
    ordered = list(stack.slices if forward else stack.slices[::-1])
    step = source[:3, 2] if forward else -source[:3, 2]
    length = float(np.linalg.norm(step))
    assert ordered[0].position is not None
    gap = float(np.linalg.norm(ordered[0].position - lps[:3, 3]))
    other_step = float(np.linalg.norm(step - lps[:3, 2])) > _STEP_TOLERANCE * length
    if gap > max(_PLACE_TOLERANCE_MM, _STEP_TOLERANCE * length) or (slices > 1 and other_step):
        raise GeometryError(
            f"Slice 1 of the volume lies {gap:.2f} mm off its source image, or its slices have "
            "another distance.",
            "Correct the series as it was loaded; another place or step cannot be kept.",
        )
    return ordered


def new_uids(count: int) -> list[str]:
    """Return a series' UID and those of so many instances."""
    from pydicom.uid import generate_uid

    # 2.25: UIDs from UUIDs, which need no registration and tell nothing.
    return [str(generate_uid(prefix=None)) for _ in range(count + 1)]


def put(derived: Dataset, **values: Any) -> None:
    """Set elements anew, of the standard's kind: the source may hold them as of another."""
    for name, value in values.items():
        if name in derived:
            delattr(derived, name)
        setattr(derived, name, value)


def later_series_number(header: Dataset) -> int:
    """Return a series number well behind the source's own."""
    match = re.match(r"[+-]?\d{1,12}", text_of(header, "SeriesNumber"))
    return (int(match[0]) if match else 0) % (_MAX_SERIES_NUMBER - _SERIES_OFFSET) + _SERIES_OFFSET


def ascii_text(text: str) -> str:
    """Keep to letters that every character set has."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")


def source_reference(header: Dataset) -> Dataset:
    """Point at the source image, and say that it was the input of processing."""
    from pydicom.dataset import Dataset

    purpose = Dataset()
    purpose.CodeValue = "121322"
    purpose.CodingSchemeDesignator = "DCM"
    purpose.CodeMeaning = "Source image for image processing operation"
    reference = Dataset()
    reference.ReferencedSOPClassUID = CT_IMAGE
    reference.ReferencedSOPInstanceUID = text_of(header, "SOPInstanceUID")
    reference.PurposeOfReferenceCodeSequence = [purpose]
    return reference


def save_dicom(derived: Dataset, path: Path) -> None:
    """Write a dataset as a file, explicit little endian."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = derived.SOPClassUID
    meta.MediaStorageSOPInstanceUID = derived.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    derived.file_meta = meta
    write_file(derived, path)
