"""Volumes handed over as raw arrays: no file format, no compression, mapped instead of read.

A volume is named in a job either by the path of a file or series, or as
``{"npy": PATH, "ijk_to_ras": 4x4, "metadata": {...}}``, the way a program hands over what it
already holds in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.array_files import load_npy
from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.volume import CTVolume, GridGeometry, LabelVolume


def load_volume(named: Any, series: Any = None) -> CTVolume:
    """Read the volume that a job names, and which series of its folder."""
    from spinemar.io import read_volume
    from spinemar.io.hounsfield import check_hounsfield

    if not isinstance(named, Mapping):
        label = None if series is None else str(series)
        return read_volume(_path(named, "input"), series=label)
    volume = handed_volume(named)
    check_hounsfield(volume.hu, str(named.get("name", "The volume")))
    return volume


def handed_volume(named: Mapping[str, Any]) -> CTVolume:
    """Return a volume that was handed over as an array, whatever its values are."""
    hu = np.asarray(_map(named), dtype=np.float32)
    metadata = {str(k): str(v) for k, v in dict(named.get("metadata", {})).items()}
    return CTVolume(hu, np.asarray(named.get("ijk_to_ras"), dtype=np.float64), metadata)


def load_labels(named: Any) -> LabelVolume | None:
    """Read the labels that a job names, if it names some: whole, or in pieces on a grid."""
    from spinemar.io import read_labels

    if named is None:
        return None
    if isinstance(named, Mapping) and "pieces" in named:
        return _composed(named)
    if isinstance(named, Mapping):
        matrix = np.asarray(named.get("ijk_to_ras"), dtype=np.float64)
        return LabelVolume(np.asarray(_map(named), dtype=np.int16), matrix)
    return read_labels(_path(named, "labels"))


def _composed(named: Mapping[str, Any]) -> LabelVolume:
    from spinemar.spine.labels.pieces import LabelPiece, compose_labels

    k, j, i = (int(n) for n in named["shape"])
    pieces = [
        LabelPiece(
            _map(one),
            np.asarray(one["ijk_to_ras"], dtype=np.float64),
            {int(value): int(number) for value, number in one["values"].items()},
        )
        for one in named["pieces"]
    ]
    matrix = np.asarray(named["ijk_to_ras"], dtype=np.float64)
    return compose_labels(pieces, GridGeometry((k, j, i), matrix))


def load_mask(named: Any, geometry: GridGeometry) -> NDArray[np.bool_] | None:
    """Read the metal mask (k, j, i) that a job names, if it names one."""
    from spinemar.io import read_mask

    if named is None:
        return None
    if isinstance(named, Mapping):
        mask: NDArray[np.bool_] = np.not_equal(_map(named), 0)
        return mask
    return read_mask(_path(named, "metal_mask"), geometry)


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a raw array of any shape, complete or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def stored_like(hu: NDArray[np.float32], dtype: str | None) -> NDArray[Any]:
    """Return HU in the type that the source was stored in.

    Integer types are rounded and clipped to their range, so that voxels that were not changed
    keep their exact value.

    Parameters
    ----------
    hu : ndarray of float32, any shape
    dtype : str, optional
        NumPy's name of the source's type; float32 by default.
    """
    kind = np.dtype(dtype or "float32")
    if kind.kind not in "iu":
        return hu.astype(kind, copy=False)
    limits = np.iinfo(kind)
    return np.clip(np.rint(hu), limits.min, limits.max).astype(kind)


def _map(named: Mapping[str, Any]) -> NDArray[Any]:
    return load_npy(_path(named.get("npy"), "npy"), mapped=True)


def _path(value: Any, name: str) -> Path:
    if not isinstance(value, str) or not value:
        raise InputError(f"The job names no {name}.", "Give a path.")
    return Path(value)
