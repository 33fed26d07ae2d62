"""The frame of S1: its upper endplate, the canal, and the ways for a screw beside the canal.

The pedicle of S1 goes over into the ala without a wall on its outer side: its width here is twice
the distance from its middle to the canal.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spinemar.spine.anatomy.canal_contour import canal_contour
from spinemar.spine.anatomy.pedicle import pedicle_doubts
from spinemar.spine.anatomy.sacrum.endplate import SacralPlate, fit_plate
from spinemar.spine.anatomy.shape import LocalGrid, VertebraShape
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import CONFIDENT, Endplate, PedicleFrame, VertebraFrame
from spinemar.volume import GridGeometry

FloatArray = NDArray[np.float64]

#: The body's middle and the pedicles lie about so far below the plate, mm.
_BODY_BELOW_MM, _PEDICLE_BELOW_MM = 12.0, 17.0
#: A pedicle is looked for to the side, behind the body's back wall and below the plate, mm.
_BESIDE_MM, _BEHIND_MM, _BELOW_MM = (12.0, 34.0), (1.0, 8.0), (-28.0, -4.0)
#: More bone around is no narrower way for a screw.
_ENOUGH_MM = 10.0
_USUAL_BESIDE_MM, _SPREAD_MM = 22.0, 4.0
#: Screws pass so far below the middle: they enter below the facet joint.
_LOWER_MM = 4.0
#: Screws aim so far below the promontory, and so far to their own side of it, mm.
_AIM_BELOW_MM, _AIM_BESIDE_MM = 8.0, 6.0
#: Plausible sizes from front to back and of the pedicles, mm; mirror images agree within the last.
_PLATE_MM, _WIDTH_MM, _HEIGHT_MM, _MIRROR_MM = (24.0, 44.0), (10.0, 30.0), (12.0, 40.0), 6.0
_DOUBT = 0.6


def fit_sacrum(
    shape: VertebraShape,
    above: VertebraFrame,
    *,
    edge: GridGeometry | None = None,
    trust: float = 1.0,
) -> VertebraFrame | None:
    """Fit the frame of S1; None where its upper endplate cannot be seen.

    Its axes are those of the upper endplate. It has no lower endplate: that of S1 is fused.

    Parameters
    ----------
    shape : VertebraShape
        Of the whole sacrum, or of S1 alone.
    above : VertebraFrame
        Of the lowest vertebra above.
    edge : GridGeometry, optional
        The whole volume's grid where the sacrum touches its edge.
    trust : float
        Multiplies all confidence.
    """
    plate = fit_plate(shape, above)
    if plate is None:
        return None
    contour, canal = _canal(shape, plate)
    pedicles = {
        side: pedicle
        for side in ("left", "right")
        if (pedicle := _pedicle(shape, plate, side)) is not None
    }
    cut_off = edge is not None and _leaves(plate, edge)
    confidence, warnings = _judge(plate, pedicles, len(contour) > 0, cut_off)
    return VertebraFrame(
        level=SACRUM,
        body_centre_ras=plate.centre_ras - _BODY_BELOW_MM * plate.axes[2],
        axes_ras=plate.axes,
        endplates={"superior": Endplate(plate.centre_ras, plate.axes[2])},
        canal_centre_ras=canal,
        spinous_process_ras=None,
        pedicles=pedicles,
        confidence=confidence * trust,
        warnings=warnings,
        canal_contour_ras=contour,
        cut_off=cut_off,
    )


def _leaves(plate: SacralPlate, volume: GridGeometry) -> bool:
    """Whether the part of S1 that screws pass lies within a slice of the volume's edge."""
    corners = np.array(
        [[r, a, s] for r in (-30.0, 30.0) for a in (-30.0, plate.depth_mm / 2) for s in (-28.0, 0)]
    )
    kji = volume.to_ijk(corners @ plate.axes + plate.centre_ras)[:, ::-1]
    return bool((kji < 0.75).any() or (kji > np.array(volume.shape) - 1.75).any())


def _canal(shape: VertebraShape, plate: SacralPlate) -> tuple[FloatArray, FloatArray]:
    """Contour of the canal at the pedicles' height (empty where none is seen), and its middle."""
    back = plate.posterior_ras - _PEDICLE_BELOW_MM * plate.axes[2]
    contour = np.zeros((0, 3))
    for behind in (8.0, 6.0, 10.0, 12.0):
        middle = back - behind * plate.axes[1]
        for _ in range(3):
            contour = canal_contour(shape, middle, plate.axes)
            if len(contour) == 0:
                break
            middle = contour.mean(axis=0)
        if len(contour):
            return contour, middle
    return contour, back - 8.0 * plate.axes[1]


