"""Sacrum and hips as one bone field, in the frame of S1, and what a screw keeps away from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.implants.placement import PELVIS
from spinemar.implants.shapes.solids import FloatArray
from spinemar.planning.grades.bone import BoneField, distance_to_surface
from spinemar.planning.plans.plan import Plan
from spinemar.spine.anatomy.pelvis.hips import STEP_MM, pelvic_bone
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import SpineModel
from spinemar.volume import CTVolume

#: What lies at a point of the field.
NOTHING, SACRAL, LEFT_HIP, RIGHT_HIP, OUTSIDE = range(5)
HIP = {"left": LEFT_HIP, "right": RIGHT_HIP}
#: From the body's centre of S1 along its axes (right, anterior, superior), mm.
_REACH_MM = ((-130.0, 130.0), (-80.0, 85.0), (-85.0, 55.0))
_GRID_MM, _SMOOTH = 1.0, 0.8
#: Where femoral heads are not known, nothing is told so far below the plate of S1, mm.
_WITHOUT_HEADS_MM = 70.0
#: Cartilage and the plate below it lie around a femoral head, mm.
JOINT_MM = 4.0


@dataclass(frozen=True)
class PelvicField(BoneField):
    """Distance to the surface of sacrum and hips, the joints between them closed.

    Parameters
    ----------
    parts : ndarray of int8
        On the grid of `values`: `NOTHING`, `SACRAL`, `LEFT_HIP`, `RIGHT_HIP`, or `OUTSIDE` of
        what the CT shows, or of what is known where no femoral head was found.
    notches : mapping of str to ndarray, shape (3,)
        Local roof of the greater sciatic notch by side, where it was found.
    heads : mapping of str to ndarray, shape (4,)
        Local centre and radius of the femoral heads by side, where they were found.
    """

    parts: NDArray[np.int8] = field(default_factory=lambda: np.zeros((1, 1, 1), np.int8))
    notches: Mapping[str, FloatArray] = field(default_factory=dict)
    heads: Mapping[str, FloatArray] = field(default_factory=dict)

    def part_at(self, local: FloatArray) -> NDArray[np.int8]:
        """Return the part at local points (..., 3); `OUTSIDE` beyond the grid."""
        index = np.moveaxis((np.asarray(local) - self.first_local) / self.step_mm, -1, 0)
        found = ndimage.map_coordinates(self.parts, index, order=0, cval=OUTSIDE)
        return np.asarray(found, np.int8)

    def notch_mm(self, points: FloatArray, side: str) -> float | None:
        """Least distance of local points (n, 3) from the roof of the notch; None if unknown."""
        place = self.notches.get(side)
        if place is None:
            return None
        return float(np.linalg.norm(points - place, axis=-1).min())

    def acetabulum_mm(self, points: FloatArray, side: str) -> float | None:
        """Least distance of local points (n, 3) from the hip's joint; None if unknown."""
        head = self.heads.get(side)
        if head is None:
            return None
        away = np.linalg.norm(points - head[:3], axis=-1).min()
        return float(away - head[3] - JOINT_MM)


def pelvic_field(spine: SpineModel, volume: CTVolume) -> PelvicField:
    """Outline sacrum and hips in the CT, and measure around them.

    Raises
    ------
    InputError
        If S1 has no frame, or no hip was found.
    """
    found, frame = pelvic_bone(spine, volume), spine.vertebra(SACRUM)
    axes = [np.arange(low, high + _GRID_MM / 2, _GRID_MM) for low, high in _REACH_MM]
    local = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    ras = frame.to_ras(local)
    index = np.moveaxis((ras - found.first_ras) / STEP_MM, -1, 0)
    # Neighbours across the border get +step and -step: zero lies half way.
    signed = ndimage.distance_transform_edt(~found.bone) - ndimage.distance_transform_edt(
        found.bone
    )
    # A staircase would be a surface nearer than the bone's own.
    signed = ndimage.gaussian_filter(signed, _SMOOTH)
    bone = ndimage.map_coordinates(signed, index, order=1, mode="nearest") < 0.0
    parts = np.where(bone, SACRAL, NOTHING).astype(np.int8)
    for side, hip in found.hips.items():
        inside = ndimage.map_coordinates(hip.astype(np.int8), index, order=0, cval=0) > 0
        parts[inside] = HIP[side]
    kji = volume.geometry.to_ijk(ras)[..., ::-1]
    last = np.array(volume.hu.shape) - 1
    parts[((kji < 0) | (kji > last)).any(axis=-1)] = OUTSIDE
    plate = frame.endplates["superior"].point_ras
    if not spine.femoral_heads:
        # Nobody parted hip and femur there.
        parts[ras[..., 2] < plate[2] - _WITHOUT_HEADS_MM] = OUTSIDE
    heads = {
        head.side: np.append(frame.to_local(head.centre_ras), head.radius_mm)
        for head in spine.femoral_heads
    }
    notches = {side: frame.to_local(place) for side, place in found.notches_ras.items()}
    values = distance_to_surface(bone, _GRID_MM)
    first = np.array([axis[0] for axis in axes])
    return PelvicField(values, first, frame, _GRID_MM, parts, notches, heads)


def pelvic_fields(plan: Plan, spine: SpineModel, volume: CTVolume) -> dict[str, BoneField]:
    """Return the field under `PELVIS` that a plan's screws need; nothing where none ends there.

    Nothing too where the CT shows no hips beside S1: such screws are not graded.
    """
    if not any(screw.in_pelvis for screw in plan.screws):
        return {}
    try:
        return {PELVIS: pelvic_field(spine, volume)}
    except InputError:
        return {}


def landmark_facts(field: PelvicField) -> dict[str, Any]:
    """Return notches and heads as JSON can hold them."""
    return {
        "notches": {side: place.tolist() for side, place in field.notches.items()},
        "heads": {side: head.tolist() for side, head in field.heads.items()},
    }
