"""Objects that lie in a CT as a DICOM Segmentation: a binary segment for each, by name and code.

Patient, study and frame of reference are those of the CT's series, every frame names the image that
it was marked on, and only slices in which something is marked are written. Without a series (a CT
from NIfTI, say) study and frame of reference are new ones and the patient has no name.

References
----------
DICOM PS3.3, A.51 Segmentation IOD, C.8.20.2 Segmentation Image Module, C.7.6.16 functional groups;
PS3.16, CID 7150 and 7157 (categories, and types of physical objects).
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import Place, atomic_path
from spinemar.errors import InputError
from spinemar.io.affine import LPS_RAS
from spinemar.io.dicom.derived import (
    CT_IMAGE,
    MAX_LONG_STRING,
    ascii_text,
    later_series_number,
    new_uids,
    put,
    save_dicom,
    source_reference,
    source_slices,
)
from spinemar.io.dicom.plain import read_plain_header, text_of
from spinemar.volume import GridGeometry

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_PHYSICAL_OBJECT = ("260787004", "SCT", "Physical object")
# Elements of patient, study and frame of reference; those of the second row may be left out.
_KEPT = (
    "SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID",
    "AccessionNumber", "FrameOfReferenceUID", "PositionReferenceIndicator",
)  # fmt: skip
_KEPT_IF_THERE = ("IssuerOfPatientID", "PatientAge", "StudyDescription", "TimezoneOffsetFromUTC")
_MAX_SEGMENTS = 2**16 - 1


@dataclass(frozen=True, eq=False)
class MarkedObject:
    """One object and its voxels.

    Parameters
    ----------
    label : str
        For people, up to 64 letters.
    code : (value, meaning)
        Of SNOMED CT: what it is.
    first : (k, j, i)
        First voxel of its box in the grid.
    inside : ndarray of bool, shape (k, j, i) of the box
    """

    label: str
    code: tuple[str, str]
    first: tuple[int, int, int]
    inside: NDArray[np.bool_]


def write_dicom_segmentation(
    path: Path,
    objects: Sequence[MarkedObject],
    geometry: GridGeometry,
    sources: Sequence[str | Path] = (),
    *,
    description: str,
    software_version: str = "unknown",
    place: Place = atomic_path,
) -> None:
    """Write objects as a DICOM Segmentation.

    Parameters
    ----------
    path : Path
        Replaced once the new file is complete.
    objects : sequence of MarkedObject
        What marks no voxel is left out.
    geometry : GridGeometry
        Of the CT.
    sources : sequence of path
        The files of the CT's series, one a slice, in any order; none where it is not from DICOM.
    description : str
        Of the series, in English.
    software_version : str
    place : callable
        Where it is written until it is complete: `FileSet.place` for a file of a set.

    Raises
    ------
    InputError
        If nothing is marked, or the sources are no CT series.
    GeometryError
        If the sources do not lie on the grid.
    """
    marked = [one for one in objects if one.inside.any()]
    if not marked:
        raise InputError("There is nothing to be written as a segmentation.", "Mark a voxel first.")
    if len(marked) > _MAX_SEGMENTS:
        raise InputError("These are more objects than DICOM can number.", "Write them in parts.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, about values that are the source's
        slices = source_slices(geometry, sources) if sources else []
        headers = [read_plain_header(one.path) for one in slices]
        data = _head(headers[0] if headers else None, description, software_version)
        _reference_series(data, headers)
        data.SegmentSequence = [_segment(n, one) for n, one in enumerate(marked, 1)]
        frames = list(_frames(marked))
        _set_groups(data, frames, geometry, headers)
        _set_pixels(data, frames, geometry)
        with place(path) as temporary:
            save_dicom(data, temporary)


@dataclass(frozen=True, eq=False)
class _Frame:
    """One slice `k` of one segment (from 1)."""

    segment: int
    k: int
    one: MarkedObject

    def picture(self, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the whole slice (rows, columns)."""
        whole = np.zeros(shape, np.uint8)
        part = self.one.inside[self.k - self.one.first[0]]
        j, i = self.one.first[1:]
        whole[j : j + part.shape[0], i : i + part.shape[1]] = part
        return whole


def _frames(marked: Sequence[MarkedObject]) -> Iterator[_Frame]:
    for number, one in enumerate(marked, 1):
        for k in np.flatnonzero(one.inside.any(axis=(1, 2))):
            yield _Frame(number, one.first[0] + int(k), one)


def _head(header: Dataset | None, description: str, version: str) -> Dataset:
    """Patient, study, series, equipment, and what a segmentation says of itself."""
    from pydicom.dataset import Dataset

    data = Dataset()
    for name in _KEPT:
        put(data, **{name: ""})
    if header is not None:
        for name in (*_KEPT, *_KEPT_IF_THERE):
            if name in header:
                # Raw, so that names keep the bytes that go with their character set.
                element = header.get_item(name)
                data[element.tag] = element
    series, instance = new_uids(1)
    study, frame_of_reference = new_uids(1)
    for name, fresh in (("StudyInstanceUID", study), ("FrameOfReferenceUID", frame_of_reference)):
        if not text_of(data, name):
            put(data, **{name: fresh})
    if not text_of(data, "SpecificCharacterSet"):
        del data.SpecificCharacterSet
    now = datetime.datetime.now()
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S.%f")
    put(
        data,
        SOPClassUID=SEGMENTATION,
        SOPInstanceUID=instance,
        Modality="SEG",
        SeriesInstanceUID=series,
        SeriesNumber=1 if header is None else later_series_number(header),
        SeriesDescription=ascii_text(description)[:MAX_LONG_STRING],
        SeriesDate=date,
        SeriesTime=time,
        Manufacturer="SpineMAR",
        ManufacturerModelName="SpineMAR",
        DeviceSerialNumber="0",
        SoftwareVersions=ascii_text(version)[:MAX_LONG_STRING],
        ImageType=["DERIVED", "PRIMARY"],
        InstanceNumber=1,
        ContentLabel="IMPLANTS",
        ContentDescription=ascii_text(description)[:MAX_LONG_STRING],
        ContentCreatorName="",
        ContentDate=date,
        ContentTime=time,
        InstanceCreationDate=date,
        InstanceCreationTime=time,
        LossyImageCompression="00",
        BurnedInAnnotation="NO",
        SegmentationType="BINARY",
        SegmentsOverlap="UNDEFINED",
    )
    return data