def _pedicle(shape: VertebraShape, plate: SacralPlate, side: str) -> PedicleFrame | None:
    """Find where most bone is around beside the canal; the way goes to the promontory."""
    sign = 1.0 if side == "right" else -1.0
    out = sign * plate.axes[0]
    axes = np.stack([out, plate.axes[1], plate.axes[2]])
    back = -plate.depth_mm / 2
    grid = LocalGrid.box(_BESIDE_MM, (back - _BEHIND_MM[1], back - _BEHIND_MM[0]), _BELOW_MM, 1.0)
    depth = -shape.on_grid(grid, plate.centre_ras, axes)
    around = np.minimum(depth, _ENOUGH_MM).mean(axis=1)
    unusual = ((grid.right - _USUAL_BESIDE_MM) / _SPREAD_MM) ** 2
    unusual = unusual + ((grid.superior + _PEDICLE_BELOW_MM) / _SPREAD_MM)[:, None] ** 2
    s, r = np.unravel_index(int((around - 0.5 * unusual).argmax()), around.shape)
    middle = len(grid.anterior) // 2
    if around[s, r] <= 1.0 or depth[s, middle, r] <= _LOWER_MM:
        return None
    local = np.array([grid.right[r], grid.anterior[middle], grid.superior[s] - _LOWER_MM])
    centre = local @ axes + plate.centre_ras
    aim = plate.promontory_ras - _AIM_BELOW_MM * plate.axes[2] + _AIM_BESIDE_MM * out
    axis = (aim - centre) / np.linalg.norm(aim - centre)
    width = 2.0 * _way_out(shape, centre, -out)
    height = _way_out(shape, centre, plate.axes[2]) + _way_out(shape, centre, -plate.axes[2])
    # Where no foramen lies straight below, the way down ends far in the ala.
    plausible = width >= _WIDTH_MM[0] and height >= _HEIGHT_MM[0]
    return PedicleFrame(
        side=side,
        isthmus_ras=centre,
        entry_ras=centre - _way_out(shape, centre, -axis) * axis,
        axis_ras=axis,
        width_mm=min(width, _WIDTH_MM[1]),
        height_mm=min(height, _HEIGHT_MM[1]),
        confidence=1.0 if plausible else _DOUBT**2,
    )


def _way_out(shape: VertebraShape, start: FloatArray, direction: FloatArray) -> float:
    """Way through bone to its surface, mm."""
    t = np.arange(0.0, 45.0, 0.25)
    outside = shape.distance(start + t[:, None] * direction) >= 0
    return float(t[outside.argmax()] if outside.any() else t[-1])


def _judge(
    plate: SacralPlate, pedicles: Mapping[str, PedicleFrame], canal_seen: bool, cut_off: bool
) -> tuple[float, tuple[str, ...]]:
    confidence, warnings = 1.0, list[str]()
    if cut_off:
        confidence *= _DOUBT**2
        warnings.append("S1 is cut off by the volume's edge.")
    if not _PLATE_MM[0] <= plate.depth_mm <= _PLATE_MM[1] or plate.residual_mm > 2.0:
        confidence *= _DOUBT
        warnings.append("The upper endplate is unclear.")
    if not canal_seen:
        # Nothing could be said of the canal, which is what a screw must spare.
        confidence *= 0.8 * CONFIDENT
        warnings.append("The sacral canal is not seen in its labels.")
    doubt, said = pedicle_doubts(pedicles)
    confidence *= doubt
    warnings += said
    if len(pedicles) == 2 and _apart(pedicles, plate) > _MIRROR_MM:
        confidence *= 0.85
        warnings.append("The pedicles do not mirror each other.")
    return confidence, tuple(warnings)


def _apart(pedicles: Mapping[str, PedicleFrame], plate: SacralPlate) -> float:
    left, right = (
        (pedicles[side].isthmus_ras - plate.centre_ras) @ plate.axes.T for side in ("left", "right")
    )
    return float(np.linalg.norm(left * [-1.0, 1.0, 1.0] - right))
