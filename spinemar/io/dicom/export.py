"""A volume as a derived CT series in the study of its source.

Every slice keeps what its source says about patient, study, frame of reference and place; new are
the series and instance UIDs, the pixels, and what says how they were made. Source files are only
read. HU come back exactly: whole ones, and others in steps of their source's scale.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import GeometryError, InputError
from spinemar.io.affine import LPS_RAS
from spinemar.io.dicom.folder import series_of_files
from spinemar.io.dicom.overlay import free_overlays
from spinemar.io.dicom.plain import read_plain_header, text_of
from spinemar.io.dicom.pydicom_versions import write_file
from spinemar.io.dicom.series import SliceStack, stack_of
from spinemar.io.dicom.slice import DicomSlice
from spinemar.io.dicom.stored import StoredScale, scales_for
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.volume import CTVolume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
# Positions are rounded by scanners, and other software makes its own step of them.
_PLACE_TOLERANCE_MM = 0.12
_STEP_TOLERANCE = 0.1
_SERIES_OFFSET = 1000
_MAX_SERIES_NUMBER = 2**31
_MAX_LONG_STRING = 64
_MAX_SHORT_TEXT = 1024
# What describes the stored pixels of the source, and would be false for the new ones.
_STALE = (
    "SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "ModalityLUTSequence", "VOILUTSequence", "PresentationLUTShape", "PresentationLUTSequence",
    "RealWorldValueMappingSequence", "IconImageSequence", "FloatPixelData", "DoubleFloatPixelData",
    "DigitalSignaturesSequence", "MACParametersSequence", "OriginalAttributesSequence",
    "SourceImageSequence", "ReferencedImageSequence", "DerivationCodeSequence",
    "NumberOfFrames", "PlanarConfiguration",
)  # fmt: skip


def write_derived_series(
    volume: CTVolume,
    sources: Sequence[str | Path],
    folder: str | Path,
    *,
    description: str = "Metal artifacts reduced",
    provenance: Mapping[str, Any] | None = None,
    earlier: Mapping[str, str] | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> tuple[Path, ...]:
    """Write a volume as a derived CT series.

    Parameters
    ----------
    volume : CTVolume
        On the grid of its source series.
    sources : sequence of path
        The files of the source series, one a slice, in any order; companions that lie beside
        a CT are passed over.
    folder : path
        New folder for the files; must not exist yet.
    description : str
        What was done, in English: it follows the source's own series description, and is how the
        series says what it is. A description that says "simulated" marks the image type too.
    provenance : mapping, optional
        How the volume was made: method, model and so on, as in `Provenance.to_json`.
    earlier : mapping of str to str, optional
        Facts of the earlier CT that lent its detail (`EarlierUse.facts`); its series is named as
        a related one.
    progress, cancel
        See `spinemar.progress`.

    Returns
    -------
    tuple of Path
        The files, in slice order.

    Raises
    ------
    InputError
        If the sources are no single-frame CT series, or the folder exists.
    GeometryError
        If volume and sources do not lie on the same grid.
    """
    target = Path(folder)
    if target.exists():
        raise InputError(f"{target} exists already.", "Choose a new folder for the series.")
    slices = _slices_of(volume, _stack(sources))
    headers = [read_plain_header(one.path) for one in slices]
    scales = scales_for(volume.hu, [_scale_of(header) for header in headers])
    made = dict(provenance or {})
    uids = _new_uids(len(headers))
    now = datetime.datetime.now()
    with atomic_path(target) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, about values that are the source's
        temporary.mkdir()
        for k, (header, one) in enumerate(zip(headers, slices, strict=True)):
            if cancel is not None:
                cancel.raise_if_cancelled()
            free_overlays(header, one.path)
            derived = _derived(header, description, made, now)
            if earlier:
                _name_earlier(derived, earlier)
            _set_pixels(derived, volume.hu[k], scales[k], _padding_hu(header))
            _put(derived, SeriesInstanceUID=uids[0], SOPInstanceUID=uids[k + 1])
            _put(derived, InstanceNumber=k + 1)
            _save(derived, temporary / _file_name(k))
            progress(Progress("Writing DICOM", k + 1, len(headers)))
    return tuple(target / _file_name(k) for k in range(len(headers)))


def _file_name(k: int) -> str:
    return f"IM{k + 1:05d}.dcm"


def _stack(sources: Sequence[str | Path]) -> SliceStack:
    paths = [Path(path) for path in sources]
    for path in paths:
        if not path.is_file():
            raise InputError(
                f"{path.name} of the source series cannot be read.", "Load the series again."
            )
    return stack_of(series_of_files(paths), "The source series")


def _slices_of(volume: CTVolume, stack: SliceStack) -> list[DicomSlice]:
    """Find for every slice of the volume its source: counted from the end where it begins."""
    slices, rows, columns = volume.hu.shape
    if len(stack.slices) != slices:
        raise GeometryError(
            f"The volume has {slices} slices, its source series {len(stack.slices)} files.",
            "Correct the whole series as it was loaded.",
        )
    lps, source = LPS_RAS @ volume.ijk_to_ras, LPS_RAS @ stack.ijk_to_ras
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


def _new_uids(count: int) -> list[str]:
    from pydicom.uid import generate_uid

    # 2.25: UIDs from UUIDs, which need no registration and tell nothing.
    return [str(generate_uid(prefix=None)) for _ in range(count + 1)]


def _derived(
    header: Dataset, description: str, made: Mapping[str, Any], now: datetime.datetime
) -> Dataset:
    import copy

    derived = copy.deepcopy(header)
    for name in _STALE:
        if name in derived:
            delattr(derived, name)
    equipment = _equipment(description, made, now)
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S.%f")
    _put(
        derived,
        SOPClassUID=_CT_IMAGE,
        ImageType=_image_type(header, description),
        SeriesDescription=_series_description(header, description),
        SeriesNumber=_series_number(header),
        DerivationDescription=_ascii(_derivation(description, made))[:_MAX_SHORT_TEXT],
        ContributingEquipmentSequence=[*_items(header, "ContributingEquipmentSequence"), equipment],
        InstanceCreationDate=date,
        InstanceCreationTime=time,
        ContentDate=date,
        ContentTime=time,
        SeriesDate=date,
        SeriesTime=time,
    )
    if text_of(header, "SOPInstanceUID"):
        _put(derived, SourceImageSequence=[_reference(header)])
    return derived


def _put(derived: Dataset, **values: Any) -> None:
    """Set elements anew, of the standard's kind: the source may hold them as of another."""
    for name, value in values.items():
        if name in derived:
            delattr(derived, name)
        setattr(derived, name, value)


