"""The true bone of a patient's vertebrae, for grading screws in it."""

from __future__ import annotations

from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.spine.model import SpineModel
from spinemar_study.scenes.scenes import Patient

_SAME_VERTEBRA_MM = 14.0


def grade_fields(patient: Patient) -> dict[str, BoneField]:
    """Distance fields by the level's name in the landmarks.

    The sample CT has a label map of its own; elsewhere the automatic segmentation is used.
    Vertebrae are matched by place, since a segmentation may number them otherwise.
    """
    spine = _spine(patient)
    fields = {}
    for site in patient.sites:
        nearest = min(
            spine.vertebrae, key=lambda v: sum((v.body_centre_ras - site.body_centre) ** 2)
        )
        away = sum((nearest.body_centre_ras - site.body_centre) ** 2) ** 0.5
        if away < _SAME_VERTEBRA_MM and site.level not in fields:
            fields[site.level] = bone_field(spine.labels, nearest)
    return fields


def _spine(patient: Patient) -> SpineModel:
    from spinemar.demo.sample_data import sample_labels
    from spinemar.io import read_labels
    from spinemar.spine.anatomy.frames import frames_from_labels
    from spinemar.spine.segmentation.segment import segment_spine

    if patient.name == "lidc_idri_0001":
        return frames_from_labels(read_labels(sample_labels()), patient.volume)
    return segment_spine(patient.volume)
