"""A drawn patient with an operation: vertebrae of boxes, and the metal of a plan on any grid."""

from __future__ import annotations

import numpy as np

from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.constructs.assemble import with_rods
from spinemar.planning.constructs.rods import RodSettings
from spinemar.planning.plans.plan import Plan
from spinemar.postop.metal_share import MetalShare
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.spine.model import SpineModel
from spinemar.volume import GridGeometry, LabelVolume

LEVELS = ("T12", "L1", "L2")
BETWEEN_MM = 35.0
_HALF_MM = np.array([50.0, 60.0, 74.0])
_MIDDLE = np.array([0.0, -15.0, 0.0])


def grid(spacing: tuple[float, float, float], turn_deg: float = 0.0) -> GridGeometry:
    """A grid over the patient with these spacings, turned about the long axis."""
    counts = np.ceil(2 * _HALF_MM / spacing).astype(int) + 1
    angle = np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0],
                     [0, 0, 1.0]])  # fmt: skip
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-spacing[0], -spacing[1], spacing[2]])
    affine[:3, 3] = _MIDDLE - affine[:3, :3] @ ((counts - 1) / 2)
    return GridGeometry((int(counts[2]), int(counts[1]), int(counts[0])), affine)


def places(geometry: GridGeometry) -> np.ndarray:
    """RAS mm of every voxel (k, j, i, 3)."""
    k, j, i = np.indices(geometry.shape, dtype=np.float64)
    return geometry.to_ras(np.stack([i, j, k], axis=-1))


def labels_on(geometry: GridGeometry) -> LabelVolume:
    """Three vertebrae: body, pedicles 9 mm wide, arch, spinous process."""
    x, y, z = np.moveaxis(places(geometry), -1, 0)
    labels = np.zeros(geometry.shape, dtype=np.int16)
    for n, level in enumerate(LEVELS):
        up = z - BETWEEN_MM + BETWEEN_MM * n
        body = ((x / 20) ** 2 + ((y - 3) / 15) ** 2 < 1) & (np.abs(up) < 13)
        pedicle = (np.abs(np.abs(x) - 12) < 4.5) & (y > -32) & (y < -5) & (up > -2) & (up < 12)
        arch = (np.abs(x) < 17) & (y > -38) & (y < -30) & (up > -10) & (up < 12)
        spinous = (np.abs(x) < 3) & (y > -62) & (y < -35) & (up > -14) & (up < 2)
        labels[body | pedicle | arch | spinous] = VERSE_IDS[level]
    return LabelVolume(labels, geometry.ijk_to_ras)


def spine() -> SpineModel:
    """Its frames, fitted on a fine grid."""
    return frames_from_labels(labels_on(grid((1.0, 1.0, 1.5))), naming="verse")


def operated(
    shift_mm: float = 0.0, diameter_mm: float = 6.0, length_mm: float = 40.0, rods: bool = True
) -> Plan:
    """Screws along all pedicles; those of L1 moved towards the midline."""
    catalogue = load_catalogue()
    model = catalogue.screw("generic-polyaxial")
    screws = []
    for n, level in enumerate(LEVELS):
        for side, sign in (("left", -1.0), ("right", 1.0)):
            inwards = shift_mm if level == "L1" else 0.0
            entry = np.array([sign * (13.0 - inwards), -33.0, BETWEEN_MM - BETWEEN_MM * n + 5.0])
            name, along = f"{level}-{side}", (-sign * 0.12, 1.0, -0.04)
            size = (diameter_mm, length_mm)
            screws.append(model.placed(name, level, side, entry, along, size, "Ti-6Al-4V"))
    plan = Plan(levels=LEVELS, screws=tuple(screws))
    return with_rods(plan, catalogue, RodSettings()) if rods else plan


def metal_of(plan: Plan, geometry: GridGeometry) -> MetalShare:
    """The plan's metal as shares of voxels."""
    parts = voxelize_plan(plan, geometry, load_catalogue())
    share = np.sum(list(parts.values()), axis=0, dtype=np.float32)
    return MetalShare(np.clip(share, 0.0, 1.0).astype(np.float32), geometry)
