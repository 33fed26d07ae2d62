"""How the anatomy of an earlier CT lies in a later scan: one rigid motion a vertebra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinemar.errors import InputError

FloatArray = NDArray[np.float64]
HowFound = Literal["registered", "neighbours", "given"]

#: Vertebrae that are less alike than this were not laid over each other.
LAID_OVER = 0.8
_ORTHONORMAL = 1e-4


@dataclass(frozen=True, eq=False)
class VertebraMotion:
    """Where one vertebra of a scan lies in the earlier CT.

    Parameters
    ----------
    level : str
        As "L1".
    scan_to_earlier : ndarray, shape (4, 4)
        Rigid; maps RAS mm of the scan to RAS mm of the earlier CT.
    found : {"registered", "neighbours", "given"}
        "neighbours": the registration of this vertebra could not be trusted, and it moves as
        those beside it do.
    likeness : float
        Correlation of both CTs in and around the vertebra, away from metal, but for the tenth
        that differs most (an operation changes bone); 1 is the same picture, NaN where nothing
        could be compared.
    residual_hu : float
        Median of their absolute difference there.
    moved_mm : float
        How far its centre moved against the body as a whole.
    """

    level: str
    scan_to_earlier: FloatArray
    found: HowFound = "registered"
    likeness: float = float("nan")
    residual_hu: float = float("nan")
    moved_mm: float = float("nan")

    def __post_init__(self) -> None:
        object.__setattr__(self, "scan_to_earlier", rigid(self.scan_to_earlier))


@dataclass(frozen=True, eq=False)
class Registration:
    """How an earlier CT lies in a scan.

    Parameters
    ----------
    scan_to_earlier : ndarray, shape (4, 4)
        Rigid motion of the body as a whole; maps RAS mm of the scan to RAS mm of the earlier CT.
    vertebrae : tuple of VertebraMotion
        From head to foot; those with metal in reach, and their neighbours.
    likeness : float
        Correlation of both CTs in the body around the metal, away from it.
    overlap : float
        Share of the slices with metal that the earlier CT shows, 0 to 1.
    warnings : tuple of str
        What is uncertain, in whole sentences.
    """

    scan_to_earlier: FloatArray
    vertebrae: tuple[VertebraMotion, ...] = ()
    likeness: float = float("nan")
    overlap: float = float("nan")
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scan_to_earlier", rigid(self.scan_to_earlier))
        object.__setattr__(self, "vertebrae", tuple(self.vertebrae))
        object.__setattr__(self, "warnings", tuple(self.warnings))


def rigid(matrix: ArrayLike) -> FloatArray:
    """Check that a matrix (4, 4) is a rigid motion, and keep a copy that nobody writes into.

    Raises
    ------
    InputError
        If it is not 4 x 4, finite, and a rotation with a shift.
    """
    found = np.array(matrix, dtype=np.float64)
    is_rigid = (
        found.shape == (4, 4)
        and bool(np.isfinite(found).all())
        and np.allclose(found[3], (0, 0, 0, 1), atol=_ORTHONORMAL)
        and np.allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=_ORTHONORMAL)
        and np.linalg.det(found[:3, :3]) > 0
    )
    if not is_rigid:
        raise InputError(
            "A motion of the earlier CT is not a rotation with a shift (4 x 4).",
            "Use transforms that SpineMAR wrote, or register again without them.",
        )
    found.setflags(write=False)
    return found


def moved(motion: FloatArray, points: ArrayLike) -> FloatArray:
    """Map points (..., 3) by a 4 x 4 motion."""
    return np.asarray(
        np.asarray(points, dtype=np.float64) @ motion[:3, :3].T + motion[:3, 3], dtype=np.float64
    )


def inverse(motion: FloatArray) -> FloatArray:
    """Return the motion (4, 4) back, of the same shape."""
    return np.asarray(np.linalg.inv(motion), dtype=np.float64)
