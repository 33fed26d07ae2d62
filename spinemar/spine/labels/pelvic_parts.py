"""Hips, and the sacrum below S1, in anybody's segmentation: what screws into the ilium need of it.

They are known by their names, or by their numbers where the vertebrae are numbered as
TotalSegmentator does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from spinemar.base.boxes import bounding_box
from spinemar.errors import InputError
from spinemar.io.segmentations.vertebra_names import level_in_name
from spinemar.spine.labels.conventions import LevelNaming
from spinemar.spine.labels.levels import SACRUM
from spinemar.volume import LabelVolume

_Key = TypeVar("_Key")

LEFT_HIP, RIGHT_HIP, LOWER_SACRUM = 1, 2, 3
HIPS: Mapping[str, int] = MappingProxyType({"left": LEFT_HIP, "right": RIGHT_HIP})
#: Names that `parts_in_names` understands, beside a segment of S1 alone.
PART_NAMES: Mapping[int, str] = MappingProxyType(
    {LEFT_HIP: "Left hip", RIGHT_HIP: "Right hip", LOWER_SACRUM: "Sacrum"}
)
#: Room that is left around the parts, voxels.
_ROOM = 3

#: What the numbers of TotalSegmentator are, version 2 and version 1.
_NUMBERS: Mapping[str, Mapping[int, int]] = MappingProxyType(
    {
        "totalsegmentator": {77: LEFT_HIP, 78: RIGHT_HIP, 25: LOWER_SACRUM},
        "totalsegmentator-v1": {90: LEFT_HIP, 91: RIGHT_HIP},
    }
)
_HIP_WORDS = frozenset(("hip", "coxae", "coxal", "innominate"))
_NO_BONE = frozenset(
    ("joint", "muscle", "muscles", "prosthesis", "implant", "head", "cartilage", "capsule", "fat")
)
#: SNOMED CT, as Slicer's terminology has it: the hip bone.
_HIP_CODE = "29836001"


def pelvic_parts(labels: LabelVolume, naming: LevelNaming | None) -> LabelVolume | None:
    """Return hips and lower sacrum as `LEFT_HIP`, `RIGHT_HIP`, `LOWER_SACRUM`; None without any.

    Parameters
    ----------
    labels : LabelVolume
        As they were read.
    naming : LevelNaming or None
        Of its vertebrae, as `find_naming` returns it.

    Raises
    ------
    InputError
        If a hip lies on the other side than its name says.
    """
    present = {int(value) for value in np.unique(labels.labels)} - {0}
    parts = {value: part for value, part in _parts(labels, naming).items() if value in present}
    if not parts:
        return None
    found = np.zeros(labels.labels.shape, np.int16)
    for value, part in parts.items():
        found[labels.labels == value] = part
    return checked_parts(LabelVolume(found, labels.ijk_to_ras))


def checked_parts(parts: LabelVolume) -> LabelVolume | None:
    """Return parts cut out of the volume that they lie in; None where there are none.

    Raises
    ------
    InputError
        If a hip lies on the other side than its name says.
    """
    box = bounding_box(parts.labels > 0, (_ROOM,) * 3)
    if box is None:
        return None
    _check_sides(parts)
    matrix = parts.ijk_to_ras.copy()
    matrix[:3, 3] = parts.geometry.to_ras(np.array([edge.start for edge in box[::-1]], float))
    return LabelVolume(np.ascontiguousarray(parts.labels[box]), matrix)


def parts_in_names(names: Mapping[_Key, str], levels: Mapping[_Key, str]) -> dict[_Key, int]:
    """Return which segments are hips or the lower sacrum, by the keys of their names.

    Where S1 has a segment of its own in `levels` the sacrum is what lies below it.
    """
    own = SACRUM in levels.values()
    found = {key: _part_in_name(name) for key, name in names.items()}
    return {
        key: part
        for key, part in found.items()
        if part is not None and (part != LOWER_SACRUM or (own and key not in levels))
    }


def _parts(labels: LabelVolume, naming: LevelNaming | None) -> dict[int, int]:
    if labels.names:
        return parts_in_names(labels.names, naming.levels if naming is not None else {})
    return dict(_NUMBERS.get(naming.source, {})) if naming is not None else {}


def _part_in_name(name: str) -> int | None:
    """Return what a segment's name means: "hip_left", "Right hip bone"; None for all else."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    if words & _NO_BONE:
        return None
    sides = [part for side, part in HIPS.items() if side in words]
    if (words & _HIP_WORDS or _HIP_CODE in name) and len(sides) == 1:
        return sides[0]
    return LOWER_SACRUM if "sacrum" in words and level_in_name(name) == SACRUM else None


def _check_sides(parts: LabelVolume) -> None:
    """Refuse hips whose names are exchanged, or whose volume is mirrored."""
    places = {}
    for side, part in HIPS.items():
        k, j, i = np.nonzero(parts.labels == part)
        if len(k):
            places[side] = parts.geometry.to_ras(np.array([[i.mean(), j.mean(), k.mean()]]))[0, 0]
    if len(places) == 2 and places["left"] >= places["right"]:
        raise InputError(
            "By its names the left hip lies on the right side in this segmentation.",
            "Check names and orientation of the segmentation, or leave the hips out of it.",
        )
