"""What is asked of an input volume before anything runs: a sentence with its remedy, or a question.

What needs all voxels (no metal, metal everywhere, values that are no HU) the worker checks; it
answers with the same kind of sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spinemar.errors import InputError
from SpineMARLib.nodes.lookup import nodesOfClass
from SpineMARLib.nodes.volumes import arrayOf, geometryOf

if TYPE_CHECKING:
    from spinemar.io.dicom.kind import DicomFile

METHOD_ATTRIBUTE = "SpineMAR.Method"
MODALITY_ATTRIBUTE = "DICOM.Modality"
_SAMPLES_PER_AXIS = 48


@dataclass(frozen=True)
class Question:
    """Something unusual that the user may go on with.

    Parameters
    ----------
    text : str
    unwise : bool
        Whether going on is most likely a mistake: *No* is the default then.
    """

    text: str
    unwise: bool = False


def checkInput(
    volumeNode: Any, modality: str = "", images: Sequence[DicomFile] = ()
) -> tuple[Question, ...]:
    """Check a volume node.

    Parameters
    ----------
    volumeNode : vtkMRMLScalarVolumeNode or None
    modality : str
        What the DICOM database says, where there is one.
    images : sequence of DicomFile
        The DICOM files that the volume was loaded from, where it was.

    Returns
    -------
    tuple of Question
        To be asked before going on.

    Raises
    ------
    SpinemarError
        If the volume cannot be corrected.
    """
    _checkImage(volumeNode)
    _checkModality(volumeNode, modality)
    _checkImages(volumeNode, images)
    _checkGeometry(volumeNode)
    _checkValues(arrayOf(volumeNode), volumeNode.GetName())
    return (*_questions(volumeNode), *_questionsOfOrigin(volumeNode, images))


def _checkImage(volumeNode: Any) -> None:
    if volumeNode is None:
        raise InputError("No volume is chosen.", "Load a spine CT and choose it as input volume.")
    image = volumeNode.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise InputError(f"{volumeNode.GetName()} holds no image.", "Load the CT series again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"{volumeNode.GetName()} is a colour image, not a CT.", "Load the original CT series."
        )


def _checkModality(volumeNode: Any, modality: str) -> None:
    known = modality or volumeNode.GetAttribute(MODALITY_ATTRIBUTE) or ""
    if known and known != "CT":
        raise InputError(
            f"{volumeNode.GetName()} is no CT (its modality is {known}).",
            "Choose the CT series; other modalities cannot be corrected.",
        )


def _checkImages(volumeNode: Any, images: Sequence[DicomFile]) -> None:
    """Ask every image, not the first alone: a series may have others among its own."""
    from spinemar.io.dicom.kind import Kind

    for image in images:
        known = image.kind in (Kind.CT, Kind.ENHANCED_CT) and image.modality in ("", "CT")
        if not known:
            raise InputError(
                f"{volumeNode.GetName()} is no CT (it was loaded from: {image.name}).",
                "Choose the CT series; other images cannot be corrected.",
            )


def _questionsOfOrigin(volumeNode: Any, images: Sequence[DicomFile]) -> tuple[Question, ...]:
    from spinemar.io.dicom.acquired import why_reformatted

    if not images:
        return ()
    why = why_reformatted((i.image_type for i in images), geometryOf(volumeNode))
    if why is None:
        return ()
    return (
        Question(
            f"{volumeNode.GetName()} is a reformatted series: {why}. Metal leaves no trace there "
            "that could be corrected; the original axial series is the right input. Correct it "
            "all the same?",
            unwise=True,
        ),
    )


def _checkGeometry(volumeNode: Any) -> None:
    from spinemar.axial import find_axial_slices

    find_axial_slices(geometryOf(volumeNode))


def _checkValues(voxels: np.ndarray, name: str) -> None:
    """Look at a sample of the voxels, so that even a large volume takes a blink."""
    from spinemar.io.hounsfield import check_hounsfield

    steps = tuple(slice(None, None, max(n // _SAMPLES_PER_AXIS, 1)) for n in voxels.shape)
    check_hounsfield(np.asarray(voxels[steps], dtype=np.float32), name)


def _questions(volumeNode: Any) -> tuple[Question, ...]:
    from spinemar.mar.settings import METHOD_TITLES

    questions = []
    method = volumeNode.GetAttribute(METHOD_ATTRIBUTE)
    if method:
        title = METHOD_TITLES.get(method, method)
        questions.append(
            Question(
                f"{volumeNode.GetName()} was already corrected ({title}). Correcting it twice "
                "adds errors; the original volume is the better input. Correct it all the same?",
                unwise=True,
            )
        )
    geometry = geometryOf(volumeNode)
    if min(geometry.shape) < 3:
        questions.append(
            Question(
                f"{volumeNode.GetName()} has only {min(geometry.shape)} slices. Neighbouring "
                "slices help the correction and are repeated here; loading the whole series is "
                "better. Go on with these?"
            )
        )
    return tuple(questions)


def likelyInput(scene: Any, activeId: str | None) -> Any:
    """Guess which volume the user means: the active one, else the first that is no result."""
    kind = "vtkMRMLScalarVolumeNode"
    nodes = [n for n in nodesOfClass(scene, kind) if n.GetClassName() == kind]
    nodes = [
        n for n in nodes if not n.GetHideFromEditors() and not n.GetAttribute(METHOD_ATTRIBUTE)
    ]
    active = [n for n in nodes if n.GetID() == activeId]
    return next(iter(active or nodes), None)


def refuseMissingSegment() -> None:
    """Refuse a run that shall take its metal from a segment while none is chosen."""
    raise InputError("No segment is chosen for the metal.", "Choose one, or use automatic.")
