"""The straightened spine: a volume whose first axis follows the canal.

Along a curved spine discs tilt and vertebrae turn; along the canal they are nearly alike. Axis 0
(s) is the arc length along the canal from feet to head, axis 1 (a) points to the vertebra's
front, axis 2 (r) to its right, each in millimetres, 1 mm apart. The canal's centre is a = r = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.straightening.canal import smooth_track
from spinemar.spine.straightening.grid import PatientGrid

_ANTERIOR_MM = (-68.0, 60.0)
_RIGHT_MM = (-62.0, 62.0)
MARGIN_MM = 24
_TURN_DEGREES = 26.0


@dataclass(frozen=True)
class CanalFrame:
    """Orthonormal frames along the canal, 1 mm apart, from feet to head.

    Parameters
    ----------
    points, right, anterior, up : ndarray, shape (n, 3)
        RAS mm and unit vectors.
    """

    points: NDArray[np.float64]
    right: NDArray[np.float64]
    anterior: NDArray[np.float64]
    up: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.points)

    def to_ras(
        self, s: NDArray[np.float64], a: NDArray[np.float64], r: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Map straightened coordinates to RAS mm (broadcast), extrapolating along the ends."""
        n = len(self) - 1
        inside = np.clip(s, 0, n)
        low = np.minimum(np.floor(inside).astype(np.intp), max(n - 1, 0))
        part = (inside - low)[..., None]
        high = np.minimum(low + 1, n)

        def between(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            mixed: NDArray[np.float64] = rows[low] * (1 - part) + rows[high] * part
            return mixed

        beyond = (s - inside)[..., None]
        result: NDArray[np.float64] = (
            between(self.points)
            + beyond * between(self.up)
            + a[..., None] * between(self.anterior)
            + r[..., None] * between(self.right)
        )
        return result

    def from_ras(self, ras: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map RAS mm (..., 3) to (s, a, r): the plane square to the canal through each point."""
        n = len(self) - 1
        s = np.interp(ras[..., 2], self.points[:, 2], np.arange(n + 1.0))
        for _ in range(6):
            low = np.clip(np.rint(s), 0, n).astype(np.intp)
            step = np.einsum("...i,...i", ras - self.points[low], self.up[low])
            # Damped: off the centre line planes turn as one moves along it.
            s = low + np.clip(0.8 * step, -12, 12)
        place = np.stack([s, np.zeros_like(s), np.zeros_like(s)], axis=-1)
        for _ in range(3):
            low = np.clip(np.rint(place[..., 0]), 0, n).astype(np.intp)
            miss = ras - self.to_ras(*np.moveaxis(place, -1, 0))
            axes = (self.up, self.anterior, self.right)
            place += np.stack([np.einsum("...i,...i", miss, x[low]) for x in axes], axis=-1)
        return place


@dataclass(frozen=True)
class StraightSpine:
    """CT values along the canal.

    Parameters
    ----------
    frame : CanalFrame
    hu : ndarray of float32, shape (n, na, nr)
    anterior, right : ndarray, shape (na,), (nr,)
        Coordinates of axes 1 and 2 in mm.
    margin : int
        Planes at either end that lie beyond the canal's tracked part: where the canal leans, the
        volume's corners reach into them.
    """

    frame: CanalFrame
    hu: NDArray[np.float32]
    anterior: NDArray[np.float64]
    right: NDArray[np.float64]
    margin: int = 0

    @property
    def core(self) -> StraightSpine:
        """The part along the tracked canal."""
        if self.margin == 0:
            return self
        part = slice(self.margin, len(self) - self.margin)
        axes = self.frame
        frame = CanalFrame(axes.points[part], axes.right[part], axes.anterior[part], axes.up[part])
        return StraightSpine(frame, self.hu[part], self.anterior, self.right)

    def __len__(self) -> int:
        return len(self.hu)

    def at(
        self, s: NDArray[np.float64], a: NDArray[np.float64], r: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """CT values at straightened coordinates (broadcast)."""
        return sample(self.hu, s, a - self.anterior[0], r - self.right[0])


def sample(
    array: NDArray[np.float32],
    s: NDArray[np.float64],
    a: NDArray[np.float64],
    r: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Trilinear values of an array (s, a, r) at indices (broadcast); edges are continued."""
    places = np.broadcast_arrays(s, a, r)
    result: NDArray[np.float32] = ndimage.map_coordinates(
        array, places, order=1, mode="nearest", output=np.float32
    )
    return result


def straighten(
    grid: PatientGrid, hu: NDArray[np.float32], canal_ras: NDArray[np.float64]
) -> StraightSpine:
    """Resample a working volume along the canal's centre line (RAS mm, feet to head)."""
    frame = _untwisted(canal_ras)
    frame = _longer(_turned(frame, _symmetry_turn(frame, grid, hu)), MARGIN_MM)
    anterior = np.arange(_ANTERIOR_MM[0], _ANTERIOR_MM[1] + 0.5)
    right = np.arange(_RIGHT_MM[0], _RIGHT_MM[1] + 0.5)
    result = np.empty((len(frame), len(anterior), len(right)), np.float32)
    for start in range(0, len(frame), 32):
        s = np.arange(start, min(start + 32, len(frame)), dtype=np.float64)
        ras = frame.to_ras(s[:, None, None], anterior[:, None] + 0 * right, right + 0 * s[:1])
        z, y, x = np.moveaxis(grid.to_zyx(ras), -1, 0)
        # Beyond the volume its last slice goes on: an edge of the field is no edge of bone.
        result[start : start + len(s)] = sample(hu, z, y, x)
    return StraightSpine(frame, result, anterior, right, MARGIN_MM)


def _longer(frame: CanalFrame, margin: int) -> CanalFrame:
    """Continue frames straight on at both ends, 1 mm apart."""
    steps = np.arange(1, margin + 1)[:, None]
    points = np.concatenate(
        [
            frame.points[0] - steps[::-1] * frame.up[0],
            frame.points,
            frame.points[-1] + steps * frame.up[-1],
        ]
    )
    ends = ((margin, margin), (0, 0))
    axes = [np.pad(a, ends, mode="edge") for a in (frame.right, frame.anterior, frame.up)]
    return CanalFrame(points, axes[0], axes[1], axes[2])


def _untwisted(canal_ras: NDArray[np.float64]) -> CanalFrame:
    """Frames along the canal whose front is the patient's front, as near as can be."""
    steps = np.linalg.norm(np.diff(canal_ras, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    s = np.arange(0, length[-1], 1.0)
    points = np.column_stack([np.interp(s, length, canal_ras[:, axis]) for axis in range(3)])
    smooth = smooth_track(points, np.ones(len(points)), 1.0, 8.0)
    up = np.gradient(smooth, axis=0)
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    anterior = np.array([0, 1.0, 0]) - up * up[:, 1:2]
    anterior /= np.linalg.norm(anterior, axis=1, keepdims=True)
    return CanalFrame(points, np.cross(anterior, up), anterior, up)


def _turned(frame: CanalFrame, angle: NDArray[np.float64]) -> CanalFrame:
    """Turn each frame about the canal by an angle in radians, right towards front."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    right = cos * frame.right + sin * frame.anterior
    anterior = cos * frame.anterior - sin * frame.right
    return CanalFrame(frame.points, right, anterior, frame.up)


def _symmetry_turn(
    frame: CanalFrame, grid: PatientGrid, hu: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Turn about the canal, radians (n,), that makes left and right most alike."""
    every = np.arange(0, len(frame), 3)
    angles = np.radians(np.arange(-_TURN_DEGREES, _TURN_DEGREES + 1, 2.0))
    a, r = np.arange(-44, 36, 2.0), np.arange(2, 42, 2.0)
    score = np.zeros((len(every), len(angles)))
    for n, angle in enumerate(angles):
        turned = _turned(frame, np.full(len(frame), angle))
        halves = []
        for sign in (1.0, -1.0):
            s = every[:, None, None].astype(np.float64)
            ras = turned.to_ras(s, a[:, None] + 0 * r, sign * r + 0 * s[:1])
            z, y, x = np.moveaxis(grid.to_zyx(ras), -1, 0)
            halves.append(np.clip(sample(hu, z, y, x), -100, 400))
        unlike = np.abs(halves[0] - halves[1]).mean(axis=(1, 2)) / 100
        score[:, n] = -unlike - 0.12 * angle**2 * 3.0
    score = ndimage.gaussian_filter1d(score, 10 / 3, axis=0, mode="nearest")
    best = angles[chain(score, 0.004)]
    along = np.interp(np.arange(len(frame)), every, best)
    smooth: NDArray[np.float64] = ndimage.gaussian_filter1d(along, 6, mode="nearest")
    return smooth


def chain(score: NDArray[np.float64], stiffness: float) -> NDArray[np.intp]:
    """Index per row (n,) with the best total score (n, m) less squared jumps (Viterbi).

    `stiffness` is the price of a jump by one index, in the unit of the score.
    """
    columns = np.arange(score.shape[1])
    jumps = stiffness * (columns[:, None] - columns[None]) ** 2
    total, back = score[0].copy(), []
    for row in score[1:]:
        candidates = total[None] - jumps
        back.append(candidates.argmax(axis=1))
        total = candidates.max(axis=1) + row
    path = [int(total.argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return np.array(path[::-1], dtype=np.intp)
