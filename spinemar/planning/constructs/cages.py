"""Cages into a disc space."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from spinemar.errors import InputError
from spinemar.implants.catalogue import CageModel
from spinemar.implants.placement import Cage
from spinemar.implants.shapes.solids import FloatArray, perpendicular, unit
from spinemar.planning.vectors import as_point
from spinemar.spine.labels.levels import SACRUM, level_position, shift_level
from spinemar.spine.model import Endplate, SpineModel

# A cage is chosen up to this much higher than the disc: it distracts. A collapsed disc is opened
# to the height of its neighbours, by no more than the second.
_DISTRACTION_MM, _MOST_DISTRACTION_MM = 1.0, 4.0


def cage_for_disc(spine: SpineModel, upper_level: str, model: CageModel) -> Cage:
    """Return the cage that fits the disc below a level.

    It lies midway between the two endplates. Its height restores a disc that is lower than
    those above and below, by up to 4 mm; its lordosis is the catalogue's nearest to the
    disc's; width and depth are the model's middle sizes, its material the first.

    Parameters
    ----------
    spine : SpineModel
    upper_level : str
        "L4" for the disc L4/L5.
    model : CageModel
        Of the catalogue.

    Raises
    ------
    InputError
        If there is no such disc, an endplate is missing or no cage is low enough.
    """
    if upper_level == SACRUM:
        raise InputError("There is no disc below S1.", "Name the vertebra above the disc.")
    lower_level = shift_level(upper_level, 1)
    above, below = spine.vertebra(upper_level), spine.vertebra(lower_level)
    disc = f"{upper_level}/{lower_level}"
    if "inferior" not in above.endplates or "superior" not in below.endplates:
        raise InputError(f"The endplates of {disc} were not found.", "Place the cage by hand.")
    roof, floor = above.endplates["inferior"], below.endplates["superior"]
    superior = unit(roof.normal_ras + floor.normal_ras)
    gap = disc_height_mm(roof, floor)
    restored = min(_usual_gap_mm(spine, upper_level), gap + _MOST_DISTRACTION_MM)
    limit = max(gap + _DISTRACTION_MM, restored)
    fitting = [h for h in model.heights_mm if h <= limit]
    if not fitting:
        raise InputError(
            f"The disc {disc} is {gap:.1f} mm high: too low for a cage of "
            f"{min(model.heights_mm):g} mm.",
            "Choose a lower cage.",
        )
    right = perpendicular(superior, above.right + below.right)
    anterior = np.cross(superior, right)
    centre = (roof.point_ras + floor.point_ras) / 2
    opening = _opening_deg(roof.normal_ras, floor.normal_ras, anterior)
    return Cage(
        id=f"cage-{disc}",
        level=disc,
        centre=as_point(centre),
        right=as_point(right),
        anterior=as_point(anterior),
        width_mm=model.widths_mm[len(model.widths_mm) // 2],
        depth_mm=model.depths_mm[len(model.depths_mm) // 2],
        height_mm=max(fitting),
        lordosis_deg=min(model.lordoses_deg, key=lambda angle: abs(angle - opening)),
        shape=model.shape,
        material=model.materials[0],
        marker_material=model.marker_material,
    )


def disc_height_mm(roof: Endplate, floor: Endplate) -> float:
    """Return the height of a disc between the middles of its endplates, lower and upper ones."""
    superior = unit(roof.normal_ras + floor.normal_ras)
    return float((roof.point_ras - floor.point_ras) @ superior)


def _usual_gap_mm(spine: SpineModel, upper_level: str) -> float:
    """Return the mean height of the discs above and below one, 0 where none is seen."""
    known = {vertebra.level: vertebra for vertebra in spine.vertebrae if not vertebra.cut_off}
    gaps = []
    for upper, lower in pairwise(known):
        near = abs(level_position(upper) - level_position(upper_level)) == 1
        seen = "inferior" in known[upper].endplates and "superior" in known[lower].endplates
        if near and seen and level_position(lower) - level_position(upper) == 1:
            plates = known[upper].endplates["inferior"], known[lower].endplates["superior"]
            gaps.append(disc_height_mm(*plates))
    return float(np.mean(gaps)) if gaps else 0.0


def _opening_deg(roof: FloatArray, floor: FloatArray, anterior: FloatArray) -> float:
    """Return the angle by which the disc opens forwards."""
    slopes = np.arcsin(np.clip([-roof @ anterior, -floor @ anterior], -1.0, 1.0))
    return float(np.degrees(slopes[0] - slopes[1]))
