"""A new shape and pose for a patient: few people are to hand, so each becomes many.

The map runs from the new patient to the old one, since images are sampled that way. Landmarks
go the other way, by fixed-point iteration; implants are planned among them in the new
patient, so metal stays rigid whatever the anatomy does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.dataset.pair_settings import PairSettings
from spinemar.planning.trajectories.sites import PedicleSite

FloatArray = NDArray[np.float64]

_LATTICE_MM = 60.0
_LATTICE_NODES = 11
_SIZE_FROM_MM, _SIZE_OVER_MM = 45.0, 110.0
_ROUNDS, _CLOSE_MM = 60, 1e-4


@dataclass(frozen=True)
class Deformation:
    """A map of points of the new patient to points of the old one, RAS mm.

    Parameters
    ----------
    pivot : ndarray, shape (3,)
        Stays where it is but for the warp: a vertebra.
    linear : ndarray, shape (3, 3)
        Rotation, tilt, zoom and mirror.
    body_size : float
        Scale of the body away from the spine, in the axial plane.
    lattice : ndarray of float32, shape (3, n, n, n)
        Displacements in mm (right, anterior, superior) at nodes 60 mm apart, cubic
        B-spline coefficients.
    facts : dict
        What was drawn, for the sidecar table.
    """

    pivot: FloatArray
    linear: FloatArray
    body_size: float
    lattice: NDArray[np.float32]
    facts: dict[str, Any]

    @property
    def mirrored(self) -> bool:
        """Whether left and right change places."""
        return bool(np.linalg.det(self.linear) < 0)

    def to_source(self, points: NDArray[np.floating]) -> FloatArray:
        """Map points (..., 3) of the new patient to the old one."""
        offset = np.asarray(points, dtype=np.float64) - self.pivot
        radius = np.linalg.norm(offset[..., :2], axis=-1, keepdims=True)
        part = np.clip((radius - _SIZE_FROM_MM) / _SIZE_OVER_MM, 0.0, 1.0)
        scale = 1.0 + (1.0 / self.body_size - 1.0) * part * part * (3.0 - 2.0 * part)
        grown = np.concatenate([offset[..., :2] * scale, offset[..., 2:]], axis=-1)
        moved: FloatArray = self.pivot + _applied(self.linear, grown) + self._warp(offset)
        return moved

    def _warp(self, offset: FloatArray) -> FloatArray:
        index = offset.reshape(-1, 3).T / _LATTICE_MM + (_LATTICE_NODES - 1) / 2
        shifts = [
            ndimage.map_coordinates(axis, index, order=3, mode="nearest", prefilter=False)
            for axis in self.lattice.astype(np.float64)
        ]
        return np.stack(shifts, axis=-1).reshape(offset.shape)

    def to_new(self, points: NDArray[np.floating]) -> FloatArray:
        """Map points (..., 3) of the old patient to the new one."""
        wanted: FloatArray = np.asarray(points, dtype=np.float64)
        back: FloatArray = np.asarray(np.linalg.inv(self.linear), dtype=np.float64)
        found = self.pivot + _applied(back, wanted - self.pivot)
        for _ in range(_ROUNDS):
            miss: FloatArray = wanted - self.to_source(found)
            found = found + _applied(back, miss)
            if np.abs(miss).max(initial=0.0) < _CLOSE_MM:
                break
        return found

    def moved_site(self, site: PedicleSite) -> PedicleSite:
        """Return a pedicle where it lies in the new patient; mirrored, it changes sides."""
        ends = [
            site.entry,
            site.entry + site.anterior_mm * site.axis,
            site.isthmus - 0.5 * site.width_mm * site.lateral,
            site.isthmus + 0.5 * site.width_mm * site.lateral,
            site.isthmus,
            site.body_centre,
            site.body_centre + 10.0 * site.right,
            site.body_centre + 10.0 * site.superior,
        ]
        entry, front, inner, outer, isthmus, body, right, up = self.to_new(np.array(ends))
        reach = float(np.linalg.norm(front - entry))
        superior = (up - body) / np.linalg.norm(up - body)
        sideways = (body - right) if self.mirrored else (right - body)
        sideways = sideways - superior * (superior @ sideways)
        side = {"left": "right", "right": "left"}[site.side] if self.mirrored else site.side
        return replace(
            site,
            side=side,
            entry=entry,
            isthmus=isthmus,
            axis=(front - entry) / reach,
            width_mm=float(np.linalg.norm(outer - inner)),
            anterior_mm=reach,
            body_centre=body,
            right=sideways / np.linalg.norm(sideways),
            superior=superior,
        )


def _applied(matrix: FloatArray, vectors: FloatArray) -> FloatArray:
    """Multiply vectors (..., 3); not by BLAS, whose threads could change the last bit."""
    result: FloatArray = np.einsum("ij,...j->...i", matrix, vectors)
    return result


def draw_deformation(
    pivot: FloatArray, settings: PairSettings, rng: np.random.Generator
) -> Deformation:
    """Draw a shape and a pose about a pivot (RAS mm)."""
    zoom = rng.uniform(*settings.zoom)
    depth = float(np.clip(rng.normal(1.0, 0.03), 0.92, 1.08))
    turn = np.clip(rng.normal(size=3), -2.5, 2.5)
    angles = turn * (settings.tilt_deg, settings.tilt_deg, settings.rotation_deg)
    mirror = bool(settings.mirror and rng.random() < 0.5)
    body_size = rng.uniform(*settings.body_size)
    warp_mm = rng.uniform(0.0, settings.warp_mm)
    lattice = draw_lattice(warp_mm, rng)
    shrink = np.array([-1.0 if mirror else 1.0, 1.0 / depth, 1.0]) / zoom
    linear = _rotation(2, angles[2]) @ _rotation(0, angles[0]) @ _rotation(1, angles[1]) * shrink
    facts = {
        "zoom": zoom,
        "depth_zoom": depth,
        "rotation_deg": angles.tolist(),
        "mirror": mirror,
        "body_size": body_size,
        "warp_mm": warp_mm,
        "pivot_ras": pivot.tolist(),
    }
    return Deformation(np.asarray(pivot, dtype=np.float64), linear, body_size, lattice, facts)


def draw_lattice(warp_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a smooth displacement of that standard deviation: the lattice of a `Deformation`.

    Parameters
    ----------
    warp_mm : float
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (3, n, n, n)
    """
    nodes = (3, *(_LATTICE_NODES,) * 3)
    drawn = warp_mm * np.clip(rng.standard_normal(nodes), -2.0, 2.0)
    return np.asarray(drawn, dtype=np.float32)


def _rotation(axis: int, degrees: float) -> FloatArray:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    first, second = [n for n in range(3) if n != axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix
