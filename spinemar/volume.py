"""CT volumes and label volumes: arrays with their geometry in RAS millimetres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError, InputError


def _checked_affine(ijk_to_ras: NDArray[np.float64]) -> NDArray[np.float64]:
    affine = np.array(ijk_to_ras, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise GeometryError(
            "The volume's position in space is not a finite 4x4 matrix.",
            "Export the series again from the scanner or the PACS.",
        )
    if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise GeometryError(
            "The volume's voxels have no volume (a spacing is zero or two axes coincide).",
            "Check spacing and direction in the file's header.",
        )
    affine.setflags(write=False)
    return affine


@dataclass(frozen=True)
class GridGeometry:
    """A voxel grid: its shape and its place in space.

    Parameters
    ----------
    shape : tuple of int
        (slices k, rows j, columns i).
    ijk_to_ras : ndarray, shape (4, 4)
        Maps (i, j, k, 1) to RAS millimetres.
    """

    shape: tuple[int, int, int]
    ijk_to_ras: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ijk_to_ras", _checked_affine(self.ijk_to_ras))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along i, j and k in mm."""
        lengths = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def ras_to_ijk(self) -> NDArray[np.float64]:
        """Inverse of `ijk_to_ras`, shape (4, 4)."""
        return np.asarray(np.linalg.inv(self.ijk_to_ras), dtype=np.float64)

    def to_ras(self, ijk: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map voxel coordinates (..., 3) in (i, j, k) order to RAS mm."""
        affine = self.ijk_to_ras
        return np.asarray(ijk, dtype=np.float64) @ affine[:3, :3].T + affine[:3, 3]

    def to_ijk(self, ras: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map RAS mm (..., 3) to continuous voxel coordinates in (i, j, k) order."""
        inverse = self.ras_to_ijk
        return np.asarray(ras, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def same_as(self, other: GridGeometry, tolerance_mm: float = 1e-2) -> bool:
        """Whether all corners of the two grids coincide within `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        k, j, i = self.shape
        corners = np.array([[a, b, c] for a in (0, i) for b in (0, j) for c in (0, k)], float)
        gap = np.abs(self.to_ras(corners) - other.to_ras(corners)).max()
        return bool(gap <= tolerance_mm)


@dataclass(frozen=True)
class CTVolume:
    """A CT in Hounsfield units.

    Parameters
    ----------
    hu : ndarray of float32, shape (slices k, rows j, columns i)
        Hounsfield units.
    ijk_to_ras : ndarray of float64, shape (4, 4)
        Maps (i, j, k, 1) to RAS millimetres.
    metadata : mapping of str to str
        Free facts that travel with the volume (never patient identifiers).

    Raises
    ------
    InputError
        If the array is not three-dimensional or holds no voxel.
    GeometryError
        If the matrix is not finite and invertible.

    Examples
    --------
    >>> import numpy as np
    >>> volume = CTVolume(np.zeros((3, 4, 5), dtype=np.float32), np.diag([0.5, 0.5, 2.0, 1.0]))
    >>> volume.geometry.spacing_mm
    (0.5, 0.5, 2.0)
    """

    hu: NDArray[np.float32]
    ijk_to_ras: NDArray[np.float64]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        array = np.asarray(self.hu)
        if array.ndim != 3 or array.size == 0:
            raise InputError(
                f"A CT volume has three dimensions and at least one voxel; this has shape "
                f"{array.shape}.",
                "Load a single CT series.",
            )
        object.__setattr__(self, "hu", np.ascontiguousarray(array, dtype=np.float32))
        object.__setattr__(self, "ijk_to_ras", _checked_affine(self.ijk_to_ras))

    @property
    def geometry(self) -> GridGeometry:
        """The voxel grid without its values."""
        k, j, i = self.hu.shape
        return GridGeometry((k, j, i), self.ijk_to_ras)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along i, j and k in mm."""
        return self.geometry.spacing_mm

    def with_hu(self, hu: NDArray[np.float32]) -> CTVolume:
        """Return the same grid and metadata with other values."""
        if np.shape(hu) != self.hu.shape:
            raise GeometryError(
                f"New values of shape {np.shape(hu)} do not fit a volume of {self.hu.shape}.",
                "Use an array of the volume's own shape.",
            )
        return replace(self, hu=hu)


@dataclass(frozen=True)
class LabelVolume:
    """Integer labels on a voxel grid; 0 is background.

    Parameters
    ----------
    labels : ndarray of integers, shape (slices k, rows j, columns i)
    ijk_to_ras : ndarray of float64, shape (4, 4)
    names : mapping of int to str, optional
        What the file that they come from calls its labels.
    """

    labels: NDArray[np.int16]
    ijk_to_ras: NDArray[np.float64]
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        array = np.asarray(self.labels)
        if array.ndim != 3 or array.size == 0:
            raise InputError(
                f"A label volume has three dimensions; this has shape {array.shape}.",
                "Load a single segmentation.",
            )
        object.__setattr__(self, "labels", np.ascontiguousarray(array, dtype=np.int16))
        object.__setattr__(self, "ijk_to_ras", _checked_affine(self.ijk_to_ras))

    @property
    def geometry(self) -> GridGeometry:
        """The voxel grid without its values."""
        k, j, i = self.labels.shape
        return GridGeometry((k, j, i), self.ijk_to_ras)
