"""Segmentations as other software writes them: DICOM SEG, `.seg.nrrd`, NIfTI with a label table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.io.dicom.pydicom_versions import write_file

CODES = {"T12": "23215003", "L1": "66794005", "L2": "14293000"}


def code(value: str, scheme: str, meaning: str) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def dicom_seg(
    path: Path,
    masks: Mapping[str, np.ndarray],
    affine_lps: np.ndarray,
    *,
    kind: str = "BINARY",
    syntax: str = "1.2.840.10008.1.2.1",
    keep_empty: bool = False,
    backwards: bool = False,
    types: Mapping[str, tuple[str, str, str]] | None = None,
    between: bool = True,
    thickness: float | None = None,
    edit: Any = None,
) -> Path:
    """Write masks (k, j, i) by segment label; `affine_lps` maps (i, j, k) to LPS mm."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, generate_uid

    meta = FileMetaDataset()
    label_map = kind == "LABELMAP"
    meta.MediaStorageSOPClassUID = UID(f"1.2.840.10008.5.1.4.1.1.66.{7 if label_map else 4}")
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = UID(syntax if syntax != "RLE" else "1.2.840.10008.1.2.1")
    data = Dataset()
    data.file_meta, data.preamble = meta, b"\0" * 128
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, generate_uid()
    data.Modality, data.SegmentationType = "SEG", kind
    data.SegmentSequence = []
    for number, label in enumerate(masks, 1):
        item = Dataset()
        item.SegmentNumber, item.SegmentLabel = number, label
        item.SegmentedPropertyTypeCodeSequence = [
            code(*(types or {}).get(label, ("260787004", "SCT", "Physical object")))
        ]
        data.SegmentSequence.append(item)
    steps = np.linalg.norm(affine_lps[:3, :3], axis=0)
    shared = Dataset()
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = [f"{steps[1]:.6g}", f"{steps[0]:.6g}"]
    measures.SliceThickness = f"{steps[2] if thickness is None else thickness:.6g}"
    normal = np.cross(*(affine_lps[:3, n] / steps[n] for n in range(2)))
    if between:
        measures.SpacingBetweenSlices = f"{abs(float(normal @ affine_lps[:3, 2])):.6g}"
    orientation.ImageOrientationPatient = [
        f"{v:.9g}" for n in range(2) for v in affine_lps[:3, n] / steps[n]
    ]
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    data.SharedFunctionalGroupsSequence = [shared]
    pictures, groups = [], []
    for number, mask, k in _frames(masks, label_map=label_map, keep_empty=keep_empty):
        group, place = Dataset(), Dataset()
        position = affine_lps[:3, 2] * k + affine_lps[:3, 3]
        place.ImagePositionPatient = [f"{v:.6f}" for v in position]
        group.PlanePositionSequence = [place]
        if not label_map:
            said = Dataset()
            said.ReferencedSegmentNumber = number
            group.SegmentIdentificationSequence = [said]
        groups.append(group)
        pictures.append(mask)
    if backwards:
        groups, pictures = groups[::-1], pictures[::-1]
    data.PerFrameFunctionalGroupsSequence = groups
    pixels = np.stack(pictures)
    data.NumberOfFrames = len(pixels)
    data.Rows, data.Columns = pixels.shape[1:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 1 if kind == "BINARY" else 8
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = 0
    if kind == "FRACTIONAL":
        data.MaximumFractionalValue, data.SegmentationFractionalType = 200, "PROBABILITY"
        pixels = np.where(pixels, 100, 99)  # exactly half counts, less does not
    raw = pixels.astype(np.uint8)
    packed = np.packbits(raw.ravel(), bitorder="little") if bits == 1 else raw.ravel()
    data.PixelData = packed.tobytes() + b"\0" * (len(packed.tobytes()) % 2)
    data["PixelData"].VR = "OB"
    if syntax == "RLE":
        from pydicom.uid import RLELossless

        data.compress(RLELossless)
    if edit:
        edit(data)
    big = syntax == "1.2.840.10008.1.2.2"
    implicit = syntax == "1.2.840.10008.1.2"
    write_file(data, path, implicit_vr=implicit, little_endian=not big)
    return path


def _frames(
    masks: Mapping[str, np.ndarray], *, label_map: bool, keep_empty: bool
) -> list[tuple[int, np.ndarray, int]]:
    stacks = list(enumerate(masks.values(), 1))
    if label_map:
        stacks = [(0, np.max([mask * n for n, mask in stacks], axis=0))]
    return [
        (number, mask[k], k)
        for number, mask in stacks
        for k in range(len(mask))
        if keep_empty or mask[k].any()
    ]


def seg_nrrd(
    path: Path,
    layers: np.ndarray,
    affine_ras: np.ndarray,
    segments: Sequence[Mapping[str, Any]],
) -> Path:
    """Write layers (n, k, j, i) of numbers with the keys `SegmentN_...` that Slicer writes."""
    import nrrd

    header: dict[str, Any] = {
        "space": "right-anterior-superior",
        "space directions": np.vstack([np.full((1, 3), np.nan), affine_ras[:3, :3].T]),
        "space origin": affine_ras[:3, 3],
        "kinds": ["list", "domain", "domain", "domain"],
        "encoding": "gzip",
    }
    array = np.moveaxis(layers, 0, -1).transpose(3, 2, 1, 0)
    if len(layers) == 1:
        header["space directions"], header["kinds"] = affine_ras[:3, :3].T, ["domain"] * 3
        array = array[0]
    for number, fields in enumerate(segments):
        for key, value in fields.items():
            header[f"Segment{number}_{key}"] = str(value)
    nrrd.write(str(path), array, header)
    return path


def terminology(level: str) -> str:
    """Return the tags that Slicer writes for a vertebra."""
    return (
        "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - 3D "
        "Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^"
        f"{CODES[level]}^{level} vertebra~^^~Anatomic codes - DICOM master list~^^~^^|"
    )


def nifti_with_table(
    path: Path, labels: np.ndarray, affine_ras: np.ndarray, names: Mapping[int, str]
) -> Path:
    """Write labels (k, j, i) with the label table that TotalSegmentator puts into the header."""
    import nibabel

    rows = "".join(
        f'<Label Key="{key}" Red="0.1" Green="0.2" Blue="0.3" Alpha="1"><![CDATA[{name}]]></Label>'
        for key, name in names.items()
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension> <VolumeInformation Index="0"> '
        f"<LabelTable>{rows}</LabelTable></VolumeInformation></CaretExtension>"
    )
    image = nibabel.Nifti1Image(labels.transpose(2, 1, 0), affine_ras)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, text.encode()))
    nibabel.save(image, path)
    return path
