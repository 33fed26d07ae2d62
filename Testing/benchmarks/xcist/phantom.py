"""A patient's slice and a plan as maps of materials, on XCIST's terms.

Tissue lies on the CT's grid, metal and what it displaces on one four times as fine (0.2 mm),
cropped to the metal. Both are aligned, so that the reconstructed pixels are the patient's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.plans.plan import Plan
from spinemar.volume import CTVolume, GridGeometry

METAL_FINER = 4
# Water of any density up to 60 HU; from there bone is mixed in, up to XCIST's cortical bone
# alone, which has 0.493 / cm at 70 keV where water has 0.193.
_SOFT_HU, _BONE_HU = 60.0, 1560.0
_AIR_HU = -950.0
# The maps are far taller than the fan, so that every ray stays inside.
_HEIGHT_MM = 60.0
_MARGIN_PX = 4

Map = NDArray[np.float32]
Box = tuple[slice, slice]


@dataclass(frozen=True)
class Phantom:
    """Maps of one slice, in units of the pure material.

    Parameters
    ----------
    tissue : mapping of material to ndarray, shape (rows, columns)
        "water" and "bone", without metal, on the CT's grid.
    metal : mapping of material to ndarray, shape (rows, columns)
        Alloys on the metal grid, cropped to `box`.
    displaced : mapping of material to ndarray, same shape
        Tissue in the metal's place.
    box : (slice of rows, slice of columns)
        On the metal grid.
    pixel_mm : float
        Of the CT.
    shape : (rows, columns)
        Of the CT.
    """

    tissue: Mapping[str, Map]
    metal: Mapping[str, Map]
    displaced: Mapping[str, Map]
    box: Box
    pixel_mm: float
    shape: tuple[int, int]

    def metal_fraction(self) -> Map:
        """Share of every CT pixel that metal fills, shape `shape`."""
        rows, columns = self.shape
        fine = np.zeros((rows * METAL_FINER, columns * METAL_FINER), np.float32)
        fine[self.box] = sum(self.metal.values())
        blocks = fine.reshape(rows, METAL_FINER, columns, METAL_FINER)
        return np.clip(blocks.mean(axis=(1, 3)), 0.0, 1.0).astype(np.float32)


def tissue_maps(hu: NDArray[np.floating]) -> dict[str, Map]:
    """Split HU into water and bone (each 1 where pure), any shape.

    Unlike the project's own simulator this mixes by volume: tissue of 60 HU and bone of 1560 HU.
    """
    share = np.clip((hu - _SOFT_HU) / (_BONE_HU - _SOFT_HU), 0.0, None)
    water = (1.0 - np.minimum(share, 1.0)) * np.clip(1.0 + np.minimum(hu, _SOFT_HU) / 1000, 0, None)
    return {"water": water.astype(np.float32), "bone": share.astype(np.float32)}


def make_phantom(volume: CTVolume, plan: Plan, height_mm: float, slice_mm: float) -> Phantom:
    """Cut a slice of the patient at a height (RAS mm) and put the plan's metal into it.

    Parameters
    ----------
    volume : CTVolume
        Without metal, square pixels, upright axial slices.
    plan : Plan
    height_mm : float
        Middle of the slice.
    slice_mm : float
        Its thickness, over which metal is averaged.
    """
    hu = patient_slice(volume, height_mm)
    pixel_mm = volume.spacing_mm[0]
    grid = _grid(volume, height_mm, slice_mm, METAL_FINER)
    metal = {
        name: one[0]
        for name, one in voxelize_plan(plan, grid, load_catalogue()).items()
        if one.any()
    }
    box = _box(sum(metal.values(), np.zeros(grid.shape[1:], np.float32)))
    metal = {name: np.ascontiguousarray(one[box]) for name, one in metal.items()}
    tissue = tissue_maps(hu)
    filled = sum(metal.values(), np.zeros(()))
    displaced = {}
    for name, one in tissue.items():
        fine = np.repeat(np.repeat(one, METAL_FINER, axis=0), METAL_FINER, axis=1)
        displaced[name] = np.ascontiguousarray(fine[box] * filled, np.float32)
    return Phantom(tissue, metal, displaced, box, pixel_mm, hu.shape)


def write_phantom(folder: Path, phantom: Phantom) -> None:
    """Write `tissue.json` and `metal.json` with their maps, as XCIST reads them."""
    body = _box(phantom.tissue["water"] > 1.0 + _AIR_HU / 1000.0)
    _write(folder / "tissue.json", phantom, 1, body,
           {name: one[body] for name, one in phantom.tissue.items()})  # fmt: skip
    changed = {f"less {name}": -one for name, one in phantom.displaced.items()}
    _write(folder / "metal.json", phantom, METAL_FINER, phantom.box, {**changed, **phantom.metal})


def _write(path: Path, phantom: Phantom, finer: int, box: Box, maps: Mapping[str, Map]) -> None:
    size = phantom.pixel_mm / finer
    count = len(maps)
    # Where the isocentre (the CT's middle) lies in the cropped map, first pixel = 1.
    middle = [n * finer / 2 + 0.5 - part.start for n, part in zip(phantom.shape, box, strict=True)]
    names = []
    for name, one in maps.items():
        names.append(f"{path.stem}-{name.replace(' ', '-')}.raw")
        np.ascontiguousarray(one, np.float32).tofile(path.parent / names[-1])
    rows, columns = next(iter(maps.values())).shape
    xcist = {"water": "water", "bone": "ICRU_skeleton_cortical_bone_adult"}
    facts = {
        "n_materials": count,
        "mat_name": [xcist.get(n.removeprefix("less "), n) for n in maps],
        "volumefractionmap_filename": names,
        "volumefractionmap_datatype": ["float"] * count,
        "cols": [columns] * count,
        "rows": [rows] * count,
        "slices": [1] * count,
        "x_size": [size] * count,
        "y_size": [size] * count,
        "z_size": [_HEIGHT_MM] * count,
        "x_offset": [middle[1]] * count,
        # XCIST's y runs against the rows.
        "y_offset": [rows + 1 - middle[0]] * count,
        "z_offset": [1.0] * count,
    }
    path.write_text(json.dumps(facts), encoding="utf-8")


def patient_slice(volume: CTVolume, height_mm: float) -> NDArray[np.float32]:
    """Interpolate HU (rows, columns) at a height (RAS mm) between the patient's slices."""
    k = (height_mm - volume.ijk_to_ras[2, 3]) / volume.ijk_to_ras[2, 2]
    low = int(np.clip(np.floor(k), 0, len(volume.hu) - 2))
    share = np.float32(np.clip(k - low, 0.0, 1.0))
    return volume.hu[low] * (1 - share) + volume.hu[low + 1] * share


