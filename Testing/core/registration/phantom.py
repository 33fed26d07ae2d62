"""A small spine that can be bent, and scanned before and after an operation.

Everything is a function of RAS millimetres, so any grid can sample it and every motion is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import CTVolume, GridGeometry, LabelVolume

LEVELS = ("T12", "L1", "L2", "L3")
PITCH_MM = 34.0
_HALF = (70.0, 55.0)


def rigid_about(centre, degrees, shift_mm):
    """A rotation (degrees about R, A, S) about a point, and a shift."""
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    motion[:3, 3] = np.asarray(centre) - motion[:3, :3] @ centre + shift_mm
    return motion


def moved(motion, points):
    return points @ motion[:3, :3].T + motion[:3, 3]


@dataclass(frozen=True)
class Patient:
    """Someone's anatomy; another seed is another person, `build` times as large."""

    seed: int = 0
    build: float = 1.0
    lattice: np.ndarray = field(init=False)
    bone: np.ndarray = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        grown = ndimage.gaussian_filter(rng.standard_normal((60, 50, 50)), 2.0)
        object.__setattr__(self, "lattice", grown / grown.std())
        fine = ndimage.gaussian_filter(rng.standard_normal((90, 80, 80)), 1.0)
        object.__setattr__(self, "bone", fine / fine.std())
        object.__setattr__(self, "size", self.build * rng.uniform(0.9, 1.1, (len(LEVELS), 3)))

    def centre(self, n):
        """Middle of a vertebral body in the earlier CT's own coordinates."""
        return np.array([0.0, -10.0, -PITCH_MM * (n - 1.5)])

    def _texture(self, points, values, step):
        index = (
            np.moveaxis(points / step, -1, 0)[::-1]
            + np.array(values.shape)[:, None].reshape(3, *(1,) * (points.ndim - 1)) / 2
        )
        return ndimage.map_coordinates(values, index, order=1, mode="wrap")

    def vertebra(self, n, points):
        """(inside, HU) of a vertebra that has not moved."""
        a = (points - self.centre(n)) / self.size[n]
        x, y, z = a[..., 0], a[..., 1], a[..., 2]
        body = np.maximum(np.hypot(x / 21, y / 15), np.abs(z) / 12)
        pedicle = np.maximum(np.hypot((np.abs(x) - 13) / 5, (z - 4) / 7), np.abs(y + 18) / 9)
        lamina = np.maximum(
            np.abs(np.abs(x) * 0.6 + y + 38) / 4, np.maximum(np.abs(x) / 18, np.abs(z) / 9)
        )
        spinous = np.maximum(np.abs(x) / 3.5, np.maximum(np.abs(y + 50) / 12, np.abs(z + 3) / 7))
        deep = np.minimum(np.minimum(body, pedicle), np.minimum(lamina, spinous))
        cortex = deep > 0.8
        hu = np.where(cortex, 700.0, 220.0) + 70.0 * self._texture(points, self.bone, 2.2)
        return deep < 1.0, hu

    def soft(self, points):
        x, y = points[..., 0], points[..., 1]
        body = np.hypot(x / _HALF[0], (y + 15) / _HALF[1]) < self.build
        hu = 40.0 + 60.0 * np.tanh(2.0 * self._texture(points, self.lattice, 6.0))
        gut = np.hypot((x - 25) / 14, (y - 18) / 10) < 1 + 0.3 * self._texture(
            points, self.lattice, 9.0
        )
        return np.where(body, np.where(gut, -60.0, hu), -1000.0)


def grid(shape, spacing, centre=(0.0, 0.0, 0.0)):
    """An axial grid as scanners store it: i to the left, j to the back, k to the head."""
    k, j, i = shape
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ (np.array([i, j, k]) - 1) / 2
    return GridGeometry(shape, affine)


def ras_of(geometry):
    k, j, i = geometry.shape
    ijk = np.stack(np.meshgrid(np.arange(k), np.arange(j), np.arange(i), indexing="ij"), -1)
    return geometry.to_ras(ijk[..., ::-1].astype(float))


def pictured(patient, geometry, body=None, motions=None, *, noise=8.0, seed=1, without=()):
    """HU and labels of a patient on a grid.

    `body` (4 x 4) maps points of this grid to the patient's own coordinates; `motions` gives
    vertebrae (by index) such maps of their own. `without`: functions of patient points that are
    true where bone was taken away.
    """
    body = np.eye(4) if body is None else body
    points = ras_of(geometry)
    at = moved(body, points)
    hu = patient.soft(at)
    labels = np.zeros(geometry.shape, np.int16)
    for n, level in enumerate(LEVELS):
        own = moved((motions or {}).get(n, body), points)
        inside, bone = patient.vertebra(n, own)
        for gone in without:
            inside &= ~gone(own)
        hu = np.where(inside, bone, hu)
        labels[inside] = VERSE_IDS[level]
    rng = np.random.default_rng(seed)
    hu = ndimage.gaussian_filter(hu, (0.3, 0.6, 0.6)) + rng.normal(0.0, noise, hu.shape)
    return (
        CTVolume(hu.astype(np.float32), geometry.ijk_to_ras),
        LabelVolume(labels, geometry.ijk_to_ras),
    )


def screws(geometry, motions, levels=(1, 2), radius_mm=2.8):
    """Mask of two screws in each of some vertebrae, which they move with."""
    points = ras_of(geometry)
    metal = np.zeros(geometry.shape, bool)
    for n in levels:
        own = moved(motions[n], points) - Patient().centre(n)
        for side in (-1, 1):
            off = np.hypot(own[..., 0] - side * (13 + 0.25 * (own[..., 1] + 18)), own[..., 2] - 4)
            metal |= (off < radius_mm) & (own[..., 1] > -40) & (own[..., 1] < 6)
    return metal
