"""Lordosis, kyphosis, Cobb angle and disc wedges from the endplates of vertebral frames.

Angles are those of lateral and frontal projections along the patient's axes, in a CT taken lying:
standing, they are larger.

References
----------
Cobb, Outline for the study of scoliosis, AAOS Instr Course Lect 1948 (endplates of the most tilted
vertebrae); Scoliosis Research Society, radiographic measurement manual, 2008 (kyphosis T5 or T4 to
T12). Legaye et al., Pelvic incidence: a fundamental pelvic parameter, Eur Spine J 1998.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation

from spinemar.implants.placement import Cage
from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.spine.labels.levels import SACRUM, level_position
from spinemar.spine.model import CONFIDENT, FemoralHead, VertebraFrame

#: Whose upper and lower endplate a curve lies between; the first pair that is seen is measured.
#: Of S1 it is the upper one.
_LORDOSIS = (("L1", "S1"), ("L1", "L5"), ("L1", "L4"), ("L2", "L5"))
_KYPHOSIS = (("T4", "T12"), ("T5", "T12"))
#: A tilt of fewer degrees between any two endplates is no curve to name.
_STRAIGHT_DEG = 5.0


@dataclass(frozen=True)
class Curve:
    """An angle between the upper endplate of one vertebra and the lower one of another.

    `towards` is the side of a frontal curve's convexity, "" for others.
    """

    upper: str
    lower: str
    degrees: float
    towards: str = ""


@dataclass(frozen=True)
class Alignment:
    """What can be measured of a spine; None where the vertebrae are not seen.

    `sacral_slope_deg` is that of the upper endplate of S1 against the horizontal, and
    `pelvic_tilt_deg` that of the line from the middle of the hips to the middle of that plate
    against the vertical; `pelvic_incidence_deg`, between this line and the plate's normal, is
    their sum and the same in any posture. `discs` maps "L4/L5" to the degrees by which the disc
    opens forwards.
    """

    lordosis: Curve | None = None
    kyphosis: Curve | None = None
    cobb: Curve | None = None
    sacral_slope_deg: float | None = None
    pelvic_tilt_deg: float | None = None
    pelvic_incidence_deg: float | None = None
    discs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Plates:
    """Unit normals towards the head of one vertebra's endplates; of S1 twice the upper one's."""

    level: str
    upper: FloatArray
    lower: FloatArray

    @classmethod
    def of(cls, vertebra: VertebraFrame) -> _Plates:
        upper = vertebra.endplate("superior") or vertebra.endplates["superior"]
        lower = vertebra.endplate("inferior") or upper
        return cls(vertebra.level, unit(upper.normal_ras), unit(lower.normal_ras))

    def turned(self, turn: Rotation) -> _Plates:
        return _Plates(self.level, turn.apply(self.upper), turn.apply(self.lower))


def alignment_of(
    vertebrae: Sequence[VertebraFrame],
    cages: Sequence[Cage] = (),
    heads: Sequence[FemoralHead] = (),
) -> Alignment:
    """Measure the curves of a spine, as it is or with cages in its discs.

    A cage gives its disc its own lordosis and takes away its frontal wedge: all that is above
    turns with the upper endplate. Vertebrae that the volume cuts, or that were found with too
    little confidence, are left out.

    Parameters
    ----------
    vertebrae : sequence of VertebraFrame
    cages : sequence of Cage
    heads : sequence of FemoralHead
        Both; without them the pelvis is not measured.
    """
    plates = [
        _Plates.of(v)
        for v in sorted(vertebrae, key=lambda v: level_position(v.level))
        if not v.cut_off and v.confidence >= CONFIDENT
    ]
    for cage in cages:
        plates = _with_cage(plates, cage)
    known = {p.level: p for p in plates}
    sacrum = next((v for v in vertebrae if v.level == SACRUM and SACRUM in known), None)
    tilt, incidence = (None, None) if sacrum is None else _pelvis(sacrum, heads)
    return Alignment(
        _sagittal(known, _LORDOSIS, 1.0),
        _sagittal(known, _KYPHOSIS, -1.0),
        _frontal(plates),
        _lean(known[SACRUM].upper) if SACRUM in known else None,
        tilt,
        incidence,
        {
            f"{above.level}/{below.level}": _lean(below.upper) - _lean(above.lower)
            for above, below in pairwise(plates)
            if level_position(below.level) - level_position(above.level) == 1
        },
    )


def _pelvis(
    sacrum: VertebraFrame, heads: Sequence[FemoralHead]
) -> tuple[float | None, float | None]:
    """Pelvic tilt and incidence in the lateral projection; None without both heads."""
    if len(heads) != 2:
        return None, None
    plate = sacrum.endplate("superior") or sacrum.endplates["superior"]
    middle = np.mean([head.centre_ras for head in heads], axis=0)
    _, forwards, upwards = plate.point_ras - middle
    tilt = float(np.degrees(np.arctan2(-forwards, upwards)))
    # The angle at the plate itself, measured on its own: it equals tilt and slope together.
    to_hips, normal = -np.array([forwards, upwards]), -plate.normal_ras[1:]
    cross = normal[0] * to_hips[1] - normal[1] * to_hips[0]
    incidence = float(np.degrees(np.arctan2(cross, normal @ to_hips)))
    return tilt, incidence


def _lean(normal: FloatArray) -> float:
    """Degrees by which an endplate's normal leans forwards."""
    return float(np.degrees(np.arctan2(normal[1], normal[2])))


def _list(normal: FloatArray) -> float:
    """Degrees by which an endplate's normal leans to the right."""
    return float(np.degrees(np.arctan2(normal[0], normal[2])))


def _sagittal(
    known: Mapping[str, _Plates], pairs: Sequence[tuple[str, str]], sign: float
) -> Curve | None:
    for upper, lower in pairs:
        if upper in known and lower in known:
            angle = _lean(known[lower].lower) - _lean(known[upper].upper)
            return Curve(upper, lower, sign * angle)
    return None


def _frontal(plates: Sequence[_Plates]) -> Curve | None:
    """Return the largest frontal curve, None where the spine is straight or hardly seen."""
    best: Curve | None = None
    for n, above in enumerate(plates):
        for below in plates[n + 1 :]:
            angle = _list(below.lower) - _list(above.upper)
            if abs(angle) >= max(_STRAIGHT_DEG, 0.0 if best is None else best.degrees):
                side = "right" if angle > 0 else "left"
                best = Curve(above.level, below.level, abs(angle), side)
    return best


def _with_cage(plates: Sequence[_Plates], cage: Cage) -> list[_Plates]:
    upper, _, lower = cage.level.partition("/")
    roof = next((p.lower for p in plates if p.level == upper), None)
    floor = next((p.upper for p in plates if p.level == lower), None)
    if roof is None or floor is None:
        return list(plates)
    opened = Rotation.from_rotvec(np.radians(cage.lordosis_deg) * unit(cage.right)).apply(floor)
    turn, _ = Rotation.align_vectors([opened], [roof])
    place = level_position(upper)
    return [p.turned(turn) if level_position(p.level) <= place else p for p in plates]
