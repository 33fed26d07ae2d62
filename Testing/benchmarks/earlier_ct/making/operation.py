"""What lies between the two scans: bone that was removed, findings that are new, and old ones.

Findings that the study has are the study's own (`spinemar_study.scenes.lesions`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from spinemar_study.scenes.lesions import Lesion, breach, collection, fracture_of_body, loosening
from spinemar_study.scenes.scenes import Scene

from spinemar.planning.trajectories.sites import PedicleSite
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import CTVolume, GridGeometry, LabelVolume

Float = NDArray[np.float64]

CHIP_HU, ISLAND_HU, GAS_HU = 700.0, 900.0, -900.0
_BED_HU, _BED_SPREAD_HU, _BED_GRAIN_MM = 45.0, 15.0, 2.0
_LAMINA_BEHIND_MM, _LAMINA_BESIDE_MM, _HALF_BODY_MM = 5.0, 11.0, 14.0


def removed_arch(labels: LabelVolume, level: str, site: PedicleSite, canal: Float
                 ) -> NDArray[np.bool_]:  # fmt: skip
    """Lamina and spinous process of a level, between its facets; shape of the labels."""
    bone = labels.labels == VERSE_IDS[level]
    k, j, i = np.nonzero(bone)
    away = labels.geometry.to_ras(np.stack([i, j, k], axis=-1).astype(float)) - canal
    behind = away @ backwards(site) > _LAMINA_BEHIND_MM
    beside = np.abs(away @ site.right) < _LAMINA_BESIDE_MM
    gone = np.zeros(bone.shape, bool)
    chosen = behind & beside
    gone[k[chosen], j[chosen], i[chosen]] = True
    # Partly filled voxels at the rim go as well; in the plane, as slices may be thick.
    return np.asarray(ndimage.binary_dilation(gone, np.ones((1, 3, 3), bool)))


def backwards(site: PedicleSite) -> Float:
    """Unit vector to the back."""
    back: Float = np.cross(site.superior, site.right)
    back /= np.linalg.norm(back)
    return back if back @ (site.entry - site.body_centre) > 0 else -back


def bed(volume: CTVolume, gone: NDArray[np.bool_], rng: np.random.Generator) -> CTVolume:
    """Fill where bone was with blood and scar."""
    grain = [_BED_GRAIN_MM / s for s in volume.spacing_mm[::-1]]
    noise = ndimage.gaussian_filter(rng.standard_normal(volume.hu.shape), grain)
    noise *= _BED_SPREAD_HU / noise.std()
    share = ndimage.gaussian_filter(gone.astype(np.float32), (0, 0.5, 0.5))
    filled = np.minimum(volume.hu, _BED_HU + noise)
    return volume.with_hu(np.asarray(volume.hu + share * (filled - volume.hu), np.float32))


def chip(scene: Scene, rng: np.random.Generator) -> Lesion:
    """Put a fragment of bone of 4 to 6 mm into the canal, beside the pedicle's wall."""
    site = scene.sites[str(rng.choice(["left", "right"]))]
    radius = float(rng.uniform(2.0, 3.0))
    centre = site.isthmus - site.lateral * (site.width_mm / 2 + radius + 0.5)
    return _ball("fragment in the canal", scene, centre, radius, CHIP_HU)


def gas(scene: Scene, rng: np.random.Generator) -> Lesion:
    """Put bubbles of 4 to 8 mm behind the pedicles."""
    share = np.zeros(scene.volume.hu.shape, np.float32)
    for _ in range(3):
        site = scene.sites[str(rng.choice(["left", "right"]))]
        away = backwards(site) * rng.uniform(8, 25) - site.lateral * rng.uniform(-6, 14)
        centre = site.entry + away + site.superior * rng.uniform(-4, 4)
        bubble = _ball("gas", scene, centre, float(rng.uniform(2, 4)), GAS_HU)
        share = np.maximum(share, bubble.share)
    return Lesion("gas", share, GAS_HU, True, {})


