"""Findings put into a CT before it is scanned: what a correction must neither invent nor erase.

Each is a share (0 to 1) of every voxel, from a signed distance, and HU that take the tissue's
place. The screw lies there afterwards as well: metal displaces whatever it meets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import unit
from spinemar_study.scenes.scenes import MIDDLE, Scene

Float = NDArray[np.float64]

_FLUID_HU = 20.0
_COLLECTION_HU = 15.0
_BONE_HU = 130.0
_CLOSING_MM = 3.0
_SOFT_HU = (-150.0, 130.0)


@dataclass(frozen=True)
class Lesion:
    """A finding in a scene.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    share : ndarray of float32, shape of the scene's volume
        How much of each voxel it takes.
    hu : float
        Of what takes the tissue's place.
    darker_only : bool
        Whether it only ever lowers HU (a gap in bone does not brighten fat).
    facts : dict
        Size and side.
    """

    kind: str
    share: NDArray[np.float32]
    hu: float
    darker_only: bool
    facts: dict[str, float | str]

    def applied(self, hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put it into HU."""
        target = np.minimum(hu, self.hu) if self.darker_only else np.full_like(hu, self.hu)
        return np.asarray(hu + self.share * (target - hu), dtype=np.float32)


def fracture_of_body(scene: Scene, rng: np.random.Generator) -> Lesion:
    """Cut a gap of 1 to 2 mm across the vertebral body, upright, at a random angle."""
    site = next(iter(scene.sites.values()))
    points = _points(scene)
    angle = rng.uniform(0.0, np.pi)
    normal = np.array([np.cos(angle), np.sin(angle), 0.0])
    width = float(rng.uniform(1.0, 2.0))
    centre = site.body_centre + rng.uniform(-5.0, 5.0) * normal
    distance = np.abs((points - centre) @ normal) - width / 2
    beyond = np.linalg.norm((points - site.body_centre)[..., :2], axis=-1) - 20.0
    share = _share(scene, np.maximum(distance, beyond)) * _bone(scene)
    return Lesion("fracture of the body", share, _FLUID_HU, True, {"width_mm": width})


def _fracture_of_pedicle(scene: Scene, rng: np.random.Generator) -> Lesion:
    """Cut a gap of 1 to 2 mm across a pedicle, square to its axis, beside the screw."""
    side = str(rng.choice(["left", "right"]))
    site = scene.sites[side]
    points = _points(scene)
    width = float(rng.uniform(1.0, 2.0))
    away = points - site.isthmus
    distance = np.abs(away @ site.axis) - width / 2
    radial = np.linalg.norm(away - (away @ site.axis)[..., None] * site.axis, axis=-1)
    share = _share(scene, np.maximum(distance, radial - 0.8 * site.width_mm - 2.0)) * _bone(scene)
    return Lesion(
        "fracture of a pedicle", share, _FLUID_HU, True, {"width_mm": width, "side": side}
    )


def loosening(scene: Scene, rng: np.random.Generator) -> Lesion:
    """Put a lucent sleeve of 1 to 3 mm around a screw, from pedicle to tip."""
    side = str(rng.choice(["left", "right"]))
    screw = next(s for s in scene.plan.screws if s.level == scene.level and s.side == side)
    points, axis = _points(scene), shank_axis(screw)
    width = float(rng.uniform(1.0, 3.0))
    away = points - np.asarray(screw.entry)
    along = away @ axis
    radial = np.linalg.norm(away - along[..., None] * axis, axis=-1)
    ends = np.maximum(4.0 - along, along - screw.length_mm - width)
    distance = np.maximum(radial - screw.diameter_mm / 2 - width, ends)
    share = _share(scene, distance) * _bone(scene)
    return Lesion("loosening halo", share, _FLUID_HU, True, {"width_mm": width, "side": side})


