"""How a patient lay in the earlier CT: the body as a whole, each vertebra, soft tissue.

The map runs from the earlier CT to the patient as scanned later, since that is how the earlier CT
is sampled. Vertebrae move rigidly and are blended between by distance; soft tissue moves smoothly,
the less the nearer it is to a vertebra.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.volume import GridGeometry, LabelVolume

Float = NDArray[np.float64]

TURN_DEG, SHIFT_MM = 2.5, 2.0
"""Standard deviations of a vertebra's motion, each axis; neighbours correlate by half, so that
their motion against each other is as large."""
SOFT_MM = (6.0, 8.0)
RESIDUAL_MM, RESIDUAL_DEG, RESIDUAL_SOFT_MM = 0.35, 0.4, (1.0, 5.0)
"""What a registration leaves: by axis, of a vertebra (median over scans) and of soft tissue."""
_BODY_TURN_DEG, _BODY_SHIFT_MM = 2.0, (15.0, 15.0, 40.0)
_LATTICE_MM, _SOFT_NODES_MM = 3.0, 60.0
_FIXED_TO_MM, _FREE_FROM_MM = 2.0, 20.0
_LIKENESS = 0.5


@dataclass(frozen=True, eq=False)
class Posture:
    """A map of points of the earlier CT to points of the later scan, RAS mm.

    Parameters
    ----------
    body : ndarray, shape (4, 4)
        Rigid, earlier to later.
    lattice : GridGeometry
        In the later scan's space.
    shift_mm : ndarray of float32, shape (3, *lattice.shape)
        What is added after the rigid motion, right, anterior, superior.
    """

    body: Float
    lattice: GridGeometry
    shift_mm: NDArray[np.float32]

    def to_later(self, points: NDArray[np.floating]) -> Float:
        """Map points (..., 3) of the earlier CT to the later scan."""
        placed = rigidly(self.body, points)
        index = np.moveaxis(self.lattice.to_ijk(placed), -1, 0)[::-1]
        shifts = [
            ndimage.map_coordinates(axis, index, order=1, mode="nearest") for axis in self.shift_mm
        ]
        return placed + np.stack(shifts, axis=-1)


def rigidly(motion: Float, points: NDArray[np.floating]) -> Float:
    """Map points (..., 3) by a 4 x 4 matrix."""
    return np.asarray(points, dtype=np.float64) @ motion[:3, :3].T + motion[:3, 3]


def draw_posture(labels: LabelVolume, rng: np.random.Generator) -> tuple[Posture, dict[str, Any]]:
    """Draw a posture for a patient whose vertebrae are labelled; returns what was drawn too."""
    lattice = _lattice(labels.geometry)
    points = _nodes(lattice)
    numbers = [int(n) for n in np.unique(labels.labels) if n]
    motions = _vertebra_motions(labels, numbers, rng)
    weight = np.full(lattice.shape, 1e-12)
    shift = np.zeros((*lattice.shape, 3))
    nearest = np.full(lattice.shape, np.inf)
    for number in numbers:
        moved = rigidly(motions[number], points)
        there = _sampled(labels, moved) == number
        if not there.any():
            continue
        distance = ndimage.distance_transform_edt(~there, sampling=_LATTICE_MM)
        share = 1.0 / np.maximum(distance, 1.0) ** 4
        weight += share
        shift += share[..., None] * (moved - points)
        nearest = np.minimum(nearest, distance)
    shift /= weight[..., None]
    soft_mm = float(rng.uniform(*SOFT_MM))
    free = np.clip((nearest - _FIXED_TO_MM) / (_FREE_FROM_MM - _FIXED_TO_MM), 0.0, 1.0)
    free = free * free * (3.0 - 2.0 * free)
    shift += free[..., None] * _soft(lattice, soft_mm, rng)
    body = _body_motion(labels, rng)
    facts = {
        "soft_tissue_mm": round(soft_mm, 2),
        "motions": {str(n): np.round(m, 5).tolist() for n, m in motions.items()},
    }
    shifts = np.ascontiguousarray(np.moveaxis(shift, -1, 0), np.float32)
    return Posture(body, lattice, shifts), facts


def draw_residuals(labels: LabelVolume, count: int, rng: np.random.Generator) -> list[Posture]:
    """Draw what registrations leave: how far off the earlier CT still lies, point by point."""
    lattice = _lattice(labels.geometry)
    points = _nodes(lattice)
    there = _sampled(labels, points)
    distances = {
        int(number): ndimage.distance_transform_edt(there != number, sampling=_LATTICE_MM)
        for number in np.unique(there[there > 0])
    }
    centres = {n: points[there == n].mean(axis=0) for n in distances}
    shares = {n: 1.0 / np.maximum(d, 1.0) ** 4 for n, d in distances.items()}
    weight = sum(shares.values(), np.full(lattice.shape, 1e-12))
    nearest = np.min([*distances.values(), np.full(lattice.shape, np.inf)], axis=0)
    free = np.clip((nearest - _FIXED_TO_MM) / (_FREE_FROM_MM - _FIXED_TO_MM), 0.0, 1.0)
    found = []
    for _ in range(count):
        left = np.exp(rng.normal(np.log(RESIDUAL_MM), 0.6))
        shift = np.zeros((*lattice.shape, 3))
        for number, share in shares.items():
            motion = _about(centres[number], RESIDUAL_DEG * rng.normal(size=3))
            motion[:3, 3] += left * rng.normal(size=3)
            shift += share[..., None] * (rigidly(motion, points) - points)
        shift /= weight[..., None]
        shift += free[..., None] * _soft(lattice, float(rng.uniform(*RESIDUAL_SOFT_MM)), rng)
        shifts = np.ascontiguousarray(np.moveaxis(shift, -1, 0), np.float32)
        found.append(Posture(np.eye(4), lattice, shifts))
    return found


def _lattice(grid: GridGeometry) -> GridGeometry:
    """Nodes all over a CT, along its axes."""
    size = [n * s for n, s in zip(grid.shape[::-1], grid.spacing_mm, strict=True)]
    counts = [int(np.ceil(s / _LATTICE_MM)) + 1 for s in size]
    affine = grid.ijk_to_ras.copy()
    affine[:3, :3] *= _LATTICE_MM / np.array(grid.spacing_mm)
    return GridGeometry((counts[2], counts[1], counts[0]), affine)


def _nodes(lattice: GridGeometry) -> Float:
    k, j, i = np.indices(lattice.shape, dtype=np.float64)
    return lattice.to_ras(np.stack([i, j, k], axis=-1))


def _sampled(labels: LabelVolume, points: Float) -> NDArray[np.integer[Any]]:
    index = np.moveaxis(labels.geometry.to_ijk(points), -1, 0)[::-1]
    return ndimage.map_coordinates(labels.labels, index, order=0, mode="constant")


def _vertebra_motions(
    labels: LabelVolume, numbers: list[int], rng: np.random.Generator
) -> dict[int, Float]:
    """A turn and a shift of each vertebra about its middle, from head to foot."""
    motions, drawn = {}, np.zeros(6)
    for n, number in enumerate(numbers):
        fresh = rng.normal(size=6)
        drawn = fresh if n == 0 else _LIKENESS * drawn + np.sqrt(1 - _LIKENESS**2) * fresh
        k, j, i = np.nonzero(labels.labels == number)
        centre = labels.geometry.to_ras(np.array([i.mean(), j.mean(), k.mean()]))
        motion = _about(centre, TURN_DEG * drawn[:3])
        motion[:3, 3] += SHIFT_MM * drawn[3:]
        motions[number] = motion
    return motions


def _body_motion(labels: LabelVolume, rng: np.random.Generator) -> Float:
    k, j, i = np.nonzero(labels.labels)
    centre = labels.geometry.to_ras(np.array([i.mean(), j.mean(), k.mean()]))
    motion = _about(centre, _BODY_TURN_DEG * rng.normal(size=3))
    motion[:3, 3] += rng.normal(scale=_BODY_SHIFT_MM)
    return motion


def _about(centre: Float, degrees: Float) -> Float:
    from scipy.spatial.transform import Rotation

    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(np.radians(degrees)).as_matrix()
    motion[:3, 3] = centre - motion[:3, :3] @ centre
    return motion


def _soft(lattice: GridGeometry, rms_mm: float, rng: np.random.Generator) -> Float:
    """Smooth random displacements (..., 3) whose length is `rms_mm` in the root mean square."""
    counts = [int(np.ceil(n * _LATTICE_MM / _SOFT_NODES_MM)) + 3 for n in lattice.shape]
    coarse = rng.standard_normal((3, *counts))
    step = _LATTICE_MM / _SOFT_NODES_MM
    index = np.indices(lattice.shape) * step + 1.0
    made = np.stack([ndimage.map_coordinates(axis, index, order=3) for axis in coarse], axis=-1)
    return made * (rms_mm / np.sqrt((made**2).sum(axis=-1).mean()))
