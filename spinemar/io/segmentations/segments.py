"""Segments as files keep them: layers of numbers, and what each number of each layer is called."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.io.segmentations.vertebra_names import level_in_name, levels_in_names
from spinemar.volume import LabelVolume

_MOST_SHARED = 0.05
_METAL = re.compile(
    r"metal|implant|screw|hardware|prosthe|titan|steel|osteosynth|instrumentation|"
    r"\b(rod|cage|hook|wire|plate|clip|staple|stent|nail|pin)s?\b"
)


@dataclass(frozen=True)
class Segment:
    """One segment: the voxels of `layer` that hold `value`, and its name ("" without one)."""

    layer: int
    value: int
    name: str


@dataclass(frozen=True)
class StoredSegments:
    """All segments of a file; those of different layers may overlap.

    Parameters
    ----------
    layers : ndarray of int16, shape (layers, k, j, i)
    ijk_to_ras : ndarray of float64, shape (4, 4)
    segments : tuple of Segment
        Empty for a plain label map, whose numbers have no names.
    slab_mm : float or None
        How far a slice (plane of k) reaches on both sides together, where that is less than the
        step between slices.
    """

    layers: NDArray[np.int16]
    ijk_to_ras: NDArray[np.float64]
    segments: tuple[Segment, ...] = ()
    slab_mm: float | None = None


def _names_metal(name: str) -> bool:
    """Whether a segment's name says that it is metal: "Metal", "L4 screw left", "rods"."""
    return _METAL.search(name.lower().replace("_", " ")) is not None


def flattened(stored: StoredSegments, file_name: str) -> LabelVolume:
    """Return one label map with the segments' names.

    Where segments overlap, vertebrae win over the rest, and later ones over earlier ones.

    Raises
    ------
    InputError
        If two vertebrae share more than a rim.
    """
    layers, segments = stored.layers, stored.segments
    if not segments:
        return LabelVolume(layers[0], stored.ijk_to_ras)
    if len(layers) == 1:
        names = {segment.value: segment.name for segment in segments}
        return LabelVolume(layers[0], stored.ijk_to_ras, names)
    named = {number: segment.name for number, segment in enumerate(segments, 1)}
    vertebrae = levels_in_names(named)
    labels = np.zeros(layers.shape[1:], np.int16)
    for number in sorted(named, key=lambda n: n in vertebrae):
        segment = segments[number - 1]
        mask = layers[segment.layer] == segment.value
        if number in vertebrae:
            _refuse_shared(labels[mask], number, named, vertebrae.keys(), file_name)
        labels[mask] = number
    return LabelVolume(labels, stored.ijk_to_ras, named)


def _refuse_shared(
    below: NDArray[np.int16],
    number: int,
    names: dict[int, str],
    vertebrae: set[int] | object,
    file_name: str,
) -> None:
    """Refuse a vertebra that lies in another one already painted."""
    for other, count in zip(*np.unique(below[below != 0], return_counts=True), strict=True):
        if int(other) in vertebrae and count > _MOST_SHARED * below.size:  # type: ignore[operator]
            raise InputError(
                f"In {file_name} the segments {names[int(other)]} and {names[number]} overlap: "
                f"{100 * count / below.size:.0f} % of the latter belong to both.",
                "Separate them, in 3D Slicer with the Segment Editor and masking without overlap.",
            )


def marked(stored: StoredSegments, file_name: str) -> NDArray[np.bool_]:
    """Return the mask (k, j, i) of the metal that a file marks.

    Whatever is not 0 counts; but where names call some segments metal, only those do.

    Raises
    ------
    InputError
        If the names say that it marks vertebrae and no metal, or its values are those of a CT.
    """
    if int(stored.layers.min()) < 0:
        raise InputError(
            f"{file_name} is no mask: it holds values below 0.", "Give a mask of the metal."
        )
    metal = [segment for segment in stored.segments if _names_metal(segment.name)]
    other = [segment for segment in stored.segments if segment not in metal]
    vertebrae = [segment.name for segment in other if level_in_name(segment.name)]
    if vertebrae and not metal:
        raise InputError(
            f"{file_name} marks {', '.join(vertebrae[:3])}{' …' if len(vertebrae) > 3 else ''}, "
            "and no metal.",
            "Give a mask of the metal, or name its segment 'Metal'.",
        )
    if not metal or not other:
        return np.asarray((stored.layers != 0).any(axis=0))
    mask = np.zeros(stored.layers.shape[1:], bool)
    for segment in metal:
        mask |= stored.layers[segment.layer] == segment.value
    return mask
