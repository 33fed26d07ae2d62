"""A scan's true vertebrae in the earlier CT, where its patient lay in another posture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.volume import GridGeometry, LabelVolume
from Testing.benchmarks.earlier_ct.making.posture import Posture

# Of a vertebra's largest section, from where on one is that of its body.
_BODY_SHARE = 0.4


def vertebrae_before(labels: LabelVolume, posture: Posture, earlier: GridGeometry) -> LabelVolume:
    """Carry labels into an earlier CT by the posture that it was drawn in.

    Between the voxels a vertebra's surface lies where its interpolated distance is zero, as in
    `spinemar.planning.grades.bone`: nearest voxels would add a staircase of their own. Vertebrae
    whose body the scan's end cuts are left out, since the earlier CT may show more of them.

    Parameters
    ----------
    labels : LabelVolume
        Vertebrae in the scan.
    posture : Posture
    earlier : GridGeometry
        Of the earlier CT.
    """
    slices, rows, columns = earlier.shape
    found = np.zeros(earlier.shape, np.int16)
    nearest = np.zeros(earlier.shape, np.float32)
    bones = list(_distances(labels))
    ijk = np.empty((rows, columns, 3))
    ijk[..., 0], ijk[..., 1] = np.arange(columns), np.arange(rows)[:, None]
    for k in range(slices):
        ijk[..., 2] = k
        index = labels.geometry.to_ijk(posture.to_later(earlier.to_ras(ijk)))[..., ::-1]
        for number, first, distance in bones:
            there = index - first
            inside = ((there >= 0) & (there <= np.array(distance.shape) - 1)).all(axis=-1)
            if not inside.any():
                continue
            away = np.ones((rows, columns), np.float32)
            away[inside] = ndimage.map_coordinates(distance, there[inside].T, order=1)
            closer = away < nearest[k]
            found[k][closer], nearest[k][closer] = number, away[closer]
    return LabelVolume(found, earlier.ijk_to_ras)


def _distances(labels: LabelVolume) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
    """Yield each vertebra's number, its box's first voxel and its signed distance in the box, mm.

    Voxels (k, j, i); a border of air about it. Those whose body the scan's end cuts are left out.
    """
    spacing = labels.geometry.spacing_mm[::-1]
    boxes = ndimage.find_objects(labels.labels)
    for number, box in enumerate(boxes, 1):
        if box is None or _is_cut(labels.labels == number):
            continue
        inside = np.pad(labels.labels[box] == number, 2)
        distance = ndimage.distance_transform_edt(~inside, sampling=spacing)
        distance -= ndimage.distance_transform_edt(inside, sampling=spacing)
        first = np.array([side.start - 2 for side in box])
        yield number, first, distance.astype(np.float32)


def _is_cut(inside: NDArray[np.bool_]) -> bool:
    """Whether a vertebra's body reaches the first or last slice: processes are far smaller."""
    sections = inside.sum(axis=(1, 2))
    return bool(max(sections[0], sections[-1]) > _BODY_SHARE * sections.max())
