"""What lies before a screw's tip, how near the endplates are, and which facet joint it enters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinemar.implants.catalogue import ScrewModel
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.grades.contacts.collisions import facet_violations
from spinemar.planning.grades.gertzbein_robbins import assess_screw, back_wall_mm, screw_points
from spinemar.spine.labels.levels import VERSE_IDS, shift_level
from spinemar.spine.model import VertebraFrame
from spinemar.volume import LabelVolume

_STEP_MM, _REACH_MM = 0.25, 60.0


@dataclass(frozen=True)
class Surroundings:
    """What a graded screw comes near to, in mm; None is not known.

    Parameters
    ----------
    bone_before_tip_mm : float or None
        Bone before the tip, straight on along the shank; negative: so much of the shank lies
        beyond it.
    anterior_breach_mm : float
        How far the screw leaves the body to the front; 0 where it does not.
    endplate_mm : float or None
        From the shank in the body to the nearer endplate's plane; negative: through it.
    endplate : str
        "superior" or "inferior", the nearer one; "" where none is known or the body not reached.
    facet_mm : float or None
        How deep shank or head reach into the vertebra above, whose lower facets lie beside the
        entry; None where that vertebra is not labelled.
    """

    bone_before_tip_mm: float | None
    anterior_breach_mm: float
    endplate_mm: float | None
    endplate: str
    facet_mm: float | None


def surroundings_of(
    screw: Screw, model: ScrewModel, field: BoneField, labels: LabelVolume
) -> Surroundings:
    """Measure what a pedicle screw comes near to.

    Parameters
    ----------
    screw : Screw
    model : ScrewModel
        Of the catalogue, for its head.
    field : BoneField
        Of the screw's own vertebra.
    labels : LabelVolume
        VerSe numbers, for the vertebra above.
    """
    ahead = assess_screw(screw, field).breach_mm.get("anterior", 0.0)
    gap, name = _endplate(screw, field.frame)
    return Surroundings(
        _bone_before_tip_mm(screw, field), ahead, gap, name, _facet_mm(screw, model, labels)
    )


def _bone_before_tip_mm(screw: Screw, field: BoneField) -> float | None:
    """Go on along the shank to where the bone ends; from outside of it, back to where it did."""
    axis, tip = shank_axis(screw), np.asarray(screw.tip, np.float64)
    steps = np.arange(0.0, _REACH_MM, _STEP_MM)
    inside = bool(field.distance_mm(tip) < 0.0)
    towards = axis if inside else -axis
    distance = field.distance_mm(tip + steps[:, None] * towards)
    ended = np.flatnonzero((distance >= 0.0) == inside)
    if not len(ended):
        return None
    return float(steps[ended[0]]) * (1.0 if inside else -1.0)


def _endplate(screw: Screw, frame: VertebraFrame) -> tuple[float | None, str]:
    """Return the smaller distance of the shank's part in the body to an endplate, and its name."""
    local = screw_points(screw, frame, 0.0).local
    in_body = frame.to_ras(local[local[:, 1] > back_wall_mm(frame)])
    gaps = {
        name: float((sign * (plate.point_ras - in_body) @ plate.normal_ras).min())
        for name, sign in (("superior", 1.0), ("inferior", -1.0))
        if len(in_body) and (plate := frame.endplate(name)) is not None
    }
    if not gaps:
        return None, ""
    name = min(gaps, key=lambda one: gaps[one])
    return gaps[name], name


def _facet_mm(screw: Screw, model: ScrewModel, labels: LabelVolume) -> float | None:
    above = shift_level(screw.level, -1)
    if not (labels.labels == VERSE_IDS[above]).any():
        return None
    found = {one.second: one.overlap_mm for one in facet_violations(screw, model, labels)}
    return found.get(above, 0.0)
