"""A postoperative CT from the scan to graded implants: correction, bone, screws."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue
from spinemar.mar.correct import correct_volume
from spinemar.mar.earlier.given import EarlierCt
from spinemar.mar.settings import CorrectionSettings
from spinemar.postop.bone import (
    GIVEN_ERROR_MM,
    Bone,
    bone_from_corrected,
    bone_from_earlier,
    bone_from_labels,
    compared_beside_metal,
)
from spinemar.postop.find import FoundImplants, find_implants, model_of
from spinemar.postop.hidden.filling import hidden_by, without_implants
from spinemar.postop.metal_share import LEAST_SHARE, MetalShare, metal_share_of
from spinemar.progress import CancelToken, ProgressCallback, ignore_progress
from spinemar.spine.labels.levels import parse_level, steps_between
from spinemar.spine.model import SpineModel
from spinemar.volume import CTVolume


class NoMetalError(InputError):
    """There is no metal in the CT."""


@dataclass(frozen=True)
class StudySettings:
    """How a postoperative CT is gone through.

    Parameters
    ----------
    correction : CorrectionSettings
    screw_model, material : str
        What the screws are written down as: an image does not tell.
    first_level : str or None
        Name of the uppermost vertebra, where the spine is segmented here; guessed by default.
    top_screw_level : str or None
        Name of the vertebra that the uppermost screw lies in; all others are counted from it.
    """

    correction: CorrectionSettings = field(default_factory=CorrectionSettings)
    screw_model: str = "generic-polyaxial"
    material: str = "Ti-6Al-4V"
    first_level: str | None = None
    top_screw_level: str | None = None


@dataclass(frozen=True, eq=False)
class PostopStudy:
    """What came out.

    Parameters
    ----------
    found : FoundImplants
    bone : Bone
    metal : MetalShare
    corrected : CTVolume
        What the pictures and the bone are from.
    """

    found: FoundImplants
    bone: Bone
    metal: MetalShare
    corrected: CTVolume


def study_after_operation(
    scan: CTVolume,
    catalogue: Catalogue,
    settings: StudySettings | None = None,
    *,
    corrected: CTVolume | None = None,
    spine: SpineModel | None = None,
    earlier: EarlierCt | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> PostopStudy:
    """Find and grade the implants of a postoperative CT.

    Parameters
    ----------
    scan : CTVolume
        As it came from the scanner.
    catalogue : Catalogue
    settings : StudySettings, optional
    corrected : CTVolume, optional
        The same scan, its artifacts reduced before; by default that is done here.
    spine : SpineModel, optional
        Vertebrae of the scan that somebody drew; they serve as the bone unless there is an
        earlier CT.
    earlier : EarlierCt, optional
        The patient's CT from before the operation: its bone is what screws are graded in.
    progress, cancel
        As everywhere.

    Raises
    ------
    NoMetalError
        If there is no metal.
    InputError
        If there is no spine, the corrected CT is another scan's, the earlier CT another
        patient's, or the vertebrae cannot be named as it is said.

    Examples
    --------
    >>> from spinemar import load_catalogue, read_volume
    >>> from spinemar.postop.study import study_after_operation
    >>> def grades(path):
    ...     found = study_after_operation(read_volume(path), load_catalogue()).found
    ...     return {one.screw.id: one.graded.grade for one in found.screws}
    """
    settings = settings or StudySettings()
    # Both are refused before the long work.
    model_of(catalogue, settings.screw_model, settings.material)
    top_level = None if settings.top_screw_level is None else parse_level(settings.top_screw_level)
    if corrected is None:
        result = correct_volume(scan, settings.correction, progress=progress, cancel=cancel)
        corrected = result.volume
        metal = MetalShare.of_percent(result.metal_percent, scan.geometry)
    else:
        if not corrected.geometry.same_as(scan.geometry):
            raise InputError(
                "The corrected CT does not lie on the scan's grid.", "Give the scan it was made of."
            )
        device = settings.correction.device
        metal = metal_share_of(scan, device, progress=progress, cancel=cancel)
    if not (metal.share >= LEAST_SHARE).any():
        raise NoMetalError("No metal was found in this CT.", "Give a CT from after the operation.")
    bone = _bone(corrected, metal, settings, spine, earlier, progress, cancel)
    find = partial(
        find_implants,
        metal,
        catalogue=catalogue,
        screw_model=settings.screw_model,
        material=settings.material,
        progress=progress,
        cancel=cancel,
    )
    found = find(bone=bone)
    if top_level is not None and found.screws:
        bone = bone.renamed(steps_between(found.screws[0].screw.level, top_level))
        found = find(bone=bone)
    return PostopStudy(found, bone, metal, corrected)


def check_levels_known(study: PostopStudy) -> None:
    """Refuse a result whose levels nobody named and nothing in the CT tells.

    Raises
    ------
    InputError
        That says what the uppermost screw's level would be, and how to name it.
    """
    if study.bone.levels_guessed and study.found.screws:
        level = study.found.screws[0].screw.level
        raise InputError(
            f"Nothing in the CT tells which vertebrae these are: the uppermost screw lies in "
            f"{level}, or in a neighbour of it.",
            f"Say which it is: --top-screw-level {level}, or its true name.",
        )


def _bone(
    corrected: CTVolume,
    metal: MetalShare,
    settings: StudySettings,
    spine: SpineModel | None,
    earlier: EarlierCt | None,
    progress: ProgressCallback,
    cancel: CancelToken | None,
) -> Bone:
    if earlier is not None:
        from spinemar.registration.register import lay_over

        laid = lay_over(
            corrected,
            metal.share >= LEAST_SHARE,
            earlier.volume,
            labels=earlier.labels,
            given=earlier.transforms,
            progress=progress,
            cancel=cancel,
        )
        if earlier.labels is None:
            return bone_from_earlier(laid, corrected, earlier.volume)
        return bone_from_earlier(laid, corrected, earlier.volume, GIVEN_ERROR_MM)
    if spine is not None:
        seen = without_implants(corrected, hidden_by(metal))
        return bone_from_labels(compared_beside_metal(spine, seen, metal, cancel=cancel))
    return bone_from_corrected(
        corrected, metal, first_level=settings.first_level, progress=progress, cancel=cancel
    )