def island(scene: Scene, rng: np.random.Generator) -> Lesion:
    """Put a sclerotic island of 6 to 10 mm into the vertebral body."""
    site = scene.sites[str(rng.choice(["left", "right"]))]
    centre = (
        site.body_centre + site.right * rng.uniform(-9, 9) - backwards(site) * rng.uniform(-4, 6)
    )
    return _ball("bone island", scene, centre, float(rng.uniform(3, 5)), ISLAND_HU)


def fracture(scene: Scene, rng: np.random.Generator) -> Lesion:
    """Cut the study's gap across the body, in this vertebra alone."""
    lesion, site = fracture_of_body(scene, rng), next(iter(scene.sites.values()))
    heights = scene.volume.ijk_to_ras[2, 3] + scene.volume.ijk_to_ras[2, 2] * np.arange(
        len(scene.volume.hu)
    )
    inside = np.abs(heights - site.body_centre[2]) < _HALF_BODY_MM
    return replace(lesion, share=lesion.share * inside[:, None, None].astype(np.float32))


DrawLesion = Callable[[Scene, np.random.Generator], Lesion]
OLD: tuple[DrawLesion, ...] = (island, fracture)
"""Findings that both scans hold."""
NEW: tuple[DrawLesion, ...] = (
    chip, collection, gas, loosening, breach,
)  # fmt: skip
"""Findings that only the later scan holds."""


def _ball(kind: str, scene: Scene, centre: Float, radius_mm: float, hu: float) -> Lesion:
    k, j, i = np.indices(scene.volume.hu.shape, dtype=np.float64)
    away = np.linalg.norm(scene.volume.geometry.to_ras(np.stack([i, j, k], -1)) - centre, axis=-1)
    # Voxels are told apart to a pixel in the plane; along the stack they are averaged.
    depth = scene.volume.spacing_mm[2] / scene.volume.spacing_mm[0]
    soft = max(1.0, 0.5 * depth) * scene.volume.spacing_mm[0]
    share = np.clip(0.5 - (away - radius_mm) / soft, 0.0, 1.0).astype(np.float32)
    return Lesion(kind, share, hu, False, {"width_mm": 2 * radius_mm})


def window(volume: CTVolume, centre: Float, half_mm: float) -> tuple[CTVolume, tuple[slice, slice]]:
    """Cut all slices about a point in the plane (RAS mm)."""
    i, j, _ = volume.geometry.to_ijk(centre)
    reach = half_mm / volume.spacing_mm[0]
    rows, columns = (
        slice(max(0, int(c - reach)), min(n, int(c + reach) + 1))
        for c, n in ((j, volume.hu.shape[1]), (i, volume.hu.shape[2]))
    )
    affine = volume.ijk_to_ras.copy()
    affine[:3, 3] = volume.geometry.to_ras(np.array([columns.start, rows.start, 0.0]))
    return CTVolume(volume.hu[:, rows, columns], affine), (rows, columns)


def resampled(volume: CTVolume, grid: GridGeometry, planes: int) -> NDArray[np.float32]:
    """Sample a CT on a grid whose pixels are its own, averaged over the slices' thickness."""
    heights = grid.to_ras(np.stack([np.zeros(3), np.array([0.0, 0.0, 1.0])]))[:, 2]
    step, made = heights[1] - heights[0], np.zeros(grid.shape, np.float32)
    for k in range(grid.shape[0]):
        for offset in (np.arange(planes) - (planes - 1) / 2) / planes:
            z = heights[0] + step * (k + offset)
            at = (z - volume.ijk_to_ras[2, 3]) / volume.ijk_to_ras[2, 2]
            low = int(np.clip(np.floor(at), 0, len(volume.hu) - 2))
            share = np.float32(np.clip(at - low, 0.0, 1.0))
            made[k] += volume.hu[low] * (1 - share) + volume.hu[low + 1] * share
    return made / np.float32(planes)
