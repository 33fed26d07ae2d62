"""What the module does, on a scene that it is given: start a correction, keep its result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MetalArtifactReductionLib import results
from MetalArtifactReductionLib.run import CorrectionRun, Source
from MetalArtifactReductionLib.volumes import arrayOf, ijkToRas, segmentMask
from spinemar.errors import FaultError, InputError
from spinemar.mar.settings import CorrectionSettings

if TYPE_CHECKING:
    from spinemar.io.dicom.kind import DicomFile

INSTANCE_UIDS = "DICOM.instanceUIDs"


class CorrectionLogic:
    """Corrections in one scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    temporaryFolder : path
        For what is handed to and from the worker.
    command : sequence of str, optional
        Command line of the worker; by default this Python's.
    """

    def __init__(
        self, scene: Any, temporaryFolder: str | Path, command: Sequence[str] | None = None
    ) -> None:
        self.scene = scene
        self._temporaryFolder = temporaryFolder
        self._command = command

    def start(
        self,
        inputNode: Any,
        settings: CorrectionSettings,
        segmentation: Any = None,
        segmentId: str = "",
    ) -> CorrectionRun:
        """Start correcting a volume that `guards.checkInput` has passed.

        Raises
        ------
        InputError
            If the segment cannot be used.
        """
        metal = segmentMask(segmentation, segmentId, inputNode) if segmentation else None
        source = Source(inputNode.GetName(), arrayOf(inputNode), ijkToRas(inputNode), metal)
        return CorrectionRun(source, settings, self._temporaryFolder, self._command)

    def finish(
        self, run: CorrectionRun, inputNode: Any, outputNode: Any = None
    ) -> results.ResultNodes | None:
        """Put the result of a finished run into the scene; None where there was no metal.

        Raises
        ------
        SpinemarError
            What ended the run.
        """
        if run.error is not None:
            raise run.error
        if run.result is None:
            raise FaultError("The correction has no result.", "Please try again.")
        if inputNode is None or not self.scene.IsNodePresent(inputNode):
            raise InputError(
                "The input volume was removed while it was corrected.", "Load it and try again."
            )
        if not run.result.facts["slices"]:
            return None
        if outputNode is inputNode or not self.scene.IsNodePresent(outputNode):
            outputNode = None
        return results.addResult(self.scene, inputNode, run.result, outputNode)


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


def writeDicom(correctedNode: Any, files: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """Write a corrected volume as a derived series of its input's study."""
    from spinemar.io.dicom.export import write_derived_series
    from spinemar.volume import CTVolume

    volume = CTVolume(arrayOf(correctedNode), ijkToRas(correctedNode))
    return write_derived_series(
        volume, list(files), folder, provenance=results.provenanceOf(correctedNode)
    )
