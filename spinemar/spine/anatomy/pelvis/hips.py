"""Sacrum and hip bones of a CT as one bone, for screws that pass from the one into the other.

The hips are what is bright beside the sacrum and no femoral head, filled slice by slice: the
cortex of the ilium closes around its marrow in every axial slice. Between sacrum and hip the joint
is closed: a screw through it is in bone on both of its sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.parts import largest_part
from spinemar.errors import InputError
from spinemar.spine.anatomy.pelvis.given import given_parts
from spinemar.spine.anatomy.sacrum.outline import sampled
from spinemar.spine.labels.levels import SACRUM, VERSE_IDS
from spinemar.spine.labels.pelvic_parts import HIPS, LOWER_SACRUM
from spinemar.spine.model import FemoralHead, SpineModel
from spinemar.volume import CTVolume

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEP_MM = 1.5
#: From the middle of the upper endplate of S1 along the patient's axes (right, forwards, up), mm.
_REACH_MM = ((-150.0, 150.0), (-85.0, 95.0), (-125.0, 45.0))
_SMOOTH = 0.4
#: Cortex and marrow, partly filled voxels too; and about half of what the cortex has above its
#: surroundings: where thick slices blur the edge, the outer layer has to have it.
_BONE_HU, _CORTEX_HU, _LAYER_MM = 150.0, 280.0, 2.5
_SURELY_HIP_MM, _SURELY_HIP_BELOW_MM = 62.0, (15.0, 80.0)
#: The rim of a femoral head and the gap around it, mm.
_RIM_MM = 1.5
#: Gaps of cortex that are closed before marrow is filled, and of the joint of sacrum and hip, mm.
_GAP_MM, _JOINT_MM = 2.0, 5.0
#: Fatty marrow of the alae that no outline holds lies beside this from the middle; such gaps are
#: narrower than twice this, mm.
_ALA_MM, _MARROW_MM = 26.0, 9.0
#: Nearer to the middle, behind the plate, is no hip but what the outline of the sacrum lacks, mm.
_SACRAL_MM = 32.0
#: A hip is not smaller, mm^3.
_LEAST_MM3 = 40_000.0
#: The greater sciatic notch begins where the back of the hip jumps forwards by so much within so
#: many mm down, and lies so far below the plate.
_JUMP_MM, _WITHIN_MM, _NOTCH_BELOW_MM = 14.0, 8.0, (25.0, 105.0)


@dataclass(frozen=True, eq=False)
class PelvicBone:
    """Sacrum and hips on a grid along the patient's axes, index (right, forwards, up).

    Parameters
    ----------
    bone : ndarray of bool
        Sacrum and both hips, the joints between them closed.
    hips : mapping of str to ndarray of bool
        "left" and "right", each only where it was found.
    first_ras : ndarray, shape (3,)
        Of index (0, 0, 0).
    notches_ras : mapping of str to ndarray, shape (3,)
        Roof of the greater sciatic notch by side, where it was found.
    """

    bone: Mask
    hips: Mapping[str, Mask]
    first_ras: FloatArray
    notches_ras: Mapping[str, FloatArray]


def pelvic_bone(spine: SpineModel, volume: CTVolume) -> PelvicBone:
    """Outline the hips beside the sacrum of a segmented spine in its CT.

    Hips and lower sacrum that its segmentation holds are taken as they are.

    Raises
    ------
    InputError
        If S1 has no frame: the hips are looked for beside it; or if labels of hips do not lie on
        the bone in the CT.
    """
    sacrum = spine.vertebra(SACRUM)
    plate = sacrum.endplates["superior"].point_ras
    axes = [np.arange(a + c, b + c, STEP_MM) for (a, b), c in zip(_REACH_MM, plate, strict=True)]
    ras = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    hu = ndimage.gaussian_filter(sampled(volume.hu, volume.geometry, ras, 1, -1000.0), _SMOOTH)
    found = sampled(spine.labels.labels, spine.labels.geometry, ras, 0, 0.0)
    own = found == VERSE_IDS[SACRUM]
    given = given_parts(spine, volume, ras)
    own |= given.pop(LOWER_SACRUM, np.zeros(own.shape, bool))
    local = ras - plate
    bright = (hu > _BONE_HU) & ~own & ~ndimage.binary_dilation((found > 0) & ~own)
    bright &= (local[..., 1] > 0) | (np.abs(local @ sacrum.right) > _SACRAL_MM)
    both = _without_femurs(bright, hu, local, ras, spine.femoral_heads)
    hips = {}
    for side, sign in (("left", -1.0), ("right", 1.0)):
        if HIPS[side] in given:
            hips[side] = given[HIPS[side]]
            continue
        hip = largest_part(both & (sign * local[..., 0] > 0))
        if hip.sum() * STEP_MM**3 >= _LEAST_MM3:
            hips[side] = _with_sharp_edge(_filled(hip), hu)
    if not hips:
        raise InputError(
            "No hip bone was found beside the sacrum.",
            "Load a CT that shows the pelvis, or plan without screws into the ilium.",
        )
    beside = np.abs((ras - plate) @ sacrum.right) > _ALA_MM
    whole = _with_joints(_with_marrow(own, beside), hips.values())
    first = np.array([axis[0] for axis in axes])
    notches = {
        side: place + first
        for side, hip in hips.items()
        if (place := _notch(hip, plate - first)) is not None
    }
    return PelvicBone(whole, hips, first, notches)


def _without_femurs(
    bright: Mask,
    hu: NDArray[np.float32],
    local: FloatArray,
    ras: FloatArray,
    heads: Sequence[FemoralHead],
) -> Mask:
    """Part hips from femurs: flooded along the bone from the wings, and from the heads."""
    if not heads:
        return bright
    from skimage.segmentation import watershed

    seeds = np.zeros(bright.shape, np.int32)
    below = -local[..., 2]
    wings = (np.abs(local[..., 0]) > _SURELY_HIP_MM) & (below > _SURELY_HIP_BELOW_MM[0])
    seeds[bright & wings & (below < _SURELY_HIP_BELOW_MM[1])] = 1
    inside = np.zeros(bright.shape, bool)
    for head in heads:
        away = np.linalg.norm(ras - head.centre_ras, axis=-1)
        inside |= away < head.radius_mm + _RIM_MM
    seeds[inside] = 2
    return np.asarray(watershed(-hu, seeds, mask=bright | inside) == 1)


def _filled(hip: Mask) -> Mask:
    """Fill the marrow within the cortex, slice by slice."""
    closed = _closed(hip, _GAP_MM)
    return np.stack([ndimage.binary_fill_holes(closed[..., k]) for k in range(hip.shape[2])], -1)


def _with_sharp_edge(hip: Mask, hu: NDArray[np.float32]) -> Mask:
    """Take away what is blurred out of the cortex."""
    depth = ndimage.distance_transform_edt(hip, sampling=STEP_MM)
    return largest_part(hip & ((hu > _CORTEX_HU) | (depth > _LAYER_MM)))


def _closed(mask: Mask, radius_mm: float) -> Mask:
    """Close gaps that a ball of this radius does not get into."""
    near = ndimage.distance_transform_edt(~mask, sampling=STEP_MM) <= radius_mm
    # Beyond the grid is no gap.
    padded = np.pad(near, 1, mode="edge")
    shrunk = ndimage.distance_transform_edt(padded, sampling=STEP_MM)[1:-1, 1:-1, 1:-1] > radius_mm
    return np.asarray(shrunk | mask)


def _with_marrow(sacrum: Mask, beside: Mask) -> Mask:
    """Fill what the outline leaves open of the alae, beside the foramina."""
    return sacrum | (_closed(sacrum, _MARROW_MM) & beside)


def _with_joints(sacrum: Mask, hips: Any) -> Mask:
    """Return sacrum and hips as one, with what lies between both of them."""
    whole = sacrum.copy()
    to_sacrum = ndimage.distance_transform_edt(~sacrum, sampling=STEP_MM)
    for hip in hips:
        whole |= hip
        to_hip = ndimage.distance_transform_edt(~hip, sampling=STEP_MM)
        # Between them, not around: both are near, and the way across is no detour.
        whole |= (np.maximum(to_sacrum, to_hip) <= _JOINT_MM) & (
            _closed(sacrum | hip, _JOINT_MM / 2)
        )
    return whole


def _notch(hip: Mask, plate: FloatArray) -> FloatArray | None:
    """Find the roof of the greater sciatic notch, mm from index 0; None where it is not seen.

    Above it the hip reaches back to the sacrum, below it ends before the notch.
    """
    height = np.arange(hip.shape[2]) * STEP_MM - plate[2]
    backs = np.full(hip.shape[2], np.nan)
    for k in np.flatnonzero((-height > _NOTCH_BELOW_MM[0]) & (-height < _NOTCH_BELOW_MM[1])):
        front = _front_part(hip[..., k])
        if front is not None:
            backs[k] = front[:, 1].min() * STEP_MM
    step = round(_WITHIN_MM / STEP_MM)
    for top in range(hip.shape[2] - 1, step, -1):
        if backs[top - step] - backs[top] > _JUMP_MM:
            jumps = np.diff(backs[top - step : top + 1])
            below = top - step + int(np.nanargmin(jumps))
            front = _front_part(hip[..., below])
            if front is None:
                return None
            last = front[front[:, 1] == front[:, 1].min()].mean(axis=0)
            return np.append(last, below) * STEP_MM
    return None


def _front_part(section: Mask) -> NDArray[np.intp] | None:
    """Pixels of the part of a hip's section that reaches furthest forwards."""
    parts, count = ndimage.label(section)
    if count == 0:
        return None
    pixels = np.argwhere(parts > 0)
    number = parts[tuple(pixels[pixels[:, 1].argmax()])]
    return np.argwhere(parts == number)
