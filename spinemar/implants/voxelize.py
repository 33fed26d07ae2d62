"""Put implants into a voxel grid as partial-volume fractions.

A solid's bounding box is cut into blocks, the undecided blocks into voxels and the
undecided voxels into ever smaller cells; a cell is decided as soon as the solid's
distance bound exceeds the cell's half diagonal. Only cells on a surface reach the
finest size, so the cost follows the surface and not the volume, in any oblique,
anisotropic or sheared grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.kinds import construct_parts
from spinemar.implants.placement import Construct
from spinemar.implants.shapes.solids import FloatArray, Solid, dots
from spinemar.volume import GridGeometry

Box = tuple[slice, slice, slice]

_BLOCK_MM = 4.0
# Cells on a surface end at this share of the smallest spacing, within these sizes.
_FINEST_SHARE = 0.5
_FINEST_MM = (0.1, 0.3)
_MOST_POINTS = 60_000


def voxelize_plan(
    plan: Construct,
    geometry: GridGeometry,
    catalogue: Catalogue,
    slices: slice | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Return, per material, the share of every voxel that it fills.

    Parameters
    ----------
    plan : Construct
        A plan, or anything else that holds placed implants.
    geometry : GridGeometry
        Grid of the CT.
    catalogue : Catalogue
        Where the screw models are found.
    slices : slice, optional
        Only these slices k (step 1); the result then has only so many.

    Returns
    -------
    dict of str to ndarray of float32, shape (k, j, i)
        Fractions between 0 and 1, their sum at most 1. Parts outside the grid are cut
        off. A material of the plan is a key even where none of it meets the grid.

    Raises
    ------
    InputError
        If the slices are no rising range, a screw's model is not in the catalogue, or an imported
        surface makes no voxel of the CT metal.
    """
    first, last, step = (slices or slice(None)).indices(geometry.shape[0])
    if step != 1 or last < first:
        raise InputError(f"Slices {slices} cannot be voxelised.", "Use a rising range of step 1.")
    grid = _shifted(geometry, first, last - first)
    volumes: dict[str, NDArray[np.float32]] = {}
    touched: list[Box] = []
    for part in construct_parts(plan, catalogue):
        _add(volumes, touched, part.material, grid, voxelize_solid(part.solid, grid))
    for mesh in plan.meshes:
        from spinemar.implants.surfaces.imported import voxelize_mesh

        _add(volumes, touched, mesh.material, grid, voxelize_mesh(mesh, grid, geometry))
    if len(volumes) > 1:
        _share_voxels(volumes, touched)
    return volumes


def refuse_all_outside(fractions: Mapping[str, NDArray[np.float32]]) -> None:
    """Refuse a plan of which nothing lies in the CT that it was voxelised into.

    Parameters
    ----------
    fractions : mapping of str to ndarray, shape (k, j, i)
        What `voxelize_plan` made of it: each material of the plan has its key.

    Raises
    ------
    InputError
    """
    if fractions and not any(volume.any() for volume in fractions.values()):
        raise InputError(
            "None of the plan's implants lies in this CT.", "Give the CT that the plan was made on."
        )


def voxelize_solid(solid: Solid, grid: GridGeometry) -> tuple[Box, NDArray[np.float32]] | None:
    """Return the (k, j, i) box that a solid touches and its fractions there.

    None if the solid lies outside the grid.
    """
    low, high = _index_range(solid, grid)
    if (high <= low).any():
        return None
    finest = float(np.clip(_FINEST_SHARE * min(grid.spacing_mm), *_FINEST_MM))
    region = _Region(solid, grid, low, high)
    fractions = region.fill(finest)
    box = (slice(low[2], high[2]), slice(low[1], high[1]), slice(low[0], high[0]))
    return box, fractions


