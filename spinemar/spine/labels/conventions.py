"""Translate the label values of other software to VerSe numbers.

What a file says of its labels (names, terminology) comes first, or what the user states; only
numbers without names are recognised by where they lie, and where that does not tell, the user is
asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spinemar.errors import InputError
from spinemar.io.segmentations.vertebra_names import levels_in_names
from spinemar.spine.labels.levels import VERSE_IDS, parse_level, sort_levels
from spinemar.spine.labels.numbering import (
    NUMBERINGS,
    SUREST,
    Recognised,
    label_centres,
    levels_of_numbers,
    recognise_numbering,
    reversed_pair,
)
from spinemar.volume import LabelVolume

_MASK_VALUES = (1, 255)


@dataclass(frozen=True)
class LevelNaming:
    """Which level each label value is, and who says so.

    Parameters
    ----------
    levels : mapping of int to str
        Only of values that are vertebrae.
    source : str
        "names" of the file or the user, or the numbering.
    confidence : float
        1 where the file or the user states it.
    """

    levels: Mapping[int, str]
    source: str
    confidence: float


def to_verse(labels: LabelVolume, naming: str | Mapping[int, str] = "auto") -> LabelVolume:
    """Return the vertebrae of a segmentation under their VerSe numbers, the rest as background.

    Parameters
    ----------
    labels : LabelVolume
    naming : str or mapping of int to str
        As in `find_naming`.

    Raises
    ------
    InputError
        If no vertebra is found under this naming, or its levels cannot be told.
    """
    return renumbered(labels, required_naming(labels, naming))


def renumbered(labels: LabelVolume, naming: LevelNaming) -> LabelVolume:
    """Return the vertebrae under their VerSe numbers and names, the rest as background."""
    low, high = int(labels.labels.min()), int(labels.labels.max())
    lookup = np.zeros(high - low + 1, np.int16)
    for value, level in naming.levels.items():
        if low <= value <= high:
            lookup[value - low] = VERSE_IDS[level]
    names = {VERSE_IDS[level]: level for level in naming.levels.values()}
    return LabelVolume(lookup[labels.labels.astype(np.int32) - low], labels.ijk_to_ras, names)


def required_naming(labels: LabelVolume, naming: str | Mapping[int, str] = "auto") -> LevelNaming:
    """Return `find_naming`, or refuse where no value is a vertebra.

    Raises
    ------
    InputError
    """
    found = find_naming(labels, naming)
    if found is None:
        called = _called(labels.names)
        raise InputError(
            f"This segmentation names no vertebra{called}.",
            "Name its segments (for example 'L1 vertebra') or state the numbering it uses "
            f"(--naming {', '.join(NUMBERINGS)}, or 1=L1,2=L2 and so on).",
        )
    return found


def find_naming(
    labels: LabelVolume, naming: str | Mapping[int, str] = "auto"
) -> LevelNaming | None:
    """Return which level each value is; None where none is said to be a vertebra.

    Parameters
    ----------
    labels : LabelVolume
    naming : str or mapping of int to str
        "auto" (the file's own names, else its numbers where they are beyond doubt), "verse",
        "totalsegmentator" (version 2), "totalsegmentator-v1", "1=L1,2=L2", or the segments' names
        or terminology codes by label value.

    Raises
    ------
    InputError
        If the levels of these numbers cannot be told, or lie upside down.
    """
    present = {int(value) for value in np.unique(labels.labels)} - {0}
    if naming == "auto":
        return _automatic(labels, present)
    if isinstance(naming, str) and "=" not in naming:
        if naming not in NUMBERINGS:
            raise InputError(
                f"'{naming}' is not a known numbering.",
                f"Use auto, {', '.join(NUMBERINGS)}, or VALUE=LEVEL,VALUE=LEVEL.",
            )
        levels = {number: level for level, number in NUMBERINGS[naming].items()}
        return _checked(labels, _only(levels, present), naming, 1.0)
    names = _stated(naming) if isinstance(naming, str) else naming
    levels = levels_in_names({value: name for value, name in names.items() if value in present})
    return _checked(labels, levels, "names", 1.0)


def names_vertebrae(labels: LabelVolume, naming: str | Mapping[int, str] = "auto") -> bool:
    """Whether a segmentation holds at least one vertebra under its own number or name.

    A mask of a single value (1, or 255) is no vertebra unless it is named.

    Raises
    ------
    InputError
        If it holds vertebrae whose levels cannot be told.
    """
    return find_naming(labels, naming) is not None


def _automatic(labels: LabelVolume, present: set[int]) -> LevelNaming | None:
    if any(value in present for value in labels.names):
        # Numbers beside names are an order of segments, and mean nothing.
        levels = levels_in_names({v: n for v, n in labels.names.items() if v in present})
        return _checked(labels, levels, "names", 1.0)
    if not present or (len(present) == 1 and present <= set(_MASK_VALUES)):
        return None
    found = recognise_numbering(labels)
    if found.best is None:
        if not found.probability:
            return None
        raise _ambiguous(found, present)
    levels = {number: level for level, number in NUMBERINGS[found.best].items()}
    confidence = min(found.probability[found.best], SUREST)
    return _checked(labels, _only(levels, present), found.best, confidence)


def _checked(
    labels: LabelVolume, levels: Mapping[int, str], source: str, confidence: float
) -> LevelNaming | None:
    """Refuse levels that lie upside down: then the names or the volume's geometry is wrong."""
    if not levels:
        return None
    ids = {level: value for value, level in levels.items()}
    pair = reversed_pair(label_centres(labels), ids)
    if pair is not None:
        raise InputError(
            f"By {'its names' if source == 'names' else source} {pair[0]} would lie below "
            f"{pair[1]} in this segmentation.",
            "State the numbering that it uses (--naming), or check names and orientation.",
        )
    return LevelNaming(levels, source, confidence)


def _only(levels: Mapping[int, str], present: set[int]) -> dict[int, str]:
    return {value: level for value, level in levels.items() if value in present}


def _stated(text: str) -> dict[int, str]:
    """Read "1=T12,2=L1"."""
    names: dict[int, str] = {}
    for part in text.split(","):
        value, _, level = part.partition("=")
        try:
            names[int(value)] = parse_level(level)
        except ValueError as error:
            raise InputError(
                f"'{part.strip()}' does not say which number is which level.",
                "Write VALUE=LEVEL,VALUE=LEVEL, for example 1=T12,2=L1.",
            ) from error
    return names


def _ambiguous(found: Recognised, present: set[int]) -> InputError:
    meanings: list[str] = []
    for name in found.possible or tuple(found.probability):
        levels = sort_levels(set(levels_of_numbers(sorted(present), name)))
        meanings.append(
            f"{levels[0] if len(levels) == 1 else f'{levels[0]} to {levels[-1]}'} ({name})"
        )
    if not meanings:
        return InputError(
            "This segmentation names no vertebra.",
            "Name its segments (for example 'L1 vertebra'), or state what its numbers are "
            "(--naming 1=L1,2=L2).",
        )
    return InputError(
        f"The numbers of this segmentation have no names, and could mean {' or '.join(meanings)}.",
        "State what they are (--naming "
        f"{', '.join(found.possible or found.probability)}, or VALUE=LEVEL,VALUE=LEVEL), or name "
        "its segments.",
    )


def _called(names: Mapping[int, str]) -> str:
    if not names:
        return ""
    shown = [name[:30] for name in list(names.values())[:3]]
    return f" (its segments are called {', '.join(shown)}{' …' if len(names) > 3 else ''})"