def _items(header: Dataset, name: str) -> list[Dataset]:
    """Return a sequence's items; none of what is no sequence."""
    found = header.get(name)
    return list(found) if found and header[name].VR == "SQ" else []


def _name_earlier(derived: Dataset, earlier: Mapping[str, str]) -> None:
    """Name the earlier CT's series: same anatomy (PS3.3 C.7.3.1, CID 7210), and its hash."""
    from pydicom.dataset import Dataset

    if earlier.get("series_uid") and earlier.get("study_uid"):
        purpose = Dataset()
        purpose.CodeValue = "122401"
        purpose.CodingSchemeDesignator = "DCM"
        purpose.CodeMeaning = "Same Anatomy"
        related = Dataset()
        related.StudyInstanceUID = earlier["study_uid"]
        related.SeriesInstanceUID = earlier["series_uid"]
        related.PurposeOfReferenceCodeSequence = [purpose]
        known = _items(derived, "RelatedSeriesSequence")
        _put(derived, RelatedSeriesSequence=[*known, related])
    said = ["detail of an earlier CT of the patient"]
    if earlier.get("study_date"):
        said.append(f"of {earlier['study_date']}")
    if earlier.get("sha256"):
        said.append(f"SHA-256 of its voxels {earlier['sha256']}")
    text = "; ".join((derived.DerivationDescription, " ".join(said)))
    _put(derived, DerivationDescription=_ascii(text)[:_MAX_SHORT_TEXT])


