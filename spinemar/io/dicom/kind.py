"""Is it DICOM, is it CT? The one answer, by the file's SOP class.

What lies beside a CT in the folders that PACS and discs bring (directories, presentation states,
key images, registrations, structures, reports, dose sheets, pictures of a screen) says by its SOP
class that it is none. The modality and the file's name do not tell: many of them say CT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from spinemar.errors import InputError
from spinemar.io.dicom.element_lengths import DicomScan, cut_off, scan_dicom

_CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
# Enhanced CT, and classic series converted to it.
_ENHANCED_CLASSES = (f"{_CT_CLASS}.1", f"{_CT_CLASS}.2")
_DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
_MEDIA_CLASS, _CLASS, _INSTANCE, _MODALITY = 0x00020002, 0x00080016, 0x00080018, 0x00080060
_IMAGE_TYPE, _DESCRIPTION, _PATIENT = 0x00080008, 0x0008103E, 0x00100020
_STUDY, _SERIES, _NUMBER, _POSITION = 0x0020000D, 0x0020000E, 0x00200011, 0x00200032
_PHOTOMETRIC = 0x00280004
_SUFFIXES = (".dcm", ".ima", ".dicom")
# Words of the image type (PS3.3 C.8.2.1.1.1, C.8.16.1.4 and what vendors write there) of images
# that are not the slices that a scanner reconstructed.
_RESAMPLED_WORDS = frozenset((
    "CPR", "CURVED", "MIP", "MINIP", "MAXIP", "MPR", "MPVR", "PROJECTION", "RESAMPLED", "SSD",
    "SUBTRACTION", "VRT", "MAXIMUM", "MINIMUM", "RADIAL", "RAYSUM",
))  # fmt: skip
_RESAMPLED_STARTS = ("REFORMAT", "RENDER", "VOLREND")


class Kind(Enum):
    """What a DICOM file is to a program that corrects CTs."""

    CT = "CT"
    ENHANCED_CT = "enhanced CT"
    LOCALIZER = "CT localizer"
    OTHER = "other"


@dataclass(frozen=True)
class DicomFile:
    """What one DICOM file says about itself, from a quick look.

    Parameters
    ----------
    path : Path
    kind : Kind
    name : str
        What it is, for a message: its modality, or the kind of object.
    image_type : str
        As stored: values parted by backslashes.
    patient, study, series, instance : str
        Identifiers; they tell files apart and go nowhere.
    number, description : str
        Of the series, as stored.
    modality : str
    placed : bool
        Whether it says where its slice lies; dose sheets and pictures of screens do not.
    colour : bool
        Whether its pixels are no grey values.
    scan : DicomScan
    """

    path: Path
    kind: Kind
    name: str
    image_type: str
    patient: str
    study: str
    series: str
    instance: str
    number: str
    description: str
    modality: str
    placed: bool
    colour: bool
    scan: DicomScan

    @property
    def problem(self) -> InputError | None:
        """Why the file is not to be read, if so."""
        # Cut off between two elements, a file looks whole.
        whole = self.scan.has_pixels or not self.scan.understood
        lost = self.kind is Kind.CT and not whole
        return self.scan.problem or (cut_off(self.path) if lost else None)

    def same_series(self, other: DicomFile) -> bool:
        """Whether two files are of one series: patient, study and series are the same."""
        mine, others = (self.patient, self.study), (other.patient, other.study)
        return mine == others and (self.series, self.kind) == (other.series, other.kind)

    @property
    def is_directory(self) -> bool:
        """Whether it is a DICOMDIR: it stands for the folder that it lies in."""
        return _class_of(self.scan) == _DIRECTORY_CLASS


def look_at(path: Path) -> DicomFile | None:
    """Look at one file, which may be anything.

    Parameters
    ----------
    path : Path
        An ordinary file.

    Returns
    -------
    DicomFile or None
        None for what is no DICOM file; with or without DICOM's mark, whatever it is called.
    """
    scan = scan_dicom(path)
    if scan is None:
        return None
    text = scan.texts.get
    sop_class = _class_of(scan) or (_CT_CLASS if _claims_ct(path) else "")
    modality = text(_MODALITY, "").upper()
    if not sop_class and not (modality and scan.has_pixels):
        return None
    image_type = text(_IMAGE_TYPE, "").upper()
    kind = _kind_of(sop_class, modality, image_type)
    return DicomFile(
        path=path,
        kind=kind,
        name=_name_of(kind, sop_class, modality),
        image_type=image_type,
        patient=text(_PATIENT, ""),
        study=text(_STUDY, ""),
        series=text(_SERIES, ""),
        instance=text(_INSTANCE, ""),
        number=text(_NUMBER, ""),
        description=text(_DESCRIPTION, ""),
        modality=modality,
        placed=bool(text(_POSITION, "")),
        colour=not text(_PHOTOMETRIC, "MONOCHROME").startswith("MONOCHROME"),
        scan=scan,
    )


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM of any kind, or is called so (and is damaged then)."""
    return path.suffix.lower() in _SUFFIXES or look_at(path) is not None


def is_ct_slice(path: Path) -> bool:
    """Whether a file is one slice of a CT."""
    try:
        seen = look_at(path)
    except OSError:
        return False
    return seen is not None and seen.kind is Kind.CT


def resampled_type(image_types: Iterable[str]) -> str | None:
    """Return the first image type that says its image was made from slices, not by a scanner.

    Parameters
    ----------
    image_types : iterable of str
        ImageType (0008,0008) of each slice, values parted by backslashes.

    Returns
    -------
    str or None
        None where all may be what the scanner reconstructed. DERIVED alone does not tell: thick
        slices, iterative reconstruction and our own results are derived too.
    """
    for image_type in dict.fromkeys(image_types):
        joined = re.sub("[_-]", "", image_type.upper())
        words = {*re.split(r"[^A-Z0-9]+", image_type.upper()), *re.split(r"[^A-Z0-9]+", joined)}
        if words & _RESAMPLED_WORDS or any(w.startswith(_RESAMPLED_STARTS) for w in words):
            return image_type
    return None


def _class_of(scan: DicomScan) -> str:
    return scan.texts.get(_CLASS, "") or scan.texts.get(_MEDIA_CLASS, "")


def _kind_of(sop_class: str, modality: str, image_type: str) -> Kind:
    if sop_class in _ENHANCED_CLASSES:
        return Kind.ENHANCED_CT
    # Where the class was lost, on the way through old software, the modality is what is left.
    if sop_class != _CT_CLASS and (sop_class or modality != "CT"):
        return Kind.OTHER
    return Kind.LOCALIZER if "LOCALIZER" in image_type else Kind.CT


def _name_of(kind: Kind, sop_class: str, modality: str) -> str:
    if kind is Kind.CT:
        return modality or str(kind.value)
    if kind is not Kind.OTHER:
        return str(kind.value)
    if sop_class == _DIRECTORY_CLASS:
        return "DICOMDIR"
    if modality not in ("", "CT"):
        return modality
    from pydicom import config
    from pydicom.uid import UID

    return str(UID(sop_class, config.IGNORE).name).removesuffix(" Storage")[:64]


def _claims_ct(path: Path) -> bool:
    """Whether the file's start names the CT class, though no reader finds it: it is damaged."""
    with path.open("rb") as stream:
        head = stream.read(1024)
    start = head.find(_CT_CLASS.encode())
    after = head[start + len(_CT_CLASS) :][:1]
    # One more digit would name another class, a dot the enhanced ones.
    return start >= 0 and not (after.isdigit() or after == b".")
