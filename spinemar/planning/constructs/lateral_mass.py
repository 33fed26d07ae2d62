"""Screws into the lateral masses of C3 to C6, by the ways of Magerl and of Roy-Camille.

References
----------
Jeanneret, Magerl, Ward, Ward, Posterior stabilization of the cervical spine with hook plates, Spine
1991. Roy-Camille, Saillant, Mazel, Internal fixation of the unstable cervical spine by a posterior
osteosynthesis with plates and screws, in: The Cervical Spine, 1989.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinemar.errors import InputError
from spinemar.implants.catalogue import ScrewModel
from spinemar.implants.checks import check_choice
from spinemar.implants.placement import LATERAL_MASS_LEVELS, LATERAL_MASS_WAYS, SIDES, Screw
from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.spine.model import SpineModel


@dataclass(frozen=True)
class _Way:
    """Entry from the middle of the mass (towards the middle of the neck, up) and direction."""

    inwards_mm: float
    up_mm: float
    outwards_deg: float
    cranial_deg: float


_WAYS = {"Magerl": _Way(1.5, 1.5, 25.0, 40.0), "Roy-Camille": _Way(0.0, 0.0, 10.0, 0.0)}
#: The mass lies beside the canal, so wide, high and deep at the most, mm.
_WIDEST_MM, _HALF_HEIGHT_MM, _FRONT_MM, _BACK_MM = 18.0, 11.0, 2.0, 22.0
_CANAL_HALF_MM, _STEP_MM = 11.0, 0.5
#: A column of bone this deep is mass and no lamina or tip; a mass is so wide and high at the least.
_DEEP_MM, _LEAST_MM = 4.0, 5.0
#: The screw stops so far before the cortex in front of it; the nerve root lies there.
_BEFORE_CORTEX_MM = 1.0
_FARTHEST_MM = 30.0


def lateral_mass_screw(
    spine: SpineModel, level: str, side: str, way: str, model: ScrewModel, material: str = ""
) -> Screw:
    """Return a screw in a lateral mass, as long as the mass is along its way.

    Parameters
    ----------
    spine : SpineModel
    level, side : str
        C3 to C6.
    way : {"Magerl", "Roy-Camille"}
        Magerl: from 1.5 mm inwards and above the middle of the mass, 25 degrees outwards and 40
        up, along the facet joint. Roy-Camille: from its middle, 10 degrees outwards, not up.
    model : ScrewModel
        Of the catalogue, for lateral masses; its smallest diameter is taken.
    material : str
        By default the model's first.

    Raises
    ------
    InputError
        If it is another level, there is no mass, or it is too short for every screw.
    """
    check_choice("way into a lateral mass", way, LATERAL_MASS_WAYS)
    check_choice("side", side, SIDES)
    if level not in LATERAL_MASS_LEVELS:
        raise InputError(
            f"No lateral mass screws are planned at {level}.", "Use them from C3 to C6."
        )
    field = bone_field(spine.labels, spine.vertebra(level))
    chosen, sign = _WAYS[way], 1.0 if side == "right" else -1.0
    middle = _middle_of_mass(field, level, side)
    out, up = np.radians([chosen.outwards_deg, chosen.cranial_deg])
    along = unit([sign * np.sin(out) * np.cos(up), np.cos(out) * np.cos(up), np.sin(up)])
    start = middle + np.array([-sign * chosen.inwards_mm, 0.0, chosen.up_mm])
    first, last = _within(field, start, along)
    length = model.length_for(last - first - _BEFORE_CORTEX_MM)
    if length is None:
        raise InputError(
            f"The {side} lateral mass of {level} is {max(last - first, 0.0):.0f} mm deep that way: "
            f"too short for a screw of {model.lengths_mm[0]:g} mm.",
            "Take the other way, or another level.",
        )
    frame = field.frame
    return model.placed(
        f"{level}-{side}",
        level,
        side,
        frame.to_ras(start + first * along),
        along @ frame.axes_ras,
        (model.diameters_mm[0], length),
        material or model.materials[0],
        way,
    )


def _middle_of_mass(field: BoneField, level: str, side: str) -> FloatArray:
    """Return the middle of a mass's back, in its vertebra's axes.

    Its edges are the valley to the lamina or the canal's side, the free edge beside it, and the
    ends of the joints' processes.

    Raises
    ------
    InputError
        If there is no bone beside the canal.
    """
    frame, sign = field.frame, 1.0 if side == "right" else -1.0
    contour = frame.to_local(frame.canal_contour_ras)
    centre = frame.to_local(frame.canal_centre_ras)
    half = float(np.abs(contour[:, 0]).max()) if len(contour) else _CANAL_HALF_MM
    beside = np.arange(half + 1.0, half + _WIDEST_MM, _STEP_MM)
    up = np.arange(-_HALF_HEIGHT_MM, _HALF_HEIGHT_MM, _STEP_MM) + centre[2]
    deep = np.arange(-_BACK_MM, _FRONT_MM, _STEP_MM) + centre[1]
    r, z, a = np.meshgrid(sign * beside, up, deep, indexing="ij")
    bone = field.distance_local_mm(np.stack([r, a, z], axis=-1)) < 0.0
    mass = bone.sum(axis=-1) * _STEP_MM >= _DEEP_MM
    columns, rows = np.flatnonzero(mass.any(axis=1)), np.flatnonzero(mass.any(axis=0))
    size = min(len(columns), len(rows)) * _STEP_MM
    if size < _LEAST_MM:
        raise InputError(
            f"No lateral mass was found on the {side} side of {level}.",
            "Look at its segmentation, or place a screw by hand.",
        )
    column, row = int(np.median(columns)), int(np.median(rows))
    near = bone[max(column - 2, 0) : column + 3, max(row - 2, 0) : row + 3].any(axis=(0, 1))
    back = float(deep[np.flatnonzero(near)[0]])
    return np.array([sign * beside[column], back, up[row]])


def _within(field: BoneField, start: FloatArray, along: FloatArray) -> tuple[float, float]:
    """Return where a line enters the bone and leaves it, mm from its start."""
    steps = np.arange(-_FARTHEST_MM / 3, _FARTHEST_MM, 0.25)
    inside = field.distance_local_mm(start + steps[:, None] * along) < 0.0
    if not inside.any():
        return 0.0, 0.0
    # The stretch of bone nearest to the start.
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
    stretches = list(zip(edges[::2], edges[1::2], strict=True))
    first, last = min(stretches, key=lambda ends: abs(steps[ends[0]]))
    return float(steps[first]), float(steps[last - 1])
