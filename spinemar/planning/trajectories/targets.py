"""Where a surgeon aims: angles per level for traditional and cortical trajectories.

References
----------
Traditional: parallel to the upper endplate, converging with the pedicle (Zindrick et al.,
Spine 1987). Cortical: from the pars upwards 25-30 deg and outwards 8-10 deg (Santoni et al.,
Spine J 2009; Matsukawa et al., J Neurosurg Spine 2013). S1: towards the promontory, 25 to 30 deg
inwards (Lehman et al., Spine 2002; Mirkovic et al., Spine 1991).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from spinemar.errors import InputError
from spinemar.spine.labels.levels import LUMBAR, SACRUM, usual_convergence
from spinemar.spine.model import PedicleFrame, VertebraFrame

TrajectoryKind = Literal["traditional", "cortical"]
TRAJECTORIES: tuple[TrajectoryKind, ...] = get_args(TrajectoryKind)
TRADITIONAL, CORTICAL = TRAJECTORIES

_SACRAL_CONVERGENCE_DEG = (20.0, 32.0)
#: The pedicle of S1 is no isthmus: it is three times as wide as others.
_SACRAL_CENTRE_MM = 9.0


@dataclass(frozen=True)
class Target:
    """Angles to aim at, in the vertebra's frame.

    `convergence_deg` is positive towards the midline, `sagittal_deg` towards the head;
    within `free_deg` of them nothing is lost. `up_mm` is where the isthmus is best
    crossed, above its centre; `centre_mm` beside that place nothing is got for it.
    `follows_axis` lets the search start at the pedicle's own axis too.
    """

    convergence_deg: float
    sagittal_deg: float
    up_mm: float = 0.0
    centre_mm: float = 3.0
    free_deg: float = 4.0
    longest_mm: float = 200.0
    follows_axis: bool = True


def target_for(kind: str, vertebra: VertebraFrame, pedicle: PedicleFrame) -> Target:
    """Return the angles to aim at for one pedicle.

    Raises
    ------
    InputError
        For an unknown kind, or a cortical trajectory outside the lumbar spine and T11-T12.
    """
    if kind == TRADITIONAL:
        if vertebra.level == SACRUM:
            return _to_promontory(vertebra, pedicle)
        return Target(_convergence(vertebra, pedicle), _endplate_deg(vertebra))
    if kind != CORTICAL:
        raise InputError(
            f"There is no {kind!r} trajectory.", f"Use one of {', '.join(TRAJECTORIES)}."
        )
    if vertebra.level not in (*LUMBAR, "L6", "T11", "T12"):
        raise InputError(
            f"A cortical trajectory is not made in {vertebra.level}.", "Use T11 to L5."
        )
    up = -0.15 * pedicle.height_mm
    angle = 25.0 + _endplate_deg(vertebra)
    return Target(-9.0, angle, up, free_deg=3.0, longest_mm=40.0, follows_axis=False)


def _to_promontory(vertebra: VertebraFrame, pedicle: PedicleFrame) -> Target:
    """Return the way from the pedicle of S1 towards the promontory, which its axis shows."""
    own = vertebra.axes_ras @ pedicle.axis_ras
    inwards = -own[0] if pedicle.side == "right" else own[0]
    convergence = float(np.clip(np.degrees(np.arctan2(inwards, own[1])), *_SACRAL_CONVERGENCE_DEG))
    upwards = float(np.degrees(np.arcsin(np.clip(own[2], -1.0, 1.0))))
    return Target(convergence, upwards, centre_mm=_SACRAL_CENTRE_MM)


def _endplate_deg(vertebra: VertebraFrame) -> float:
    """Return the slope of the upper endplate against the vertebra's frame, forwards up."""
    plate = vertebra.endplates.get("superior")
    if plate is None:
        return 0.0
    normal = vertebra.axes_ras @ plate.normal_ras
    return float(np.degrees(np.arctan2(-normal[1], normal[2])))


def _convergence(vertebra: VertebraFrame, pedicle: PedicleFrame) -> float:
    """Return the mean of what the level usually has and what this pedicle shows."""
    own = vertebra.axes_ras @ pedicle.axis_ras
    inwards = -own[0] if pedicle.side == "right" else own[0]
    shown = float(np.degrees(np.arctan2(inwards, own[1])))
    usual = usual_convergence(vertebra.level)
    return usual + 0.5 * float(np.clip(shown - usual, -20.0, 20.0)) * pedicle.confidence