def _image_type(header: Dataset, description: str) -> list[str]:
    """Say derived, its source's kind of image, and that it is simulated (PS3.3 C.7.6.1.1.2)."""
    stored = header.get("ImageType") or []
    kind = [] if isinstance(stored, str) else list(stored)[2:3]
    simulated = ["SIMULATED"] if "simulated" in description.lower() else []
    return ["DERIVED", "SECONDARY", *(str(k) for k in kind or ["AXIAL"]), *simulated]


def _series_description(header: Dataset, description: str) -> str:
    own, said = text_of(header, "SeriesDescription"), _ascii(description)[:_MAX_LONG_STRING]
    room = _MAX_LONG_STRING - len(said) - len(" - ")
    return f"{own[:room]} - {said}" if own and room > 0 else said


def _series_number(header: Dataset) -> int:
    import re

    match = re.match(r"[+-]?\d{1,12}", text_of(header, "SeriesNumber"))
    return (int(match[0]) if match else 0) % (_MAX_SERIES_NUMBER - _SERIES_OFFSET) + _SERIES_OFFSET


def _ascii(text: str) -> str:
    """Keep to letters that every character set has."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")


def _scale_of(header: Dataset) -> tuple[str, str]:
    slope, intercept = text_of(header, "RescaleSlope"), text_of(header, "RescaleIntercept")
    try:
        float(slope), float(intercept)
    except ValueError as error:
        raise InputError(
            "A slice of the series does not say how its values become HU: its rescale slope and "
            f"intercept are {slope!r} and {intercept!r}.",
            "Export the series anew, or save the result as NRRD or NIfTI.",
        ) from error
    return slope, intercept


def _set_pixels(
    derived: Dataset, hu: NDArray[np.float32], scale: StoredScale, padding_hu: float | None
) -> None:
    _put(
        derived,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=int(scale.signed),
        RescaleSlope=scale.slope,
        RescaleIntercept=scale.intercept,
        RescaleType="HU",
        PixelData=scale.stored(hu).tobytes(),
    )
    if padding_hu is not None:
        value = scale.stored(np.array([padding_hu], np.float32))
        derived.add_new("PixelPaddingValue", "SS" if scale.signed else "US", int(value[0]))
    derived["PixelData"].VR = "OW"


def _padding_hu(header: Dataset) -> float | None:
    """Return the padding value in HU; it is kept in stored units, sometimes with a wrong sign."""
    try:
        value = int(text_of(header, "PixelPaddingValue"))
    except ValueError:
        return None
    if text_of(header, "PixelRepresentation") == "1" and value > np.iinfo(np.int16).max:
        value -= 0x10000
    slope, intercept = (float(text) for text in _scale_of(header))
    return value * slope + intercept


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
    reference.ReferencedSOPClassUID = _CT_IMAGE
    reference.ReferencedSOPInstanceUID = text_of(header, "SOPInstanceUID")
    reference.PurposeOfReferenceCodeSequence = [purpose]
    return reference


def _equipment(description: str, made: Mapping[str, Any], now: datetime.datetime) -> Dataset:
    from pydicom.dataset import Dataset

    purpose = Dataset()
    purpose.CodeValue = "109102"
    purpose.CodingSchemeDesignator = "DCM"
    purpose.CodeMeaning = "Processing Equipment"
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [purpose]
    equipment.Manufacturer = "SpineMAR"
    equipment.ManufacturerModelName = "SpineMAR"
    version = str(made.get("software_version", "unknown"))
    equipment.SoftwareVersions = _ascii(version)[:_MAX_LONG_STRING]
    equipment.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    said = f"{description}; not for primary diagnosis"
    equipment.ContributionDescription = _ascii(said)[:_MAX_SHORT_TEXT]
    return equipment


def _save(derived: Dataset, path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = derived.SOPClassUID
    meta.MediaStorageSOPInstanceUID = derived.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    derived.file_meta = meta
    write_file(derived, path)
