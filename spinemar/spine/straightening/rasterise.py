"""Labels from the straightened spine back to the CT's own grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.straightening.straight import CanalFrame, StraightSpine, sample
from spinemar.volume import GridGeometry

_LATTICE_MM = 4.0


def to_grid(
    spine: StraightSpine, labels: NDArray[np.int16], geometry: GridGeometry
) -> NDArray[np.int16]:
    """Resample labels of a straightened spine to a volume's grid (k, j, i)."""
    result = np.zeros(geometry.shape, np.int16)
    box = _box(spine, labels, geometry)
    if box is None:
        return result
    # Coordinates are smooth: computed on a lattice, linear in between.
    lattice = _Lattice.over(box, geometry, spine.frame)
    solid = (labels > 0).astype(np.float32)
    grown = np.where(labels > 0, labels, ndimage.maximum_filter(labels, 3))
    limits = np.array(labels.shape) - 1
    origin = np.array([0.0, spine.anterior[0], spine.right[0]])
    for k in range(box[0].start, box[0].stop):
        place = lattice.slice_at(k) - origin
        inside = ((place >= -0.5) & (place <= limits + 0.5)).all(axis=-1)
        fill = np.zeros(inside.shape, np.float32)
        fill[inside] = sample(solid, *place[inside].T)
        index = np.clip(np.rint(place), 0, limits).astype(np.intp)
        number = grown[index[..., 0], index[..., 1], index[..., 2]]
        result[k, box[1], box[2]] = np.where(fill >= 0.5, number, 0)
    return result


def _box(
    spine: StraightSpine, labels: NDArray[np.int16], geometry: GridGeometry
) -> tuple[slice, slice, slice] | None:
    """Range of the grid that labels can reach."""
    s, a, r = np.nonzero(labels[::2, ::2, ::2])
    if len(s) == 0:
        return None
    front, right = spine.anterior[2 * a], spine.right[2 * r]
    ras = spine.frame.to_ras(2.0 * s.astype(np.float64), front, right)
    kji = geometry.to_ijk(ras)[:, ::-1]
    margin = 4.0 / np.array(geometry.spacing_mm[::-1])
    low = np.clip(np.floor(kji.min(axis=0) - margin), 0, np.array(geometry.shape)).astype(int)
    high = np.clip(np.ceil(kji.max(axis=0) + margin) + 1, 0, geometry.shape).astype(int)
    if (high <= low).any():
        return None
    k, j, i = (slice(int(x), int(y)) for x, y in zip(low, high, strict=True))
    return k, j, i


class _Lattice:
    """Straightened coordinates on a coarse lattice of a grid's box."""

    def __init__(
        self,
        nodes: tuple[NDArray[np.float64], ...],
        values: NDArray[np.float64],
        box: tuple[slice, slice, slice],
    ) -> None:
        self._nodes, self._values = nodes, values
        self._rows = _weights(nodes[1], np.arange(box[1].start, box[1].stop))
        self._columns = _weights(nodes[2], np.arange(box[2].start, box[2].stop))

    @classmethod
    def over(
        cls, box: tuple[slice, slice, slice], geometry: GridGeometry, frame: CanalFrame
    ) -> _Lattice:
        spacing = geometry.spacing_mm[::-1]
        nodes = tuple(
            np.linspace(
                e.start,
                max(e.stop - 1, e.start + 1),
                max(2, round((e.stop - e.start) * mm / _LATTICE_MM) + 1),
            )
            for e, mm in zip(box, spacing, strict=True)
        )
        k, j, i = np.meshgrid(*nodes, indexing="ij")
        values = frame.from_ras(geometry.to_ras(np.stack([i, j, k], axis=-1)))
        return cls(nodes, values, box)

    def slice_at(self, k: int) -> NDArray[np.float64]:
        """(s, a, r) at all voxels of one slice of the box, shape (rows, columns, 3)."""
        weight = _weights(self._nodes[0], np.array([k]))[0]
        plane = np.tensordot(weight, self._values, axes=1)
        rows = np.tensordot(self._rows, plane, axes=1)
        result: NDArray[np.float64] = np.einsum("ci,rid->rcd", self._columns, rows)
        return result


def _weights(nodes: NDArray[np.float64], places: NDArray[np.int_]) -> NDArray[np.float64]:
    """Linear interpolation as a matrix (places, nodes)."""
    place = (places - nodes[0]) / (nodes[1] - nodes[0])
    low = np.clip(np.floor(place).astype(int), 0, len(nodes) - 2)
    part = place - low
    result = np.zeros((len(places), len(nodes)))
    rows = np.arange(len(places))
    result[rows, low] = 1 - part
    result[rows, low + 1] = part
    return result
