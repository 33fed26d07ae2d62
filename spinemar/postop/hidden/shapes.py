"""Vertebrae of other people: what a vertebra looks like where metal hides it.

`vertebrae.npz` holds the signed distance to the surface of each, along its own axes, as
`scripts/make_vertebra_shapes.py` took it from CTs of the training patients, without metal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.atomic_files import atomic_path
from spinemar.implants.shapes.solids import FloatArray
from spinemar.spine.labels.levels import level_position

FILE = Path(__file__).with_name("vertebrae.npz")
#: Distances are stored in 8 bits, to this; farther ones say no more than that they are far.
_STEP_MM, _FARTHEST_MM = 0.06, 7.5


@dataclass(frozen=True, eq=False)
class VertebraShape:
    """One vertebra of somebody.

    Parameters
    ----------
    patient, level : str
    distance_mm : ndarray of float32, shape (a, b, c)
        To its surface, negative inside; along right, anterior, superior.
    first_local : ndarray, shape (3,)
        Local coordinates of distance_mm[0, 0, 0], mm from the body's centre.
    step_mm : float
        Between samples.
    """

    patient: str
    level: str
    distance_mm: NDArray[np.float32]
    first_local: FloatArray
    step_mm: float

    def at(self, local: FloatArray) -> FloatArray:
        """Return the distance at local points (n, 3); beyond the grid that of its edge."""
        index = (local - self.first_local) / self.step_mm
        found: FloatArray = ndimage.map_coordinates(
            self.distance_mm, index.T, output=np.float64, order=1, mode="nearest"
        )
        return found


def read_shapes(path: Path = FILE) -> tuple[VertebraShape, ...]:
    """Read shapes: by default those that come with the project."""
    with np.load(path, allow_pickle=False) as stored:
        step_mm, first = float(stored["step_mm"]), np.asarray(stored["first_local"], np.float64)
        names = zip(stored["patients"], stored["levels"], stored["distances"], strict=True)
        return tuple(
            VertebraShape(
                str(patient), str(level), packed.astype(np.float32) * _STEP_MM, first, step_mm
            )
            for patient, level, packed in names
        )


def write_shapes(path: Path, shapes: Sequence[VertebraShape]) -> None:
    """Write shapes of one grid to one file, at once or not at all."""
    packed = [
        np.round(np.clip(one.distance_mm, -_FARTHEST_MM, _FARTHEST_MM) / _STEP_MM).astype(np.int8)
        for one in shapes
    ]
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            patients=np.array([one.patient for one in shapes]),
            levels=np.array([one.level for one in shapes]),
            distances=np.stack(packed),
            first_local=shapes[0].first_local,
            step_mm=shapes[0].step_mm,
        )


def shapes_near(
    level: str, shapes: Sequence[VertebraShape], reach: int
) -> tuple[VertebraShape, ...]:
    """Return the shapes of a level and of those up to `reach` levels from it.

    Parameters
    ----------
    level : str
    shapes : sequence of VertebraShape
    reach : int
    """
    place = level_position(level)
    return tuple(one for one in shapes if abs(level_position(one.level) - place) <= reach)
