"""How a screw lies in its vertebra, in the numbers that a surgeon uses: two angles and a fill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinemar.implants.checks import Point
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.planning.vectors import as_point
from spinemar.spine.model import VertebraFrame


@dataclass(frozen=True)
class ScrewAngles:
    """Angles of a screw against its vertebra's own axes, in degrees.

    Parameters
    ----------
    convergence_deg : float
        In the vertebra's axial plane, positive towards the midline.
    cranial_deg : float
        Out of that plane, positive towards the head, negative towards the feet.
    """

    convergence_deg: float
    cranial_deg: float


def screw_angles(screw: Screw, frame: VertebraFrame) -> ScrewAngles:
    """Return the angles of a screw in its vertebra's frame."""
    right, anterior, superior = frame.axes_ras @ shank_axis(screw)
    medial = -_outwards(screw) * right
    return ScrewAngles(
        convergence_deg=float(np.degrees(np.arctan2(medial, anterior))),
        cranial_deg=float(np.degrees(np.arcsin(np.clip(superior, -1.0, 1.0)))),
    )


def tip_at_angles(screw: Screw, frame: VertebraFrame, angles: ScrewAngles) -> Point:
    """Return the tip, RAS mm, of the same screw turned about its entry to some angles."""
    convergence, cranial = np.radians([angles.convergence_deg, angles.cranial_deg])
    local = np.array(
        [
            -_outwards(screw) * np.sin(convergence) * np.cos(cranial),
            np.cos(convergence) * np.cos(cranial),
            np.sin(cranial),
        ]
    )
    return as_point(np.asarray(screw.entry) + screw.length_mm * (local @ frame.axes_ras))


def pedicle_width_mm(screw: Screw, frame: VertebraFrame | None) -> float | None:
    """Return the inner width of the pedicle on the screw's side; None where it is not known.

    A screw that ends in the ilium passes none.
    """
    pedicle = None if frame is None or screw.course else frame.pedicles.get(screw.side)
    return None if pedicle is None else pedicle.width_mm


def _outwards(screw: Screw) -> float:
    return 1.0 if screw.side == "right" else -1.0
