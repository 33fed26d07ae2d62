"""Segmentations that 3D Slicer writes: `.seg.nrrd`, whose header names each segment.

Segments that overlap lie in several layers, which NRRD keeps as values of one voxel. Older
versions gave every segment a layer of its own and no number.

References
----------
3D Slicer documentation, Developer guide, "Segmentation file format" (.seg.nrrd).
"""

from __future__ import annotations

import re
from pathlib import Path

from spinemar.errors import InputError
from spinemar.io.headers.nrrd import nrrd_key_values
from spinemar.io.segmentations.segments import Segment
from spinemar.io.segmentations.vertebra_names import telling_name

_KEY = re.compile(r"Segment(\d{1,5})_(Name|ID|LabelValue|Layer|Tags)")
_TERMINOLOGY = re.compile(r"TerminologyEntry:([^|]*)")


def segments_in_nrrd(path: Path, layers: int) -> tuple[Segment, ...]:
    """Return the segments that a NRRD header names; none for a plain label map.

    Parameters
    ----------
    path : Path
    layers : int
        Layers of numbers that the file holds.

    Raises
    ------
    InputError
        If the header does not say which number of which layer a segment is.
    """
    fields: dict[int, dict[str, str]] = {}
    for field, text in nrrd_key_values(path).items():
        match = _KEY.fullmatch(field)
        if match:
            fields.setdefault(int(match.group(1)), {})[match.group(2)] = text
    # An early file: one layer a segment, which holds 1.
    own_layers = len(fields) == layers and not any("LabelValue" in f for f in fields.values())
    found = []
    for order, said in enumerate(fields[key] for key in sorted(fields)):
        default = {"Layer": str(order), "LabelValue": "1"} if own_layers else {"Layer": "0"}
        try:
            complete = {**default, **said}
            layer, number = int(complete["Layer"]), int(complete["LabelValue"])
        except (KeyError, ValueError) as error:
            raise _confused(path) from error
        if not 0 <= layer < layers or not 0 < number < 2**15:
            raise _confused(path)
        found.append(Segment(layer, number, _name(said)))
    if len({(segment.layer, segment.value) for segment in found}) < len(found):
        raise _confused(path)
    return tuple(found)


def _name(said: dict[str, str]) -> str:
    terminology = _TERMINOLOGY.search(said.get("Tags", ""))
    # context~category~type~modifier~...: the type is what the segment is.
    parts = terminology.group(1).split("~") if terminology else []
    kind = parts[2].replace("^", " ") if len(parts) > 2 else ""
    return telling_name((said.get("Name", ""), kind, said.get("ID", "")))


def _confused(path: Path) -> InputError:
    return InputError(
        f"{path.name} does not say which of its numbers is which segment.",
        "Save the segmentation again with a present version of 3D Slicer.",
    )
