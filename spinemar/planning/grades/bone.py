"""Signed distance to the surface of one vertebra, on a fine grid along its own axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.implants.shapes.solids import FloatArray
from spinemar.spine.labels.levels import SACRUM, VERSE_IDS
from spinemar.spine.model import VertebraFrame
from spinemar.volume import GridGeometry, LabelVolume

STEP_MM = 0.5
# Reach to the right and left, forwards and backwards, up and down from the body's centre.
_REACH_MM = ((-32.0, 32.0), (-50.0, 30.0), (-24.0, 24.0))
# Screws of S1 start further out, below a body that is deeper than a lumbar one.
_SACRAL_REACH_MM = ((-48.0, 48.0), (-50.0, 30.0), (-30.0, 24.0))


@dataclass(frozen=True)
class BoneField:
    """Distance in mm to the surface of a vertebra: negative inside the bone.

    Parameters
    ----------
    values : ndarray of float32, shape (a, b, c)
        Along right, anterior, superior of the vertebra.
    first_local : ndarray, shape (3,)
        Local coordinates of values[0, 0, 0] in mm.
    frame : VertebraFrame
        Its axes and body centre carry the grid.
    """

    values: NDArray[np.float32]
    first_local: FloatArray
    frame: VertebraFrame
    step_mm: float = STEP_MM

    def distance_mm(self, ras: FloatArray) -> FloatArray:
        """Return the signed distance at points (..., 3)."""
        return self.distance_local_mm(self.frame.to_local(ras))

    def distance_local_mm(self, local: FloatArray) -> FloatArray:
        """Return the signed distance at local points (..., 3).

        Beyond the grid the way back to it is added.
        """
        points = np.reshape(local, (-1, 3))
        index = (points - self.first_local) / self.step_mm
        last = np.array(self.values.shape) - 1.0
        held = np.clip(index, 0.0, last)
        beyond = np.linalg.norm(index - held, axis=1) * self.step_mm
        found = ndimage.map_coordinates(self.values, held.T, order=1, mode="nearest")
        result: FloatArray = np.reshape(found + beyond, np.shape(local)[:-1])
        return result

    def outward_local(self, local: FloatArray) -> FloatArray:
        """Return unit vectors (n, 3), local, in which the distance grows fastest."""
        steps = np.eye(3) * self.step_mm
        slope = np.stack(
            [self.distance_local_mm(local + s) - self.distance_local_mm(local - s) for s in steps],
            axis=-1,
        )
        length = np.linalg.norm(slope, axis=-1, keepdims=True)
        result: FloatArray = slope / np.maximum(length, 1e-9)
        return result


def bone_field(labels: LabelVolume, frame: VertebraFrame) -> BoneField:
    """Compute the field of one vertebra from VerSe labels.

    The labels' staircase, coarse between slices, is smoothed by interpolating its
    distance field to 0.5 mm (shape-based interpolation, Raya and Udupa 1990); the
    distance to that finer surface follows.

    Raises
    ------
    InputError
        If the vertebra has no voxel near its frame.
    """
    reach = _SACRAL_REACH_MM if frame.level == SACRUM else _REACH_MM
    first = np.array([low for low, _ in reach])
    shape = tuple(round((high - low) / STEP_MM) + 1 for low, high in reach)
    coarse, grid = _coarse_distance(labels, frame, reach)
    # One affine map takes fine local indices to coarse voxel indices.
    local_to_ras = frame.axes_ras.T
    matrix = grid.ras_to_ijk[:3, :3] @ local_to_ras * STEP_MM
    offset = grid.to_ijk(frame.to_ras(first))
    fine = ndimage.affine_transform(
        coarse.transpose(2, 1, 0), matrix, offset, output_shape=shape, order=1, mode="nearest"
    )
    return BoneField(distance_to_surface(fine < 0.0, STEP_MM), first, frame, STEP_MM)


def _coarse_distance(
    labels: LabelVolume, frame: VertebraFrame, reach_mm: tuple[tuple[float, float], ...]
) -> tuple[NDArray[np.float32], GridGeometry]:
    """Return the signed distance on the CT's own voxels (k, j, i) around the vertebra."""
    grid = labels.geometry
    corners = np.array(np.meshgrid(*reach_mm)).reshape(3, -1).T
    ijk = grid.to_ijk(frame.to_ras(corners))
    low = np.maximum(np.floor(ijk.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(ijk.max(axis=0)).astype(int) + 2, grid.shape[::-1])
    if (high <= low).any():
        raise _absent(frame)
    crop = labels.labels[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    mask = crop == VERSE_IDS[frame.level]
    if not mask.any():
        raise _absent(frame)
    spacing = grid.spacing_mm[::-1]
    # Neighbours across the border get +spacing and -spacing: zero lies half way.
    signed = ndimage.distance_transform_edt(~mask, spacing)
    signed -= ndimage.distance_transform_edt(mask, spacing) if not mask.all() else 0.0
    affine = grid.ijk_to_ras.copy()
    affine[:3, 3] = grid.to_ras(low)
    k, j, i = mask.shape
    return signed.astype(np.float32), GridGeometry((k, j, i), affine)


def distance_to_surface(mask: NDArray[np.bool_], step_mm: float) -> NDArray[np.float32]:
    """Return the signed distance in mm to the surface of a mask (a, b, c), negative inside."""
    import SimpleITK as sitk

    if not mask.any() or mask.all():
        return np.full(mask.shape, -99.0 if mask.all() else 99.0, dtype=np.float32)
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing((step_mm, step_mm, step_mm))
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    # Maurer's zero lies on the outermost inner voxels; the surface half a step further.
    result: NDArray[np.float32] = sitk.GetArrayFromImage(distance) - np.float32(step_mm / 2)
    return result


def _absent(frame: VertebraFrame) -> InputError:
    return InputError(
        f"The labels hold no voxel of {frame.level} where its frame lies.",
        "Use the labels that the frames were made from.",
    )
