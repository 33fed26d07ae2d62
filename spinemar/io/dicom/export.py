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
from spinemar.errors import InputError
from spinemar.io.dicom.derived import (
    CT_IMAGE,
    MAX_LONG_STRING,
    MAX_SHORT_TEXT,
    ascii_text,
    later_series_number,
    new_uids,
    put,
    save_dicom,
    source_reference,
    source_slices,
)
from spinemar.io.dicom.overlay import free_overlays
from spinemar.io.dicom.plain import read_plain_header, text_of
from spinemar.io.dicom.stored import StoredScale, scales_for
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress
from spinemar.volume import CTVolume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

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
    slices = source_slices(volume.geometry, sources)
    headers = [read_plain_header(one.path) for one in slices]
    scales = scales_for(volume.hu, [_scale_of(header) for header in headers])
    made = dict(provenance or {})
    uids = new_uids(len(headers))
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
            put(derived, SeriesInstanceUID=uids[0], SOPInstanceUID=uids[k + 1])
            put(derived, InstanceNumber=k + 1)
            save_dicom(derived, temporary / _file_name(k))
            progress(Progress("Writing DICOM", k + 1, len(headers)))
    return tuple(target / _file_name(k) for k in range(len(headers)))


def _file_name(k: int) -> str:
    return f"IM{k + 1:05d}.dcm"


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
    put(
        derived,
        SOPClassUID=CT_IMAGE,
        ImageType=_image_type(header, description),
        SeriesDescription=_series_description(header, description),
        SeriesNumber=later_series_number(header),
        DerivationDescription=ascii_text(_derivation(description, made))[:MAX_SHORT_TEXT],
        ContributingEquipmentSequence=[*_items(header, "ContributingEquipmentSequence"), equipment],
        InstanceCreationDate=date,
        InstanceCreationTime=time,
        ContentDate=date,
        ContentTime=time,
        SeriesDate=date,
        SeriesTime=time,
    )
    if text_of(header, "SOPInstanceUID"):
        put(derived, SourceImageSequence=[source_reference(header)])
    return derived


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
        put(derived, RelatedSeriesSequence=[*known, related])
    said = ["detail of an earlier CT of the patient"]
    if earlier.get("study_date"):
        said.append(f"of {earlier['study_date']}")
    if earlier.get("sha256"):
        said.append(f"SHA-256 of its voxels {earlier['sha256']}")
    text = "; ".join((derived.DerivationDescription, " ".join(said)))
    put(derived, DerivationDescription=ascii_text(text)[:MAX_SHORT_TEXT])


def _image_type(header: Dataset, description: str) -> list[str]:
    """Say derived, its source's kind of image, and that it is simulated (PS3.3 C.7.6.1.1.2)."""
    stored = header.get("ImageType") or []
    kind = [] if isinstance(stored, str) else list(stored)[2:3]
    simulated = ["SIMULATED"] if "simulated" in description.lower() else []
    return ["DERIVED", "SECONDARY", *(str(k) for k in kind or ["AXIAL"]), *simulated]


def _series_description(header: Dataset, description: str) -> str:
    own, said = text_of(header, "SeriesDescription"), ascii_text(description)[:MAX_LONG_STRING]
    room = MAX_LONG_STRING - len(said) - len(" - ")
    return f"{own[:room]} - {said}" if own and room > 0 else said


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
    put(
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
    equipment.SoftwareVersions = ascii_text(version)[:MAX_LONG_STRING]
    equipment.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    said = f"{description}; not for primary diagnosis"
    equipment.ContributionDescription = ascii_text(said)[:MAX_SHORT_TEXT]
    return equipment