def breach(scene: Scene, rng: np.random.Generator) -> Lesion:
    """Cut a gap of 5 to 8 mm in the medial wall of a pedicle."""
    side = str(rng.choice(["left", "right"]))
    site = scene.sites[side]
    radius = float(rng.uniform(2.5, 4.0))
    wall = site.isthmus - site.lateral * (site.width_mm / 2)
    distance = np.linalg.norm(_points(scene) - wall, axis=-1) - radius
    share = _share(scene, distance) * _bone(scene)
    return Lesion("cortical breach", share, _FLUID_HU, True, {"width_mm": 2 * radius, "side": side})


def collection(scene: Scene, rng: np.random.Generator) -> Lesion:
    """Put fluid of 16 to 26 mm in the soft tissue behind and beside the construct."""
    side = str(rng.choice(["left", "right"]))
    site = scene.sites[side]
    backwards = -unit(np.cross(site.superior, site.right))
    if backwards @ (site.entry - site.body_centre) < 0:
        backwards = -backwards
    centre = (
        site.entry + backwards * rng.uniform(12.0, 30.0) + site.lateral * rng.uniform(4.0, 22.0)
    )
    axes = rng.uniform([8.0, 8.0, 10.0], [13.0, 13.0, 16.0])
    away = (_points(scene) - centre) @ np.stack(
        [site.lateral, backwards, unit(np.cross(site.lateral, backwards))], axis=1
    )
    # Signed distance to first order: exact on the surface, where it counts.
    scaled = np.linalg.norm(away / axes, axis=-1)
    slope = np.linalg.norm(away / axes**2, axis=-1) / np.maximum(scaled, 1e-6)
    distance = (scaled - 1.0) / np.maximum(slope, 1e-6)
    hu = ndimage.gaussian_filter(scene.volume.hu, (0, 1.5, 1.5))
    soft = (hu > _SOFT_HU[0]) & (hu < _SOFT_HU[1])
    share = _share(scene, distance) * soft
    facts: dict[str, float | str] = {"width_mm": float(2 * axes[:2].mean()), "side": side}
    return Lesion("soft-tissue collection", share, _COLLECTION_HU, False, facts)


KINDS: dict[str, Callable[[Scene, np.random.Generator], Lesion]] = {
    "fracture of the body": fracture_of_body,
    "fracture of a pedicle": _fracture_of_pedicle,
    "loosening halo": loosening,
    "cortical breach": breach,
    "soft-tissue collection": collection,
}
GROUPS: dict[str, tuple[str, ...]] = {
    "a": ("fracture of the body", "cortical breach"),
    "b": ("loosening halo", "soft-tissue collection"),
    "c": ("fracture of a pedicle",),
}
"""Findings that one scan shows together; they lie apart, so that each can be scored alone."""


def group_of(scene: Scene, group: str) -> list[Lesion]:
    """Draw the findings of one group for a scene."""
    made = []
    for number, kind in enumerate(KINDS):
        if kind in GROUPS[group]:
            made.append(KINDS[kind](scene, np.random.default_rng([scene.seed, 77, number])))
    return made


def _points(scene: Scene) -> Float:
    """RAS of every voxel, shape (k, j, i, 3)."""
    k, j, i = np.indices(scene.volume.hu.shape, dtype=np.float64)
    return scene.volume.geometry.to_ras(np.stack([i, j, k], axis=-1))


def _share(scene: Scene, distance_mm: Float) -> NDArray[np.float32]:
    """Share of voxels in a region, from the signed distance of their centres in the plane."""
    pixel = scene.volume.spacing_mm[0]
    return np.clip(0.5 - distance_mm / pixel, 0.0, 1.0).astype(np.float32)


def _bone(scene: Scene) -> NDArray[np.float32]:
    """Bone with its marrow, but not the canal: bright voxels, closed over 3 mm in the plane."""
    reach = max(1, round(_CLOSING_MM / scene.volume.spacing_mm[0]))
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc = x**2 + y**2 <= reach**2
    smooth = ndimage.gaussian_filter(scene.volume.hu, (0, 0.7, 0.7))
    return np.stack(
        [ndimage.binary_closing(one > _BONE_HU, disc).astype(np.float32) for one in smooth]
    )


def middle_share(lesion: Lesion) -> NDArray[np.float32]:
    """Share of each pixel of the slice that is scored."""
    return lesion.share[MIDDLE]
