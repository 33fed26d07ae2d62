"""Track of the spinal canal: a ray-cast score in every slice, joined by dynamic programming.

A point inside the canal sees bone in nearly every direction within a few centimetres, at about
the same distance left and right. No single slice decides: Viterbi's algorithm takes the path
with the best total score whose steps are as steep as a spine can be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.progress import CancelToken

#: Rays and their reach. The canal is 15 to 25 mm wide, foramina open to the side.
_RAYS = 16
_REACH_MM = 26.0
_CLEARANCE_MM = 5.0
#: Steepest slope of the canal that is tracked, mm sideways per mm along the body axis: in old
#: kyphotic patients and at the sacrum the canal runs nearly within the slice.
_STEEPEST = 2.2
#: Penalty for a slope of 1, in units of the score.
_STIFFNESS = 0.2


def ray_distances(
    bone: NDArray[np.bool_], pixel_mm: float, cancel: CancelToken | None = None
) -> NDArray[np.float32]:
    """Distance to the first bone pixel along each of 16 in-slice rays.

    Parameters
    ----------
    bone : ndarray of bool, shape (nz, ny, nx)
        Axis 1 to the front, axis 2 to the right, square pixels.
    pixel_mm : float
    cancel : CancelToken, optional

    Returns
    -------
    ndarray of float32, shape (16, nz, ny, nx)
        Millimetres, `_REACH_MM` where a ray meets nothing. Ray 0 points right, ray 4 to the front.
    """
    _, ny, nx = bone.shape
    steps = int(np.ceil(_REACH_MM / pixel_mm))
    result = np.full((_RAYS, *bone.shape), _REACH_MM, np.float32)
    padded = np.pad(bone, ((0, 0), (steps, steps), (steps, steps)))
    for ray in range(_RAYS):
        if cancel is not None:
            cancel.raise_if_cancelled()
        angle = 2 * np.pi * ray / _RAYS
        # From far to near, so that the nearest hit is written last.
        for step in range(steps, -1, -1):
            dy, dx = round(step * np.sin(angle)), round(step * np.cos(angle))
            hit = padded[:, steps + dy : steps + dy + ny, steps + dx : steps + dx + nx]
            result[ray][hit] = min(step * pixel_mm, _REACH_MM)
    return result


def canal_score(
    distances: NDArray[np.float32], bone: NDArray[np.bool_], pixel_mm: float
) -> NDArray[np.float32]:
    """Score of every pixel as the canal's centre, float32 (nz, ny, nx), about 0 to 1."""
    seen = np.clip((_REACH_MM - distances) / (_REACH_MM / 2), 0, 1)
    enclosed = seen.mean(axis=0)
    # Laminae, body and pedicles: the rays to front and back matter in every slice.
    front_back = 0.5 * (seen[2:7].mean(axis=0) + seen[9:16].mean(axis=0))
    left = distances[[6, 7, 8, 9, 10]].clip(max=15).mean(axis=0)
    right = distances[[2, 1, 0, 15, 14]].clip(max=15).mean(axis=0)
    lopsided = np.abs(left - right) / 15.0
    clearance = _in_slice_distance(~bone, pixel_mm)
    room = np.clip(clearance / _CLEARANCE_MM, 0, 1)
    score: NDArray[np.float32] = (0.6 * enclosed + 0.4 * front_back - 0.25 * lopsided) * room
    return score


def _in_slice_distance(mask: NDArray[np.bool_], pixel_mm: float) -> NDArray[np.float32]:
    result = np.empty(mask.shape, np.float32)
    for z, image in enumerate(mask):
        result[z] = ndimage.distance_transform_edt(image, sampling=pixel_mm)
    return result


def best_path(score: NDArray[np.float32], pixel_mm: float, slice_mm: float) -> NDArray[np.intp]:
    """Path of one pixel per slice with the largest total score.

    Parameters
    ----------
    score : ndarray of float32, shape (nz, ny, nx)
    pixel_mm, slice_mm : float

    Returns
    -------
    ndarray of int, shape (nz, 2)
        (y, x) of the path in every slice.
    """
    nz, ny, nx = score.shape
    reach = max(1, int(np.ceil(_STEEPEST * slice_mm / pixel_mm)))
    offsets = [
        (dy, dx)
        for dy in range(-reach, reach + 1)
        for dx in range(-reach, reach + 1)
        if np.hypot(dy, dx) <= reach + 0.5
    ]
    slopes = np.hypot(*np.array(offsets).T) * pixel_mm / slice_mm
    costs = _STIFFNESS * slopes**2 * slice_mm / 4.0
    total = score[0].astype(np.float64)
    back = np.zeros((nz, ny, nx), np.int16)
    for z in range(1, nz):
        padded = np.pad(total, reach, constant_values=-np.inf)
        best = np.full((ny, nx), -np.inf)
        for n, (dy, dx) in enumerate(offsets):
            shifted = padded[reach + dy : reach + dy + ny, reach + dx : reach + dx + nx] - costs[n]
            better = shifted > best
            best[better] = shifted[better]
            back[z][better] = n
        total = best + score[z]
    path = np.empty((nz, 2), np.intp)
    path[-1] = np.unravel_index(int(total.argmax()), total.shape)
    for z in range(nz - 1, 0, -1):
        y, x = path[z]
        path[z - 1] = path[z] + offsets[back[z, y, x]]
    return path


def smooth_track(
    points_mm: NDArray[np.float64], weights: NDArray[np.float64], slice_mm: float, length_mm: float
) -> NDArray[np.float64]:
    """Smooth a track (n, 2) along its slices with a Gaussian of `length_mm`, by weighted lines.

    Local lines instead of local means, so that the ends and slopes are not flattened.
    """
    n = len(points_mm)
    z = np.arange(n) * slice_mm
    result = np.empty_like(points_mm, dtype=np.float64)
    for index in range(n):
        w = np.sqrt(weights * np.exp(-0.5 * ((z - z[index]) / length_mm) ** 2) + 1e-9)
        design = np.stack([np.ones(n), z - z[index]], axis=1) * w[:, None]
        solution = np.linalg.lstsq(design, points_mm * w[:, None], rcond=None)[0]
        result[index] = solution[0]
    return result