def _grid(volume: CTVolume, height_mm: float, slice_mm: float, finer: int) -> GridGeometry:
    """One slice at a height, its pixels `finer` times as fine."""
    rows, columns = volume.hu.shape[1:]
    affine = slice_affine(volume, height_mm, slice_mm)
    first = affine[:3, :2] @ np.full(2, (1 - finer) / (2 * finer))
    affine[:3, 3] += first
    affine[:3, :2] /= finer
    return GridGeometry((1, rows * finer, columns * finer), affine)


def slice_affine(volume: CTVolume, height_mm: float, slice_mm: float) -> NDArray[np.float64]:
    """Matrix of a slice at a height: the patient's pixels, `slice_mm` apart along z."""
    affine = volume.ijk_to_ras.copy()
    affine[2, 2] = np.copysign(slice_mm, affine[2, 2])
    affine[2, 3] = height_mm
    return affine


def _box(mask: NDArray[np.generic]) -> Box:
    """The rows and columns that hold something, a few pixels wider, whole CT pixels of both."""
    filled = np.asarray(mask) > 0
    parts = []
    for axis in (1, 0):
        found = np.flatnonzero(filled.any(axis=axis))
        size = filled.shape[1 - axis]
        first = max(0, int(found[0]) - _MARGIN_PX) if found.size else 0
        last = min(size, int(found[-1]) + 1 + _MARGIN_PX) if found.size else 1
        parts.append(slice(first, last))
    return parts[0], parts[1]
