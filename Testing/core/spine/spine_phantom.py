"""A CT of five vertebrae with ribs, discs, canal and soft tissue, of known labels."""

from __future__ import annotations

import numpy as np

from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import CTVolume, LabelVolume

SPACING = (0.9, 0.9, 1.5)
SHAPE = (124, 150, 136)  # k, j, i
PITCH = 32.0
LEVELS = ("T11", "T12", "L1", "L2", "L3")


def rotation(degrees, axis):
    a = np.radians(degrees)
    turn = np.eye(3)
    one, two = [(1, 2), (0, 2), (0, 1)][axis]
    turn[one, one] = turn[two, two] = np.cos(a)
    turn[one, two], turn[two, one] = -np.sin(a), np.sin(a)
    return turn


def inside_vertebra(local):
    """Body, two oval pedicles, articular pillars, laminae, processes; local mm (..., 3)."""
    x, y, z = np.moveaxis(local, -1, 0)
    side = np.abs(x)
    waist = 1 - 0.12 * np.cos(np.pi * z / 26)
    body = (np.hypot(x / 20, (y - 22) / 15) < waist) & (np.abs(z) < 12.5)
    swell = 1 + ((y - 1.5) / 9.0) ** 2
    pedicle = (np.hypot((side - 13.0) / 4, (z - 5) / 7) < swell) & (np.abs(y - 2) < 8)
    pillar = (np.hypot((side - 14) / 5.5, (y + 9) / 4.5) < 1) & (z > -13) & (z < 12)
    ring = (np.hypot(x / 18, (y + 1) / 16) < 1) & (np.hypot(x / 11, (y + 0.5) / 9.5) > 1) & (y < -6)
    lamina = ring & (z > -11) & (z < 5)
    spinous = (side < 3.5) & (y < -11) & (y > -34) & (np.abs(z + 6) < 8)
    process = (np.abs(y + 9) < 4) & (side > 12) & (side < 32) & (np.abs(z - 2) < 5)
    canal = np.hypot(x / 11, (y + 0.5) / 9.0) < 1
    return (body | pedicle | pillar | lamina | spinous | process) & ~canal


def spine(turn=None, noise=12.0, bend=0.0, seed=0, metal=False):
    """Return a CT and its labels; `turn` rotates the whole, `bend` (1/mm) curves it."""
    turn = np.eye(3) if turn is None else turn
    affine = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1.0])
    middle = np.array(SHAPE)[::-1] / 2
    affine[:3, 3] = -affine[:3, :3] @ middle + [0, -12.0, 0]
    k, j, i = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    ras = np.stack([i, j, k], -1) @ affine[:3, :3].T + affine[:3, 3]
    local = ras @ turn.T
    # Bent forward like a kyphosis; vertebrae stay rigid enough for small bends.
    local[..., 1] -= bend * local[..., 2] ** 2
    rng = np.random.default_rng(seed)
    hu = np.full(SHAPE, 45.0)
    labels = np.zeros(SHAPE, np.int16)
    for n, level in enumerate(LEVELS):
        centre = np.array([0, 0, PITCH * ((len(LEVELS) - 1) / 2 - n)])
        own = inside_vertebra(local - centre)
        labels[own] = VERSE_IDS[level]
        hu[own] = 190.0
        shell = own & ~inside_vertebra((local - centre) * [1.12, 1.0, 1.12] - [0, 0.4, 0])
        hu[shell | (own & (local[..., 1] < 6))] = 520.0
        disc = (np.hypot(local[..., 0] / 20, (local[..., 1] - 22) / 15) < 1) & (
            np.abs(local[..., 2] - centre[2] + PITCH / 2) < 3.3
        )
        hu[disc & (labels == 0)] = 85.0
    canal = np.hypot(local[..., 0] / 11, (local[..., 1] + 0.5) / 9.0) < 1
    hu[canal] = 25.0
    hu[np.hypot(ras[..., 0] / 58, (ras[..., 1] + 8) / 66) > 1] = -1000.0
    if metal:
        rod = (np.hypot(np.abs(local[..., 0]) - 14, local[..., 2] - 5) < 3) & (
            np.abs(local[..., 1] - 5) < 30
        )
        hu[rod] = 3071.0
    from scipy import ndimage

    hu = ndimage.gaussian_filter(hu, (0.4, 0.5, 0.5)) + rng.normal(0, noise, SHAPE)
    if metal:
        hu[rod] = 3071.0
    return CTVolume(hu.astype(np.float32), affine), LabelVolume(labels, affine)


def dice(one, two, number):
    a, b = one.labels == number, two.labels == number
    return 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)
