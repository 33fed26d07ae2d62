"""Screws misplaced on purpose, with the grade that was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spinemar.errors import InputError
from spinemar.implants.checks import check_choice
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.grades.gertzbein_robbins import assess_screw
from spinemar.planning.vectors import as_point

_FARTHEST_MM = 25.0
_STEP_MM = 0.5
_CLOSE_MM = 0.02


def misplace_screw(screw: Screw, field: BoneField, direction: str, breach_mm: float) -> Screw:
    """Return a screw shifted until it breaches the cortex by so much, and graded.

    It moves as a whole medially, laterally, up or down; anteriorly it moves forwards
    along its own axis.

    Parameters
    ----------
    screw : Screw
    field : BoneField
        Of its vertebra.
    direction : {"medial", "lateral", "superior", "inferior", "anterior"}
    breach_mm : float
        Above 0.

    Raises
    ------
    InputError
        If no shift that way breaches so deeply.
    """
    check_choice("direction", direction, ("medial", "lateral", "superior", "inferior", "anterior"))
    way = _way(screw, field, direction)
    shifts = np.arange(0.0, _FARTHEST_MM + _STEP_MM / 2, _STEP_MM)
    reached = next((s for s in shifts if _breach(screw, field, way * s) >= breach_mm), None)
    if breach_mm <= 0 or reached is None:
        raise InputError(
            f"No {direction} shift of {screw.id} breaches by {breach_mm:g} mm.",
            "Ask for a smaller breach, above 0.",
        )
    low, high = max(float(reached) - _STEP_MM, 0.0), float(reached)
    while high - low > _CLOSE_MM:
        middle = (low + high) / 2
        if _breach(screw, field, way * middle) >= breach_mm:
            high = middle
        else:
            low = middle
    moved = _moved(screw, way * high)
    return replace(moved, grade=assess_screw(moved, field).grade)


def _way(screw: Screw, field: BoneField, direction: str) -> FloatArray:
    frame = field.frame
    outwards = frame.right if screw.side == "right" else -frame.right
    ways = {
        "medial": -outwards,
        "lateral": outwards,
        "superior": frame.superior,
        "inferior": -frame.superior,
        "anterior": shank_axis(screw),
    }
    return unit(ways[direction])


def _moved(screw: Screw, shift: FloatArray) -> Screw:
    return replace(
        screw,
        entry=as_point(np.add(screw.entry, shift)),
        tip=as_point(np.add(screw.tip, shift)),
        head_axis=None,
        slot_axis=None,
        grade=None,
    )


def _breach(screw: Screw, field: BoneField, shift: FloatArray) -> float:
    return assess_screw(_moved(screw, shift), field).grade.breach_mm
