"""Whether a screw can be graded at all: a letter says something only of a screw in its pedicle."""

from __future__ import annotations

import numpy as np

from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import FloatArray
from spinemar.spine.model import CONFIDENT, PedicleFrame, VertebraFrame

#: The entry has to lie so far behind the isthmus along the shank, mm (landmarks: 7 to 24).
_LEAST_BEHIND_MM = 4.0


def unsafe_ground(screw: Screw, frame: VertebraFrame | None) -> str:
    """Return why no screw of this vertebra and side can be graded, as a sentence; "" if one can.

    It can where the labels agree with the CT, nothing in the CT speaks against the level, the
    volume's edge does not cut the body, and vertebra and pedicle were found with a confidence of
    `CONFIDENT` or more.

    Parameters
    ----------
    screw : Screw
    frame : VertebraFrame or None
        Of its vertebra; None where that was not segmented.
    """
    if frame is None:
        return f"{screw.level or 'Its vertebra'} is not among the segmented vertebrae."
    pedicle = frame.pedicles.get(screw.side)
    return vertebra_doubt(frame) or _pedicle_doubt(frame.level, screw.side, pedicle)


def missed_pedicle(screw: Screw, frame: VertebraFrame) -> str:
    """Return why a screw is no pedicle screw, as a sentence; "" if it is one.

    Its shank passes through the isthmus of the pedicle, and its head lies behind the lamina.
    """
    pedicle = frame.pedicles[screw.side]
    axis, entry = shank_axis(screw), np.asarray(screw.entry, dtype=np.float64)
    depth = float((pedicle.isthmus_ras - entry) @ axis)
    gap = entry + depth * axis - pedicle.isthmus_ras
    if depth >= screw.length_mm or not _crosses(gap, screw, frame, pedicle):
        return (
            f"It does not pass through the {screw.side} pedicle of {frame.level}: its axis is "
            f"{np.linalg.norm(gap):.0f} mm from the middle of the isthmus."
        )
    behind = -float((entry - frame.canal_centre_ras) @ frame.anterior)
    if depth < _LEAST_BEHIND_MM or behind <= 0.0:
        return f"Its head does not lie behind the lamina of {frame.level}."
    return ""


def vertebra_doubt(frame: VertebraFrame) -> str:
    """Return why nothing in a vertebra can be graded, as a sentence; "" if it can."""
    if frame.agreement is not None and frame.agreement.doubts:
        return f"The segmentation of {frame.level} cannot be right. {frame.agreement.doubts[0]}"
    if frame.level_doubt:
        return frame.level_doubt
    if frame.cut_off:
        return f"{frame.level} is cut off by the volume's edge."
    if frame.confidence < CONFIDENT:
        return f"{frame.level} was found with too little confidence ({frame.confidence:.2f})."
    return ""


def _pedicle_doubt(level: str, side: str, pedicle: PedicleFrame | None) -> str:
    if pedicle is None:
        return f"The {side} pedicle of {level} was not found."
    if pedicle.confidence < CONFIDENT:
        return (
            f"The {side} pedicle of {level} was found with too little confidence "
            f"({pedicle.confidence:.2f})."
        )
    return ""


def _crosses(gap: FloatArray, screw: Screw, frame: VertebraFrame, pedicle: PedicleFrame) -> bool:
    """Whether the shank and the oval of the isthmus overlap at all."""
    radius = screw.diameter_mm / 2
    up = float(gap @ frame.superior)
    across = float(np.linalg.norm(gap - up * frame.superior))
    reach = pedicle.width_mm / 2 + radius, pedicle.height_mm / 2 + radius
    return bool((across / reach[0]) ** 2 + (up / reach[1]) ** 2 < 1.0)
