"""The endplates that a spine's angles are measured between, to be drawn beside the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinemar.implants.placement import Cage
from spinemar.implants.shapes.solids import FloatArray, perpendicular
from spinemar.planning.alignment.curves import Curve, alignment_of
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import FemoralHead, VertebraFrame

#: Half of what is drawn of a plate to the sides and forwards, and how far it sticks out, mm.
_HALF_WIDTH_MM, _HALF_DEPTH_MM, _OUT_MM = 26.0, 20.0, 14.0


@dataclass(frozen=True, eq=False)
class MeasuredPlate:
    """One endplate that an angle is measured at.

    Parameters
    ----------
    level : str
    end : str
        "superior" or "inferior".
    corners_ras : ndarray, shape (4, 3)
        Of the drawn plane, in turn; it sticks out in front of the vertebra.
    label : str
        The angles that begin at it, "Lordosis L1 to S1: 43\u00b0"; "" where none does.
    """

    level: str
    end: str
    corners_ras: FloatArray
    label: str = ""


def measured_plates(
    vertebrae: Sequence[VertebraFrame],
    cages: Sequence[Cage] = (),
    heads: Sequence[FemoralHead] = (),
) -> tuple[MeasuredPlate, ...]:
    """Return the endplates that the angles of a spine lie between, each of them once.

    They lie where they are now; labels tell the angles now and with the cages.

    Parameters
    ----------
    vertebrae : sequence of VertebraFrame
    cages : sequence of Cage
    heads : sequence of FemoralHead
    """
    now, then = alignment_of(vertebrae, (), heads), alignment_of(vertebrae, cages, heads)
    said: dict[tuple[str, str], list[str]] = {}
    for name in ("lordosis", "kyphosis", "cobb"):
        curve, after = getattr(now, name), getattr(then, name)
        if curve is None:
            continue
        upper, lower = _ends(curve)
        said.setdefault(lower, [])
        text = f"{name.capitalize()} {curve.upper} to {curve.lower}: {curve.degrees:.0f}\u00b0"
        if cages:
            straight = "straight" if after is None else f"{after.degrees:.0f}\u00b0"
            text += f", with cages {straight}"
        said.setdefault(upper, []).append(text)
    if now.sacral_slope_deg is not None:
        text = f"Sacral slope: {now.sacral_slope_deg:.0f}\u00b0"
        said.setdefault((SACRUM, "superior"), []).append(text)
    known = {vertebra.level: vertebra for vertebra in vertebrae}
    return tuple(_plate(known[place[0]], place[1], "; ".join(said[place])) for place in said)


def _ends(curve: Curve) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the two endplates of a curve; of S1 it is the upper one."""
    lower = "superior" if curve.lower == SACRUM else "inferior"
    return (curve.upper, "superior"), (curve.lower, lower)


def _plate(vertebra: VertebraFrame, end: str, label: str) -> MeasuredPlate:
    plate = vertebra.endplate(end)
    assert plate is not None, "only what has this plate is measured"
    forwards = perpendicular(plate.normal_ras, vertebra.anterior)
    right = np.cross(forwards, plate.normal_ras)
    sides = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    corners = [
        plate.point_ras
        + x * _HALF_WIDTH_MM * right
        + (y * _HALF_DEPTH_MM + _OUT_MM / 2 * (y + 1)) * forwards
        for x, y in sides
    ]
    return MeasuredPlate(vertebra.level, end, np.array(corners), label)
