"""L4, L5 and a sacrum of known geometry: plate, canal, first foramina, alae, hips; and its CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import CTVolume, LabelVolume
from Testing.core.spine.spine_phantom import inside_vertebra, rotation

SPACING = (1.0, 1.0, 1.5)
SHAPE = (110, 150, 200)  # k, j, i
#: Middle of the upper endplate of S1 in the patient, and its depth and canal, mm.
PLATE = np.array([0.0, 20.0, 0.0])
DEPTH_MM, BACK_MM = 32.0, -16.0
FORAMEN = np.array([19.0, -8.0, -31.0])
SLOPE_DEG = 40.0


@dataclass(frozen=True)
class Phantom:
    """The CT, its true labels, and the axes of the sacrum (rows right, anterior, superior)."""

    ct: CTVolume
    labels: LabelVolume
    axes: np.ndarray

    def local(self, ras):
        """Coordinates along the plate's axes from its middle."""
        return (np.asarray(ras) - PLATE) @ self.axes.T


def inside_sacrum(local):
    """S1 and S2 with alae; canal behind, first foramina beside it; local mm (..., 3)."""
    x, y, z = np.moveaxis(local, -1, 0)
    side = np.abs(x)
    below = (z < 0) & (z > -58)
    front = np.where(side < 24, 16.0 - 0.006 * x**2, 16.0 - 3.5 + 0.0 * x) - 0.12 * np.abs(z)
    body = below & (side < 25) & (y > BACK_MM) & (y < front)
    ala = below & (z < -0.25 * (side - 24)) & (side < 56 + 0.25 * z) & (y > -24) & (y < front)
    ala &= side > 12
    mass = (np.hypot((side - 24) / 9, (y + 24) / 9) < 1) & (z < 4) & (z > -16)
    ring = (np.hypot(x / 19, (y + 22) / 13) < 1) & (y < -22) & below
    canal = (np.hypot(x / 13, (y + 23) / 8) < 1) & (z < 6)
    tube = np.hypot(side - FORAMEN[0], z - FORAMEN[2]) < 5.5
    return (body | ala | mass | ring) & ~canal & ~(tube & (np.abs(y) < 60))


def inside_hips(local):
    """Two plates beside the alae, 2.5 mm off the joint."""
    x, y, z = np.moveaxis(local, -1, 0)
    gap = np.abs(x) - (56 + 0.25 * z)
    return (gap > 2.5) & (gap < 18) & (y > -40) & (y < 30) & (z < 12) & (z > -58)


def phantom(slope_deg=SLOPE_DEG, turn_deg=0.0, noise=10.0):
    """Build the phantom with a sacral slope, the whole turned to the side by some degrees."""
    axes = rotation(slope_deg, 0) @ rotation(turn_deg, 1)
    upper = rotation(0.5 * slope_deg, 0) @ rotation(turn_deg, 1)
    affine = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(SHAPE)[::-1] * [0.5, 0.5, 0.52])
    k, j, i = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    ras = np.stack([i, j, k], -1) @ affine[:3, :3].T + affine[:3, 3]
    labels, hu = np.zeros(SHAPE, np.int16), np.full(SHAPE, 40.0)
    local = (ras - PLATE) @ axes.T
    sacrum = inside_sacrum(local)
    labels[sacrum] = VERSE_IDS["S1"]
    for n, level in enumerate(("L5", "L4")):
        middle = PLATE + (21.0 + 34.0 * n) * upper[2] + [0.0, 2.0 * n, 0.0]
        own = inside_vertebra((ras - middle) @ upper.T + [0.0, 22.0, 0.0]) & (labels == 0)
        labels[own] = VERSE_IDS[level]
    for own in (*((labels == VERSE_IDS[level]) for level in ("L5", "L4")), inside_hips(local)):
        hu[own] = 200.0
        hu[own & ~ndimage.binary_erosion(own, iterations=2)] = 600.0
    # Marrow of the alae is fat, of the body dense.
    hu[sacrum] = np.where(np.abs(local[sacrum][:, 0]) > 26, -20.0, 230.0)
    hu[sacrum & ~ndimage.binary_erosion(sacrum, iterations=2)] = 600.0
    hu = ndimage.gaussian_filter(hu, 0.5) + np.random.default_rng(0).normal(0, noise, SHAPE)
    hu[np.hypot(ras[..., 0] / 95, (ras[..., 1]) / 70) > 1] = -1000.0
    return Phantom(CTVolume(hu.astype(np.float32), affine), LabelVolume(labels, affine), axes)
