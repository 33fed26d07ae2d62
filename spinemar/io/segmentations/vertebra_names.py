"""The vertebra that a name or a terminology code means: "vertebrae_T12", "Th12", "LWK 3".

Files say what their segments are in words; here they become the short names of levels ("T12").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

_Key = TypeVar("_Key")
SACRUM = "S1"

#: SNOMED CT codes of the vertebrae, as Slicer's terminology and DICOM SEG write them.
_SNOMED_CODES: Mapping[str, str] = MappingProxyType(
    {
        "C1": "14806007",
        "C2": "39976000",
        "C3": "113205007",
        "C4": "5329002",
        "C5": "36978003",
        "C6": "36054005",
        "C7": "87391001",
        "T1": "64864005",
        "T2": "53733008",
        "T3": "1626008",
        "T4": "73071006",
        "T5": "56401006",
        "T6": "45296009",
        "T7": "62487009",
        "T8": "11068009",
        "T9": "82687006",
        "T10": "7610001",
        "T11": "12989004",
        "T12": "23215003",
        "L1": "66794005",
        "L2": "14293000",
        "L3": "36470004",
        "L4": "11994002",
        "L5": "49668003",
        "S1": "65985001",
    }
)

#: The whole sacrum, of which S1 is the uppermost part.
_SACRUM_CODE = "54735007"

# "T12", "t-12", "Th12", "D12", "BWK 12"; what follows as in "L5S1" or "L1-2" names two vertebrae.
_LETTER = re.compile(
    r"(?<![A-Za-z0-9])(Th|[CTLDS]|[HBLS]WK)\s*[-_]?\s*(\d{1,2})(?![A-Za-z0-9])(?!\s*[-/\u2013]\s*\d)",
    re.IGNORECASE,
)
_LETTER_OF = {"TH": "T", "D": "T", "HWK": "C", "BWK": "T", "LWK": "L", "SWK": "S"}
_REGION_NUMBER = re.compile(
    r"\b(cervical|thoracic|dorsal|lumbar|sacral)\s+(?:spine\s+|vertebrae?\s+)?(\d{1,2})\b"
)
_NUMBER_REGION = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th)\s+(cervical|thoracic|dorsal|lumbar|sacral)\b"
)
_LARGEST = {"C": 7, "T": 13, "L": 6, "S": 1}
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth"),
    *("seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"),
)
_NOT_BONE = frozenset(
    (
        *("disc", "disk", "discs", "disks", "intervertebral", "ivd", "rib", "ribs", "costa"),
        *("nerve", "nerves", "root", "roots", "ganglion", "cord", "canal", "muscle", "artery"),
        *("vein", "lymph", "node", "lesion", "tumor", "tumour", "metastasis", "cyst", "cement"),
        *("screw", "screws", "rod", "rods", "cage", "cages", "hook", "wire", "plate", "implant"),
        *("implants", "metal"),
    )
)
_REGIONS = {"cervical": "C", "thoracic": "T", "dorsal": "T", "lumbar": "L", "sacral": "S"}


def level_in_name(name: str) -> str | None:
    """Find the level in a segment's name, None where it names no vertebra, or more than one.

    Understands "vertebrae_T12", "L1 vertebra", "Th12", "LWK 3", "First lumbar vertebra", "lumbar
    vertebra 1" and SNOMED CT codes.
    """
    stripped = name.strip()
    for level, code in (*_SNOMED_CODES.items(), (SACRUM, _SACRUM_CODE)):
        if re.search(rf"(?<!\d){code}(?!\d)", stripped):
            return level
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stripped).replace("_", " ")
    words = re.findall(r"[a-z]+", spaced.lower())
    if _NOT_BONE.intersection(words):
        return None
    found = _levels_said(spaced, words)
    if len(found) == 1:
        return found.pop()
    if not found and "sacrum" in words:
        return SACRUM
    return None


def _levels_said(text: str, words: Sequence[str]) -> set[str]:
    """Return all levels that a text with spaces between its words names."""
    found: set[str] = set()
    for word, region in _REGIONS.items():
        ordinal = next((n for n, o in enumerate(_ORDINALS, 1) if o in words), 0)
        if word in words and 0 < ordinal <= _LARGEST[region]:
            found.add(f"{region}{ordinal}")
    lower = text.lower()
    counted = [(region, number) for region, number in _REGION_NUMBER.findall(lower)]
    counted += [(region, number) for number, region in _NUMBER_REGION.findall(lower)]
    said = [(_REGIONS[region], number) for region, number in counted]
    said += [
        (_LETTER_OF.get(letter.upper(), letter.upper()), number)
        for letter, number in _LETTER.findall(text)
    ]
    found.update(f"{r}{int(n)}" for r, n in said if 1 <= int(n) <= _LARGEST[r])
    return found


def telling_name(candidates: Sequence[str]) -> str:
    """Return the first of a segment's names that tells a level, else the first there is.

    What its user called it comes before its terminology: copies of a segment keep the code of the
    segment that they were copied from.
    """
    there = [text.strip() for text in candidates if text.strip()]
    return next((text for text in there if level_in_name(text)), there[0] if there else "")


def levels_in_names(names: Mapping[_Key, str]) -> dict[_Key, str]:
    """Return the level of every segment whose name tells one, by the same keys.

    Where one segment is S1 and another the whole sacrum, the sacrum is left out.
    """
    levels = {key: level_in_name(name) for key, name in names.items()}
    found = {key: level for key, level in levels.items() if level is not None}
    whole = {key for key, level in found.items() if level == SACRUM and _is_sacrum(names[key])}
    if any(level == SACRUM and key not in whole for key, level in found.items()):
        return {key: level for key, level in found.items() if key not in whole}
    return found


def _is_sacrum(name: str) -> bool:
    """Whether a name that is level S1 means the whole sacrum."""
    return _SACRUM_CODE in name or (
        "sacrum" in name.lower()
        and _SNOMED_CODES[SACRUM] not in name
        and not _LETTER.search(name.replace("_", " "))
    )
