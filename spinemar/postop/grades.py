"""Grades of screws that were found, each with its interval; never a grade where nothing is known.

The grade is the planner's (`planning/grades`), and so is what forbids one in any plan. What is
added is how far it can be off: the fit of the screw and the surface of the bone both err, and their
errors add up in quadrature. The interval holds 19 of 20; where its ends have one letter the
grade is certain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinemar.implants.placement import Grade, Screw
from spinemar.planning.grades.gertzbein_robbins import RESOLVED_MM, graded_screw, letter_for
from spinemar.postop.bone import Bone, BoneSource
from spinemar.postop.fit import FittedShank

#: Normal quantile of an interval that holds 19 of 20.
MOST = 1.96
#: An interval as wide as this says nothing any more.
_WIDEST_MM = 9.0


@dataclass(frozen=True)
class GradedScrew:
    """What can be said of how a screw lies.

    Parameters
    ----------
    grade : Grade or None
        The likeliest; None where it is not gradable.
    best, worst : str
        Letters at the ends of the interval, "" where it is not gradable.
    breach_mm : (low, high)
        Interval of the largest breach, negative with bone left around the screw; NaN likewise.
    source : {"earlier CT", "labels", "corrected CT"}
        Where the bone is from.
    reason : str
        Why it is not gradable.
    canal_mm : float
        How far it reaches into the canal, where it is not gradable; 0 where nobody knows.
    """

    grade: Grade | None
    best: str
    worst: str
    breach_mm: tuple[float, float]
    source: BoneSource
    reason: str = ""
    canal_mm: float = 0.0

    @property
    def certain(self) -> bool:
        """Whether both ends of the interval have one letter."""
        return self.grade is not None and self.best == self.worst

    @property
    def estimated(self) -> bool:
        """Whether the bone was seen only beside the metal."""
        return self.source == "corrected CT"


def grade_found(screw: Screw, fitted: FittedShank, bone: Bone, sees_bone: bool) -> GradedScrew:
    """Grade one screw that was found.

    Parameters
    ----------
    screw : Screw
        As it was fitted.
    fitted : FittedShank
        With the errors of the fit.
    bone : Bone
    sees_bone : bool
        False where lost rays left nothing of the bone around the screw.
    """
    frames = [field.frame for field in bone.fields.values()]
    tried = graded_screw(screw, bone.fields.get(screw.level), frames)
    canal = tried.canal_intrusion_mm
    nothing = (float("nan"), float("nan"))
    reason = _hindrance(fitted, bone, sees_bone) or tried.not_graded
    if tried.grade is None or reason:
        return GradedScrew(None, "", "", nothing, bone.source, reason, canal)
    spread = MOST * spread_mm(fitted, bone.error_mm[screw.level])
    low, high = -tried.grade.margin_mm - spread, -tried.grade.margin_mm + spread
    if high - low > _WIDEST_MM:
        reason = "Screw and bone are known too roughly here."
        return GradedScrew(None, "", "", (low, high), bone.source, reason, canal)
    return GradedScrew(tried.grade, _letter(low), _letter(high), (low, high), bone.source)


def spread_mm(fitted: FittedShank, bone_error_mm: float) -> float:
    """Return the standard deviation of a breach: of the axis, the radius and the bone."""
    return float(np.hypot(np.hypot(fitted.axis_error_mm, fitted.radius_error_mm), bone_error_mm))


def _hindrance(fitted: FittedShank, bone: Bone, sees_bone: bool) -> str:
    """Say what of the scan stands against a grade, nothing where nothing does."""
    if fitted.cut_off:
        return "The screw leaves the volume."
    if not fitted.has_head:
        return "No head was found behind it: it may be longer than what is seen of it."
    if bone.estimated and not sees_bone:
        return "Lost rays hide the bone around the screw."
    return ""


def _letter(breach_mm: float) -> str:
    return letter_for(breach_mm if breach_mm > RESOLVED_MM else 0.0)