def _reference_series(data: Dataset, headers: Sequence[Dataset]) -> None:
    """Name all images of the series, which lies in the same study (C.12.2)."""
    from pydicom.dataset import Dataset

    if not headers:
        return
    series = Dataset()
    series.SeriesInstanceUID = text_of(headers[0], "SeriesInstanceUID")
    series.ReferencedInstanceSequence = [_image(header) for header in headers]
    data.ReferencedSeriesSequence = [series]


def _image(header: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    image = Dataset()
    image.ReferencedSOPClassUID = CT_IMAGE
    image.ReferencedSOPInstanceUID = text_of(header, "SOPInstanceUID")
    return image


def _segment(number: int, one: MarkedObject) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.SegmentNumber = number
    item.SegmentLabel = ascii_text(one.label)[:MAX_LONG_STRING]
    item.SegmentedPropertyCategoryCodeSequence = [_code(*_PHYSICAL_OBJECT)]
    item.SegmentedPropertyTypeCodeSequence = [_code(one.code[0], "SCT", one.code[1])]
    item.SegmentAlgorithmType = "SEMIAUTOMATIC"
    item.SegmentAlgorithmName = "SpineMAR"
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _set_groups(
    data: Dataset, frames: Sequence[_Frame], geometry: GridGeometry, headers: Sequence[Dataset]
) -> None:
    """Say where every frame lies, of which segment it is and on which image it was marked."""
    from pydicom.dataset import Dataset

    affine = LPS_RAS @ geometry.ijk_to_ras
    columns_mm, rows_mm, slices_mm = geometry.spacing_mm
    row, column = affine[:3, 0] / columns_mm, affine[:3, 1] / rows_mm
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    between = abs(float(np.cross(row, column) @ affine[:3, 2]))
    measures.PixelSpacing = [_decimal(rows_mm), _decimal(columns_mm)]
    measures.SliceThickness = measures.SpacingBetweenSlices = _decimal(between or slices_mm)
    orientation.ImageOrientationPatient = [_decimal(value) for value in (*row, *column)]
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    data.SharedFunctionalGroupsSequence = [shared]
    organization = new_uids(0)[0]
    _set_dimensions(data, organization)
    groups = []
    for frame in frames:
        content, position, said, group = Dataset(), Dataset(), Dataset(), Dataset()
        content.DimensionIndexValues = [frame.segment, frame.k + 1]
        place = affine[:3, 3] + frame.k * affine[:3, 2]
        position.ImagePositionPatient = [_decimal(value) for value in place]
        said.ReferencedSegmentNumber = frame.segment
        group.FrameContentSequence = [content]
        group.PlanePositionSequence = [position]
        group.SegmentIdentificationSequence = [said]
        if headers:
            group.DerivationImageSequence = [_derivation(headers[frame.k])]
        groups.append(group)
    data.PerFrameFunctionalGroupsSequence = groups


def _derivation(header: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    made = Dataset()
    made.DerivationCodeSequence = [_code("113076", "DCM", "Segmentation")]
    made.SourceImageSequence = [source_reference(header)]
    return made


def _set_dimensions(data: Dataset, organization: str) -> None:
    """Frames are sorted by segment, then by position (C.7.6.17)."""
    from pydicom.dataset import Dataset
    from pydicom.tag import Tag

    named = Dataset()
    named.DimensionOrganizationUID = organization
    data.DimensionOrganizationSequence = [named]
    indices = []
    for pointer, group, label in (
        (Tag("ReferencedSegmentNumber"), Tag("SegmentIdentificationSequence"), "Segment"),
        (Tag("ImagePositionPatient"), Tag("PlanePositionSequence"), "Position"),
    ):
        item = Dataset()
        item.DimensionOrganizationUID = organization
        item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
        item.DimensionDescriptionLabel = label
        indices.append(item)
    data.DimensionIndexSequence = indices


def _set_pixels(data: Dataset, frames: Sequence[_Frame], geometry: GridGeometry) -> None:
    """Pack the frames bit by bit, without a gap between them."""
    shape = (geometry.shape[1], geometry.shape[2])
    packed = bytearray()
    # Eight frames always fill whole bytes.
    for start in range(0, len(frames), 8):
        pictures = np.stack([frame.picture(shape) for frame in frames[start : start + 8]])
        packed += np.packbits(pictures.ravel(), bitorder="little").tobytes()
    put(
        data,
        NumberOfFrames=len(frames),
        Rows=shape[0],
        Columns=shape[1],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelRepresentation=0,
        PixelData=bytes(packed + b"\0" * (len(packed) % 2)),
    )
    data["PixelData"].VR = "OB"


def _decimal(value: Any) -> str:
    """Return a number as DICOM's decimal string of at most 16 letters."""
    text = f"{float(value):.10g}"
    return text if len(text) <= 16 else f"{float(value):.8e}"


__all__ = ["SEGMENTATION", "MarkedObject", "write_dicom_segmentation"]
