"""The DICOM files that a volume was loaded from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinemar.errors import InputError

if TYPE_CHECKING:
    from spinemar.io.dicom.kind import DicomFile

INSTANCE_UIDS = "DICOM.instanceUIDs"


def sourceFiles(inputNode: Any, database: Any = None) -> list[str]:
    """Find the DICOM files that a volume was loaded from.

    Parameters
    ----------
    inputNode : vtkMRMLScalarVolumeNode
    database : ctkDICOMDatabase, optional
        Slicer's own.

    Raises
    ------
    InputError
        If it was not loaded from DICOM.
    """
    from spinemar.io.dicom.kind import is_ct_slice

    uids = (inputNode.GetAttribute(INSTANCE_UIDS) or "").split()
    if uids and database is not None:
        files = [database.fileForInstance(uid) for uid in uids]
    else:
        storage = inputNode.GetStorageNode()
        names = [] if storage is None else [storage.GetFileName()]
        names += (
            [storage.GetNthFileName(n) for n in range(storage.GetNumberOfFileNames())]
            if storage
            else []
        )
        files = [name for name in dict.fromkeys(names) if name and is_ct_slice(Path(name))]
    if not files or not all(files):
        raise InputError(
            f"{inputNode.GetName()} was not loaded from DICOM, so it belongs to no study.",
            "Load the series from the DICOM database, or save the result as NRRD or NIfTI.",
        )
    return files


def cameFromDicom(inputNode: Any, database: Any = None) -> bool:
    """Whether a volume was loaded from DICOM, by a look that takes no time."""
    from spinemar.io.dicom.kind import is_ct_slice

    if (inputNode.GetAttribute(INSTANCE_UIDS) or "").strip() and database is not None:
        return True
    storage = inputNode.GetStorageNode()
    name = "" if storage is None else storage.GetFileName() or ""
    return bool(name) and is_ct_slice(Path(name))


def sourceImages(inputNode: Any, database: Any = None) -> list[DicomFile]:
    """Look at the DICOM files that a volume was loaded from; none where it was not.

    Parameters
    ----------
    inputNode : vtkMRMLScalarVolumeNode
    database : ctkDICOMDatabase, optional
    """
    from spinemar.io.dicom.kind import look_at

    try:
        paths = [Path(name) for name in sourceFiles(inputNode, database)]
    except InputError:
        return []
    seen = [look_at(path) for path in paths if path.is_file()]
    return [image for image in seen if image is not None]


def modalityOf(volumeNode: Any, database: Any = None) -> str:
    """Return the modality of a volume, "" where DICOM does not tell."""
    return _instanceValue(volumeNode, database, "0008,0060")


def patientOf(volumeNode: Any, database: Any = None) -> str:
    """Return the patient's identifier of a volume, "" where DICOM does not tell."""
    return _instanceValue(volumeNode, database, "0010,0020")


def _instanceValue(volumeNode: Any, database: Any, tag: str) -> str:
    uids = [] if volumeNode is None else (volumeNode.GetAttribute(INSTANCE_UIDS) or "").split()
    return str(database.instanceValue(uids[0], tag)) if database and uids else ""
