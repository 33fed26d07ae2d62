"""The bone that screws are graded in: whose it is, and how sure its surface is.

On the scan itself metal bounds the bone: an outline drawn there hugs the screw, and hides just the
breach that is asked for. So the bone is taken from where there was no metal: the patient's earlier
CT, moved vertebra by vertebra. Without one it is estimated: the metal is taken out of the corrected
scan, what lay there is filled from beside it, the vertebrae are segmented in that, and what metal
hides of their surface is taken from their other side, or, where that is hidden too, from vertebrae
of other people that are laid over the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy import ndimage

from spinemar.base.boxes import bounding_box
from spinemar.errors import InputError
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.plans.relevel import shifted_text
from spinemar.postop.hidden.filling import GLOW_SHARE, hidden_by, without_implants
from spinemar.postop.hidden.labels import labels_behind_metal
from spinemar.postop.hidden.shapes import read_shapes
from spinemar.postop.hidden.surface import surface_behind_metal
from spinemar.postop.metal_share import MetalShare
from spinemar.progress import CancelToken, ProgressCallback, ignore_progress
from spinemar.registration.laid import Laid
from spinemar.registration.motions import FloatArray, VertebraMotion, inverse, moved
from spinemar.registration.trust import SAME_VERTEBRA
from spinemar.spine.labels.levels import GUESSED_LEVELS
from spinemar.spine.model import Endplate, PedicleFrame, SpineModel, VertebraFrame
from spinemar.volume import CTVolume

BoneSource = Literal["earlier CT", "labels", "corrected CT"]

# Standard deviations of a bone's surface in mm. Measured on scans of the training patients
# (`Testing.benchmarks.postop calibrate`, Docs/postop.md): 0.7 to 0.9 in the bone of an earlier CT
# that is segmented here, of which a little more is taken, and 1.2 in the corrected CT's.
_ERROR_MM: Mapping[BoneSource, float] = {"earlier CT": 1.0, "labels": 0.8, "corrected CT": 1.2}
#: Where the earlier CT's vertebrae were given: what is left is their registration.
GIVEN_ERROR_MM = 0.45
# Where a vertebra was laid over the scan's and is not alike: it is the streaks beside it that
# decide then.
_DOUBTFUL_ERROR_MM = 1.6
#: Where a vertebra's own registration failed and it moved as its neighbours do.
_NEIGHBOURS_ERROR_MM = 2.5
#: So far beside metal a corrected picture is a guess as well: no labels are compared with it there
#: (the correction's smear makes right ones look 0.3 mm too large).
_GUESSED_MM = 3.0


@dataclass(frozen=True, eq=False)
class Bone:
    """Vertebrae in the scan, and what screws in them are graded on.

    Parameters
    ----------
    spine : SpineModel
        In the scan.
    fields : mapping of str to BoneField
        By level; what has no field cannot be graded.
    source : {"earlier CT", "labels", "corrected CT"}
    error_mm : mapping of str to float
        Standard deviation of the bone's surface, by level.
    warnings : tuple of str
    from_earlier : mapping of str to ndarray, shape (4, 4)
        How each vertebra moved since the earlier CT, where there is one; RAS mm.
    """

    spine: SpineModel
    fields: Mapping[str, BoneField]
    source: BoneSource
    error_mm: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    from_earlier: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def estimated(self) -> bool:
        """Whether the bone was seen only beside the metal."""
        return self.source == "corrected CT"

    @property
    def levels_guessed(self) -> bool:
        """Whether nobody named a vertebra, and the CT does not tell which they are."""
        return any(GUESSED_LEVELS in text for text in self.warnings)

    def renamed(self, steps: int) -> Bone:
        """Return the bone with every vertebra named `steps` levels further towards the feet.

        By 0 steps too the names are stated then, and no guess any more.

        Raises
        ------
        InputError
            If they cannot be renamed so.
        """
        from spinemar.spine.editing import shift_levels

        spine = shift_levels(self.spine, steps)
        names = dict(zip(self.spine.levels, spine.levels, strict=True))
        return replace(
            self,
            spine=spine,
            fields={
                names[level]: replace(one, frame=spine.vertebra(names[level]))
                for level, one in self.fields.items()
            },
            error_mm={names[level]: error for level, error in self.error_mm.items()},
            warnings=tuple(
                shifted_text(text, steps) for text in self.warnings if GUESSED_LEVELS not in text
            ),
            from_earlier={names[level]: way for level, way in self.from_earlier.items()},
        )


def bone_from_labels(spine: SpineModel, source: BoneSource = "labels") -> Bone:
    """Take the bone of a segmentation that knows what lay where the metal is."""
    fields = _fields(spine)
    errors = dict.fromkeys(fields, _ERROR_MM[source])
    return Bone(spine, fields, source, errors, _said(spine))


def bone_from_corrected(
    volume: CTVolume,
    metal: MetalShare,
    *,
    first_level: str | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Bone:
    """Estimate the bone from a corrected scan alone.

    Parameters
    ----------
    volume : CTVolume
        Its artifacts reduced; on the grid of the metal.
    metal : MetalShare
    first_level : str, optional
        Name of the uppermost vertebra; guessed by default.
    progress, cancel
        As everywhere.

    Raises
    ------
    InputError
        If no spine is seen.
    """
    from spinemar.spine.segmentation.segment import segment_spine

    hidden = hidden_by(metal)
    filled = without_implants(volume, hidden)
    spine = segment_spine(filled, first_level=first_level, progress=progress, cancel=cancel)
    spine = compared_beside_metal(spine, filled, metal, cancel=cancel)
    bone = bone_from_labels(spine, "corrected CT")
    shapes = read_shapes()
    fields: dict[str, BoneField] = {}
    for level, one in bone.fields.items():
        if cancel is not None:
            cancel.raise_if_cancelled()
        fields[level] = surface_behind_metal(one, hidden, metal.geometry, shapes)
    labels = labels_behind_metal(spine.labels, fields, hidden)
    return replace(bone, spine=replace(spine, labels=labels), fields=fields)


def compared_beside_metal(
    spine: SpineModel, filled: CTVolume, metal: MetalShare, *, cancel: CancelToken | None = None
) -> SpineModel:
    """Compare labels with a corrected scan, but not with what it can only guess beside metal.

    Parameters
    ----------
    spine : SpineModel
    filled : CTVolume
        Of `without_implants`.
    metal : MetalShare
        On the same grid.
    cancel : CancelToken, optional
    """
    from spinemar.spine.anatomy.agreement.compare import compared_with_ct

    spacing = filled.geometry.spacing_mm[::-1]
    guessed = np.zeros(metal.share.shape, bool)
    reach = [int(np.ceil(_GUESSED_MM / side)) for side in spacing]
    box = bounding_box(metal.share >= GLOW_SHARE, reach)
    if box is not None:
        away = ndimage.distance_transform_edt(metal.share[box] < GLOW_SHARE, sampling=spacing)
        guessed[box] = away <= _GUESSED_MM
    return compared_with_ct(spine, filled, guessed=guessed, cancel=cancel)


def bone_from_earlier(
    laid: Laid, scan: CTVolume, earlier: CTVolume, error_mm: float = _ERROR_MM["earlier CT"]
) -> Bone:
    """Take the bone of an earlier CT that was laid over the scan.

    Parameters
    ----------
    laid : Laid
        Of `spinemar.registration.register.lay_over`.
    scan, earlier : CTVolume
        That it was laid over, and itself.
    error_mm : float
        Standard deviation of the bone's surface; `GIVEN_ERROR_MM` where somebody gave the
        vertebrae of the earlier CT, and grades are meant in these.

    Raises
    ------
    InputError
        If no vertebra of the earlier CT was registered.
    """
    from spinemar.spine.anatomy.agreement.compare import compared_with_ct
    from spinemar.spine.anatomy.frames import frames_from_labels

    labels = laid.labels_on(scan.geometry)
    motions = {one.level: one for one in laid.registration.vertebrae}
    if laid.labels is None or labels is None or not motions:
        raise InputError(
            "No vertebra of the earlier CT was found in the scan.",
            "Give an earlier CT of the same levels, or go on without one.",
        )
    before = compared_with_ct(frames_from_labels(laid.labels, naming="verse"), earlier)
    frames: list[VertebraFrame] = []
    fields: dict[str, BoneField] = {}
    errors: dict[str, float] = {}
    back: dict[str, FloatArray] = {}
    for frame in before.vertebrae:
        motion = motions.get(frame.level)
        if motion is None:
            continue
        back[frame.level] = inverse(motion.scan_to_earlier)
        there = moved_frame(frame, back[frame.level])
        frames.append(there)
        fields[frame.level] = replace(bone_field(before.labels, frame), frame=there)
        errors[frame.level] = _registered_error_mm(motion, error_mm)
    if not frames:
        raise InputError(
            "The vertebrae of the earlier CT cannot be measured.",
            "Give its labels, or go on without an earlier CT.",
        )
    canal = moved(inverse(laid.registration.scan_to_earlier), before.canal_ras)
    spine = SpineModel(labels, tuple(frames), canal)
    said = (*laid.registration.warnings, *laid.notes)
    return Bone(spine, fields, "earlier CT", errors, said, back)


def _registered_error_mm(motion: VertebraMotion, sure_mm: float) -> float:
    """Return how far off a vertebra's surface is by how it was laid over the scan's."""
    if motion.found == "neighbours":
        return _NEIGHBOURS_ERROR_MM
    return _DOUBTFUL_ERROR_MM if motion.likeness < SAME_VERTEBRA else sure_mm


def moved_frame(frame: VertebraFrame, motion: FloatArray) -> VertebraFrame:
    """Return a vertebra's frame where a rigid motion (4, 4) takes it."""
    turn = motion[:3, :3]

    def pedicle(one: PedicleFrame) -> PedicleFrame:
        return replace(
            one,
            isthmus_ras=moved(motion, one.isthmus_ras),
            entry_ras=moved(motion, one.entry_ras),
            axis_ras=turn @ one.axis_ras,
        )

    spinous = frame.spinous_process_ras
    return replace(
        frame,
        body_centre_ras=moved(motion, frame.body_centre_ras),
        axes_ras=frame.axes_ras @ turn.T,
        endplates={
            name: Endplate(moved(motion, one.point_ras), turn @ one.normal_ras)
            for name, one in frame.endplates.items()
        },
        seen_endplates={},
        canal_centre_ras=moved(motion, frame.canal_centre_ras),
        spinous_process_ras=None if spinous is None else moved(motion, spinous),
        pedicles={side: pedicle(one) for side, one in frame.pedicles.items()},
        canal_contour_ras=moved(motion, frame.canal_contour_ras),
    )


def _fields(spine: SpineModel) -> dict[str, BoneField]:
    fields = {}
    for frame in spine.vertebrae:
        try:
            fields[frame.level] = bone_field(spine.labels, frame)
        except InputError:  # nothing of it is labelled: it is not graded
            continue
    return fields


def _said(spine: SpineModel) -> tuple[str, ...]:
    return tuple(f"{v.level}: {text}" for v in spine.vertebrae for text in v.warnings)
