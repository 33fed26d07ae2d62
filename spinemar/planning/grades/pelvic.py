"""Grades of screws that end in the ilium: how far they leave sacrum and hip, and what is near.

The letters are those of pedicle screws, by the largest distance of the screw's surface from bone;
Gertzbein and Robbins did not speak of the pelvis. Limits of 2 and 4 mm are in use for these screws
too (Shillingford et al., Accuracy of S2-alar-iliac screw placement, Spine 2018).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.planning.grades.gertzbein_robbins import (
    FAR_MM,
    Assessment,
    assess_surface,
    canal_intrusion_mm,
    screw_points,
)
from spinemar.planning.grades.gradable import vertebra_doubt
from spinemar.planning.grades.pelvic_bone import HIP, OUTSIDE, PelvicField

#: At the entry every screw leaves the bone, mm.
_ENTRY_MM = 10.0
#: So much of a shank lies in the ilium at least, mm.
_LEAST_IN_HIP_MM = 25.0
#: The axis is looked at every so many mm.
_STATION_MM = 1.0

NO_PELVIS = "The hips were not outlined in the CT that it is graded on."


def graded_in_pelvis(screw: Screw, field: PelvicField | None) -> Screw:
    """Return a screw that ends in the ilium with its grade, or with the reason why it has none.

    Parameters
    ----------
    screw : Screw
        With a `course`.
    field : PelvicField or None
    """
    reason = NO_PELVIS if field is None else pelvic_doubt(screw, field)
    if field is None or reason:
        canal = 0.0 if field is None else canal_intrusion_mm(screw, field.frame)
        return screw.without_grade(reason, min(canal, FAR_MM))
    return replace(screw.without_grade(), grade=assess_in_pelvis(screw, field).grade)


def assess_in_pelvis(screw: Screw, field: PelvicField) -> Assessment:
    """Grade a screw in sacrum and hips, the joint between them closed."""
    points = screw_points(screw, field.frame, min(_ENTRY_MM, screw.length_mm / 2))
    found = assess_surface(screw, field, points, field.distance_local_mm(points.local))
    whole = screw_points(screw, field.frame, 0.0).local
    grade = replace(
        found.grade,
        notch_mm=field.notch_mm(whole, screw.side),
        acetabulum_mm=field.acetabulum_mm(whole, screw.side),
    )
    return replace(found, grade=grade)


def pelvic_doubt(screw: Screw, field: PelvicField) -> str:
    """Return why a screw cannot be graded in the pelvis, as a sentence; "" if it can."""
    if reason := vertebra_doubt(field.frame):
        return reason
    depth = np.arange(0.0, screw.length_mm + _STATION_MM / 2, _STATION_MM)
    axis = np.asarray(screw.entry) + depth[:, None] * shank_axis(screw)
    parts = field.part_at(field.frame.to_local(axis))
    if (parts == OUTSIDE).any():
        if not field.heads:
            return "It leaves what the CT shows, or nears the hips, whose heads were not found."
        return "It leaves what the CT shows."
    if not (field.parts == HIP[screw.side]).any():
        return f"The {screw.side} hip was not found."
    in_hip = float((parts == HIP[screw.side]).sum()) * _STATION_MM
    if in_hip < _LEAST_IN_HIP_MM:
        return f"Only {in_hip:.0f} mm of it lie in the {screw.side} ilium."
    return ""
