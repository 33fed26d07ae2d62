"""Whether one vertebra's labels lie where the CT shows it, in numbers and in sentences.

The border of true labels lies on edges of bone, nowhere better than where it is. Labels of another
patient, of a shifted or mirrored volume, or of the wrong size do not. All numbers are measured
on the CT itself; nothing is learned.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from spinemar.spine.anatomy.agreement.borders import Border, EdgeScore, FloatArray, border_of
from spinemar.spine.anatomy.agreement.place import best_growth_mm, best_offset, best_sideways
from spinemar.spine.anatomy.shape import VertebraShape
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import Agreement, VertebraFrame
from spinemar.volume import CTVolume, LabelVolume

#: Labels may lie so far off the bone, mm.
_MOST_OFFSET_MM = 2.0
#: They may seem so much too small or too large, mm. Labels that end at the cortex' outer surface
#: seem 0.6 mm too small, since the fall is steepest with the inner point in the dense cortex
#: (medians of four training CTs: -0.56 to -0.66, all their vertebrae -0.80 to -0.31).
_PLAUSIBLE_GROWTH_MM = (-1.2, 0.2)
#: The part of a sacrum around S1 has other borders.
_PLAUSIBLE_GROWTH_OF_S1_MM = (-0.8, 0.8)
#: So much of their border, and of each side of it, has to lie on an edge of bone (right labels of
#: training CTs: 70 % and more, T11 with its ribs least).
LEAST_SHARE = 0.68
_LEAST_SIDE_SHARE = 0.4
#: Cortical bone is denser than this, and denser than what lies in the canal.
_LEAST_SHELL_HU = 90.0
#: The mirror image of right labels fits the CT less well (7 CTs: its score is 0.02 to 0.25 lower);
#: by less than this it does not fit better either, as of a vertebra that is its own mirror image.
_MIRROR_GAIN = 0.05
_SIDES = ("right", "left", "front", "back", "top", "bottom")
_FACING = 0.7
_FEWEST_ON_A_SIDE = 12
_SHELL_MM = 2.0
#: Endplates are planes through staircases: so far from the labels' surface they may lie, mm
#: (our own: up to 2.5).
_PLATE_MM = 5.0
#: Right and left, forwards and backwards, up and down from the body's middle: trabecular bone.
_CORE_RADIUS_MM = np.array([8.0, 7.0, 5.0])
_CANAL_RADIUS_MM = 3.0
_TOWARDS = (("to the left", "to the right"), ("backwards", "forwards"), ("down", "up"))


def agreement_of(
    shape: VertebraShape, labels: LabelVolume, volume: CTVolume, frame: VertebraFrame
) -> Agreement:
    """Compare one vertebra's labels with the CT.

    Parameters
    ----------
    shape : VertebraShape
        Of the vertebra.
    labels : LabelVolume
        Of all vertebrae.
    volume : CTVolume
        On any grid.
    frame : VertebraFrame
        Fitted to these labels.
    """
    border = border_of(shape, labels)
    edges = EdgeScore(border, volume)
    share = edges.share()
    # What is to be done to the labels, turned into what is wrong with them.
    offset = 0.0 - best_offset(edges)[0]
    growth = 0.0 - best_growth_mm(edges)
    strange = _frame_doubts(shape, frame)
    if not np.isfinite(share) or not np.isfinite(offset).all():
        return Agreement(doubts=(_UNSEEN, *strange))
    depth = -shape.distance(shape.points_ras)
    shell = _mean_hu(volume, shape.points_ras[depth <= _SHELL_MM])
    core = _mean_hu(volume, frame.body_centre_ras + _CORE_RADIUS_MM * _ball() @ frame.axes_ras)
    canal = _mean_hu(volume, frame.canal_centre_ras + _CANAL_RADIUS_MM * _ball())
    doubts = (
        *_place_doubts(offset, share),
        *_size_doubts(offset, growth, frame.level),
        *strange,
        *_mirror_doubts(border, edges, volume, frame),
        *_side_doubts(_side_shares(edges, border, frame.axes_ras)),
        *_density_doubts(shell, canal),
    )
    known = _known(growth), share, _known(shell), _known(core), _known(canal)
    return Agreement(offset, *known, doubts)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


_UNSEEN = "The CT does not show the place where its labels lie."
_STRANGE = "Its frame does not lie in its labels: it belongs to other ones."


def _frame_doubts(shape: VertebraShape, frame: VertebraFrame) -> list[str]:
    """Say so where body and pedicles of the frame lie outside the labels, or its canal inside."""
    within = [frame.body_centre_ras, *(p.isthmus_ras for p in frame.pedicles.values())]
    plates = [plate.point_ras for plate in frame.endplates.values()]
    fits = (
        (shape.distance(np.array(within)) < 0.0).all()
        and (np.abs(shape.distance(np.array(plates))) < _PLATE_MM).all()
        and shape.distance(frame.canal_centre_ras[None])[0] > 0.0
    )
    return [] if fits else [_STRANGE]


def _place_doubts(offset: FloatArray, share: float) -> list[str]:
    doubts = []
    distance = float(np.linalg.norm(offset))
    if distance >= _MOST_OFFSET_MM:
        doubts.append(
            f"Its labels lie {distance:.0f} mm off the bone in the CT ({_towards(offset)})."
        )
    if share < LEAST_SHARE:
        doubts.append(
            f"Only {100 * share:.0f} % of its labels' border lies on an edge of bone in the CT."
        )
    return doubts


def _size_doubts(offset: FloatArray, growth_mm: float, level: str) -> list[str]:
    """Say so of labels that are too large or small where they lie right."""
    low, high = _PLAUSIBLE_GROWTH_OF_S1_MM if level == SACRUM else _PLAUSIBLE_GROWTH_MM
    if np.linalg.norm(offset) >= _MOST_OFFSET_MM or not np.isfinite(growth_mm):
        return []
    if low < growth_mm < high:
        return []
    size = "small" if growth_mm <= low else "large"
    off = abs(growth_mm - (low + high) / 2)
    return [f"Its labels are about {off:.1f} mm too {size} all round for the bone in the CT."]


def _mirror_doubts(
    border: Border, edges: EdgeScore, volume: CTVolume, frame: VertebraFrame
) -> list[str]:
    """Say so where the mirror image of labels fits better: their left is the patient's right.

    Both may move sideways, as the mirror's plane is known to a millimetre only. A sacrum's joints
    with the hips are no edge to tell its sides by.
    """
    if frame.level == SACRUM:
        return []
    image = EdgeScore(border.mirrored(frame.body_centre_ras, frame.right), volume)
    gain = best_sideways(image, frame.right) - best_sideways(edges, frame.right)
    if not gain > _MIRROR_GAIN:
        return []
    return ["The mirror image of its labels fits the CT better: right and left may be exchanged."]


def _towards(offset: FloatArray) -> str:
    axis = int(np.argmax(np.abs(offset)))
    return f"mostly {_TOWARDS[axis][int(offset[axis] > 0)]}"


def _side_doubts(sides: dict[str, float]) -> list[str]:
    bare = [name for name, share in sides.items() if share < _LEAST_SIDE_SHARE]
    if not bare:
        return []
    return [
        f"At the {' and the '.join(bare)} its labels do not end where the bone ends: they may be "
        "cut off or run into the surroundings."
    ]


def _density_doubts(shell: float, canal: float) -> list[str]:
    if shell < max(_LEAST_SHELL_HU, canal):
        return [
            f"Its labels' shell has {shell:.0f} HU and the canal {canal:.0f} HU: that is no cortex "
            "of bone."
        ]
    return []


def _side_shares(edges: EdgeScore, border: Border, axes: FloatArray) -> dict[str, float]:
    """Share of the border on an edge, by the side that it faces."""
    falls = edges.falls(np.zeros((1, 3)))[0]
    found = {}
    for n, name in enumerate(_SIDES):
        way = axes[n // 2] * (1 if n % 2 == 0 else -1)
        facing = (border.normals @ way > _FACING) & np.isfinite(falls)
        if facing.sum() >= _FEWEST_ON_A_SIDE:
            found[name] = float((falls[facing] > 0).mean())
    return found


def _mean_hu(volume: CTVolume, ras: FloatArray) -> float:
    index = volume.geometry.to_ijk(ras)[:, ::-1].T
    hu = ndimage.map_coordinates(
        volume.hu, index, output=np.float32, order=1, mode="constant", cval=np.nan
    )
    seen = hu[np.isfinite(hu)]
    return float(seen.mean()) if len(seen) else float("nan")


def _ball() -> FloatArray:
    line = np.linspace(-1.0, 1.0, 5)
    points = np.stack(np.meshgrid(line, line, line), axis=-1).reshape(-1, 3)
    return np.asarray(points[np.linalg.norm(points, axis=1) <= 1.0], np.float64)
