"""L4, L5, sacrum, hips with their notches, and femoral heads of known geometry; and their CT."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import CTVolume, LabelVolume
from Testing.core.spine import sacrum_phantom
from Testing.core.spine.sacrum_phantom import PLATE, SLOPE_DEG, inside_sacrum
from Testing.core.spine.spine_phantom import inside_vertebra, rotation

SPACING = (1.5, 1.5, 2.0)
#: From the middle of the plate along the patient's axes (right, forwards, up), mm.
REACH = ((-135.0, 135.0), (-80.0, 75.0), (-140.0, 75.0))
#: A hip is a slab that runs outwards and forwards through this point of its side.
SLAB, SLAB_DEG, HALF_MM = np.array([50.0, -25.0]), 40.0, 10.0
#: The notch cuts it behind this place along it, below this height.
NOTCH_ALONG_MM, NOTCH_BELOW_MM = 25.0, 62.0
HEAD, RADIUS_MM = np.array([86.0, 14.0, -106.0]), 23.0


class Phantom(sacrum_phantom.Phantom):
    """A sacrum's phantom that knows where notches and heads lie."""

    def notch(self, sign):
        """The roof of the notch in the middle of the slab, RAS."""
        d = np.radians(SLAB_DEG)
        x, y = SLAB + NOTCH_ALONG_MM * np.array([np.sin(d), np.cos(d)])
        return PLATE + np.array([sign * x, y, -NOTCH_BELOW_MM])

    def head(self, sign):
        """The middle of a femoral head, RAS."""
        return PLATE + HEAD * [sign, 1, 1]


def in_slab(at):
    """Along and across the slab of a hip, for points (..., 3) from the plate; across 0 in it."""
    d = np.radians(SLAB_DEG)
    x, y = np.abs(at[..., 0]) - SLAB[0], at[..., 1] - SLAB[1]
    return x * np.sin(d) + y * np.cos(d), x * np.cos(d) - y * np.sin(d)


def inside_hip(at):
    """Whether points (..., 3) from the plate lie in a hip; its joints are left out later."""
    along, across = in_slab(at)
    hip = (np.abs(across) < HALF_MM) & (along > -45) & (along < 105)
    hip &= (at[..., 2] > -112) & (at[..., 2] < 25)
    hip &= ~((along < NOTCH_ALONG_MM) & (at[..., 2] < -NOTCH_BELOW_MM))
    away = np.linalg.norm(
        np.stack([np.abs(at[..., 0]), at[..., 1], at[..., 2]], -1) - HEAD, axis=-1
    )
    cup = (away < RADIUS_MM + 10) & ((np.abs(at[..., 0]) < 80) | (at[..., 2] > -95))
    return (hip | cup) & (away > RADIUS_MM + 3)


def inside_femur(at):
    """Heads with the beginning of their necks."""
    side = np.stack([np.abs(at[..., 0]), at[..., 1], at[..., 2]], -1) - HEAD
    neck = np.array([0.75, -0.2, -0.63])
    along = side @ neck
    beside = np.linalg.norm(side - along[..., None] * neck, axis=-1)
    return (np.linalg.norm(side, axis=-1) < RADIUS_MM) | ((along > 0) & (beside < 14))


def phantom(lowest_mm=REACH[2][0], heads=True, noise=10.0):
    """Build the phantom; the field ends `lowest_mm` from the plate's height."""
    axes = rotation(SLOPE_DEG, 0)
    upper = rotation(0.5 * SLOPE_DEG, 0)
    reach = (*REACH[:2], (lowest_mm, REACH[2][1]))
    shape = tuple(round((b - a) / s) for (a, b), s in zip(reach, SPACING, strict=True))[::-1]
    affine = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = PLATE + np.array([reach[0][1], reach[1][0], reach[2][0]])
    k, j, i = np.meshgrid(*map(np.arange, shape), indexing="ij")
    at = np.stack([i, j, k], -1) @ affine[:3, :3].T + affine[:3, 3] - PLATE
    labels, hu = np.zeros(shape, np.int16), np.full(shape, 40.0)
    local = at @ axes.T
    sacrum = inside_sacrum(local)
    labels[sacrum] = VERSE_IDS["S1"]
    for n, level in enumerate(("L5", "L4")):
        middle = (21.0 + 34.0 * n) * upper[2] + [0.0, 2.0 * n, 0.0]
        own = inside_vertebra((at - middle) @ upper.T + [0.0, 22.0, 0.0]) & (labels == 0)
        labels[own] = VERSE_IDS[level]
        _bone(hu, own, 200.0)
    sampling = SPACING[::-1]
    joint = ndimage.distance_transform_edt(~sacrum, sampling=sampling) < 2.5
    _bone(hu, inside_hip(at) & ~joint & ~ndimage.binary_dilation(labels > 0), 220.0)
    if heads:
        _bone(hu, inside_femur(at), 330.0)
    _bone(hu, sacrum, 230.0)
    hu = ndimage.gaussian_filter(hu, 0.4) + np.random.default_rng(0).normal(0, noise, shape)
    hu[np.hypot(at[..., 0] / 130, (at[..., 1] - 5) / 95) > 1] = -1000.0
    return Phantom(CTVolume(hu.astype(np.float32), affine), LabelVolume(labels, affine), axes)


def _bone(hu, own, marrow):
    """Marrow with a cortex of 2 mm around it."""
    hu[own] = marrow
    depth = ndimage.distance_transform_edt(own, sampling=SPACING[::-1])
    hu[own & (depth < 2.5)] = 650.0
