"""A corrected volume as a derived CT series in the study of its source.

Every slice keeps what its source says about patient, study, frame of reference and place; new are
the series and instance UIDs, the pixels, and what says how they were made. Source files are only
read. Pixels are stored as signed 16-bit HU, so any integer HU comes back exactly.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import GeometryError, InputError
from spinemar.io.affine import LPS_RAS
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.volume import CTVolume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_POSITION_TOLERANCE_MM = 0.01
_SERIES_OFFSET = 1000
_MAX_LONG_STRING = 64
_MAX_SHORT_TEXT = 1024
# What describes the stored pixels of the source, and would be false for the new ones.
_STALE = (
    "SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries", "PixelPaddingRangeLimit", "ModalityLUTSequence",
    "VOILUTSequence", "IconImageSequence", "FloatPixelData", "DoubleFloatPixelData",
    "DigitalSignaturesSequence", "MACParametersSequence", "OriginalAttributesSequence",
    "SourceImageSequence", "ReferencedImageSequence", "DerivationCodeSequence",
)  # fmt: skip


def write_derived_series(
    volume: CTVolume,
    sources: Sequence[str | Path],
    folder: str | Path,
    *,
    description: str = "Metal artifacts reduced",
    provenance: Mapping[str, Any] | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> tuple[Path, ...]:
    """Write a volume as a derived CT series.

    Parameters
    ----------
    volume : CTVolume
        On the grid of its source series.
    sources : sequence of path
        The files of the source series, one a slice, in any order.
    folder : path
        New folder for the files; must not exist yet.
    description : str
        Series description; the source's own is put in front of it.
    provenance : mapping, optional
        How the volume was made: method, model and so on, as in `Provenance.to_json`.
    progress, cancel
        See `spinemar.progress`.

    Returns
    -------
    tuple of Path
        The files, in slice order.

    Raises
    ------
    InputError
        If the sources are no single-frame CT images, or the folder exists.
    GeometryError
        If volume and sources do not lie on the same grid.
    """
    target = Path(folder)
    if target.exists():
        raise InputError(f"{target} exists already.", "Choose a new folder for the series.")
    headers = _slices_of(volume, [_read(Path(path)) for path in sources])
    made = dict(provenance or {})
    uids = _new_uids(len(headers))
    now = datetime.datetime.now()
    with atomic_path(target) as temporary:
        temporary.mkdir()
        for k, header in enumerate(headers):
            if cancel is not None:
                cancel.raise_if_cancelled()
            derived = _derived(header, volume.hu[k], description, made, now)
            derived.SeriesInstanceUID = uids[0]
            derived.SOPInstanceUID = uids[k + 1]
            derived.InstanceNumber = k + 1
            _save(derived, temporary / _file_name(k))
            progress(Progress("Writing DICOM", k + 1, len(headers)))
    return tuple(target / _file_name(k) for k in range(len(headers)))


def _file_name(k: int) -> str:
    return f"IM{k + 1:05d}.dcm"


def _read(path: Path) -> Dataset:
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise InputError(
            f"{path.name} of the source series cannot be read.", "Load the series again."
        ) from error
    if header.get("SOPClassUID") != _CT_IMAGE or int(header.get("NumberOfFrames", 1) or 1) != 1:
        raise InputError(
            f"{path.name} is not a single-frame CT image.",
            "Only classic CT series can be written back as DICOM; save another format instead.",
        )
    for needed in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        if needed not in header:
            raise InputError(
                f"{path.name} does not say where its slice lies ({needed}).",
                "Save another format instead.",
            )
    return header


def _slices_of(volume: CTVolume, headers: list[Dataset]) -> list[Dataset]:
    """Find for every slice of the volume the header of the same place."""
    slices, rows, columns = volume.hu.shape
    if len(headers) != slices:
        raise GeometryError(
            f"The volume has {slices} slices, its source series {len(headers)} files.",
            "Correct the whole series as it was loaded.",
        )
    lps = LPS_RAS @ volume.ijk_to_ras
    row_mm, column_mm, step = lps[:3, 1], lps[:3, 0], lps[:3, 2]
    first = headers[0]
    orientation = np.array([float(x) for x in first.ImageOrientationPatient])
    spacing = np.array([float(x) for x in first.PixelSpacing])
    expected_column, expected_row = orientation[:3] * spacing[1], orientation[3:] * spacing[0]
    same_matrix = (int(first.Rows), int(first.Columns)) == (rows, columns)
    if not same_matrix or not (
        np.allclose(column_mm, expected_column, atol=1e-4)
        and np.allclose(row_mm, expected_row, atol=1e-4)
    ):
        raise GeometryError(
            "The volume's slices are not those of its source series.",
            "Correct the series as it was loaded, without resampling or flipping it.",
        )
    places = np.array([[float(x) for x in h.ImagePositionPatient] for h in headers])
    found: list[Dataset] = []
    for k in range(slices):
        gaps = np.linalg.norm(places - (lps[:3, 3] + k * step), axis=1)
        nearest = int(np.argmin(gaps))
        if gaps[nearest] > max(_POSITION_TOLERANCE_MM, 0.02 * float(np.linalg.norm(step))):
            raise GeometryError(
                f"Slice {k + 1} of the volume lies {gaps[nearest]:.2f} mm off any source image.",
                "Correct the series as it was loaded; gaps and uneven steps cannot be kept.",
            )
        found.append(headers[nearest])
    return found


def _new_uids(count: int) -> list[str]:
    from pydicom.uid import generate_uid

    # 2.25: UIDs from UUIDs, which need no registration and tell nothing.
    return [str(generate_uid(prefix=None)) for _ in range(count + 1)]


def _derived(
    header: Dataset,
    hu: NDArray[np.float32],
    description: str,
    made: Mapping[str, Any],
    now: datetime.datetime,
) -> Dataset:
    import copy

    derived = copy.deepcopy(header)
    for name in _STALE:
        if name in derived:
            delattr(derived, name)
    kind = list(derived.get("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"]))
    derived.ImageType = ["DERIVED", "SECONDARY", *(kind[2:3] or ["AXIAL"])]
    own = str(derived.get("SeriesDescription", "")).strip()
    derived.SeriesDescription = (f"{own} - {description}" if own else description)[
        -_MAX_LONG_STRING:
    ]
    derived.SeriesNumber = (int(derived.get("SeriesNumber") or 0) + _SERIES_OFFSET) % 2**31
    derived.DerivationDescription = _derivation(description, made)[:_MAX_SHORT_TEXT]
    derived.SourceImageSequence = [_reference(header)]
    derived.ContributingEquipmentSequence = [
        *derived.get("ContributingEquipmentSequence", []),
        _equipment(made, now),
    ]
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S.%f")
    derived.InstanceCreationDate, derived.InstanceCreationTime = date, time
    derived.ContentDate, derived.ContentTime = date, time
    derived.SeriesDate, derived.SeriesTime = date, time
    _set_pixels(derived, header, hu)
    return derived


def _set_pixels(derived: Dataset, header: Dataset, hu: NDArray[np.float32]) -> None:
    limits = np.iinfo(np.int16)
    stored = np.clip(np.rint(hu), limits.min, limits.max).astype("<i2")
    derived.SamplesPerPixel = 1
    derived.PhotometricInterpretation = "MONOCHROME2"
    derived.BitsAllocated, derived.BitsStored, derived.HighBit = 16, 16, 15
    derived.PixelRepresentation = 1
    derived.RescaleSlope, derived.RescaleIntercept, derived.RescaleType = "1", "0", "HU"
    if "PixelPaddingValue" in derived:
        padding = _padding_hu(header)
        del derived.PixelPaddingValue
        derived.add_new("PixelPaddingValue", "SS", int(np.clip(padding, limits.min, limits.max)))
    derived.PixelData = stored.tobytes()
    derived["PixelData"].VR = "OW"


def _padding_hu(header: Dataset) -> int:
    """Return the padding value in HU; it is kept in stored units, sometimes with a wrong sign."""
    value = int(header.PixelPaddingValue)
    if int(header.get("PixelRepresentation", 0)) == 1 and value > 0x7FFF:
        value -= 0x10000
    slope, intercept = (
        float(header.get("RescaleSlope", 1)),
        float(header.get("RescaleIntercept", 0)),
    )
    return round(value * slope + intercept)


def _derivation(description: str, made: Mapping[str, Any]) -> str:
    parts = [description]
    if made.get("method"):
        parts.append(f"method {made['method']}")
    if made.get("model_name"):
        parts.append(f"model {made['model_name']} {made.get('model_version', '')}".strip())
    if made.get("model_sha256"):
        parts.append(f"SHA-256 {made['model_sha256']}")
    if made.get("provider"):
        parts.append(f"ran on {made['provider']}")
    if made.get("metal_threshold_hu") is not None:
        parts.append(f"metal from {float(made['metal_threshold_hu']):.0f} HU")
    if made.get("software_version"):
        parts.append(f"SpineMAR {made['software_version']}")
    return "; ".join(parts)


def _reference(header: Dataset) -> Dataset:
    """Point at the source image, and say that it was the input of processing."""
    from pydicom.dataset import Dataset

    purpose = Dataset()
    purpose.CodeValue = "121322"
    purpose.CodingSchemeDesignator = "DCM"
    purpose.CodeMeaning = "Source image for image processing operation"
    reference = Dataset()
    reference.ReferencedSOPClassUID = header.SOPClassUID
    reference.ReferencedSOPInstanceUID = header.SOPInstanceUID
    reference.PurposeOfReferenceCodeSequence = [purpose]
    return reference


def _equipment(made: Mapping[str, Any], now: datetime.datetime) -> Dataset:
    from pydicom.dataset import Dataset

    purpose = Dataset()
    purpose.CodeValue = "109102"
    purpose.CodingSchemeDesignator = "DCM"
    purpose.CodeMeaning = "Processing Equipment"
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [purpose]
    equipment.Manufacturer = "SpineMAR"
    equipment.ManufacturerModelName = "SpineMAR"
    equipment.SoftwareVersions = str(made.get("software_version", "unknown"))
    equipment.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    equipment.ContributionDescription = "Metal artifact reduction; not for primary diagnosis"
    return equipment


def _save(derived: Dataset, path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = derived.SOPClassUID
    meta.MediaStorageSOPInstanceUID = derived.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    derived.file_meta = meta
    derived.save_as(path, enforce_file_format=True, implicit_vr=False, little_endian=True)
