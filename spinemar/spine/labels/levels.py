"""Names and numbers of vertebral levels.

Inside SpineMAR a level is a short name ("T12") and a label value is the VerSe number of that
level. Other numberings (TotalSegmentator 1 and 2) are translated here and nowhere else; names and
terminology are read by `spinemar.io.segmentations.vertebra_names`.

References
----------
Sekuboyina et al., VerSe: A Vertebrae Labelling and Segmentation Benchmark, Med Image Anal 2021.
Wasserthal et al., TotalSegmentator, Radiology: Artificial Intelligence 2023.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil, floor
from types import MappingProxyType

from spinemar.errors import InputError
from spinemar.io.segmentations.vertebra_names import level_in_name

CERVICAL: tuple[str, ...] = tuple(f"C{n}" for n in range(1, 8))
THORACIC: tuple[str, ...] = tuple(f"T{n}" for n in range(1, 13))
LUMBAR: tuple[str, ...] = tuple(f"L{n}" for n in range(1, 6))
SACRUM = "S1"

#: The regular levels from head to foot; T13 and L6 are variants and stand outside this order.
LEVELS: tuple[str, ...] = (*CERVICAL, *THORACIC, *LUMBAR, SACRUM)

#: Levels whose anatomy (no bridge for a pedicle screw) no frame describes.
WITHOUT_FRAME: tuple[str, ...] = ("C1", "C2")

#: What a frame says where its name is nobody's but the software's, or the CT does not settle it.
GUESSED_LEVELS = "The levels are a guess: check one and shift the others with it."
UNCONFIRMED_LEVELS = (
    "The levels are named, but ribs and lengths in this CT neither confirm nor refute the names: "
    "check one against the sacrum or the last rib."
)

#: VerSe number of every level, the label value SpineMAR writes.
VERSE_IDS: Mapping[str, int] = MappingProxyType(
    {level: n + 1 for n, level in enumerate((*CERVICAL, *THORACIC, *LUMBAR))}
    | {"L6": 25, SACRUM: 26, "T13": 28}
)

#: TotalSegmentator 2 `total`: S1 = 26, L5 = 27 ... C1 = 50; the sacrum below S1 is 25.
TOTALSEGMENTATOR_IDS: Mapping[str, int] = MappingProxyType(
    {level: 27 + n for n, level in enumerate(reversed((*CERVICAL, *THORACIC, *LUMBAR)))}
    | {SACRUM: 26}
)

#: TotalSegmentator 1: L5 = 18 ... C1 = 41.
TOTALSEGMENTATOR_V1_IDS: Mapping[str, int] = MappingProxyType(
    {level: 18 + n for n, level in enumerate(reversed((*CERVICAL, *THORACIC, *LUMBAR)))}
    | {SACRUM: 92}
)


def parse_level(text: str) -> str:
    """Return the level that a user or a file names: "t10", "T 10" and "D10" are "T10".

    Raises
    ------
    InputError
        If the text names no vertebral level.
    """
    level = level_in_name(text)
    if level is None:
        raise InputError(
            f"'{text}' is not a vertebral level.", "Name a level such as C7, T10 or L1."
        )
    return level


def level_of_id(label: int) -> str | None:
    """Return the level of a VerSe label value, None where it has none."""
    return next((level for level, number in VERSE_IDS.items() if number == label), None)


def level_position(level: str) -> float:
    """Place of a level from head to foot, so that levels can be sorted; variants lie between."""
    if level == "T13":
        return LEVELS.index("T12") + 0.5
    if level == "L6":
        return LEVELS.index("L5") + 0.5
    return float(LEVELS.index(level))


def shift_level(level: str, steps: int) -> str:
    """Return the level `steps` further towards the feet (negative: towards the head).

    A variant is a step from both of its neighbours: T13 from T12 and from L1.

    Raises
    ------
    InputError
        If there is no such level.

    Examples
    --------
    >>> shift_level("T12", 1), shift_level("T12", -1), shift_level("L6", -1)
    ('L1', 'T11', 'L5')
    """
    if steps == 0:
        return level
    place = (floor if steps > 0 else ceil)(level_position(level)) + steps
    if not 0 <= place < len(LEVELS):
        raise InputError(f"There is no level {steps:+d} from {level}.", "Name another first level.")
    return LEVELS[place]


def steps_between(level: str, other: str) -> int:
    """Return the steps of `shift_level` that lead from a level to another, regular one."""
    way = level_position(other) - level_position(level)
    return ceil(way) if way > 0 else floor(way)


def level_range(text: str) -> tuple[str, ...]:
    """Expand "T11-L2" or "T11, L1" to single levels from head to foot.

    Raises
    ------
    InputError
        If a part names no level.

    Examples
    --------
    >>> level_range("T11-L2")
    ('T11', 'T12', 'L1', 'L2')
    """
    chosen: set[str] = set()
    for part in re.split(r"[,;]", text):
        ends = [parse_level(end) for end in re.split(r"\s*(?:-|\u2013|:|\.\.)\s*", part.strip())]
        first, last = sorted((level_position(ends[0]), level_position(ends[-1])))
        chosen.update(level for level in LEVELS if first <= level_position(level) <= last)
        chosen.update(ends)
    return sort_levels(chosen)


def sort_levels(levels: Sequence[str] | set[str]) -> tuple[str, ...]:
    """Sort levels from head to foot."""
    return tuple(sorted(levels, key=level_position))


def usual_convergence(level: str) -> float:
    """Degrees by which the pedicles of a level usually converge towards the front.

    T1 about 33 falling to 3 at T12, lumbar about 5 a level; the cervical value is a mean.
    """
    if level in CERVICAL:
        return 38.0
    if level in THORACIC or level == "T13":
        return 33.0 - 30.0 * (min(level_position(level), LEVELS.index("T12")) - 7) / 11.0
    return 5.0 * (min(level_position(level), LEVELS.index("L5")) - LEVELS.index("T12"))


#: Usual distance of the discs around each level, mm, for an adult of middle height.
USUAL_LENGTHS_MM: Mapping[str, float] = MappingProxyType(
    dict(
        zip(
            LEVELS,
            (
                *(20.0, 20.0, 18.0, 18.0, 17.5, 17.5, 18.5),
                *(20.0, 21.5, 22.5, 23.0, 23.5, 24.0, 24.5, 25.0, 26.0, 27.0, 28.5, 30.5),
                *(33.0, 34.5, 35.5, 36.0, 35.0, 30.0),
            ),
            strict=True,
        )
    )
)

_ISTHMUS_MM = {"C7": 5.0, "T1": 4.0, "T2": 2.5, "T3": 2.5, "T12": -0.5, "L1": 0.3} | {
    "L2": 1.2,
    "L3": 2.0,
    "L4": 4.0,
    "L5": 4.0,
}


#: Usual width of the narrow pedicles that ribs lie against, mm (landmarks of the training CTs).
RIBBED_WIDTH_MM: Mapping[str, float] = MappingProxyType(
    {"T2": 7.5, "T3": 6.0, "T4": 4.8, "T5": 4.7, "T6": 5.0, "T7": 5.2, "T8": 5.4, "T9": 5.6}
)


def usual_isthmus_mm(level: str) -> float:
    """How far before the canal's centre the pedicles' isthmus usually lies, mm.

    From landmarks of the training CTs; between T4 and T11 it hardly changes.
    """
    return _ISTHMUS_MM.get(level, 5.0 if level in CERVICAL else 1.3)