@dataclass(frozen=True)
class _Region:
    """A solid and the index box (i, j, k; high excluded) in which it is voxelised."""

    solid: Solid
    grid: GridGeometry
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def fill(self, finest_mm: float) -> NDArray[np.float32]:
        shape = self.high - self.low
        fractions = np.zeros(int(shape.prod()), dtype=np.float32)
        voxels = self._voxels_of_blocks()
        value = self._distance(voxels)
        reach = _half_diagonal(self.grid, np.ones(3))
        flat = self._flat(voxels)
        fractions[flat[value <= -reach]] = 1.0
        open_ = np.abs(value) < reach
        flat, cells = flat[open_], voxels[open_].astype(np.float64)
        for start in range(0, len(cells), _MOST_POINTS // 8):
            part = slice(start, start + _MOST_POINTS // 8)
            filled = self._share_of_voxels(cells[part], finest_mm)
            fractions[flat[part]] = filled
        i, j, k = (int(n) for n in shape)
        return fractions.reshape(k, j, i)

    def _voxels_of_blocks(self) -> NDArray[np.int64]:
        """Return indices (n, 3) of the voxels in blocks that are not surely empty."""
        block = np.maximum(np.round(_BLOCK_MM / np.array(self.grid.spacing_mm)), 1).astype(int)
        starts = np.stack(
            np.meshgrid(
                *[np.arange(a, b, s) for a, b, s in zip(self.low, self.high, block, strict=True)],
                indexing="ij",
            ),
            axis=-1,
        ).reshape(-1, 3)
        reach = _half_diagonal(self.grid, block.astype(float))
        near = self._distance(starts + (block - 1) / 2) < reach
        inside = np.stack(np.meshgrid(*[np.arange(s) for s in block], indexing="ij"), axis=-1)
        voxels = (starts[near][:, None] + inside.reshape(-1, 3)).reshape(-1, 3)
        voxels = voxels[(voxels < self.high).all(axis=1)]
        result: NDArray[np.int64] = voxels.astype(np.int64)
        return result

    def _share_of_voxels(self, centres: FloatArray, finest_mm: float) -> FloatArray:
        """Return the filled share of voxels (n, 3) by splitting them where undecided."""
        owner = np.arange(len(centres))
        filled = np.zeros(len(centres))
        size, cells = np.ones(3), centres
        splits = _splits(self.grid, finest_mm)
        for step, split in enumerate(splits, 1):
            offsets = np.array(list(product(*[np.arange(s) - (s - 1) / 2 for s in split])))
            size = size / split
            cells = (cells[:, None] + offsets * size).reshape(-1, 3)
            owner = np.repeat(owner, len(offsets))
            value = self._distance(cells)
            if step == len(splits):
                share, decided = _cut_by_plane(value), np.full(len(value), True)
            else:
                share = (value < 0.0).astype(float)
                decided = np.abs(value) >= _half_diagonal(self.grid, size)
            filled += np.bincount(owner[decided], share[decided], len(centres)) * size.prod()
            cells, owner = cells[~decided], owner[~decided]
        return np.clip(filled, 0.0, 1.0)

    def _distance(self, ijk: NDArray[np.floating] | NDArray[np.int64]) -> FloatArray:
        affine = self.grid.ijk_to_ras
        parts = []
        for n in range(0, len(ijk), _MOST_POINTS):
            part = np.asarray(ijk[n : n + _MOST_POINTS], dtype=np.float64)
            points = np.stack([dots(part, row) + row[3] for row in affine[:3]], axis=1)
            parts.append(self.solid.distance(points))
        return np.concatenate(parts) if parts else np.zeros(0)

    def _flat(self, voxels: NDArray[np.int64]) -> NDArray[np.int64]:
        shape, place = self.high - self.low, voxels - self.low
        flat: NDArray[np.int64] = (place[:, 2] * shape[1] + place[:, 1]) * shape[0] + place[:, 0]
        return flat


def _index_range(solid: Solid, grid: GridGeometry) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and one past the last index (i, j, k) that a solid can touch."""
    corners = np.array(list(product(*zip(*solid.bounds(), strict=True))))
    ijk = grid.to_ijk(corners)
    k, j, i = grid.shape
    # Clip first: an implant far outside must not overflow an integer.
    low = np.clip(np.floor(ijk.min(axis=0) + 0.5), 0, [i, j, k])
    high = np.clip(np.floor(ijk.max(axis=0) + 0.5) + 1, 0, [i, j, k])
    return low.astype(np.int64), high.astype(np.int64)


def _half_diagonal(grid: GridGeometry, size: FloatArray) -> float:
    """Return half the longest diagonal in mm of a cell of `size` voxels."""
    signs = np.array(list(product((-0.5, 0.5), repeat=3)))
    corners = (signs * size) @ grid.ijk_to_ras[:3, :3].T
    return float(np.linalg.norm(corners, axis=1).max())


def _splits(grid: GridGeometry, finest_mm: float) -> list[NDArray[np.int64]]:
    """Return into how many parts the three axes are cut, step by step.

    Every step halves the longest sides; the last halves all three.
    """
    halvings = np.rint(np.log2(np.array(grid.spacing_mm) / finest_mm)).astype(np.int64)
    halvings = np.maximum(halvings, 1)
    steps = int(halvings.max())
    return [np.where(halvings >= steps - step, 2, 1) for step in range(steps)]


def _cut_by_plane(value: FloatArray) -> FloatArray:
    """Return the filled share of the finest cells, eight siblings in a row.

    The surface is taken as a plane; the siblings' values tell its slope along the three
    axes of the cell, whatever the scale of the distance bound is there.
    """
    eight = value.reshape(-1, 2, 2, 2)
    rise = sum(np.abs(np.diff(eight, axis=axis).mean(axis=(1, 2, 3))) for axis in (1, 2, 3))
    width = np.repeat(np.maximum(rise, 1e-9), 8)
    share: FloatArray = np.clip(0.5 - value / width, 0.0, 1.0)
    return share


def _shifted(geometry: GridGeometry, first: int, count: int) -> GridGeometry:
    affine = geometry.ijk_to_ras.copy()
    affine[:3, 3] += affine[:3, 2] * first
    return GridGeometry((count, *geometry.shape[1:]), affine)


def _add(
    volumes: dict[str, NDArray[np.float32]],
    touched: list[Box],
    material: str,
    grid: GridGeometry,
    found: tuple[Box, NDArray[np.float32]] | None,
) -> None:
    """Add a part's fractions: parts that touch share a voxel, and none is fuller than full."""
    if material not in volumes:
        volumes[material] = np.zeros(grid.shape, dtype=np.float32)
    if found is not None:
        box, fractions = found
        touched.append(box)
        target = volumes[material][box]
        np.minimum(target + fractions, 1.0, out=target)


def _share_voxels(volumes: dict[str, NDArray[np.float32]], touched: list[Box]) -> None:
    """Scale down voxels in which several materials add up to more than the voxel."""
    for box in touched:
        total = np.sum([volume[box] for volume in volumes.values()], axis=0)
        scale = 1.0 / np.maximum(total, 1.0)
        for volume in volumes.values():
            volume[box] *= scale
